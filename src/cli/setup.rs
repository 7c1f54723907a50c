//! `rivetr setup`: makes this machine run rivetr, and says what it changed.
//!
//! Three ways, one list of steps: for a user of its own (the package's way), for the user who calls, or for
//! root. A second run upgrades. It opens no database: the first token comes from the API, like any other.

use std::io::{self, Write};
use std::time::Duration;

use thiserror::Error;

use crate::api::client::ClientError;
use crate::files::FileError;
use crate::host::process::{ProcessError, Spawn, printable};

mod account;
mod answer;
mod control;
mod ground;
mod install;
mod ports;
mod require;
mod start;
mod steps;
mod units;
mod upgrade;

pub(super) use account::Account;
pub(super) use control::run_as;
use ground::{Ground, Way};
pub(super) use ports::taken;
pub(super) use require::{PODMAN, SYSTEMD, parse_version};
use steps::Steps;
pub(super) use upgrade::command as upgrade_proxy;

/// The copy of a large database on a slow disk.
const REHEARSAL: Duration = Duration::from_mins(10);

/// Makes this machine run rivetr; run it again to upgrade.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// Only for the user who calls: no root, ports from 8080
    #[arg(long, conflicts_with = "system_wide")]
    pub user: bool,
    /// As root, containers included, instead of for a user of its own
    #[arg(long)]
    pub system_wide: bool,
    /// The address under which rivetr itself is to be reached, such as `http://rivetr.example.org`
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Make no token, and print the link alone; packages do so, whose output is kept in logs
    #[arg(long)]
    pub without_token: bool,
}

/// Why rivetr could not be set up.
#[derive(Debug, Error)]
pub enum SetupError {
    /// It was asked for by the wrong user.
    #[error("{0}")]
    Caller(&'static str),
    /// The address is none.
    #[error(
        "--url {0:?} cannot be used: write http://HOST or https://HOST, with a port if it is not the usual one"
    )]
    Url(String),
    /// The machine lacks something; all of it is named.
    #[error("this machine is not ready for rivetr:{}", list(.0))]
    Lacking(Vec<String>),
    /// It is set up already, in another way.
    #[error(
        "rivetr is set up here {found} already. Two ways do not share a machine's units and state: \
         run `rivetr setup{option}`, or remove {unit} and its state first"
    )]
    OtherWay {
        /// The way that was found.
        found: &'static str,
        /// Its option, with a blank before it.
        option: &'static str,
        /// What shows it.
        unit: String,
    },
    /// The user could not be made or looked up.
    #[error("the user {name} cannot be looked up: {cause}")]
    User {
        /// Its name.
        name: String,
        /// Why.
        cause: String,
    },
    /// There is no room for subordinate ids.
    #[error(
        "there is no free range of {count} subordinate ids left below 2^32; see /etc/subuid and /etc/subgid"
    )]
    NoSubordinateIds {
        /// How many are needed.
        count: u64,
    },
    /// The running program could not be read.
    #[error("the running program cannot be read: {0}")]
    Program(#[source] io::Error),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A program failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A unit of rivetr's did not come up.
    #[error("{unit} did not start:{}\nMore: {look}", list(.last))]
    Start {
        /// The unit.
        unit: String,
        /// The end of its log.
        last: Vec<String>,
        /// The command that shows more.
        look: String,
    },
    /// The database would not become this program's.
    #[error("nothing was changed, and what runs here runs on:{}", list(.0))]
    Rehearsal(Vec<String>),
    /// Another one replaces the proxy.
    #[error("another upgrade of the proxy is under way ({holder}); wait for its end")]
    Upgrading {
        /// The process that does, in words.
        holder: String,
    },
    /// The proxy's unit starts nothing.
    #[error("rivetr-proxy.service names no command (ExecStart=), so nothing can stand in for it")]
    NoCommand,
    /// What is installed does not become a proxy.
    #[error("nothing is replaced, and the proxy that runs serves on: {0}")]
    Unready(#[source] Box<SetupError>),
    /// The proxy did not come back.
    #[error("rivetr-proxy-next.service serves on in its place, until `rivetr proxy upgrade` succeeds: {0}")]
    StandsIn(#[source] Box<SetupError>),
    /// rivetr runs and does not answer.
    #[error("rivetr was started and does not answer: {cause}. Look at: {look}")]
    Silent {
        /// What the API said.
        cause: ClientError,
        /// The command that shows more.
        look: String,
    },
    /// The steps could not be shown.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// Sets this machine up. Steps go to `progress` as they are done, the answer to `out`.
pub async fn run(
    args: &Args,
    json: bool,
    out: &mut dyn Write,
    progress: &mut dyn Write,
) -> Result<(), SetupError> {
    let way = Way::choose(args)?;
    let url = args.url.as_deref().map(ground::check_url).transpose()?;
    let mut steps = Steps::new(if json { progress } else { &mut *out });
    let ground = Ground::new(way)?;
    require::all(&ground).await?;
    rehearse(&ground).await?;
    let account = account::prepare(&ground, &mut steps).await?;
    let changes = install::all(&ground, &account, url.as_deref(), &mut steps)?;
    start::all(&ground, &account, &changes, &mut steps).await?;
    let answer = answer::ask(&ground, &account, args.without_token, &mut steps).await?;
    steps.end()?;
    if json { answer.document(out) } else { answer.words(out) }
}

/// Tries on a copy whether the database can be brought up to date, before anything is replaced.
async fn rehearse(ground: &Ground) -> Result<(), SetupError> {
    let home = account::Account::caller()?.home;
    let tried = Spawn::new(&ground.running).args(["serve", "--rehearse"]).env("HOME", home).limit(REHEARSAL);
    let tried = tried.output().await?;
    if tried.status.success() {
        return Ok(());
    }
    Err(SetupError::Rehearsal(tried.stderr.lines().map(printable).collect()))
}

fn list(lines: &[String]) -> String {
    lines.iter().map(|line| format!("\n  - {line}")).collect::<Vec<_>>().concat()
}
