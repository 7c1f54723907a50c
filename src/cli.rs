//! The command line: one file a command, each a thin client of the API.
//!
//! It prints, asks and chooses the exit code; it never opens the database. The daemons are only named here:
//! whoever called [`invocation`] runs them.

mod apps;
mod audit;
mod backup;
mod backups;
mod cancel;
mod certs;
mod compose;
mod config;
mod databases;
mod deploy;
mod deployments;
mod doctor;
mod domains;
mod drift;
mod env;
mod exec;
mod export;
mod failure;
mod files;
mod follow;
mod git;
mod in_container;
mod input;
mod jobs;
mod keys;
mod link;
mod logs;
mod passphrase;
mod projects;
mod proxy;
mod registries;
mod requests;
mod restart;
mod restore;
mod rollback;
mod routes;
mod run;
mod scale;
mod secrets;
mod serve;
mod services;
mod session;
mod setup;
mod start;
mod status;
mod stop;
mod table;
mod teams;
mod templates;
mod terminal;
mod tokens;
mod traffic;
mod users;
mod volumes;
mod webhooks;

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand};

pub use self::failure::{Exit, Failure};
pub use self::session::Session;
use crate::config::Flags;
use crate::config::environment::Environment;

/// What the command line asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    /// Be the control plane.
    Serve(Flags),
    /// Try whether this program could be the control plane in place of the one that runs.
    Rehearse(Flags),
    /// Be the proxy.
    Proxy {
        /// Where its configuration is.
        flags: Flags,
        /// Whether it stands in while the other is replaced.
        next: bool,
    },
    /// Be the namespace broker.
    Netns(Flags),
    /// A command has run, or could not; this is how it ended.
    Ended(Exit),
}

/// Reads the command line of this process and runs the command, unless it names a daemon.
#[must_use]
pub fn invocation() -> Invocation {
    let environment = Environment::read();
    let cli = match Cli::try_parse_from(std::env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return Invocation::Ended(refuse(&error)),
    };
    run(cli, &environment).unwrap_or_else(|failure| {
        // Where standard error is gone nobody is left to tell; the exit code still says it.
        std::io::stderr().write_all(failure.text().as_bytes()).unwrap_or_default();
        Invocation::Ended(failure.exit)
    })
}

/// Your own Heroku on one Linux host: git push, and the app runs as an ordinary systemd unit
#[derive(Debug, Clone, Parser)]
#[command(
    name = "rivetr",
    version,
    arg_required_else_help = true,
    after_help = "Example: rivetr apps create blog\n\n\
                  Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 rivetr not reachable,\n\
                  4 not found, 5 refused, 130 ended by Ctrl-C"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// All commands with their options, for manual pages and completions.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// What holds for every command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
struct Global {
    /// Print JSON: one document, or one object a line where lines are followed
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Read this configuration file in place of the usual ones
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "FILE")]
    config: Option<PathBuf>,
    /// The socket of the rivetr to speak to; also `RIVETR_SOCKET`
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "PATH", conflicts_with = "server")]
    socket: Option<PathBuf>,
    /// The rivetr to speak to, with the token in `RIVETR_TOKEN`; also `RIVETR_SERVER`
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "URL")]
    server: Option<String>,
    /// The only root certificates, as PEM, that a server over https may lead to; also `RIVETR_CA`
    #[arg(long, global = true, help_heading = "Everywhere", value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Clone, Subcommand)]
enum Command {
    #[command(flatten)]
    Remote(Box<Remote>),
    Doctor(doctor::Doctor),
    #[command(after_help = "Example: rivetr setup --user")]
    Setup(setup::Args),
    /// See the configuration in force
    #[command(subcommand)]
    Config(config::Config),
    /// Turn compose files into Quadlets
    #[command(subcommand)]
    Compose(compose::Compose),
    Serve(serve::Serve),
    Proxy(proxy::Proxy),
    InContainer(in_container::InContainer),
    /// Hand out sockets of the containers' network; systemd starts it
    #[command(after_help = "Example: systemctl --user start rivetr-netns.service")]
    Netns,
}

/// What goes through the API.
#[derive(Debug, Clone, Subcommand)]
enum Remote {
    Status(status::Status),
    Requests(requests::Requests),
    /// Create, list, show, change and delete apps
    #[command(subcommand)]
    Apps(apps::Apps),
    Deploy(deploy::Deploy),
    Deployments(deployments::Deployments),
    Cancel(cancel::Cancel),
    Rollback(rollback::Rollback),
    Restart(restart::Restart),
    Start(start::Start),
    Stop(stop::Stop),
    Scale(scale::Scale),
    Logs(logs::Logs),
    /// Add, list, change, check and remove the domains of an app
    #[command(subcommand)]
    Domains(domains::Domains),
    /// See and change what the proxy does with the requests of an app
    #[command(subcommand)]
    Traffic(traffic::Traffic),
    Routes(routes::Routes),
    Drift(drift::Drift),
    /// Projects, and the environments in them
    #[command(subcommand)]
    Projects(projects::Projects),
    /// See and change the variables of an app, or those that the apps of a project share
    #[command(subcommand)]
    Env(env::Env),
    /// See and change the files that are mounted into an app's container
    #[command(subcommand)]
    Files(files::Files),
    /// Look after the key that seals all secrets
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Create, list, show, update and delete services made of compose files
    #[command(subcommand)]
    Services(services::Services),
    /// See the compose files that are there for everybody
    #[command(subcommand)]
    Templates(templates::Templates),
    /// Commands that apps run by a schedule
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Keys that open repositories over SSH
    #[command(subcommand)]
    Keys(keys::Keys),
    Exec(exec::Exec),
    Run(run::Run),
    /// Sign in at registries of images
    #[command(subcommand)]
    Registries(registries::Registries),
    /// See the certificates of all hosts, and hand in your own
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Make, list and revoke tokens
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// See, make and change those who can sign in
    #[command(subcommand)]
    Users(users::Users),
    /// Teams, their members, and the invitations into them
    #[command(subcommand)]
    Teams(teams::Teams),
    Audit(audit::Audit),
    Export(export::Export),
    Backup(backup::Backup),
    Restore(restore::Restore),
    /// Back databases up, restore them, and see what there is
    #[command(subcommand)]
    Backups(backups::Backups),
    /// List, show and delete what apps keep
    #[command(subcommand)]
    Volumes(volumes::Volumes),
    /// Create, list, change and delete databases
    #[command(subcommand)]
    Databases(databases::Databases),
    Link(link::Link),
    Unlink(link::Unlink),
    /// Take webhooks, and see what was delivered
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
}

