//! Puts it together: settings, store, host, engine, faces; ready; and stops in reverse.
//!
//! Three processes are made here, of one binary: the control plane, the proxy, and the broker of sockets in the
//! rootless network.

mod logging;
mod netns;
mod proxy;
mod serve;

use std::fmt;
use std::process::ExitCode;

use crate::config::environment::Environment;
use crate::config::settings::Settings;
use crate::config::{self, Flags};
use crate::engine::Configuration;
use crate::host::layout::{Layout, Surroundings};
use crate::host::process;
use crate::host::sockets::Notifier;

/// Runs the control plane until it is told to stop.
#[must_use]
pub fn serve(flags: &Flags) -> ExitCode {
    begin(flags).map_or_else(|refused| refused, |process| serve::run(&process))
}

/// Tries whether the control plane could take over the state that is there, and changes nothing of it.
#[must_use]
pub fn rehearse(flags: &Flags) -> ExitCode {
    begin(flags).map_or_else(|refused| refused, |process| serve::rehearse(&process))
}

/// Runs the proxy until it is told to stop; as the `next` one it stands in while the other is replaced.
#[must_use]
pub fn proxy(flags: &Flags, next: bool) -> ExitCode {
    begin(flags).map_or_else(|refused| refused, |process| proxy::run(&process, next))
}

/// Runs the broker of sockets until the namespace it stands in is gone.
#[must_use]
pub fn netns(flags: &Flags) -> ExitCode {
    begin(flags).map_or_else(|refused| refused, |process| netns::run(&process))
}

/// What each of the three processes begins with.
struct Process {
    flags: Flags,
    environment: Environment,
    settings: Settings,
    /// The same, to be shown.
    configuration: Configuration,
    layout: Layout,
    volume: logging::Volume,
}

fn begin(flags: &Flags) -> Result<Process, ExitCode> {
    let environment = Environment::read();
    let (settings, configuration) = match config::explain(flags, &environment) {
        Ok(effective) => (effective.settings.clone(), effective.shown()),
        Err(error) => {
            logging::begin(config::settings::Level::Info, false);
            return Err(refuse(&error));
        }
    };
    let volume = logging::begin(settings.log.level, environment.get("JOURNAL_STREAM").is_some());
    let layout = layout(&settings);
    process::hand_in(process::Base {
        path: environment.get("PATH").map_or_else(|| "/usr/local/bin:/usr/bin:/bin".into(), Into::into),
        home: layout.home.clone(),
        user_runtime: layout.user_runtime.clone(),
    });
    Ok(Process { flags: flags.clone(), environment, settings, configuration, layout, volume })
}

fn layout(settings: &Settings) -> Layout {
    let place = settings.place.clone();
    Layout::discover(Surroundings {
        uid: place.uid,
        user: user_name(place.uid),
        home: place.home,
        state_directory: Some(place.state_dir),
        runtime_directory: Some(place.runtime_dir),
        xdg_runtime_dir: place.xdg_runtime_dir,
    })
}

/// The name of a user; its number where it has none.
fn user_name(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}

/// Says why the process cannot go on: to the log, and to who asks systemd.
fn refuse(error: &dyn fmt::Display) -> ExitCode {
    tracing::error!("{error}");
    // A status is one line.
    Notifier.gave_up(&error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" "));
    ExitCode::FAILURE
}
