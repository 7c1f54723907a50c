//! Has the installed program serve in place of the one that runs, and nobody notices: a second proxy on the same
//! sockets stands in while the first is started anew under its own name.
//!
//! At every point one of them accepts. Each step can be taken again after an interruption: a second one that is left
//! over is ended as soon as the first is sure to serve.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use serde::Serialize;

use super::SetupError;
use super::account::Account;
use super::control::Control;
use super::install::write_if_other;
use crate::files::{self, Lock, LockError};

/// The proxy, under the name that people know.
pub(super) const PROXY: &str = "rivetr-proxy.service";
/// The one that stands in. Its unit is made of the other's for as long as an upgrade takes.
const NEXT: &str = "rivetr-proxy-next.service";

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    unit: &'static str,
    status: String,
}

/// `rivetr proxy upgrade`. Steps go to `progress` or, unless `json`, to `out` as they are done.
pub(in crate::cli) async fn command(
    json: bool,
    out: &mut dyn Write,
    progress: &mut dyn Write,
) -> Result<(), SetupError> {
    let (root, caller) = (getuid().is_root(), Account::caller()?);
    let control = if root { Control::System } else { Control::User(&caller) };
    if control.show(PROXY, "LoadState").await? != "loaded" {
        return Err(SetupError::Caller(if root {
            "no proxy runs here as a unit of the system. Where rivetr is set up for one user, that user calls \
             `rivetr proxy upgrade`; where it is not yet, call `rivetr setup`"
        } else {
            "you have no proxy of your own; for that of the machine this needs root. Call it with sudo"
        }));
    }
    replace(control, if json { progress } else { &mut *out }).await?;
    if json {
        let answer = Answer { unit: PROXY, status: control.show(PROXY, "StatusText").await? };
        serde_json::to_writer(&mut *out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
    }
    Ok(())
}

/// Replaces the proxy that runs, and says in `out` what has been done.
pub(super) async fn replace(control: Control<'_>, out: &mut dyn Write) -> Result<(), SetupError> {
    let units = control.runtime_units();
    files::make_dirs(&units, 0o755)?;
    let _alone = alone(&units.join("rivetr-proxy-next.lock"))?;
    Upgrade { control, unit: units.join(NEXT), out }.run().await
}

fn alone(path: &Path) -> Result<Lock, SetupError> {
    files::lock(path).map_err(|error| match error {
        LockError::Held { holder, .. } => SetupError::Upgrading { holder },
        LockError::File(error) => error.into(),
    })
}

struct Upgrade<'a> {
    control: Control<'a>,
    /// The file of the unit that stands in.
    unit: PathBuf,
    out: &'a mut dyn Write,
}

impl Upgrade<'_> {
    async fn run(mut self) -> Result<(), SetupError> {
        if !["inactive", "failed"].contains(&&*self.control.show(NEXT, "ActiveState").await?) {
            writeln!(self.out, "{NEXT} is left from an upgrade that was broken off, and is ended first")?;
            self.control.start(PROXY).await.map_err(stands_in)?;
            self.clear().await?;
        }
        self.start_next().await?;
        writeln!(self.out, "{NEXT} is ready and stands in")?;
        writeln!(self.out, "{PROXY} ends what it has begun, within half a minute, and is started anew")?;
        self.control.restart(PROXY).await.map_err(stands_in)?;
        writeln!(self.out, "{PROXY} is ready: {}", self.control.show(PROXY, "StatusText").await?)?;
        self.clear().await?;
        writeln!(self.out, "{NEXT} has ended what it had begun, and is gone")?;
        Ok(())
    }

    /// Starts the one that stands in, or takes back all that was done for it.
    async fn start_next(&mut self) -> Result<(), SetupError> {
        let text = self.control.text_of(PROXY).await?;
        let sockets = self.control.show(PROXY, "TriggeredBy").await?;
        let text = next_unit(&text, &sockets).ok_or(SetupError::NoCommand)?;
        write_if_other(&self.unit, text.as_bytes(), 0o644)?;
        self.control.systemctl(&["daemon-reload"]).await?;
        let Err(error) = self.control.start(NEXT).await else { return Ok(()) };
        if let Err(left) = self.clear().await {
            writeln!(self.out, "{NEXT} could not be removed: {left}")?;
        }
        Err(SetupError::Unready(Box::new(error)))
    }

    /// Ends the one that stands in, once its requests have ended, and removes its unit.
    async fn clear(&mut self) -> Result<(), SetupError> {
        self.control.systemctl(&["stop", NEXT]).await?;
        if self.control.show(NEXT, "ActiveState").await? == "failed" {
            self.control.systemctl(&["reset-failed", NEXT]).await?;
        }
        files::remove_file(&self.unit)?;
        self.control.systemctl(&["daemon-reload"]).await
    }
}

fn stands_in(cause: SetupError) -> SetupError {
    SetupError::StandsIn(Box::new(cause))
}

/// The unit of the one that stands in: all that the proxy's own files say, a person's drop-ins with them, and what
/// must differ. `None` if they name no command.
fn next_unit(text: &str, sockets: &str) -> Option<String> {
    let command = last_command(text)?;
    Some(format!(
        "# Made by `rivetr proxy upgrade` of {PROXY}, and removed at its end.\n\
         {text}\n\
         [Unit]\n\
         Description=rivetr proxy (stands in during an upgrade)\n\
         \n\
         [Service]\n\
         ExecStart=\n\
         ExecStart={command} --next\n\
         Sockets={sockets}\n\
         Restart=no\n"
    ))
}

/// The last `ExecStart=` that is not empty, with the lines that continue it.
fn last_command(text: &str) -> Option<String> {
    let joined = text.replace("\\\n", " ");
    let commands = joined.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    commands.map(str::trim).rfind(|command| !command.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::units::{PACKAGE, PERSONAL, SYSTEM_WIDE};
    use super::*;

    #[test]
    fn the_one_that_stands_in_differs_in_nothing_but_what_must() {
        for units in [PACKAGE, PERSONAL, SYSTEM_WIDE] {
            let (_, text) = units.iter().find(|(name, _)| *name == PROXY).unwrap();
            let next = next_unit(text, "rivetr-proxy.socket a.socket").unwrap();
            let (same, own) = next.split_once(text).unwrap();
            assert_eq!(same.lines().count(), 1, "{same}");
            // The flag is of the sockets, which both have: a start without it has the other block in accept.
            assert!(text.contains("\nNonBlocking=yes\n"));
            let expect = "\n[Unit]\nDescription=rivetr proxy (stands in during an upgrade)\n\n[Service]\nExecStart=\n\
                          ExecStart=/usr/bin/rivetr proxy --next\nSockets=rivetr-proxy.socket a.socket\nRestart=no\n";
            assert_eq!(own, expect);
        }
    }

    #[test]
    fn the_command_that_holds_is_the_last() {
        for (text, command) in [
            ("[Service]\nExecStart=/a proxy\n", Some("/a proxy")),
            (
                "ExecStart=/a proxy\n# b.conf\n[Service]\nExecStart=\nExecStart=/b \\\n  proxy\n",
                Some("/b    proxy"),
            ),
            ("ExecStartPre=/a\n#ExecStart=/b\nExecStart=\n", None),
        ] {
            assert_eq!(last_command(text).as_deref(), command, "{text}");
        }
    }
}
