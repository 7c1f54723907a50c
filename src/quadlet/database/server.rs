//! What the container of each kind is given, by the contract of its official image: variables, files with what nobody
//! is to see, arguments, and how it is asked whether it answers.
//!
//! No password stands in a variable or an argument: each is a file that only the container has.

use super::secret_name;
use crate::domain::database::{Credentials, DatabaseKind, ServerConfig, Settings};
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::quadlet::options;
use crate::quadlet::unit::{SectionWriter, UnitTextError};

/// Where a container finds the password of its user.
pub const PASSWORD_FILE: &str = "/run/secrets/rivetr-password";
/// Where a container finds the password of its administrator.
const ROOT_PASSWORD_FILE: &str = "/run/secrets/rivetr-root-password";
/// Where the tools of `MySQL` and `MariaDB` find how they come in as the administrator.
pub const CLIENT_FILE: &str = "/run/secrets/rivetr-client.cnf";
/// Where the server finds its configuration.
const CONFIG_FILE: &str = "/etc/rivetr/server.conf";
/// The folder from which `MySQL` and `MariaDB` read configuration besides their own.
const MYSQL_CONFIG_FILE: &str = "/etc/mysql/conf.d/rivetr.cnf";

/// The passwords of a database, opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Of its user: plain text.
    pub password: Secret,
    /// Of its administrator: plain text.
    pub root_password: Secret,
}

/// A file of a container that Podman keeps as a secret.
#[derive(Debug, Clone)]
pub struct ServerFile {
    /// What the secret's name ends with.
    pub name: &'static str,
    /// Where the container has it.
    path: &'static str,
    /// Who may read it there.
    mode: &'static str,
    /// What stands in it.
    pub content: Secret,
}

/// The files that a database is given.
#[must_use]
pub fn files(kind: DatabaseKind, settings: &Settings, opened: &Opened) -> Vec<ServerFile> {
    let Opened { password, root_password } = opened;
    let file = |name, path, mode, content| ServerFile { name, path, mode, content };
    // The server may have become another user by the time it reads them.
    let password_file = || file("password", PASSWORD_FILE, "0444", password.clone());
    let config = settings.config.as_ref().map(ServerConfig::as_str);
    match kind {
        DatabaseKind::Postgres => {
            let config = config.map(|own| joined(&[b"listen_addresses = '*'\n", own.as_bytes()]));
            let config = config.map(|text| file("config", CONFIG_FILE, "0444", text));
            [password_file()].into_iter().chain(config).collect()
        }
        DatabaseKind::Mysql | DatabaseKind::Mariadb => {
            let client = joined(&[b"[client]\nuser=root\npassword=", root_password.reveal(), b"\n"]);
            let config = config.map(|own| file("config", MYSQL_CONFIG_FILE, "0444", own.into()));
            let own = [
                password_file(),
                file("root-password", ROOT_PASSWORD_FILE, "0444", root_password.clone()),
                file("client", CLIENT_FILE, "0400", client),
            ];
            own.into_iter().chain(config).collect()
        }
        DatabaseKind::Mongodb => {
            let config = config.map(|own| file("config", CONFIG_FILE, "0444", own.into()));
            [password_file()].into_iter().chain(config).collect()
        }
        DatabaseKind::Redis | DatabaseKind::Valkey => {
            let text = joined(&[
                b"dir /data\nappendonly yes\n",
                config.unwrap_or_default().as_bytes(),
                b"requirepass ",
                password.reveal(),
                b"\n",
            ]);
            vec![password_file(), file("config", CONFIG_FILE, "0444", text)]
        }
    }
}

fn joined(parts: &[&[u8]]) -> Secret {
    Secret::new(parts.concat())
}

pub(super) fn write(
    section: SectionWriter<'_>,
    slug: &Slug,
    kind: DatabaseKind,
    settings: &Settings,
    credentials: &Credentials,
) -> Result<(), UnitTextError> {
    let section = environment(kind, credentials)
        .iter()
        .try_fold(section, |section, (key, value)| section.assignment("Environment", key, value))?;
    // Which files there are does not depend on what stands in them.
    let blank = Opened { password: Secret::from(""), root_password: Secret::from("") };
    let section = files(kind, settings, &blank).iter().try_fold(section, |section, file| {
        let ServerFile { name, path, mode, content: _ } = file;
        let secret = secret_name(slug, name);
        section.words("Secret", [format!("{secret},type=mount,target={path},mode={mode}").as_str()])
    })?;
    let section = match arguments(kind, settings) {
        Some(words) => section.words("Exec", words)?,
        None => section,
    };
    let health = options::json("HealthCmd", &health(kind, credentials))?;
    section.scalar("HealthCmd", &health)?.scalar("HealthStartupCmd", &health).map(drop)
}

