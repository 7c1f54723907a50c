//! Who may change whom, and that no team and no instance is left without somebody who decides.

use super::audit::{Actor, Doer};
use super::testing::{Fixture, PASSWORD, from, now, pass};
use super::*;
use crate::domain::person::Role;
use crate::domain::right::Scope;
use crate::store::{AuditFilter, PeopleError};

/// Somebody who acts.
struct Somebody {
    caller: Caller,
    doer: Doer,
}

impl Somebody {
    fn new(person: Person) -> Self {
        let caller = Caller::Person(person);
        let parts = http::Request::new(()).into_parts().0;
        Self { doer: Doer::of(&caller, &parts), caller }
    }

    fn actor(&self) -> Actor<'_> {
        Actor { caller: &self.caller, doer: &self.doer }
    }

    fn id(&self) -> UserId {
        self.caller.user().unwrap()
    }
}

/// A team with one member of each part, each of whom has signed in.
async fn team(fixture: &Fixture) -> (TeamId, Vec<Somebody>) {
    let team = fixture.team("shop").await;
    let mut members = Vec::new();
    for role in Role::ALL {
        fixture.user(&format!("the-{role}"), Some((team, role))).await;
    }
    for role in Role::ALL {
        members.push(Somebody::new(fixture.signed_in(&format!("the-{role}")).await));
    }
    (team, members)
}

async fn roles(fixture: &Fixture, team: TeamId) -> Vec<Role> {
    fixture.auth.members(team).await.unwrap().into_iter().map(|member| member.role).collect()
}

#[tokio::test]
async fn nobody_acts_on_or_grants_above_their_own_part() {
    let (fixture, _) = Fixture::claimed().await;
    let (team, members) = team(&fixture).await;
    for (by, actor) in Role::ALL.into_iter().zip(&members) {
        for (on, target) in Role::ALL.into_iter().zip(&members) {
            for to in Role::ALL {
                // In a team of its own each time: a change would spoil the next question.
                let may = by >= Role::Admin && by >= on && by >= to;
                let last = on == Role::Owner && to != Role::Owner;
                let outcome = fixture.auth.change_role(actor.actor(), team, target.id(), to).await;
                match outcome {
                    Ok(()) => assert!(may && !last, "{by} made {on} {to}"),
                    Err(ChangeError::People(PeopleError::Above(own))) => {
                        assert!(!may && own == by, "{by} could not make {on} {to}");
                    }
                    Err(ChangeError::People(PeopleError::LastOwner)) => {
                        assert!(may && last, "{by} {on} {to}");
                    }
                    Err(other) => panic!("{by} {on} {to}: {other}"),
                }
                fixture.writer.change_role(crate::store::By::Instance, team, target.id(), on).await.unwrap();
            }
        }
    }
    let stranger = Somebody::new({
        fixture.user("eve", Some((TeamId::FIRST, Role::Owner))).await;
        fixture.signed_in("eve").await
    });
    let refused = fixture.auth.change_role(stranger.actor(), team, members[0].id(), Role::Viewer).await;
    assert!(matches!(refused, Err(ChangeError::People(PeopleError::NoTeam))));
}

