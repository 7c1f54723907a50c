//! Databases come, change, go into the trash and come back; links follow.

use super::super::Object;
use super::super::testing::{Fixture, NOW, slug};
use super::*;
use crate::domain::app::AppId;
use crate::domain::database::{Link, Prefix};

fn new(name: &str, port: Option<&str>) -> NewDatabase {
    let (user, database) = DatabaseKind::Postgres.names(&slug(name));
    NewDatabase {
        slug: slug(name),
        project: slug("default"),
        kind: DatabaseKind::Postgres,
        settings: Settings {
            image: DatabaseKind::Postgres.image("17").unwrap(),
            config: None,
            limits: Limits::default(),
            public: port.map(|port| PublicPort::parse(port, "10.0.0.0/8").unwrap()),
        },
        credentials: Credentials {
            user,
            database,
            password: Sealed(vec![1]),
            root_password: Sealed(vec![2]),
        },
        volume: format!("rivetr-db-{name}_{}", port.unwrap_or("0")),
        scratch: false,
    }
}

#[tokio::test]
async fn a_database_is_created_changed_renamed_and_read_again() {
    let store = Fixture::new();
    store.project("default").await;
    let made = store.writer.create_database(new("orders", Some("5432")), NOW).await.unwrap();
    assert!(made.address.is_some());
    assert_eq!(store.reader.database(&slug("orders")).await.unwrap(), Some(made.clone()));
    let again = store.writer.create_database(new("orders", None), NOW).await.unwrap_err();
    assert!(matches!(again, DatabaseError::NameTaken(_)), "{again}");
    let port = store.writer.create_database(new("users", Some("5432")), NOW).await.unwrap_err();
    assert!(matches!(port, DatabaseError::PortTaken { port: 5432, .. }), "{port}");
    let nowhere = NewDatabase { project: slug("none"), ..new("users", None) };
    let nowhere = store.writer.create_database(nowhere, NOW).await.unwrap_err();
    assert!(matches!(nowhere, DatabaseError::NoProject(_)), "{nowhere}");

    let image = ImageId::parse(&"b".repeat(64)).unwrap();
    store.writer.set_database_image(made.id, image.clone()).await.unwrap();
    let limits = Limits { memory: Some(Memory::parse("512M").unwrap()), cpus: None };
    let config = ServerConfig::parse("work_mem = 8MB").unwrap();
    let settings = Settings { config, limits, public: None, ..made.settings.clone() };
    let changed = store.writer.set_database_settings(made.id, settings.clone()).await.unwrap();
    assert_eq!((&changed.settings, &changed.image), (&settings, &Some(image)));
    let other = Settings { image: DatabaseKind::Postgres.image("18").unwrap(), ..settings };
    let changed = store.writer.set_database_settings(made.id, other).await.unwrap();
    assert_eq!(changed.image, None, "another image is not known yet");

    let renamed = store.writer.rename_database(made.id, slug("shop")).await.unwrap();
    assert_eq!((renamed.address, &renamed.volume), (made.address, &made.volume));
    assert_eq!(store.reader.database(&slug("orders")).await.unwrap(), None);
}

