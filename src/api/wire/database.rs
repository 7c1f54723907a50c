//! Databases, and the apps that are told of them, as JSON says them. Passwords stand in one form alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::options::{Form, text};
use super::parse::DEFAULT_PROJECT;
use super::{FieldErrors, Hidden, Patch};
use crate::domain::database::{self, DatabaseWord, Part, Prefix, PublicPort, ServerConfig, Settings};
use crate::domain::image::ImageRef;
use crate::domain::name::{InvalidName, Slug};
use crate::domain::runtime::{Cpus, Limits, Memory};

/// A new database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateDatabase {
    /// Its name: lower-case letters, digits and dashes. Programs of its project find it by this name.
    pub name: String,
    /// What kind of server it is: `postgres`, `mariadb`, `mysql`, `mongodb`, `valkey` or `redis`.
    pub kind: String,
    /// The project it goes to; `default` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The version of the server; the kind's first one if neither this nor an image is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// An image that keeps the contract of the kind's own, in place of a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The user; called like the database if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The database within the server; called like it if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// Lines of the server's own configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub config: Option<Hidden>,
    /// The most memory it may use: `512M`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// The most processor time it may use, in processors: `0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// The port of the host at which it answers, for those that `allow` names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_port: Option<u16>,
    /// The addresses and networks that may come in by the public port: `203.0.113.0/24`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
}

/// What is to change about a database; what is not there stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeDatabase {
    /// Another name. It stands in a request of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Another version of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Another image, in place of a version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Lines of the server's own configuration.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub config: Patch<Hidden>,
    /// The most memory it may use: `512M`.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub memory: Patch<String>,
    /// The most processor time it may use, in processors: `0.5`.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<String>)]
    pub cpus: Patch<String>,
    /// The port of the host at which it answers; null takes it away.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    #[schema(value_type = Option<u16>)]
    pub public_port: Patch<u16>,
    /// The addresses and networks that may come in by the public port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Do not back the data up before another image runs.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub without_backup: bool,
}

/// What a request to create a database asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedDatabase {
    /// Its name.
    pub slug: Slug,
    /// The name of its project.
    pub project: Slug,
    /// What kind of server it is.
    pub kind: database::DatabaseKind,
    /// How it runs.
    pub settings: Settings,
    /// The user, where it is said.
    pub user: Option<DatabaseWord>,
    /// The database within the server, where it is said.
    pub database: Option<DatabaseWord>,
}

/// What a request to change a database asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedChange {
    /// Another name.
    Rename(Slug),
    /// To run in another way.
    Settings(Settings),
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Database {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// What kind of server it is.
    pub kind: String,
    /// The version of the kind's own image; null: it runs another image.
    pub version: Option<String>,
    /// The image that it runs.
    pub image: String,
    /// Whether lines of configuration are laid over the image's own.
    pub configured: bool,
    /// Those lines; null: there are none, or they are not for the caller, who may not change them.
    pub config: Option<String>,
    /// The most memory it may use.
    pub memory: Option<String>,
    /// The most processor time it may use, in processors.
    pub cpus: Option<String>,
    /// The port of the host at which it answers; null: only programs of its project reach it.
    pub public_port: Option<u16>,
    /// Who may come in by that port.
    pub allow: Vec<String>,
    /// How it does: `pulling`, `starting`, `running`, `stopped`, `down`, `failed`, `deleted` or
    /// `unknown`.
    pub state: String,
    /// Why it does not do what it should.
    pub problem: Option<String>,
    /// The apps that are told of it.
    pub links: Vec<DatabaseLink>,
    /// Its unit, as systemd knows it.
    pub unit: String,
    /// The volume with its data, as Podman knows it.
    pub volume: String,
    /// When it was created (RFC 3339, UTC).
    pub created: String,
    /// When it was deleted (RFC 3339, UTC); null: it was not.
    pub deleted: Option<String>,
    /// When its data is removed for good (RFC 3339, UTC); null: it was not deleted.
    pub kept_until: Option<String>,
}

