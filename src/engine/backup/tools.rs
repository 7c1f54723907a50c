//! The tools by which the kinds of databases write their data out, take it in, and count it. They are those of the image
//! itself, run in its container. No password stands in an argument: the tools find a file, or a variable of their own.

use super::super::words;
use crate::domain::backup::Form;
use crate::domain::database::{Database, DatabaseKind, DatabaseWord};
use crate::quadlet::database::{CLIENT_FILE, Opened};

/// A command in the container of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tool {
    /// The program and its words.
    pub command: Vec<String>,
    /// Variables that nobody but the command sees.
    pub variables: Vec<String>,
}

/// How what is restored gets into a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Load {
    /// A tool reads it.
    Read(Tool),
    /// It becomes the file that the server reads at its next start.
    File(Tool),
}

/// How the server's data is written out; none: it is not known for this kind.
pub(super) fn dump(database: &Database, opened: &Opened) -> Option<Tool> {
    let credentials = &database.credentials;
    Some(match database.kind {
        DatabaseKind::Postgres => {
            let words = [
                "pg_dump",
                "--format=custom",
                // It is compressed once, on the way out.
                "--compress=0",
                "--no-password",
            ];
            postgres(&words, &credentials.user, &format!("--dbname={}", credentials.database), opened)
        }
        DatabaseKind::Mysql | DatabaseKind::Mariadb => {
            let program = if database.kind == DatabaseKind::Mysql { "mysqldump" } else { "mariadb-dump" };
            let words = [
                "--single-transaction",
                "--quick",
                "--routines",
                "--events",
                "--triggers",
                "--hex-blob",
                "--no-tablespaces",
                "--default-character-set=utf8mb4",
                credentials.database.as_str(),
            ];
            sql(program, &words)
        }
        DatabaseKind::Redis | DatabaseKind::Valkey => redis(database.kind, &["--rdb", "-"], opened),
        DatabaseKind::Mongodb => return None,
    })
}

/// How data gets into a new, empty server of this kind.
pub(super) fn load(database: &Database, opened: &Opened) -> Option<Load> {
    let credentials = &database.credentials;
    Some(match database.kind {
        DatabaseKind::Postgres => {
            let words = [
                "pg_restore",
                "--exit-on-error",
                "--single-transaction",
                // Its own user is the only one that a new server knows.
                "--no-owner",
                "--no-acl",
                "--no-password",
            ];
            let name = format!("--dbname={}", credentials.database);
            Load::Read(postgres(&words, &credentials.user, &name, opened))
        }
        DatabaseKind::Mysql | DatabaseKind::Mariadb => {
            let program = if database.kind == DatabaseKind::Mysql { "mysql" } else { "mariadb" };
            let words = ["--batch", "--default-character-set=utf8mb4", credentials.database.as_str()];
            Load::Read(sql(program, &words))
        }
        // What a server that writes down each change begins with. A new one has that file already, empty.
        DatabaseKind::Redis | DatabaseKind::Valkey => Load::File(Tool {
            command: words(&[
                "dd",
                "of=/data/appendonlydir/appendonly.aof.1.base.rdb",
                "bs=64k",
                "conv=fsync",
                "status=none",
            ]),
            variables: Vec::new(),
        }),
        DatabaseKind::Mongodb => return None,
    })
}

/// How tables or keys are counted.
pub(super) fn count(database: &Database, opened: &Opened) -> Option<Tool> {
    let credentials = &database.credentials;
    Some(match database.kind {
        DatabaseKind::Postgres => {
            let question = "SELECT count(*) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
                            WHERE relkind IN ('r', 'p') AND nspname NOT LIKE 'pg\\_%' \
                            AND nspname <> 'information_schema'";
            let words = [
                "psql",
                "--no-psqlrc",
                "--no-align",
                "--tuples-only",
                "--no-password",
                "--command",
                question,
            ];
            postgres(&words, &credentials.user, &format!("--dbname={}", credentials.database), opened)
        }
        DatabaseKind::Mysql | DatabaseKind::Mariadb => {
            let program = if database.kind == DatabaseKind::Mysql { "mysql" } else { "mariadb" };
            let question =
                "--execute=SELECT count(*) FROM information_schema.tables WHERE table_schema = DATABASE()";
            sql(program, &["--batch", "--skip-column-names", question, credentials.database.as_str()])
        }
        DatabaseKind::Redis | DatabaseKind::Valkey => redis(database.kind, &["INFO", "keyspace"], opened),
        DatabaseKind::Mongodb => return None,
    })
}

/// The number in what the tool that counts has written.
pub(super) fn counted(form: Form, text: &str) -> Option<u64> {
    match form {
        // A line for each database that has keys: `db0:keys=3,expires=0,avg_ttl=0`.
        Form::Rdb => {
            let keys = text.lines().filter_map(|line| line.strip_prefix("db")?.split_once(":keys="));
            let keys = keys.map(|(_, rest)| rest.split(',').next()?.trim().parse::<u64>().ok());
            keys.sum::<Option<u64>>()
        }
        Form::Postgres | Form::Sql | Form::MongoArchive | Form::Tar => text.trim().parse().ok(),
    }
}

/// What is counted.
pub(super) fn items(form: Form) -> &'static str {
    match form {
        Form::Rdb => "keys",
        Form::Postgres | Form::Sql => "tables",
        Form::MongoArchive => "collections",
        Form::Tar => "files",
    }
}

/// How a file of this form begins, where that is known: another file is refused before anything is done with it.
pub(super) fn begins(form: Form) -> &'static [&'static [u8]] {
    match form {
        Form::Postgres => &[b"PGDMP"],
        Form::Rdb => &[b"REDIS", b"VALKEY"],
        Form::Sql | Form::MongoArchive | Form::Tar => &[],
    }
}

fn postgres(program: &[&str], user: &DatabaseWord, database: &str, opened: &Opened) -> Tool {
    let mut command = words(program);
    command.extend([format!("--username={user}"), database.to_owned()]);
    let password = String::from_utf8_lossy(opened.password.reveal());
    Tool { command, variables: vec![format!("PGPASSWORD={password}")] }
}

fn sql(program: &str, rest: &[&str]) -> Tool {
    let mut command = vec![program.to_owned(), format!("--defaults-extra-file={CLIENT_FILE}")];
    command.extend(words(rest));
    Tool { command, variables: Vec::new() }
}

fn redis(kind: DatabaseKind, rest: &[&str], opened: &Opened) -> Tool {
    let mut command = words(&[if kind == DatabaseKind::Valkey { "valkey-cli" } else { "redis-cli" }]);
    command.extend(words(rest));
    let password = String::from_utf8_lossy(opened.password.reveal());
    // Valkey's client knows its own name of the variable as well, from 8.1 on.
    Tool { command, variables: vec![format!("REDISCLI_AUTH={password}")] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted() {
        let check = |form, text: &str, expect| assert_eq!(counted(form, text), expect, "{text}");
        check(Form::Postgres, "12\n", Some(12));
        check(Form::Sql, "0\n", Some(0));
        check(Form::Sql, "ERROR", None);
        check(Form::Rdb, "# Keyspace\r\ndb0:keys=3,expires=0\r\ndb11:keys=2,expires=1\r\n", Some(5));
        check(Form::Rdb, "# Keyspace\r\n", Some(0));
        check(Form::Rdb, "db0:keys=x,expires=0\r\n", None);
    }
}
