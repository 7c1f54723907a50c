//! `rivetr services …`: compose files that run as units.

mod change;
mod domains;
mod gather;
mod repository;
mod show;

use clap::{Args, Subcommand};

use super::exec::converse;
use super::failure::Failure;
use super::follow;
use super::session::Session;
use super::traffic;
use crate::api::client::Ends;
use crate::domain::name::Slug;

/// What can be done with services.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Services {
    /// List the services
    #[command(after_help = "Example: rivetr services list --json")]
    List,
    /// Create a service from a compose file or from a repository, and wait until it runs
    #[command(after_help = "Example: rivetr services create shop --file compose.yaml")]
    Create(change::Create),
    /// Show one service and its containers
    #[command(after_help = "Example: rivetr services show shop")]
    Show(Named),
    /// Replace the files of a service, and wait until what is new runs
    #[command(after_help = "Example: rivetr services update shop --file compose.yaml")]
    Update(change::Update),
    /// Have the files of a service come from a repository, or be handed in
    #[command(
        after_help = "Example: rivetr services source shop --repository https://git.example.org/shop.git --branch main\n\n\
                      The source is said whole: what is left out is not kept from before. It counts from the next \
                      `rivetr services deploy` or push on."
    )]
    Source(repository::SetSource),
    /// Fetch what the repository of a service has, and wait until it runs
    #[command(after_help = "Example: rivetr services deploy shop")]
    Deploy(repository::Deploy),
    /// Print what was fetched and built for a revision of a service
    #[command(after_help = "Example: rivetr services build-log shop 4")]
    BuildLog(repository::BuildLog),
    /// Show what an update would do, or a deployment of what the repository has now, and change nothing
    #[command(
        after_help = "Examples:\n  rivetr services diff shop --file compose.yaml --units\n  rivetr services diff shop\n\n\
                      Without a file, the newest commit of the repository that the service follows is looked at."
    )]
    Diff(change::Diff),
    /// Print the files of a service, with the secrets in them
    #[command(after_help = "Example: rivetr services files shop")]
    Files(show::Files),
    /// Start a service
    #[command(after_help = "Example: rivetr services start shop")]
    Start(Named),
    /// Stop a service until it is started, also over reboots
    #[command(after_help = "Example: rivetr services stop shop")]
    Stop(Named),
    /// Stop and start a service, or one of its containers
    #[command(after_help = "Example: rivetr services restart shop web")]
    Restart(Restart),
    /// Show what the containers of a service write
    #[command(after_help = "Example: rivetr services logs shop --container web -f")]
    Logs(Logs),
    /// Run a command in a container of a service
    #[command(after_help = "Example: rivetr services exec shop db -- psql -U postgres")]
    Exec(Exec),
    /// Have hosts lead to containers of a service
    #[command(subcommand)]
    Domains(domains::Domains),
    /// What the proxy does with the requests of a service
    #[command(subcommand)]
    Traffic(traffic::OfService),
    /// List the revisions of a service
    #[command(after_help = "Example: rivetr services revisions shop")]
    Revisions(Named),
    /// Bring back the files of an earlier revision, and wait until they run
    #[command(after_help = "Example: rivetr services rollback shop 3")]
    Rollback(change::Rollback),
    /// Delete a service; its volumes stay unless they are named
    #[command(after_help = "Example: rivetr services delete shop --yes")]
    Delete(change::Delete),
}

/// The service that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// The service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// The arguments of `rivetr services restart`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Restart {
    #[command(flatten)]
    service: Named,
    /// Only this container, by its name in the compose file
    #[arg(value_parser = parse_container)]
    container: Option<String>,
}

/// The arguments of `rivetr services logs`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Logs {
    #[command(flatten)]
    service: Named,
    /// Only this container, by its name in the compose file
    #[arg(long, value_parser = parse_container)]
    container: Option<String>,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the newest lines
    #[arg(long, short = 'n', default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
}

/// The arguments of `rivetr services exec`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Exec {
    #[command(flatten)]
    service: Named,
    /// The container, by its name in the compose file
    #[arg(value_parser = parse_container)]
    container: String,
    /// The program and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Services {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List => show::list(session).await,
            Self::Create(create) => create.run(session).await,
            Self::Show(Named { name }) => show::one(session, &name).await,
            Self::Update(update) => update.run(session).await,
            Self::Source(source) => source.run(session).await,
            Self::Deploy(deploy) => deploy.run(session).await,
            Self::BuildLog(log) => log.run(session).await,
            Self::Diff(diff) => diff.run(session).await,
            Self::Files(files) => files.run(session).await,
            Self::Start(Named { name }) => act(session, &name, "start", "is started").await,
            Self::Stop(Named { name }) => act(session, &name, "stop", "is stopped").await,
            Self::Restart(Restart { service: Named { name }, container }) => {
                let query = container.map_or(String::new(), |container| format!("?container={container}"));
                act(session, &name, &format!("restart{query}"), "is restarted").await
            }
            Self::Logs(logs) => logs.run(session).await,
            Self::Exec(Exec { service: Named { name }, container, command }) => {
                converse(session, &format!("/api/services/{name}/containers/{container}/exec"), command).await
            }
            Self::Domains(domains) => domains.run(session).await,
            Self::Traffic(traffic) => traffic.run(session).await,
            Self::Revisions(Named { name }) => show::revisions(session, &name).await,
            Self::Rollback(rollback) => rollback.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
        }
    }
}

impl Logs {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, container, follow, lines } = self;
        let one = container.map_or(String::new(), |container| format!("&container={container}"));
        let path = format!("/api/services/{name}/logs/stream?lines={lines}&follow={follow}{one}");
        let ends = if follow { Ends::WithEvent } else { Ends::WithStream };
        follow::interrupted(follow::runtime_log(session, &path, ends)).await.map(drop)
    }
}

async fn act(session: &mut Session, name: &Slug, verb: &str, done: &str) -> Result<(), Failure> {
    let answer = session
        .client
        .post_patiently(&format!("/api/services/{name}/{verb}"), &serde_json::json!({}))
        .await?;
    session.done(&answer, &format!("{name} {done}."))
}

/// A path of the API is made of it.
fn parse_container(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fine = !text.is_empty() && text.chars().all(inner);
    fine.then(|| text.to_owned())
        .ok_or_else(|| "a container's name has letters, digits, -, _ and .".to_owned())
}