/// An app that is told of a database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseLink {
    /// The app.
    pub app: String,
    /// The database.
    pub database: String,
    /// What the names of its variables begin with.
    pub prefix: String,
    /// The names of the variables that the app is given.
    pub variables: Vec<String>,
}

/// A wish to tell an app of a database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkDatabase {
    /// The app; it is in the project of the database.
    pub app: String,
    /// What the names of its variables begin with: `DATABASE` for `DATABASE_URL`; the kind's usual one if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// How to come into a database.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseCredentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
    /// The database within the server.
    pub database: String,
    /// The address for programs of its project.
    pub url: String,
    /// The address for programs elsewhere; null: it has no public port.
    pub public_url: Option<String>,
}

/// A kind of database server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatabaseKind {
    /// The word for it in requests.
    pub kind: String,
    /// What people call it.
    pub title: String,
    /// The versions that are offered, the usual one first.
    pub versions: Vec<String>,
    /// The port that it listens on in its container.
    pub port: u16,
    /// What the names of a link's variables begin with unless it is said.
    pub prefix: String,
}

impl CreateDatabase {
    /// The database that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<AskedDatabase, FieldErrors> {
        let Self {
            name,
            kind,
            project,
            version,
            image,
            user,
            database,
            config,
            memory,
            cpus,
            public_port,
            allow,
        } = self;
        let mut errors = FieldErrors::default();
        let slug = errors.take("name", Slug::parse(&name));
        let project = errors.take("project", Slug::parse(project.as_deref().unwrap_or(DEFAULT_PROJECT)));
        let kind = errors.take("kind", parse_kind(&kind));
        let user = user.and_then(|user| errors.take("user", DatabaseWord::parse(&user)));
        let database = database.and_then(|name| errors.take("database", DatabaseWord::parse(&name)));
        let rest = ChangeDatabase {
            name: None,
            version,
            image,
            config: config.into(),
            memory: memory.into(),
            cpus: cpus.into(),
            public_port: public_port.into(),
            allow,
            without_backup: false,
        };
        let settings = kind.and_then(|kind| {
            let image = errors.take("version", kind.image(kind.usual_version()))?;
            let limits = Limits { memory: None, cpus: None };
            let mut settings = Settings { image, config: None, limits, public: None };
            rest.lay_over(kind, &mut settings, &mut errors);
            Some(settings)
        });
        match (slug, project, kind, settings) {
            (Some(slug), Some(project), Some(kind), Some(settings)) if errors.0.is_empty() => {
                Ok(AskedDatabase { slug, project, kind, settings, user, database })
            }
            _ => Err(errors),
        }
    }
}

impl ChangeDatabase {
    /// The change that is asked for of a database that runs so.
    pub fn parse(
        mut self,
        kind: database::DatabaseKind,
        before: &Settings,
    ) -> Result<AskedChange, FieldErrors> {
        let mut errors = FieldErrors::default();
        if let Some(name) = self.name.take() {
            if self != Self::default() {
                errors.put("name", "a new name is given on its own: change the rest in another request");
            }
            let slug = errors.take("name", Slug::parse(&name)).filter(|_| errors.0.is_empty());
            return slug.map(AskedChange::Rename).ok_or(errors);
        }
        let mut settings = before.clone();
        self.lay_over(kind, &mut settings, &mut errors);
        if errors.0.is_empty() { Ok(AskedChange::Settings(settings)) } else { Err(errors) }
    }

