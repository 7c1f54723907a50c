//! What is done inside a running server, by the tools that its own image has. Passwords go in by standard input.

use std::time::Duration;

use super::super::{Engine, EngineError, words};
use crate::domain::database::{Database, DatabaseKind};
use crate::host::podman::PodmanError;
use crate::quadlet::database::CLIENT_FILE;

/// How long a server may take to do as it is told.
const LIMIT: Duration = Duration::from_secs(30);

impl Engine {
    /// Has the server know its user by another password. Words and passwords are plain, so that nothing of them is
    /// read as anything else.
    pub(super) async fn set_password_inside(
        &self,
        database: &Database,
        password: &str,
    ) -> Result<(), EngineError> {
        let user = &database.credentials.user;
        let (command, input) = match database.kind {
            DatabaseKind::Postgres => (
                words(&[
                    "psql",
                    "--no-psqlrc",
                    "--quiet",
                    "--set=ON_ERROR_STOP=1",
                    &format!("--username={user}"),
                    &format!("--dbname={}", database.credentials.database),
                ]),
                format!("ALTER ROLE \"{user}\" WITH PASSWORD '{password}';\n"),
            ),
            DatabaseKind::Mysql | DatabaseKind::Mariadb => {
                let client = if database.kind == DatabaseKind::Mysql { "mysql" } else { "mariadb" };
                (
                    words(&[client, &format!("--defaults-extra-file={CLIENT_FILE}")]),
                    format!("ALTER USER '{user}'@'%' IDENTIFIED BY '{password}';\n"),
                )
            }
            DatabaseKind::Mongodb => {
                let message =
                    "the password of a MongoDB is changed by hand: db.changeUserPassword in mongosh";
                return Err(EngineError::Invalid { field: "password", message: message.to_owned() });
            }
            // It stands in the configuration, which the next start reads.
            DatabaseKind::Redis | DatabaseKind::Valkey => return Ok(()),
        };
        self.tell_server(database, &command, input.as_bytes()).await
    }

    /// Runs a command in the container of a database and gives it this to read.
    pub(super) async fn tell_server(
        &self,
        database: &Database,
        command: &[String],
        input: &[u8],
    ) -> Result<(), EngineError> {
        let refused = |message: String| EngineError::Conflict { field: "database", message };
        let ran = self.machine().podman.feed(&database.unit_name(), command, input, LIMIT).await;
        match ran {
            Ok(Some(executed)) if executed.status == 0 => Ok(()),
            Ok(Some(executed)) => Err(refused(format!(
                "the server of {} refuses: {}",
                database.slug,
                executed.last_line.unwrap_or_else(|| format!("status {}", executed.status))
            ))),
            Ok(None) => Err(refused(format!(
                "the server of {} did not answer within {} s",
                database.slug,
                LIMIT.as_secs()
            ))),
            Err(PodmanError::Refused { .. }) => {
                Err(refused(format!("the database {} does not run: start it first", database.slug)))
            }
            Err(error) => Err(EngineError::internal(error)),
        }
    }
}
