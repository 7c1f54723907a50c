//! `rivetr backups destinations …`: storages that speak S3. The access key comes by standard input.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::super::table::table;
use crate::api::wire::{self, BackupDestination, Hidden, PutDestination};
use crate::domain::name::Slug;

/// The longest key that is read, in bytes; the API takes less.
const KEY_MAX: u64 = 64 * 1024;

/// What can be done with destinations.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Destinations {
    /// Hand in a storage; something is put there and taken away again first
    Add(Add),
    /// List the storages
    #[command(after_help = "Example: rivetr backups destinations list")]
    List,
    /// Forget a storage where no backup lies
    Remove(Remove),
}

/// The arguments of `rivetr backups destinations add`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Example: rivetr backups destinations add offsite --endpoint https://s3.eu-central-1.amazonaws.com \
                  --region eu-central-1 --bucket backups --key-id AKIA… --secret-stdin < key"
)]
pub struct Add {
    /// Its name
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// https:// and the host; http:// sends in clear
    #[arg(long)]
    endpoint: String,
    /// The region; where a storage has none, us-east-1
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// The bucket
    #[arg(long)]
    bucket: String,
    /// What stands before the names of objects
    #[arg(long, default_value = "")]
    prefix: String,
    /// The bucket stands in the path and not in the name of the host
    #[arg(long)]
    path_style: bool,
    /// A file with the only roots that its certificate may lead to
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// The name of the access key
    #[arg(long)]
    key_id: String,
    /// Read the access key from standard input
    #[arg(long, required = true)]
    secret_stdin: bool,
}

/// The arguments of `rivetr backups destinations remove`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr backups destinations remove offsite")]
pub struct Remove {
    /// Its name
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Destinations {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::List => {
                let answer = session.client.get("/api/backup-destinations").await?;
                session.show(&answer, |all: wire::List<BackupDestination>| words(&all.items))
            }
            Self::Remove(Remove { name }) => {
                session.client.delete(&format!("/api/backup-destinations/{name}")).await?;
                if session.json { Ok(()) } else { session.line(&format!("{name} is forgotten.")) }
            }
        }
    }
}

impl Add {
    async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, endpoint, region, bucket, prefix, path_style, ca_file, key_id, secret_stdin: _ } =
            self;
        let mut secret = String::new();
        let read = std::io::stdin().take(KEY_MAX).read_to_string(&mut secret);
        read.map_err(|error| Failure::new(Exit::Usage, format!("the access key cannot be read: {error}")))?;
        let secret = Hidden(secret.trim_end_matches(['\n', '\r']).to_owned());
        let ca = match ca_file {
            Some(path) => match crate::files::read_text(&path) {
                Ok(Some(text)) => Some(text),
                Ok(None) => {
                    return Err(Failure::new(Exit::Usage, format!("there is no file {}", path.display())));
                }
                Err(error) => return Err(Failure::new(Exit::Usage, error.to_string())),
            },
            None => None,
        };
        let wish = PutDestination {
            name: name.to_string(),
            endpoint,
            region,
            bucket,
            prefix,
            path_style,
            ca,
            key_id,
            secret,
        };
        session.client.post_patiently("/api/backup-destinations", &wish).await?;
        if session.json { Ok(()) } else { session.line(&format!("Backups can be kept at {name}.")) }
    }
}

fn words(all: &[BackupDestination]) -> String {
    if all.is_empty() {
        return "There are none but the disk. `rivetr backups destinations add NAME` adds one.\n".to_owned();
    }
    let row = |one: &BackupDestination| {
        [one.name.clone(), one.endpoint.clone(), one.bucket.clone(), one.prefix.clone(), one.region.clone()]
    };
    table(["NAME", "ENDPOINT", "BUCKET", "PREFIX", "REGION"], &all.iter().map(row).collect::<Vec<_>>())
}
