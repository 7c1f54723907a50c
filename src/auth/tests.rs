//! Signing in, from the first user on.

use std::time::Duration;

use super::testing::{Fixture, PASSWORD, from, pass};
use super::*;
use crate::domain::person::Role;
use crate::domain::right::{Reach, Scope};
use crate::store::By;

#[tokio::test]
async fn the_first_user_comes_in_by_a_link_that_is_good_once_and_for_an_hour() {
    let fixture = Fixture::new();
    let auth = &fixture.auth;
    assert!(auth.setup_is_open().await);
    let (old, _) = auth.setup_link().await.unwrap();
    let (secret, _) = auth.setup_link().await.unwrap();
    let claim = |secret: &str, login: &str, password: &str| {
        let (secret, login, password) = (secret.to_owned(), login.to_owned(), password.to_owned());
        async move { auth.claim_setup(&secret, &login, &password, &from(1)).await }
    };
    for bad in [&old, "", &"0".repeat(64)] {
        assert!(!auth.is_setup_link(bad).await.unwrap());
        assert!(matches!(claim(bad, "ada", PASSWORD).await, Err(ClaimError::Closed)), "{bad}");
    }
    let fields = claim(&secret, "-", "short").await.unwrap_err().fields();
    assert_eq!(fields.keys().copied().collect::<Vec<_>>(), ["login", "password"]);
    pass(3600);
    assert!(matches!(claim(&secret, "ada", PASSWORD).await, Err(ClaimError::Closed)), "an hour is over");

    let (secret, expires) = auth.setup_link().await.unwrap();
    assert_eq!(expires, testing::now().after(Duration::from_hours(1)));
    assert!(auth.is_setup_link(&secret).await.unwrap());
    let session = claim(&secret, "Ada", PASSWORD).await.unwrap();
    let ada = fixture.person(&session).await;
    assert_eq!((ada.login.as_str(), &ada.reach), ("ada", &Reach::ALL));
    let members = fixture.reader.members(TeamId::FIRST).await.unwrap();
    assert_eq!((members.len(), members[0].role), (1, Role::Owner));
    assert!(!auth.setup_is_open().await);
    assert!(matches!(claim(&secret, "eve", PASSWORD).await, Err(ClaimError::Closed)));
    assert!(matches!(auth.setup_link().await, Err(SetupLinkError::HasUsers)));
}

