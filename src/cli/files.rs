//! `rivetr files …`: files that are mounted into an app's container. Their contents go in and never come out.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::env::bytes;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::table::table;
use crate::api::wire::{self, File, SetFile};
use crate::domain::mount::{FileContent, MountPath};
use crate::domain::name::Slug;

/// What can be done with mounted files.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Files {
    /// List the paths
    List(List),
    /// Set a file; the next deployment finds it at its path, readable to all in the container
    Set(Set),
    /// Remove a file
    Unset(Unset),
}

/// The arguments of `rivetr files list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr files list blog")]
pub struct List {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
}

/// The arguments of `rivetr files set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr files set blog /etc/blog/config.toml config.toml")]
pub struct Set {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
    /// Where it appears in the container
    #[arg(value_parser = MountPath::parse)]
    path: MountPath,
    /// The file here with what is to stand in it, at most 511,999 bytes; - is standard input
    file: PathBuf,
}

/// The arguments of `rivetr files unset`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr files unset blog /etc/blog/config.toml")]
pub struct Unset {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
    /// Where it appears in the container
    #[arg(value_parser = MountPath::parse)]
    path: MountPath,
}

impl Files {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(List { app }) => {
                let answer = session.client.get(&at(&app)).await?;
                session.show(&answer, |files: wire::List<File>| words(&app, files.items))
            }
            Self::Set(Set { app, path, file }) => {
                let content = FileContent::new(bytes(&file)?);
                let content = content.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
                session.client.put(&at(&app), &SetFile::of(&path, &content)).await?;
                changed(session, &format!("{path} is set for {app}."), &app)
            }
            Self::Unset(Unset { app, path }) => {
                session.client.delete(&format!("{}?path={}", at(&app), encoded(path.as_str()))).await?;
                changed(session, &format!("{path} is removed from {app}."), &app)
            }
        }
    }
}

fn at(app: &Slug) -> String {
    format!("/api/apps/{app}/files")
}

fn words(app: &Slug, files: Vec<File>) -> String {
    if files.is_empty() {
        return format!("{app} has no mounted files.\n");
    }
    let rows: Vec<_> = files.into_iter().map(|file| [file.path]).collect();
    table(["PATH"], &rows)
}

fn changed(session: &mut Session, what: &str, app: &Slug) -> Result<(), Failure> {
    if session.json {
        return Ok(());
    }
    session.print(&format!(
        "{what} The next deployment of {app} takes this into effect:\n  rivetr deploy {app}\n"
    ))
}

/// A path as it may stand behind the question mark of a request.
pub(super) fn encoded(path: &str) -> String {
    let byte = |byte: u8| {
        let plain = byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    path.bytes().map(byte).collect()
}
