//! `rivetr volumes …`: list, show and delete what apps and services keep.

use std::io::{BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::session::Session;
use super::table::{facts, or_dash, table, time};
use crate::api::wire::{List, Volume};

/// What can be done with volumes.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Volumes {
    /// List the volumes of all apps and services, also those that nothing mounts any more
    #[command(after_help = "Example: rivetr volumes list --size")]
    List(ListArgs),
    /// Show one volume and what it takes on disk
    #[command(after_help = "Example: rivetr volumes show rivetr-vol-blog-data")]
    Show(Named),
    /// Delete a volume with its data; refused while something mounts it
    #[command(after_help = "Example: rivetr volumes delete rivetr-vol-blog-data --yes")]
    Delete(Delete),
}

/// The arguments of `rivetr volumes list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ListArgs {
    /// Also measure them, which looks at every file
    #[arg(long)]
    size: bool,
}

/// The volume that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// Its name, as `rivetr volumes list` and `podman volume ls` have it
    #[arg(value_parser = parse_name)]
    name: String,
}

/// The arguments of `rivetr volumes delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Delete {
    #[command(flatten)]
    volume: Named,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Volumes {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(ListArgs { size }) => {
                let answer = session.client.get(&format!("/api/volumes?size={size}")).await?;
                session.show(&answer, |volumes: List<Volume>| words(&volumes.items))
            }
            Self::Show(Named { name }) => {
                let answer = session.client.get(&format!("/api/volumes/{name}")).await?;
                session.show(&answer, |volume: Volume| details(&volume))
            }
            Self::Delete(delete) => delete.run(session).await,
        }
    }
}

impl Delete {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let name = self.volume.name;
        if !self.yes {
            let stdin = std::io::stdin();
            if !stdin.is_terminal() {
                let message = format!("{name} was not deleted: nobody can be asked here whether it may be");
                return Err(
                    Failure::new(Exit::Usage, message).cure(format!("rivetr volumes delete {name} --yes"))
                );
            }
            confirm(&name, &mut stdin.lock(), &mut std::io::stderr())?;
        }
        session.client.delete(&format!("/api/volumes/{name}")).await?;
        if session.json { Ok(()) } else { session.line(&format!("{name} is deleted.")) }
    }
}

/// A path of the API is made of it.
fn parse_name(text: &str) -> Result<String, String> {
    let inner = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let fine = text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(inner);
    fine.then(|| text.to_owned()).ok_or_else(|| "a volume's name has letters, digits, -, _ and .".to_owned())
}

fn words(volumes: &[Volume]) -> String {
    if volumes.is_empty() {
        return "There are no volumes. `rivetr apps set NAME --volume data:/path` gives an app one.\n"
            .to_owned();
    }
    let row = |volume: &Volume| {
        [
            volume.name.clone(),
            owner(volume),
            or_dash(volume.size.map(size).as_deref()),
            or_dash(volume.created.as_deref().map(time).as_deref()),
            state(volume).to_owned(),
        ]
    };
    table(["VOLUME", "OF", "SIZE", "CREATED", "STATE"], &volumes.iter().map(row).collect::<Vec<_>>())
}

/// Whose it is: `app blog`.
fn owner(volume: &Volume) -> String {
    let named = |kind: &str, name: &Option<String>| name.as_ref().map(|name| format!("{kind} {name}"));
    let of = named("app", &volume.app).or_else(|| named("service", &volume.service));
    or_dash(of.as_deref())
}

fn state(volume: &Volume) -> &'static str {
    if volume.orphaned { "nothing mounts it" } else { "mounted" }
}

fn details(volume: &Volume) -> String {
    facts(&[
        ("volume", volume.name.clone()),
        ("of", owner(volume)),
        ("name", volume.volume.clone()),
        ("size", or_dash(volume.size.map(size).as_deref())),
        ("created", or_dash(volume.created.as_deref().map(time).as_deref())),
        ("state", state(volume).to_owned()),
    ])
}

/// Bytes as people read them: the largest unit of which there is at least one.
pub(super) fn size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => format!("{bytes} B"),
    }
}

fn confirm(name: &str, answers: &mut impl BufRead, questions: &mut impl Write) -> Result<(), Failure> {
    write!(questions, "{name} is deleted with all its data.\nType its name to go on: ")?;
    questions.flush()?;
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    if typed.trim() == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{name} was not deleted: that was not its name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn only_the_name_will_do() {
        for (typed, goes_on) in [("rivetr-vol-a-b\n", true), ("y\n", false), ("", false)] {
            let mut asked = Vec::new();
            assert_eq!(confirm("rivetr-vol-a-b", &mut typed.as_bytes(), &mut asked).is_ok(), goes_on);
        }
        assert!(parse_name("../x").is_err());
    }
}