    fn lay_over(self, kind: database::DatabaseKind, settings: &mut Settings, errors: &mut FieldErrors) {
        let Self { name: _, version, image, config, memory, cpus, public_port, allow, without_backup: _ } =
            self;
        match (version, image) {
            (Some(_), Some(_)) => errors.put("image", "say a version or an image, not both"),
            (Some(version), None) => {
                if let Some(image) = errors.take("version", kind.image(&version)) {
                    settings.image = image;
                }
            }
            (None, Some(image)) => {
                if let Some(image) = errors.take("image", ImageRef::parse(&image)) {
                    settings.image = image;
                }
            }
            (None, None) => {}
        }
        let mut form = Form { section: "", errors };
        let parse = |Hidden(text): Hidden| ServerConfig::parse(&text);
        form.put("config", config, (&mut settings.config, None), parse);
        form.maybe("memory", memory, &mut settings.limits.memory, text(Memory::parse));
        form.maybe("cpus", cpus, &mut settings.limits.cpus, text(Cpus::parse));
        match public(&public_port, allow, settings.public.as_ref()) {
            Ok(public) => settings.public = public,
            Err((field, why)) => form.wrong(field, &why),
        }
    }
}

/// The public port that follows from the one before, or which field is wrong and why.
fn public(
    port: &Patch<u16>,
    allow: Option<Vec<String>>,
    before: Option<&PublicPort>,
) -> Result<Option<PublicPort>, (&'static str, String)> {
    let port = match port {
        Patch::Reset => None,
        Patch::Set(port) => Some(*port),
        Patch::Keep => before.map(|before| before.port.get()),
    };
    let Some(port) = port else {
        return match allow {
            Some(allow) if !allow.is_empty() => {
                Err(("allow", "say the public port that they may come in by".to_owned()))
            }
            Some(_) | None => Ok(None),
        };
    };
    let port = port.to_string();
    let wrong = |error: InvalidName| error.to_string();
    PublicPort::parse(&port, "::/0").map_err(|error| ("public_port", wrong(error)))?;
    let allow = allow.map(|allow| allow.join(" ")).or_else(|| before.map(PublicPort::allowed));
    let public = PublicPort::parse(&port, &allow.unwrap_or_default());
    public.map(Some).map_err(|error| ("allow", wrong(error)))
}

fn parse_kind(word: &str) -> Result<database::DatabaseKind, String> {
    database::DatabaseKind::parse(word).ok_or_else(|| {
        let words = database::DatabaseKind::ALL.map(database::DatabaseKind::as_str).join(", ");
        format!("use one of these: {words}")
    })
}

impl LinkDatabase {
    /// The prefix that is asked for.
    pub fn parse(&self) -> Result<Option<Prefix>, FieldErrors> {
        let prefix = self.prefix.as_deref().filter(|prefix| !prefix.is_empty()).map(Prefix::parse);
        prefix.transpose().map_err(|error| FieldErrors::one("prefix", error.to_string()))
    }
}

impl DatabaseLink {
    /// A link as it is shown.
    #[must_use]
    pub fn of(app: &Slug, database: &Slug, prefix: &Prefix) -> Self {
        let keys = Part::ALL.iter().filter_map(|part| part.key(prefix).ok());
        Self {
            app: app.to_string(),
            database: database.to_string(),
            prefix: prefix.as_str().to_owned(),
            variables: keys.map(|key| key.as_str().to_owned()).collect(),
        }
    }
}

impl From<database::DatabaseKind> for DatabaseKind {
    fn from(kind: database::DatabaseKind) -> Self {
        Self {
            kind: kind.as_str().to_owned(),
            title: kind.title().to_owned(),
            versions: kind.versions().iter().map(|&version| version.to_owned()).collect(),
            port: kind.port(),
            prefix: Prefix::usual(kind).as_str().to_owned(),
        }
    }
}