#[tokio::test]
async fn of_many_who_claim_at_once_one_comes_in() {
    let fixture = Fixture::new();
    let (secret, _) = fixture.auth.setup_link().await.unwrap();
    let claims = (0..6).map(|number| {
        let (auth, secret) = (&fixture.auth, &secret);
        async move { auth.claim_setup(secret, &format!("user{number}"), PASSWORD, &from(1)).await }
    });
    let outcomes = futures_util::future::join_all(claims).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert_eq!(fixture.reader.users().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_wrong_learns_no_more_than_that() {
    let (fixture, _) = Fixture::claimed().await;
    fixture.user("ada", None).await;
    let gone = fixture.user("gone", None).await;
    fixture.writer.disable_user(gone, true).await.unwrap();
    let bare = crate::domain::person::Login::parse("bare").unwrap();
    fixture.writer.create_user(bare, None, None, false, testing::now()).await.unwrap();
    let mut said = Vec::new();
    for (login, password) in
        [("ada", "wrong horse battery"), ("nobody", PASSWORD), ("gone", PASSWORD), ("bare", ""), ("<b>", "x")]
    {
        said.push(fixture.sign_in(login, password).await.unwrap_err().to_string());
    }
    said.dedup();
    assert_eq!(said, ["this is not right: look at the spelling and try again"]);
    fixture.sign_in("ADA", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn too_many_tries_are_refused_for_users_who_are_there_and_who_are_not() {
    let (fixture, _) = Fixture::claimed().await;
    fixture.user("ada", None).await;
    for login in ["ada", "nobody"] {
        for _ in 0..5 {
            assert!(matches!(fixture.sign_in(login, "wrong").await, Err(SignInError::Wrong)), "{login}");
        }
        let refused = fixture.sign_in(login, PASSWORD).await;
        assert!(matches!(refused, Err(SignInError::TooMany { .. })), "{login}: {refused:?}");
    }
    // Somewhere else it is not about them; and after the wait they come in.
    assert!(fixture.auth.sign_in("ada", PASSWORD, &from(2)).await.is_ok());
    pass(5);
    fixture.sign_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_session_ends_when_it_is_not_used_and_when_it_is_old() {
    let (fixture, _) = Fixture::claimed().await;
    fixture.user("ada", None).await;
    let session = fixture.sign_in("ada", PASSWORD).await.unwrap();
    let is_good = async || fixture.auth.session(&session.cookie).await.unwrap().is_some();
    // Used again and again, for two weeks.
    for _ in 0..(14 * 24 / 11) {
        pass(11 * 3600);
        assert!(is_good().await);
    }
    pass(11 * 3600);
    assert!(!is_good().await, "after two weeks it is over");
    let session = fixture.sign_in("ada", PASSWORD).await.unwrap();
    pass(12 * 3600);
    assert_eq!(fixture.auth.session(&session.cookie).await.unwrap(), None, "twelve hours without use");
    for bad in ["", "x", &"0".repeat(64)] {
        assert_eq!(fixture.auth.session(bad).await.unwrap(), None);
    }
    assert!(!format!("{session:?}").contains(&session.cookie));
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_user_alone() {
    let (fixture, root) = Fixture::claimed().await;
    fixture.user("ada", None).await;
    let first = fixture.signed_in("ada").await;
    let second = fixture.signed_in("ada").await;
    assert_ne!(first.csrf, second.csrf);
    let seen = fixture.auth.sessions(&first).await.unwrap();
    assert_eq!(seen.iter().map(|session| session.current).collect::<Vec<_>>(), [false, true]);
    assert_eq!(seen[0].address.as_deref(), Some("192.0.2.1"));
    assert!(!fixture.auth.end_session(&root, seen[0].id).await.unwrap(), "it is another's");
    assert!(fixture.auth.end_session(&first, seen[0].id).await.unwrap());
    let good =
        async |person: &Person| fixture.auth.is_still_good(&Caller::Person(person.clone())).await.unwrap();
    assert!(good(&first).await && !good(&second).await);
    fixture.auth.sign_out(&first).await.unwrap();
    assert!(!good(&first).await && good(&root).await);
}

#[tokio::test]
async fn streams_end_when_a_part_changes() {
    let (fixture, _) = Fixture::claimed().await;
    let team = fixture.team("shop").await;
    let ada = fixture.user("ada", Some((team, Role::Owner))).await;
    let person = fixture.signed_in("ada").await;
    let other = fixture.user("bob", Some((team, Role::Owner))).await;
    let (_, secret) =
        fixture.auth.create_token_of(Some(ada), None, "ci".to_owned(), Scope::Write, 1).await.unwrap();
    let parts = http::Request::get("/")
        .header("authorization", format!("Bearer {}", secret.reveal()))
        .body(())
        .unwrap()
        .into_parts()
        .0;
    let token = fixture.auth.caller(&parts).await.unwrap();
    assert!(
        token.may_in(Right::Manage, team) && !token.may_in(Right::Own, team) && !token.sees(TeamId::FIRST)
    );
    for caller in [Caller::Person(person), token] {
        assert!(fixture.auth.is_still_good(&caller).await.unwrap());
        let role = if matches!(caller, Caller::Person(_)) { Role::Developer } else { Role::Viewer };
        fixture.writer.change_role(By::User(other), team, ada, role).await.unwrap();
        assert!(!fixture.auth.is_still_good(&caller).await.unwrap(), "{caller}");
        fixture.writer.change_role(By::Instance, team, ada, Role::Owner).await.unwrap();
    }
    let viewer = fixture.auth.caller(&parts).await.unwrap();
    assert!(viewer.may_in(Right::Manage, team));
    fixture.writer.disable_user(ada, true).await.unwrap();
    assert!(matches!(fixture.auth.caller(&parts).await, Err(Refusal::Unknown)));
}

#[tokio::test]
async fn the_second_factor_is_waited_for_and_a_code_is_taken_once() {
    let (fixture, _) = Fixture::claimed().await;
    fixture.user("ada", None).await;
    let ada = fixture.signed_in("ada").await;
    let other = fixture.signed_in("ada").await;
    let auth = &fixture.auth;
    let new = auth.begin_second_factor(&ada, PASSWORD, "rivetr", &from(1)).await.unwrap();
    assert!(new.url.ends_with("&digits=6&period=30") && new.url.contains(&new.secret));
    fixture.sign_in("ada", PASSWORD).await.unwrap();
    let totp = fixture.reader.totp(ada.id).await.unwrap().unwrap();
    let secret = auth.open_totp(ada.id, &totp.secret).unwrap();
    let code = || second_factor::totp::code(&secret, testing::now());
    assert!(matches!(auth.confirm_second_factor(&ada, "000 000").await, Err(FactorError::WrongCode)));
    let used = code();
    let codes = auth.confirm_second_factor(&ada, &used).await.unwrap();
    assert!(matches!(auth.confirm_second_factor(&ada, &used).await, Err(FactorError::Changed)));
    let good = async |person: &Person| auth.is_still_good(&Caller::Person(person.clone())).await.unwrap();
    assert!(good(&ada).await && !good(&other).await, "the other sessions have ended");

    let pending = async || {
        let Ok(SignedIn::NeedsSecondFactor(waiting)) = auth.sign_in("ada", PASSWORD, &from(1)).await else {
            panic!("no second factor is asked for")
        };
        match auth.session(&waiting.cookie).await.unwrap() {
            Some(Visitor::SecondFactor(pending)) => pending,
            other => panic!("{other:?}"),
        }
    };
    let waiting = pending().await;
    let again = auth.second_factor(&waiting, &used, &from(1)).await;
    assert!(matches!(again, Err(SignInError::Wrong)), "it was shown when it was set up");
    pass(30);
    let session = auth.second_factor(&waiting, &code(), &from(1)).await.unwrap();
    fixture.person(&session).await;
    let over = auth.second_factor(&waiting, &code(), &from(1)).await;
    assert!(matches!(over, Err(SignInError::StartAgain)), "{over:?}");

    // A recovery code, once.
    let waiting = [pending().await, pending().await];
    auth.second_factor(&waiting[0], &codes[3], &from(1)).await.unwrap();
    assert!(matches!(auth.second_factor(&waiting[1], &codes[3], &from(1)).await, Err(SignInError::Wrong)));
    assert_eq!(auth.second_factor_of(&ada).await.unwrap(), Some(9));
    pass(30);
    let renewed = auth.renew_recovery_codes(&ada, &code()).await.unwrap();
    assert!(matches!(auth.second_factor(&waiting[1], &codes[4], &from(1)).await, Err(SignInError::Wrong)));
    auth.second_factor(&waiting[1], &renewed[4], &from(1)).await.unwrap();

    // It is forgotten for password and code together.
    pass(30);
    let refused = auth.disable_second_factor(&ada, "wrong", &code(), &from(1)).await;
    assert!(matches!(refused, Err(FactorError::SignIn(SignInError::Wrong))));
    let refused = auth.disable_second_factor(&ada, PASSWORD, "000000", &from(1)).await;
    assert!(matches!(refused, Err(FactorError::WrongCode)));
    auth.disable_second_factor(&ada, PASSWORD, &code(), &from(1)).await.unwrap();
    fixture.sign_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn after_five_wrong_codes_the_password_is_asked_for_again() {
    let (fixture, root) = Fixture::claimed().await;
    let auth = &fixture.auth;
    auth.begin_second_factor(&root, PASSWORD, "rivetr", &from(1)).await.unwrap();
    let totp = fixture.reader.totp(root.id).await.unwrap().unwrap();
    let secret = auth.open_totp(root.id, &totp.secret).unwrap();
    let code = second_factor::totp::code(&secret, testing::now());
    auth.confirm_second_factor(&root, &code).await.unwrap();
    let Ok(SignedIn::NeedsSecondFactor(waiting)) = auth.sign_in("root", PASSWORD, &from(1)).await else {
        panic!("no second factor is asked for")
    };
    let Some(Visitor::SecondFactor(pending)) = auth.session(&waiting.cookie).await.unwrap() else {
        panic!("nobody waits")
    };
    for _ in 0..4 {
        assert!(matches!(auth.second_factor(&pending, "1", &from(1)).await, Err(SignInError::Wrong)));
    }
    assert!(matches!(auth.second_factor(&pending, "1", &from(1)).await, Err(SignInError::StartAgain)));
    assert_eq!(auth.session(&waiting.cookie).await.unwrap(), None);
}