#[tokio::test]
async fn a_name_is_free_while_its_database_is_in_the_trash() {
    let store = Fixture::new();
    store.project("default").await;
    let first = store.writer.create_database(new("orders", None), NOW).await.unwrap();
    store.writer.trash_database(first.id, NOW).await.unwrap();
    store.writer.trash_database(first.id, Timestamp(NOW.0 + 1)).await.unwrap();
    store.writer.free_database_address(first.id).await.unwrap();
    assert_eq!(store.reader.databases().await.unwrap(), []);
    let trashed = store.reader.trashed_databases().await.unwrap();
    assert_eq!((trashed[0].deleted, trashed[0].address), (Some(NOW), None));

    let second = store.writer.create_database(new("orders", Some("5432")), NOW).await.unwrap();
    let taken = store.writer.restore_database(first.id).await.unwrap_err();
    assert!(matches!(taken, DatabaseError::NameTaken(_)), "{taken}");
    // The name has an address that is another's by now.
    store.writer.free_database_address(first.id).await.unwrap();
    assert_eq!(store.reader.database(&slug("orders")).await.unwrap(), Some(second.clone()));
    store.writer.rename_database(second.id, slug("other")).await.unwrap();
    let back = store.writer.restore_database(first.id).await.unwrap();
    assert!(back.address.is_some() && back.deleted.is_none());
    store.writer.forget_database(first.id).await.unwrap();
    assert!(store.reader.database_by_id(first.id).await.unwrap().is_some(), "only from the trash");
    store.writer.trash_database(first.id, NOW).await.unwrap();
    store.writer.forget_database(first.id).await.unwrap();
    assert_eq!(store.reader.database_by_id(first.id).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_restore_makes_for_itself_is_in_no_list_until_somebody_brings_it_back() {
    let store = Fixture::new();
    store.project("default").await;
    let made = store.writer.create_database(new("orders", None), NOW).await.unwrap();
    let scratch = NewDatabase { scratch: true, ..new("orders-restore-1", Some("5435")) };
    let scratch = store.writer.create_database(scratch, NOW).await.unwrap();
    assert_eq!(store.reader.databases().await.unwrap(), std::slice::from_ref(&made));
    let names = async |reader: &Reader| -> Vec<String> {
        let every = reader.every_database().await.unwrap();
        every.into_iter().map(|database| database.slug.to_string()).collect()
    };
    assert_eq!(names(&store.reader).await, ["orders", "orders-restore-1"]);
    store.writer.trash_database(scratch.id, NOW).await.unwrap();
    assert_eq!(store.reader.trashed_databases().await.unwrap(), []);
    assert_eq!(names(&store.reader).await, ["orders", "orders-restore-1"]);
    store.writer.restore_database(scratch.id).await.unwrap();
    assert_eq!(store.reader.databases().await.unwrap().len(), 2);
}

#[tokio::test]
async fn links_are_within_a_project_and_go_with_either_end() {
    let store = Fixture::new();
    let app = store.app("blog").await;
    let orders = store.writer.create_database(new("orders", None), NOW).await.unwrap();
    let users = store.writer.create_database(new("users", Some("5433")), NOW).await.unwrap();
    store.project("other").await;
    let apart = NewDatabase { project: slug("other"), ..new("apart", Some("5434")) };
    let apart = store.writer.create_database(apart, NOW).await.unwrap();
    let link = |app: AppId, database: DatabaseId, prefix: &str| {
        store.writer.link_database(Link { app, database, prefix: Prefix::parse(prefix).unwrap() })
    };
    link(app.id, orders.id, "DATABASE").await.unwrap();
    let taken = link(app.id, users.id, "DATABASE").await.unwrap_err();
    assert!(matches!(taken, LinkError::PrefixTaken { .. }), "{taken}");
    let other = link(app.id, apart.id, "APART").await.unwrap_err();
    assert!(matches!(other, LinkError::OtherProject { .. }), "{other}");
    link(app.id, users.id, "USERS").await.unwrap();
    link(app.id, users.id, "PEOPLE").await.unwrap();
    let prefixes = async || {
        let links = store.reader.database_links(Some(app.id)).await.unwrap();
        links.iter().map(|link| link.prefix.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(prefixes().await, ["DATABASE", "PEOPLE"]);
    store.writer.trash_database(users.id, NOW).await.unwrap();
    assert_eq!(prefixes().await, ["DATABASE"]);
    assert!(store.writer.unlink_database(app.id, orders.id).await.unwrap());
    assert!(!store.writer.unlink_database(app.id, orders.id).await.unwrap());
    link(app.id, orders.id, "DATABASE").await.unwrap();
    store.writer.begin_deletion(app.id, false).await.unwrap();
    store.writer.finish_deletion(app.id).await.unwrap();
    assert_eq!(store.reader.database_links(None).await.unwrap(), []);
    let gone = link(app.id, orders.id, "DATABASE").await.unwrap_err();
    assert!(matches!(gone, LinkError::Gone), "{gone}");
}

#[tokio::test]
async fn a_project_with_databases_stays() {
    let store = Fixture::new();
    store.project("default").await;
    let made = store.writer.create_database(new("orders", None), NOW).await.unwrap();
    let refused = store.writer.begin_project_deletion(slug("default")).await.unwrap_err();
    assert!(refused.to_string().contains("orders"), "{refused}");
    store.writer.trash_database(made.id, NOW).await.unwrap();
    let refused = store.writer.begin_project_deletion(slug("default")).await.unwrap_err();
    assert!(refused.to_string().contains("trash"), "{refused}");
}

#[tokio::test]
async fn a_database_is_found_by_name_and_number_and_one_in_the_trash_by_number_alone() {
    let store = Fixture::new();
    store.project("default").await;
    let kept = store.writer.create_database(new("orders", None), NOW).await.unwrap();
    let gone = store.writer.create_database(new("users", Some("5432")), NOW).await.unwrap();
    store.writer.trash_database(gone.id, NOW).await.unwrap();
    let there = async |object, name: &str| {
        store.reader.team_of(object, name).await.unwrap() == Some(kept.project.team)
    };
    let (kept_id, gone_id) = (kept.id.0.to_string(), gone.id.0.to_string());
    for (name, database, trashed) in [
        ("orders", true, false),
        (kept_id.as_str(), true, false),
        ("users", false, false),
        (gone_id.as_str(), false, true),
        ("nowhere", false, false),
    ] {
        let found = (there(Object::Database, name).await, there(Object::TrashedDatabase, name).await);
        assert_eq!(found, (database, trashed), "{name}");
    }
}
