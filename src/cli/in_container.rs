//! `rivetr in-container`: what the units of jobs run that work in an app's own container. Not for people; it works
//! without a daemon.

use std::io::{Write as _, stderr, stdout};

use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{Exit, Failure};
use crate::config::environment::Environment;
use crate::host::attend::attend;
use crate::host::layout::{Layout, Surroundings};
use crate::host::podman::Podman;

/// As Podman ends where it could not start a container.
const NOT_STARTED: u8 = 125;
/// As a shell counts who was ended by SIGTERM.
const ENDED: u8 = 143;

/// Run a command in a container and end it with this; the units of jobs do
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    hide = true,
    after_help = "Example: rivetr in-container rivetr-app-blog-7 --as rivetr-job-blog_tidy -- rake tidy"
)]
pub struct InContainer {
    /// The container
    container: String,
    /// What the command is known by: of one name, one runs
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    /// The program and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl InContainer {
    pub(super) async fn run(self, environment: &Environment) -> Result<(), Failure> {
        let Self { container, name, command } = self;
        let place = environment.place();
        let layout = Layout::discover(Surroundings {
            uid: place.uid,
            home: place.home,
            xdg_runtime_dir: place.xdg_runtime_dir,
            ..Surroundings::default()
        });
        let podman = Podman::new(&layout.podman_socket);
        let mut asked = signal(SignalKind::terminate())?;
        let end = async {
            asked.recv().await;
        };
        let streams = (stdout(), stderr());
        let status = match attend(&podman, (&container, &name), &command, end, streams).await {
            Ok(Some(0)) => return Ok(()),
            // As a shell counts what does not fit.
            Ok(Some(status)) => u8::try_from(status).unwrap_or(u8::MAX),
            Ok(None) => ENDED,
            Err(error) => {
                writeln!(stderr(), "Error: {error}")?;
                NOT_STARTED
            }
        };
        Err(Failure::new(Exit::Program(status), ""))
    }
}
