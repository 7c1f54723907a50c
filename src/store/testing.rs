//! A store on a real file in a directory of its own, for the tests of this module.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;
use std::path::PathBuf;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
use tempfile::TempDir;

use super::{Reader, SubnetPool, Wish, Writer, open};
use crate::domain::app::{App, NewApp, Settings};
use crate::domain::deployment::{Deployment, ImageId, Trigger};
use crate::domain::name::{EnvKey, HostName, Slug};
use crate::domain::person::TeamId;
use crate::domain::project::Project;
use crate::domain::secret::Sealed;
use crate::domain::service::Service;
use crate::domain::source::{Branch, CommitId, Source};
use crate::domain::time::Timestamp;
use crate::domain::variable::{Usage, Variable};

/// 2023-11-14 22:13:20 UTC.
pub(super) const NOW: Timestamp = Timestamp(1_700_000_000_000);

pub(super) struct Fixture {
    pub(super) writer: Writer,
    pub(super) reader: Reader,
    folder: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (writer, reader) =
            open(&folder.path().join("rivetr.db"), &folder.path().join("backup"), NOW).unwrap();
        Self { writer, reader, folder }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("rivetr.db")
    }

    pub(super) fn backups(&self) -> PathBuf {
        self.folder.path().join("backup")
    }

    /// A file beside the database with these bytes.
    pub(super) fn scratch(&self, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join("scratch");
        std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), bytes).unwrap();
        path
    }

    /// The whole database as one file's bytes.
    pub(super) fn copy_of_everything(&self) -> Vec<u8> {
        let path = self.folder.path().join("whole.db");
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.execute("VACUUM INTO ?1", [path.to_str().unwrap()]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        bytes
    }

    pub(super) async fn project(&self, name: &str) -> Project {
        if let Some(project) = self.reader.project(&slug(name)).await.unwrap() {
            return project;
        }
        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        self.writer.create_project(TeamId::FIRST, slug(name), vec![slug("production")], pool).await.unwrap()
    }

    pub(super) async fn app(&self, name: &str) -> App {
        self.project("default").await;
        self.writer.create_app(new_app(name), None, NOW).await.unwrap()
    }

    /// A service without files.
    pub(super) async fn service(&self, name: &str) -> Service {
        self.project("default").await;
        let (name, project) = (slug(name), slug("default"));
        self.writer.create_service(&name, &project, "s".to_owned(), false, NOW).await.unwrap()
    }

    pub(super) async fn enqueue(&self, app: &App) -> Deployment {
        self.writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap().deployment
    }

    /// A deployment that has come as far as `Checking`.
    pub(super) async fn checking(&self, app: &App) -> Deployment {
        let mut deployment = self.enqueue(app).await;
        deployment.fetch().unwrap();
        self.save(&deployment).await;
        deployment.build(commit()).unwrap();
        self.save(&deployment).await;
        let replicas = deployment.settings.replicas;
        let addresses =
            self.writer.allocate_addresses(app.project.id, deployment.id, replicas).await.unwrap();
        deployment.start(image(), addresses).unwrap();
        self.save(&deployment).await;
        deployment.check().unwrap();
        self.save(&deployment).await;
        deployment
    }

    /// A deployment that serves, with what it replaced gone.
    pub(super) async fn live(&self, app: &App) -> Deployment {
        let before = self.reader.app_by_id(app.id).await.unwrap().unwrap().live;
        let mut deployment = self.checking(app).await;
        deployment.switch().unwrap();
        self.writer.switch(&deployment, NOW).await.unwrap();
        deployment.retire().unwrap();
        self.save(&deployment).await;
        if let Some(before) = before {
            self.writer.free_addresses(before).await.unwrap();
        }
        deployment.finish(NOW).unwrap();
        self.save(&deployment).await;
        deployment
    }

    pub(super) async fn save(&self, deployment: &Deployment) {
        self.writer.save(deployment, NOW).await.unwrap();
    }
}

pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

pub(super) fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

pub(super) fn commit() -> CommitId {
    CommitId::parse(&"a".repeat(40)).unwrap()
}

pub(super) fn image() -> ImageId {
    ImageId::parse(&"b".repeat(64)).unwrap()
}

pub(super) fn new_app(name: &str) -> NewApp {
    NewApp {
        slug: slug(name),
        project: slug("default"),
        environment: slug("production"),
        source: Source::Push { branch: Branch::parse("main").unwrap() },
        git_token: None,
        hosts: vec![],
        settings: Settings {
            variables: vec![Variable {
                key: EnvKey::parse("GREETING").unwrap(),
                value: Sealed(vec![0, 1, 0xff]),
                secret: false,
                usage: Usage::Run,
            }],
            ..Settings::new(NonZeroU16::new(8080).unwrap())
        },
        variables: vec![],
    }
}

/// The first address that a test's first project gives.
pub(super) const FIRST: Ipv4Addr = Ipv4Addr::new(10, 90, 0, 2);

/// Runs something as root would be without its power over file modes; anybody else has none anyway.
pub(super) fn without_root_power<T>(run: impl FnOnce() -> T) -> T {
    let before = capabilities(None).unwrap();
    let mut sets = before;
    sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
    set_capabilities(None, sets).unwrap();
    let outcome = run();
    set_capabilities(None, before).unwrap();
    outcome
}
