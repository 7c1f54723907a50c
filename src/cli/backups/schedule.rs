//! `rivetr backups schedule`: when a database or a volume is backed up by itself.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, or_dash};
use super::super::volumes::size;
use super::{Of, hold};
use crate::api::wire::BackupSchedule;

/// The arguments of `rivetr backups schedule`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Example: rivetr backups schedule orders --at 'daily 03:30' --to offsite --keep 14 --check-days 7\n\n\
                  Without options it shows the schedule."
)]
pub struct Schedule {
    /// The database, or the volume as `rivetr volumes list` names it
    #[arg(value_name = "NAME", value_parser = Of::parse)]
    of: Of,
    /// hourly, every 6 hours, daily 03:30, weekly sun 03:30; by the clock of the machine
    #[arg(long)]
    at: Option<String>,
    /// Where to: disk, or the name of a destination
    #[arg(long, value_name = "PLACE", default_value = "disk", requires = "at")]
    to: String,
    /// How many are kept
    #[arg(long, value_name = "COUNT", requires = "at")]
    keep: Option<u32>,
    /// For how many days they are kept
    #[arg(long, value_name = "DAYS", requires = "at")]
    keep_days: Option<u32>,
    /// How many bytes they may take together
    #[arg(long, value_name = "BYTES", requires = "at")]
    keep_bytes: Option<u64>,
    /// Every so many days the newest is restored to see whether it is good
    #[arg(long, value_name = "DAYS", requires = "at")]
    check_days: Option<u16>,
    /// Stop what uses the volume while its files are copied; it is paused without this
    #[arg(long, requires = "at")]
    stop: bool,
    /// By itself no more
    #[arg(long, conflicts_with = "at")]
    off: bool,
}

impl Schedule {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { of, at, to, keep, keep_days, keep_bytes, check_days, stop, off } = self;
        let path = format!("{}/backup-schedule", of.path());
        if off {
            session.client.delete(&path).await?;
            return if session.json { Ok(()) } else { session.line("It is backed up by itself no more.") };
        }
        let answer = match at {
            Some(at) => {
                let (keep_count, hold) = (keep, hold(stop, false));
                let schedule =
                    BackupSchedule { at, place: to, keep_count, keep_days, keep_bytes, check_days, hold };
                session.client.put(&path, &schedule).await?
            }
            None => session.client.get(&path).await?,
        };
        session.show(&answer, |schedule: BackupSchedule| words(&schedule))
    }
}

fn words(schedule: &BackupSchedule) -> String {
    let BackupSchedule { at, place, keep_count, keep_days, keep_bytes, check_days, hold } = schedule;
    let text = |number: Option<String>| or_dash(number.as_deref());
    let mut rows = vec![
        ("at", at.clone()),
        ("to", place.clone()),
        ("kept", text(keep_count.map(|count| count.to_string()))),
        ("for days", text(keep_days.map(|days| days.to_string()))),
        ("at most", text(keep_bytes.map(size))),
        ("checked every", text(check_days.map(|days| format!("{days} days")))),
    ];
    rows.extend(
        hold.clone()
            .map(|hold| ("what uses it is", if hold == "stop" { "stopped" } else { "paused" }.to_owned())),
    );
    facts(&rows)
}