#[tokio::test]
async fn the_last_owner_and_the_last_administrator_stay() {
    let (fixture, root) = Fixture::claimed().await;
    let (shop, members) = team(&fixture).await;
    let root = Somebody::new(root);
    let [_, _, admin, owner] = members.as_slice() else { panic!("four parts") };
    let last = |outcome: Result<(), ChangeError>| {
        assert!(matches!(outcome, Err(ChangeError::People(PeopleError::LastOwner))), "{outcome:?}");
    };
    let auth = &fixture.auth;
    last(auth.change_role(owner.actor(), shop, owner.id(), Role::Admin).await);
    last(auth.remove_member(owner.actor(), shop, owner.id()).await);
    last(auth.remove_member(root.actor(), shop, owner.id()).await);
    let account = fixture.reader.user_by_id(owner.id()).await.unwrap().unwrap();
    last(auth.delete_user(root.actor(), &account.user).await);

    // Two owners who remove each other at the same moment: one of them stays.
    auth.change_role(owner.actor(), shop, admin.id(), Role::Owner).await.unwrap();
    let (one, other) = tokio::join!(
        auth.remove_member(owner.actor(), shop, admin.id()),
        auth.remove_member(admin.actor(), shop, owner.id())
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(roles(&fixture, shop).await.iter().filter(|role| **role == Role::Owner).count(), 1);
    // Once more changes nothing.
    let again = auth.remove_member(root.actor(), shop, admin.id()).await;
    assert!(again.is_err(), "{again:?}");

    let account = fixture.reader.user_by_id(root.id()).await.unwrap().unwrap();
    for refused in [
        auth.set_administers(root.actor(), &account.user, false).await,
        auth.disable_user(root.actor(), &account.user, true).await,
        auth.delete_user(root.actor(), &account.user).await,
    ] {
        assert!(matches!(refused, Err(ChangeError::People(PeopleError::LastAdministrator))), "{refused:?}");
    }
}

#[tokio::test]
async fn everybody_may_go_by_themselves() {
    let (fixture, _) = Fixture::claimed().await;
    let (shop, members) = team(&fixture).await;
    fixture.auth.remove_member(members[0].actor(), shop, members[0].id()).await.unwrap();
    let refused = fixture.auth.remove_member(members[1].actor(), shop, members[2].id()).await;
    assert!(matches!(refused, Err(ChangeError::People(PeopleError::Above(Role::Developer)))));
    assert_eq!(roles(&fixture, shop).await.len(), 3);
}

#[tokio::test]
async fn an_invitation_is_for_one_login_once_and_never_above_who_makes_it() {
    let (fixture, _) = Fixture::claimed().await;
    let (shop, members) = team(&fixture).await;
    let auth = &fixture.auth;
    let admin = &members[2];
    let refused = auth.invite(admin.actor(), shop, "new", Role::Owner).await;
    assert!(matches!(refused, Err(ChangeError::People(PeopleError::Above(Role::Admin)))));
    let refused = auth.invite(members[1].actor(), shop, "new", Role::Viewer).await;
    assert!(matches!(refused, Err(ChangeError::People(PeopleError::Above(Role::Developer)))));
    let refused = auth.invite(admin.actor(), shop, "the-viewer", Role::Viewer).await;
    assert!(matches!(refused, Err(ChangeError::People(PeopleError::IsMember(_)))));

    let (old, _) = auth.invite(admin.actor(), shop, "new", Role::Viewer).await.unwrap();
    let (secret, made) = auth.invite(admin.actor(), shop, "New", Role::Developer).await.unwrap();
    assert_eq!(made.expires, now().after(std::time::Duration::from_hours(168)));
    assert_eq!(auth.invitation(&old).await.unwrap(), None, "a new one takes its place");
    let seen = auth.invitation(&secret).await.unwrap().unwrap();
    assert_eq!((seen.login.as_str(), seen.role, seen.user_exists), ("new", Role::Developer, false));
    assert!(matches!(auth.accept(&secret, "short", &from(1)).await, Err(ClaimError::Invalid(_))));
    let (here, there) = (from(1), from(2));
    let (one, other) =
        tokio::join!(auth.accept(&secret, PASSWORD, &here), auth.accept(&secret, PASSWORD, &there));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let new = Somebody::new(fixture.signed_in("new").await);
    assert!(new.caller.may_in(Right::Manage, shop) && !new.caller.may_in(Right::Lead, shop));

    // Somebody who is known shows their own password.
    fixture.user("known", Some((TeamId::FIRST, Role::Viewer))).await;
    let (secret, _) = auth.invite(admin.actor(), shop, "known", Role::Viewer).await.unwrap();
    let wrong = auth.accept(&secret, "another horse battery", &from(1)).await;
    assert!(matches!(wrong, Err(ClaimError::SignIn(SignInError::Wrong))));
    auth.accept(&secret, PASSWORD, &from(1)).await.unwrap();
    assert!(matches!(auth.accept(&secret, PASSWORD, &from(1)).await, Err(ClaimError::Closed)));

    // One that is taken back, and one that is too old.
    let (secret, made) = auth.invite(admin.actor(), shop, "late", Role::Viewer).await.unwrap();
    auth.revoke_invitation(admin.actor(), shop, made.id).await.unwrap();
    assert!(matches!(auth.accept(&secret, PASSWORD, &from(1)).await, Err(ClaimError::Closed)));
    let (secret, _) = auth.invite(admin.actor(), shop, "late", Role::Viewer).await.unwrap();
    pass(7 * 24 * 3600);
    assert!(matches!(auth.accept(&secret, PASSWORD, &from(1)).await, Err(ClaimError::Closed)));
    assert_eq!(fixture.auth.user("late").await.unwrap(), None);
}

#[tokio::test]
async fn a_password_is_changed_by_who_knows_it_or_by_a_link() {
    let (fixture, root) = Fixture::claimed().await;
    let root = Somebody::new(root);
    let ada = fixture.user("ada", None).await;
    let (first, second) = (fixture.signed_in("ada").await, fixture.signed_in("ada").await);
    let auth = &fixture.auth;
    let good = async |person: &Person| auth.is_still_good(&Caller::Person(person.clone())).await.unwrap();
    let new = "another horse battery";
    let refused = auth.change_password(&first, "wrong", new, &from(1)).await;
    assert!(matches!(refused, Err(ClaimError::SignIn(SignInError::Wrong))));
    let refused = auth.change_password(&first, PASSWORD, "password1234", &from(1)).await.unwrap_err();
    assert!(refused.fields().contains_key("password"));
    auth.change_password(&first, PASSWORD, new, &from(1)).await.unwrap();
    assert!(good(&first).await && !good(&second).await, "the other session has ended");
    assert!(fixture.sign_in("ada", PASSWORD).await.is_err());

    let account = fixture.reader.user_by_id(ada).await.unwrap().unwrap();
    let (old, _) = auth.reset_link(root.actor(), &account.user, false).await.unwrap();
    let (secret, _) = auth.reset_link(root.actor(), &account.user, false).await.unwrap();
    assert_eq!(auth.reset_link_of(&old).await.unwrap(), None);
    assert_eq!(auth.reset_link_of(&secret).await.unwrap().as_deref(), Some("ada"));
    auth.reset(&secret, PASSWORD, &from(1)).await.unwrap();
    assert!(!good(&first).await);
    assert!(matches!(auth.reset(&secret, new, &from(1)).await, Err(ClaimError::Closed)));
    let (secret, _) = auth.reset_link(root.actor(), &account.user, false).await.unwrap();
    pass(3600);
    assert!(matches!(auth.reset(&secret, new, &from(1)).await, Err(ClaimError::Closed)));
    fixture.sign_in("ada", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_link_for_a_new_password_leaves_the_second_factor_unless_it_says_so() {
    let (fixture, root) = Fixture::claimed().await;
    let root = Somebody::new(root);
    let ada = fixture.user("ada", None).await;
    let person = fixture.signed_in("ada").await;
    let auth = &fixture.auth;
    auth.begin_second_factor(&person, PASSWORD, "rivetr", &from(1)).await.unwrap();
    let totp = fixture.reader.totp(ada).await.unwrap().unwrap();
    let code = second_factor::totp::code(&auth.open_totp(ada, &totp.secret).unwrap(), now());
    auth.confirm_second_factor(&person, &code).await.unwrap();
    let account = fixture.reader.user_by_id(ada).await.unwrap().unwrap();
    for (forget, waits) in [(false, true), (true, false)] {
        let (secret, _) = auth.reset_link(root.actor(), &account.user, forget).await.unwrap();
        let done = auth.reset(&secret, PASSWORD, &from(1)).await.unwrap();
        assert_eq!(matches!(done, SignedIn::NeedsSecondFactor(_)), waits, "{done:?}");
    }
    assert_eq!(fixture.reader.recovery_codes(ada).await.unwrap(), 0);
}

#[tokio::test]
async fn a_token_reaches_no_further_than_its_user_and_its_team() {
    let (fixture, _) = Fixture::claimed().await;
    let (one, two) = (fixture.team("one").await, fixture.team("two").await);
    let ada = fixture.user("ada", Some((one, Role::Owner))).await;
    let local = Caller::Local { uid: 0, name: "root".to_owned() };
    let doer = Doer::at_the_door("root", None, &from(1));
    let by = Actor { caller: &local, doer: &doer };
    let (secret, _) = fixture.auth.invite(by, two, "ada", Role::Viewer).await.unwrap();
    fixture.auth.accept(&secret, PASSWORD, &from(1)).await.unwrap();
    let caller = async |user, team, scope| {
        let made = fixture.auth.create_token_of(user, team, "t".to_owned(), scope, 1).await.unwrap();
        let request = http::Request::get("/").header("authorization", format!("Bearer {}", made.1.reveal()));
        fixture.auth.caller(&request.body(()).unwrap().into_parts().0).await.unwrap()
    };
    let wide = caller(Some(ada), None, Scope::Admin).await;
    assert!(
        wide.may_in(Right::Own, one) && wide.may_in(Right::Read, two) && !wide.may_in(Right::Deploy, two)
    );
    let bound = caller(Some(ada), Some(two), Scope::Admin).await;
    assert!(!bound.sees(one) && bound.may_in(Right::Read, two) && !bound.may_in(Right::Deploy, two));
    let narrow = caller(Some(ada), None, Scope::Read).await;
    assert!(narrow.may_in(Right::Read, one) && !narrow.may_in(Right::Deploy, one));
    let instance = caller(None, Some(two), Scope::Admin).await;
    assert!(!instance.sees(one) && instance.may_in(Right::Own, two) && !instance.sees_all());
}

/// Has somebody who has signed in set up a second factor.
async fn set_up_factor(fixture: &Fixture, somebody: &Somebody) {
    let Caller::Person(person) = &somebody.caller else { panic!("no person") };
    let auth = &fixture.auth;
    auth.begin_second_factor(person, PASSWORD, "rivetr", &from(1)).await.unwrap();
    let totp = fixture.reader.totp(person.id).await.unwrap().unwrap();
    let code = second_factor::totp::code(&auth.open_totp(person.id, &totp.secret).unwrap(), now());
    auth.confirm_second_factor(person, &code).await.unwrap();
}

#[tokio::test]
async fn a_team_may_ask_for_a_second_factor_and_who_has_none_reaches_nothing_of_it() {
    let (fixture, root) = Fixture::claimed().await;
    let (shop, members) = team(&fixture).await;
    let [viewer, developer, admin, owner] = members.as_slice() else { panic!("four parts") };
    let auth = &fixture.auth;
    let above = auth.require_second_factor(admin.actor(), shop, true).await;
    assert!(matches!(above, Err(ChangeError::People(PeopleError::Above(Role::Admin)))), "{above:?}");
    let unarmed = auth.require_second_factor(owner.actor(), shop, true).await;
    assert!(matches!(unarmed, Err(ChangeError::People(PeopleError::NoSecondFactor))), "{unarmed:?}");
    set_up_factor(&fixture, owner).await;
    assert!(auth.is_still_good(&developer.caller).await.unwrap());
    assert!(auth.require_second_factor(owner.actor(), shop, true).await.unwrap().second_factor);
    // What is open ends, and what is asked anew reaches nothing of the team.
    assert!(!auth.is_still_good(&developer.caller).await.unwrap());
    assert!(auth.is_still_good(&owner.caller).await.unwrap());
    let elsewhere = fixture.team("elsewhere").await;
    fixture.writer.change_role(crate::store::By::Instance, shop, viewer.id(), Role::Owner).await.unwrap();
    let again = Somebody::new(fixture.signed_in("the-viewer").await);
    assert!(!again.caller.sees(shop) && again.caller.refuse_closed(Some(shop)).is_err());
    let rows = auth.audit(&again.caller, AuditFilter::default(), None, 100).await.unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row.entry.team != Some(shop)));
    assert!(again.caller.refuse_closed(Some(elsewhere)).is_ok() && again.caller.refuse_closed(None).is_ok());
    set_up_factor(&fixture, &again).await;
    let session = fixture.reader.sessions(again.id()).await.unwrap().remove(0);
    let (_, account) = fixture.reader.session(&session.hash).await.unwrap().unwrap();
    assert!(reach::of(&account, Scope::Admin, None).allows_in(Right::Own, shop));

    // Who administers the instance and is a member is no exception, and nobody else is concerned.
    assert!(Caller::Person(root.clone()).sees_all());
    let root = Somebody::new(root);
    let local = Caller::Local { uid: 0, name: "root".to_owned() };
    let doer = Doer::at_the_door("root", None, &from(1));
    let by = Actor { caller: &local, doer: &doer };
    auth.require_second_factor(by, TeamId::FIRST, true).await.unwrap();
    let closed = Caller::Person(fixture.signed_in("root").await);
    assert!(!closed.sees_all() && !closed.sees(TeamId::FIRST) && !closed.may(Right::Administer));
    assert!(closed.refuse_closed(None).is_err());
    assert!(local.sees_all() && local.refuse_closed(Some(shop)).is_ok());
    set_up_factor(&fixture, &root).await;
    let (_, account) = {
        let session = fixture.reader.sessions(root.id()).await.unwrap().remove(0);
        fixture.reader.session(&session.hash).await.unwrap().unwrap()
    };
    assert_eq!(reach::of(&account, Scope::Admin, None), Reach::ALL);
}

#[tokio::test]
async fn what_is_kept_of_a_password_is_made_anew_at_sign_in_and_sessions_go_on() {
    use argon2::password_hash::PasswordHasher as _;
    let (fixture, _) = Fixture::claimed().await;
    let ada = fixture.user("ada", None).await;
    let before = fixture.sign_in("ada", PASSWORD).await.unwrap();
    let params = argon2::Params::new(8192, 1, 1, None).unwrap();
    let old = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x10, params);
    let old = old.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]).unwrap().to_string();
    let kept = async || fixture.reader.user_by_id(ada).await.unwrap().unwrap().user.password.unwrap();
    let new = kept().await;
    let old = crate::store::PasswordHash(old);
    assert!(fixture.writer.renew_password(ada, new.clone(), old.clone()).await.unwrap());
    assert!(!fixture.writer.renew_password(ada, new, old.clone()).await.unwrap(), "it was another one");
    assert!(fixture.sign_in("ada", "not this one").await.is_err());
    assert_eq!(kept().await.0, old.0, "only who knows it has it made anew");
    let session = fixture.sign_in("ada", PASSWORD).await.unwrap();
    assert!(kept().await.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", kept().await.0);
    fixture.person(&session).await;
    fixture.person(&before).await;
    let renewed = kept().await;
    fixture.sign_in("ada", PASSWORD).await.unwrap();
    assert_eq!(kept().await.0, renewed.0, "once is enough");
}

#[tokio::test]
async fn the_audit_shows_what_one_leads_and_what_one_did() {
    let (fixture, root) = Fixture::claimed().await;
    let (shop, members) = team(&fixture).await;
    let root = Somebody::new(root);
    fixture.auth.create_team(root.actor(), "elsewhere").await.unwrap();
    fixture.auth.invite(members[3].actor(), shop, "new", Role::Viewer).await.unwrap();
    let seen = async |by: &Somebody| {
        let rows = fixture.auth.audit(&by.caller, AuditFilter::default(), None, 100).await.unwrap();
        let mut actions: Vec<_> = rows.into_iter().map(|row| row.entry.action).collect();
        actions.sort();
        actions.dedup();
        actions
    };
    assert_eq!(seen(&members[0]).await, ["session.begun"], "a viewer sees what they did");
    assert_eq!(seen(&members[2]).await, ["invitation.made", "session.begun"]);
    assert_eq!(
        seen(&root).await,
        ["invitation.made", "session.begun", "setup.claimed", "team.created"],
        "who stands above all teams sees everything"
    );
}