/// No log shows a password.
impl fmt::Debug for DatabaseCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseCredentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn create(said: Value) -> Result<AskedDatabase, Vec<String>> {
        let new: CreateDatabase = serde_json::from_value(said).unwrap();
        new.parse().map_err(|errors| errors.0.into_keys().collect())
    }

    #[test]
    fn a_new_database() {
        let asked = create(json!({"name": "orders", "kind": "postgres"})).unwrap();
        assert_eq!((asked.slug.as_str(), asked.project.as_str()), ("orders", "default"));
        assert_eq!(asked.settings.image.to_string(), "docker.io/library/postgres:17");
        assert_eq!((asked.settings.public, asked.user, asked.database), (None, None, None));
        let all = json!({
            "name": "cache", "kind": "valkey", "project": "shop", "image": "example.org/valkey:9", "config": "a 1",
            "memory": "64M", "cpus": "0.5", "public_port": 6379, "allow": ["203.0.113.0/24", "::1"],
        });
        let settings = create(all).unwrap().settings;
        assert_eq!(settings.image.to_string(), "example.org/valkey:9");
        assert_eq!(settings.config.unwrap().as_str(), "a 1\n");
        assert_eq!(settings.public.unwrap().allowed(), "203.0.113.0/24 ::1/128");
    }

    #[test]
    fn every_wrong_field_is_reported() {
        let wrong = json!({
            "name": "Orders", "kind": "postgres", "project": "-", "version": "a b", "user": "1", "database": "a-b",
            "config": "\u{0}", "memory": "much", "cpus": "0", "public_port": 80,
        });
        let fields =
            ["config", "cpus", "database", "memory", "name", "project", "public_port", "user", "version"];
        assert_eq!(create(wrong).unwrap_err(), fields);
        assert_eq!(create(json!({"name": "a", "kind": "oracle"})).unwrap_err(), ["kind"]);
        let both = json!({"name": "a", "kind": "mysql", "version": "9", "image": "a", "public_port": 3306});
        assert_eq!(create(both).unwrap_err(), ["allow", "image"]);
        let alone = json!({"name": "a", "kind": "mysql", "allow": ["10.0.0.0/8"]});
        assert_eq!(create(alone).unwrap_err(), ["allow"]);
    }

    #[test]
    fn only_what_is_said_changes() {
        let kind = database::DatabaseKind::Postgres;
        let before = create(json!({
            "name": "a", "kind": "postgres", "memory": "1G", "public_port": 5432, "allow": ["10.0.0.0/8"],
        }));
        let before = before.unwrap().settings;
        let change = |said: Value| {
            let change: ChangeDatabase = serde_json::from_value(said).unwrap();
            change.parse(kind, &before).map_err(|errors| errors.0.into_keys().collect::<Vec<_>>())
        };
        let settings = |said| match change(said).unwrap() {
            AskedChange::Settings(settings) => settings,
            AskedChange::Rename(name) => panic!("renamed to {name}"),
        };
        assert_eq!(settings(json!({})), before);
        assert_eq!(settings(json!({"memory": null})).limits.memory, None);
        assert_eq!(settings(json!({"public_port": null})).public, None);
        let other = settings(json!({"public_port": 5433})).public.unwrap();
        assert_eq!((other.port.get(), other.allowed().as_str()), (5433, "10.0.0.0/8"));
        let other = settings(json!({"allow": ["::/0"]})).public.unwrap();
        assert_eq!((other.port.get(), other.allowed().as_str()), (5432, "::/0"));
        assert_eq!(change(json!({"allow": []})).unwrap_err(), ["allow"]);
        let renamed = AskedChange::Rename(Slug::parse("b").unwrap());
        assert_eq!(change(json!({"name": "b"})).unwrap(), renamed);
        assert_eq!(change(json!({"name": "b", "memory": "1G"})).unwrap_err(), ["name"]);
        assert_eq!(change(json!({"name": "B"})).unwrap_err(), ["name"]);
    }

    #[test]
    fn a_link_names_its_variables() {
        let [app, database] = ["shop", "orders"].map(|text| Slug::parse(text).unwrap());
        let link = DatabaseLink::of(&app, &database, &Prefix::parse("ORDERS").unwrap());
        assert_eq!(link.variables.len(), 6);
        assert_eq!(link.variables[0], "ORDERS_URL");
    }

    #[test]
    fn credentials_are_not_in_logs() {
        let url = "postgres://u:hunter2@orders:5432/d".to_owned();
        let credentials = DatabaseCredentials {
            user: "u".to_owned(),
            password: "hunter2".to_owned(),
            database: "d".to_owned(),
            public_url: Some(url.clone()),
            url,
        };
        assert!(!format!("{credentials:?}").contains("hunter2"));
    }
}
