//! What can be said of a job on the command line.

use clap::Args;

use crate::api::wire::JobOptions;
use crate::domain::runtime::Words;

/// What can be said of a job.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Options {
    /// When it runs: '0 3 * * *', @daily, or a calendar expression of systemd such as 'Mon..Fri 08:00'
    #[arg(long)]
    schedule: Option<String>,
    /// The time zone of the schedule, such as Europe/Berlin; '' for the machine's own
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Where it runs: fresh, in a container of its own, or running, in the app's container
    #[arg(long, value_parser = ["fresh", "running"])]
    place: Option<String>,
    /// How long a run may take, in seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Whether one run makes up for those missed while the machine was down
    #[arg(long, value_name = "true|false")]
    catch_up: Option<bool>,
    /// Whether the schedule holds; a paused job runs by hand alone
    #[arg(long, value_name = "true|false")]
    enabled: Option<bool>,
    /// The command and its arguments, after --
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Options {
    pub(super) fn wire(self) -> JobOptions {
        let Self { schedule, timezone, place, timeout, catch_up, enabled, command } = self;
        // What is no command is for rivetr to say, at the field.
        let line = |command: Vec<String>| {
            Words::new(command.clone()).map_or_else(|_| command.join(" "), |words| words.to_string())
        };
        let command = Some(command).filter(|command| !command.is_empty()).map(line);
        JobOptions { schedule, timezone, command, place, timeout, catch_up, enabled }
    }
}
