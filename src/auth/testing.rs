//! People in a store of their own, for the tests of this module.

use std::sync::atomic::{AtomicI64, Ordering};

use tempfile::TempDir;

use super::session::{NewSession, Origin, Visitor};
use super::sign_in::{SignInError, SignedIn};
use super::{Auth, Owner, Person, Times};
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::time::Timestamp;
use crate::store::{self, Reader, Writer};
use crate::vault::{KeyRing, Sealing, Vault};

pub(super) const PASSWORD: &str = "correct horse battery";

// Each test runs on a thread of its own.
thread_local! {
    static NOW: AtomicI64 = const { AtomicI64::new(1_700_000_000_000) };
}

pub(super) fn now() -> Timestamp {
    NOW.with(|now| Timestamp(now.load(Ordering::SeqCst)))
}

/// Lets time pass.
pub(super) fn pass(seconds: i64) {
    NOW.with(|now| now.fetch_add(seconds * 1000, Ordering::SeqCst));
}

pub(super) struct Fixture {
    pub(super) auth: Auth,
    pub(super) writer: Writer,
    pub(super) reader: Reader,
    _folder: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let (writer, reader) = store::open(&path.join("rivetr.db"), &path.join("backup"), now()).unwrap();
        let owner = Owner { uid: 990, name: "rivetr".to_owned() };
        let sealing = Sealing::new(Vault::new(&KeyRing::generate().unwrap()));
        let auth = Auth::new(owner, reader.clone(), writer.clone(), sealing, now, Times::default());
        Self { auth, writer, reader, _folder: folder }
    }

    /// With a first user, who administers the instance.
    pub(super) async fn claimed() -> (Self, Person) {
        let fixture = Self::new();
        let (secret, _) = fixture.auth.setup_link().await.unwrap();
        let session = fixture.auth.claim_setup(&secret, "root", PASSWORD, &from(1)).await.unwrap();
        let person = fixture.person(&session).await;
        (fixture, person)
    }

    pub(super) async fn team(&self, name: &str) -> TeamId {
        self.writer.create_team(Slug::parse(name).unwrap(), None, now()).await.unwrap().id
    }

    /// A user with a part in a team, who can sign in with [`PASSWORD`].
    pub(super) async fn user(&self, login: &str, part: Option<(TeamId, Role)>) -> UserId {
        let hash = self.auth.hash_password(PASSWORD).await.unwrap();
        let login = Login::parse(login).unwrap();
        self.writer.create_user(login, Some(hash), part, false, now()).await.unwrap().id
    }

    pub(super) async fn sign_in(&self, login: &str, password: &str) -> Result<NewSession, SignInError> {
        self.auth.sign_in(login, password, &from(1)).await.map(|done| match done {
            SignedIn::Done(session) => session,
            SignedIn::NeedsSecondFactor(_) => panic!("{login} has a second factor"),
        })
    }

    pub(super) async fn person(&self, session: &NewSession) -> Person {
        match self.auth.session(&session.cookie).await.unwrap() {
            Some(Visitor::Person(person)) => person,
            other => panic!("not signed in: {other:?}"),
        }
    }

    pub(super) async fn signed_in(&self, login: &str) -> Person {
        let session = self.sign_in(login, PASSWORD).await.unwrap();
        self.person(&session).await
    }
}

pub(super) fn from(last: u8) -> Origin {
    Origin { address: Some([192, 0, 2, last].into()), agent: "Mozilla/5.0".to_owned() }
}
