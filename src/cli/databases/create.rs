//! `rivetr databases create`: asks for a database and waits until it answers, or says why it does not.

use std::io::Write;
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::input;
use super::super::session::Session;
use super::super::table::harmless;
use super::answers;
use crate::api::client::Answer;
use crate::api::wire::{CreateDatabase, Database, Hidden};
use crate::domain::database::ServerConfig;
use crate::domain::name::Slug;
use crate::domain::runtime::{Cpus, Memory};

/// How often it is asked how the database does.
const ASK_EVERY: Duration = Duration::from_millis(500);

/// The arguments of `rivetr databases create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr databases create orders --kind postgres --version 17")]
pub struct Create {
    /// Its name: lower-case letters, digits and dashes. Apps of its project find it by this name
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// What kind of server: postgres, mariadb, mysql, mongodb, valkey or redis
    #[arg(long)]
    kind: String,
    /// The version of the server; `rivetr databases kinds` lists those that are offered
    #[arg(long, conflicts_with = "image")]
    version: Option<String>,
    /// An image that keeps the contract of the kind's own, in place of a version
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// The project it goes to [default: default]
    #[arg(long, value_parser = Slug::parse)]
    project: Option<Slug>,
    /// The user; called like the database if not said
    #[arg(long)]
    user: Option<String>,
    /// The database within the server; called like it if not said
    #[arg(long)]
    database: Option<String>,
    /// Lines of the server's own configuration; - is standard input
    #[arg(long = "server-config", value_name = "FILE")]
    server_config: Option<PathBuf>,
    /// The most memory it may use: 512M
    #[arg(long, value_parser = Memory::parse)]
    memory: Option<Memory>,
    /// The most processor time it may use, in processors: 0.5
    #[arg(long, value_parser = Cpus::parse)]
    cpus: Option<Cpus>,
    /// The port of the host at which it answers, for those that --allow names
    #[arg(long, value_name = "PORT", requires = "allow")]
    public_port: Option<NonZeroU16>,
    /// An address or network that may come in by the public port; may be repeated
    #[arg(long, value_name = "NETWORK", requires = "public_port")]
    allow: Vec<String>,
    /// Only ask for it, and return
    #[arg(long)]
    no_wait: bool,
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let no_wait = self.no_wait;
        let answer = session.client.post("/api/databases", &self.request()?).await?;
        if no_wait {
            return session.show(&answer, |database: Database| {
                format!("{0} is on its way. How it does:  rivetr databases show {0}\n", database.name)
            });
        }
        let created: Database = answer.decode()?;
        let name = created.name.clone();
        tokio::select! {
            outcome = see_through(session, created) => outcome,
            signal = tokio::signal::ctrl_c() => {
                signal?;
                Err(Failure::new(Exit::Interrupted, format!("{name} goes on without you"))
                    .cure(format!("`rivetr databases show {name}` says how it does")))
            }
        }
    }

    fn request(self) -> Result<CreateDatabase, Failure> {
        let Self {
            name,
            kind,
            version,
            image,
            project,
            user,
            database,
            server_config,
            memory,
            cpus,
            public_port,
            allow,
            no_wait: _,
        } = self;
        let config = server_config.map(|path| input::text(&path, ServerConfig::MAX as u64)).transpose()?;
        Ok(CreateDatabase {
            name: name.to_string(),
            kind,
            project: project.map(|project| project.to_string()),
            version,
            image,
            user,
            database,
            config: config.map(Hidden),
            memory: memory.map(|memory| memory.to_string()),
            cpus: cpus.map(|cpus| cpus.to_string()),
            public_port: public_port.map(NonZeroU16::get),
            allow: (!allow.is_empty()).then_some(allow),
        })
    }
}

/// Asks until the database answers or is known not to.
async fn see_through(session: &mut Session, created: Database) -> Result<(), Failure> {
    let path = format!("/api/databases/{}", created.name);
    let mut last = String::new();
    loop {
        let answer: Answer = session.client.get(&path).await?;
        let now: Database = answer.decode()?;
        let Database { name, state, image, problem, .. } = &now;
        if let Some(problem) = problem.as_deref().filter(|_| state != "running") {
            return Err(Failure::new(Exit::Failed, harmless(problem)).cure(format!(
                "`rivetr databases logs {name}` shows what it wrote; `rivetr databases set {name}` changes it, and \
                 `rivetr databases delete {name}` takes it away"
            )));
        }
        match state.as_str() {
            "running" => return session.show(&answer, |database: Database| created_words(&database)),
            "stopped" => return Err(Failure::new(Exit::Failed, format!("{name} was stopped meanwhile"))),
            _ => {}
        }
        if *state != last && !session.json {
            let what = if state == "pulling" { image.as_str() } else { "until it answers" };
            writeln!(std::io::stderr(), "{name}: {state}, {what}")?;
        }
        last.clone_from(state);
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn created_words(database: &Database) -> String {
    format!(
        "{}\nAn app of {} is told how to reach it:  rivetr link APP {}\n",
        answers::rows(std::slice::from_ref(database)),
        database.project,
        database.name
    )
}