impl Remote {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Status(status) => status.run(session).await,
            Self::Requests(requests) => requests.run(session).await,
            Self::Apps(apps) => apps.run(session).await,
            Self::Deploy(deploy) => deploy.run(session).await,
            Self::Deployments(deployments) => deployments.run(session).await,
            Self::Cancel(cancel) => cancel.run(session).await,
            Self::Rollback(rollback) => rollback.run(session).await,
            Self::Restart(restart) => restart.run(session).await,
            Self::Start(start) => start.run(session).await,
            Self::Stop(stop) => stop.run(session).await,
            Self::Scale(scale) => scale.run(session).await,
            Self::Logs(logs) => logs.run(session).await,
            Self::Domains(domains) => domains.run(session).await,
            Self::Traffic(traffic) => traffic.run(session).await,
            Self::Routes(routes) => routes.run(session).await,
            Self::Drift(drift) => drift.run(session).await,
            Self::Projects(projects) => projects.run(session).await,
            Self::Env(env) => env.run(session).await,
            Self::Files(files) => files.run(session).await,
            Self::Secrets(secrets) => secrets.run(session).await,
            Self::Services(services) => services.run(session).await,
            Self::Templates(templates) => templates.run(session).await,
            Self::Jobs(jobs) => jobs.run(session).await,
            Self::Keys(keys) => keys.run(session).await,
            Self::Exec(exec) => exec.run(session).await,
            Self::Run(run) => run.run(session).await,
            Self::Registries(registries) => registries.run(session).await,
            Self::Certs(certs) => certs.run(session).await,
            Self::Tokens(tokens) => tokens.run(session).await,
            Self::Users(users) => users.run(session).await,
            Self::Teams(teams) => teams.run(session).await,
            Self::Audit(audit) => audit.run(session).await,
            Self::Export(export) => export.run(session).await,
            Self::Backup(backup) => backup.run(session).await,
            Self::Restore(restore) => restore.run(session).await,
            Self::Backups(backups) => backups.run(session).await,
            Self::Volumes(volumes) => volumes.run(session).await,
            Self::Databases(databases) => databases.run(session).await,
            Self::Link(link) => link.run(session).await,
            Self::Unlink(unlink) => unlink.run(session).await,
            Self::Webhooks(webhooks) => webhooks.run(session).await,
        }
    }
}

fn run(cli: Cli, environment: &Environment) -> Result<Invocation, Failure> {
    let Cli { global: Global { json, config, socket, server, ca }, command } = cli;
    let flags = Flags { config };
    let session = || {
        let client = session::client(socket, server, ca, environment)?;
        Ok::<_, Failure>(Session::new(client, json, Box::new(std::io::stdout())))
    };
    match command {
        Command::Serve(serve::Serve { rehearse: true }) => return Ok(Invocation::Rehearse(flags)),
        Command::Serve(serve::Serve { rehearse: false }) => return Ok(Invocation::Serve(flags)),
        Command::Proxy(proxy::Proxy { next, command: None }) => return Ok(Invocation::Proxy { flags, next }),
        Command::Proxy(proxy::Proxy { command: Some(command), .. }) => block_on(command.run(json))?,
        Command::Netns => return Ok(Invocation::Netns(flags)),
        Command::Config(command) => {
            let text = command.run(&flags, environment, json)?;
            std::io::stdout().write_all(text.as_bytes())?;
        }
        Command::Compose(command) => {
            command.run(environment, json, &mut std::io::stdout(), &mut std::io::stderr())?;
        }
        Command::InContainer(run) => block_on(run.run(environment))?,
        Command::Doctor(doctor) => block_on(doctor.run(&mut session()?, environment))?,
        Command::Setup(args) => block_on(async {
            let (mut output, mut progress) = (std::io::stdout(), std::io::stderr());
            Ok(setup::run(&args, json, &mut output, &mut progress).await?)
        })?,
        Command::Remote(remote) => block_on(remote.run(&mut session()?))?,
    }
    Ok(Invocation::Ended(Exit::Done))
}

fn block_on(command: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::new(Exit::Failed, format!("cannot begin: {error}")))?.block_on(command)
}

/// Prints help, version or what is wrong with the command line.
fn refuse(error: &clap::Error) -> Exit {
    let exit = if error.use_stderr() { Exit::Usage } else { Exit::Done };
    match error.print() {
        Err(unwritten) if unwritten.kind() != std::io::ErrorKind::BrokenPipe => Exit::Failed,
        Ok(()) | Err(_) => exit,
    }
}

#[cfg(test)]
mod docs_tests;
#[cfg(test)]
mod tests;