fn environment(kind: DatabaseKind, credentials: &Credentials) -> Vec<(&'static str, String)> {
    let Credentials { user, database, password: _, root_password: _ } = credentials;
    let (user, database, password) = (user.to_string(), database.to_string(), PASSWORD_FILE.to_owned());
    match kind {
        DatabaseKind::Postgres => vec![
            // From 18 on the image has another place for it; its volume is ours in every version.
            ("PGDATA", kind.data().to_owned()),
            ("POSTGRES_DB", database),
            ("POSTGRES_PASSWORD_FILE", password),
            ("POSTGRES_USER", user),
        ],
        DatabaseKind::Mysql => vec![
            ("MYSQL_DATABASE", database),
            ("MYSQL_PASSWORD_FILE", password),
            ("MYSQL_ROOT_PASSWORD_FILE", ROOT_PASSWORD_FILE.to_owned()),
            ("MYSQL_USER", user),
        ],
        DatabaseKind::Mariadb => vec![
            ("MARIADB_DATABASE", database),
            ("MARIADB_PASSWORD_FILE", password),
            ("MARIADB_ROOT_PASSWORD_FILE", ROOT_PASSWORD_FILE.to_owned()),
            ("MARIADB_USER", user),
            // After another version was installed, its tables are brought up to date.
            ("MARIADB_AUTO_UPGRADE", "1".to_owned()),
        ],
        DatabaseKind::Mongodb => vec![
            ("MONGO_INITDB_DATABASE", database),
            ("MONGO_INITDB_ROOT_PASSWORD_FILE", password),
            ("MONGO_INITDB_ROOT_USERNAME", user),
        ],
        DatabaseKind::Redis | DatabaseKind::Valkey => Vec::new(),
    }
}

fn arguments(kind: DatabaseKind, settings: &Settings) -> Option<Vec<&'static str>> {
    match (kind, &settings.config) {
        (DatabaseKind::Postgres, Some(_)) => {
            Some(vec!["postgres", "-c", "config_file=/etc/rivetr/server.conf"])
        }
        (DatabaseKind::Mongodb, Some(_)) => Some(vec!["mongod", "--config", CONFIG_FILE]),
        (DatabaseKind::Redis, _) => Some(vec!["redis-server", CONFIG_FILE]),
        (DatabaseKind::Valkey, _) => Some(vec!["valkey-server", CONFIG_FILE]),
        (DatabaseKind::Postgres | DatabaseKind::Mysql | DatabaseKind::Mariadb | DatabaseKind::Mongodb, _) => {
            None
        }
    }
}

/// Over TCP, for the server that an image runs while it makes a new database has none.
fn health(kind: DatabaseKind, credentials: &Credentials) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let client = format!("--defaults-extra-file={CLIENT_FILE}");
    match kind {
        DatabaseKind::Postgres => words(&[
            "pg_isready",
            "--quiet",
            "--host=127.0.0.1",
            &format!("--username={}", credentials.user),
            &format!("--dbname={}", credentials.database),
        ]),
        DatabaseKind::Mysql => words(&["mysqladmin", &client, "--host=127.0.0.1", "ping"]),
        DatabaseKind::Mariadb => words(&["mariadb-admin", &client, "--host=127.0.0.1", "ping"]),
        DatabaseKind::Mongodb => words(&[
            "CMD-SHELL",
            "mongosh --quiet --norc --host \"$(hostname -i | cut -d' ' -f1)\" \
             --eval 'quit(db.adminCommand({ping: 1}).ok ? 0 : 2)'",
        ]),
        DatabaseKind::Redis => words(&["CMD-SHELL", &ping("redis-cli")]),
        DatabaseKind::Valkey => words(&["CMD-SHELL", &ping("valkey-cli")]),
    }
}

/// The client takes a password from a variable alone, if not from an argument, which others could see.
fn ping(client: &str) -> String {
    format!("REDISCLI_AUTH=\"$(cat {PASSWORD_FILE})\" {client} ping | grep -q PONG")
}

/// Workers of `PostgreSQL` share results there, and Podman's own 64 MB are soon too little.
pub(super) fn shared_memory(kind: DatabaseKind) -> Option<&'static str> {
    (kind == DatabaseKind::Postgres).then_some("256M")
}
