//! A command in a running container, attended to its end: what it writes is passed on, and nothing is left of it.
//!
//! To end `podman exec` leaves the command running. Here it gets a cgroup of its own below its container's, which the
//! kernel ends whole. It stays within the container's limits, and sees no other processes than before.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tokio_util::codec::FramedRead;

use super::podman::{Piece, Pieces, Podman, PodmanError, Running};
use crate::files::{self, FileError};

/// Where the kernel shows its cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";
/// How long killed processes may take to be gone, and how often that is looked at: the kernel tells nobody who has no
/// right to wait for them.
const GONE_LIMIT: Duration = Duration::from_secs(10);
const GONE_LOOK: Duration = Duration::from_millis(20);

/// Why a command could not be attended.
#[derive(Debug, Error)]
pub enum AttendError {
    /// Podman did not run it.
    #[error(transparent)]
    Podman(#[from] PodmanError),
    /// It could not be held together.
    #[error("the command cannot be held in a cgroup of its own: {0}")]
    Group(#[from] FileError),
    /// What it wrote could not be passed on.
    #[error("what the command writes could not be passed on: {0}")]
    Output(#[from] io::Error),
    /// The kernel has no cgroups as they are needed.
    #[error("process {0} is in no cgroup of version 2")]
    NoGroup(i32),
}

/// Runs a command in a container until it has ended or `end` comes, and ends all that it has left. Returns its exit
/// status; none: it was ended. `name` is that of its cgroup: what an earlier run has left there is ended first.
pub async fn attend(
    podman: &Podman,
    (container, name): (&str, &str),
    command: &[String],
    end: impl Future<Output = ()>,
    (output, errors): (impl Write, impl Write),
) -> Result<Option<i32>, AttendError> {
    let Running { id, connection } = podman.start(container, command).await?;
    let group = match podman.exec_pid(&id).await? {
        Some(pid) => match hold(pid, name).await {
            Ok(group) => group,
            Err(error) => {
                podman.end_exec(&id).await?;
                return Err(error);
            }
        },
        None => None,
    };
    let pass_on = pass_on(FramedRead::new(connection, Pieces { terminal: false }), output, errors);
    let ended = tokio::select! {
        passed = pass_on => Some(passed),
        () = end => None,
    };
    if let Some(group) = &group {
        clear(group).await?;
    } else {
        podman.end_exec(&id).await?;
    }
    match ended {
        Some(passed) => {
            passed?;
            Ok(Some(podman.exec_standing(&id).await?.exit_code))
        }
        None => Ok(None),
    }
}

async fn pass_on<R: tokio::io::AsyncRead + Unpin>(
    mut from: FramedRead<R, Pieces>,
    mut output: impl Write,
    mut errors: impl Write,
) -> io::Result<()> {
    while let Some(Piece { stderr, bytes }) = from.try_next().await? {
        if stderr {
            errors.write_all(&bytes)?;
            errors.flush()?;
        } else {
            output.write_all(&bytes)?;
            output.flush()?;
        }
    }
    Ok(())
}

/// Puts a process, with what it has started by now, into a cgroup of its own; none: it has ended meanwhile.
async fn hold(pid: i32, name: &str) -> Result<Option<PathBuf>, AttendError> {
    let Some(text) = files::read_text(&proc(pid).join("cgroup"))? else { return Ok(None) };
    let below = text.lines().find_map(|line| line.strip_prefix("0::/")).ok_or(AttendError::NoGroup(pid))?;
    let group = Path::new(CGROUPS).join(below).join(name);
    clear(&group).await?;
    files::make_kernel_dir(&group)?;
    let mut outside = vec![pid];
    while let Some(pid) = outside.pop() {
        // One that has ended needs no group.
        match files::tell_kernel(&group.join("cgroup.procs"), &pid.to_string()) {
            Err(_) if !proc(pid).exists() => continue,
            told => told?,
        }
        let children = proc(pid).join(format!("task/{pid}/children"));
        let children = files::read_text(&children).unwrap_or_default().unwrap_or_default();
        outside.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
    }
    Ok(Some(group))
}

/// Ends all that is in a cgroup, and removes it.
async fn clear(group: &Path) -> Result<(), FileError> {
    if !group.exists() {
        return Ok(());
    }
    let deadline = Instant::now() + GONE_LIMIT;
    loop {
        match files::tell_kernel(&group.join("cgroup.kill"), "1") {
            // It went with its container.
            Err(_) if !group.exists() => return Ok(()),
            told => told?,
        }
        match files::remove_dir(group) {
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => sleep(GONE_LOOK).await,
            Ok(()) => return Ok(()),
        }
    }
}

fn proc(pid: i32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}
