//! Has the service managers take up what was installed, and starts anew only what is other than before.

use std::io;

use super::SetupError;
use super::account::Account;
use super::control::Control;
use super::ground::{Ground, Way};
use super::install::Changes;
use super::steps::Steps;
use super::upgrade::{self, PROXY};

const SOCKETS: [&str; 3] = ["rivetr.socket", "rivetr-http.socket", "rivetr-proxy.socket"];
const DAEMON: &str = "rivetr.service";
const BROKER_SOCKET: &str = "rivetr-netns.socket";
const BROKER: &str = "rivetr-netns.service";

/// Starts everything that is to run.
pub(super) async fn all(
    ground: &Ground,
    account: &Account,
    changes: &Changes,
    steps: &mut Steps<'_>,
) -> Result<(), SetupError> {
    let (own, containers) = match ground.way {
        Way::Package => (Control::System, Control::User(account)),
        Way::Personal => (Control::User(account), Control::User(account)),
        Way::SystemWide => (Control::System, Control::System),
    };
    own.systemctl(&["daemon-reload"]).await?;
    if ground.way == Way::Package {
        containers.systemctl(&["daemon-reload"]).await?;
    }
    let podman = up(containers, &["podman.socket"]).await?;
    steps.step(podman, "Podman's API socket")?;
    if ground.way != Way::SystemWide {
        let broker = start_broker(ground, containers, changes).await?;
        steps.step(broker, "network broker: rivetr-netns.socket")?;
    }
    restart_changed_sockets(own, changes).await?;
    let sockets = up(own, &SOCKETS).await?;
    steps.step(sockets, &format!("sockets: {}", SOCKETS.join(", ")))?;
    // The proxy first: what serves is to be interrupted least, and the control plane looks for it.
    for (unit, other) in
        [(PROXY, changes.units.contains(PROXY)), (DAEMON, changes.config || changes.units.contains(DAEMON))]
    {
        let other = other || own.runs_other(unit, &ground.binary).await?;
        let started = start_service(own, unit, other).await?;
        steps.step(started, &format!("service: {unit}"))?;
    }
    Ok(())
}

/// Enables and starts units; says whether any was not.
async fn up(control: Control<'_>, units: &[&str]) -> Result<bool, SetupError> {
    if control.all_enabled(units).await? && control.all_active(units).await? {
        return Ok(false);
    }
    control.systemctl(&[&["enable", "--now"], units].concat()).await?;
    Ok(true)
}

async fn start_service(control: Control<'_>, unit: &str, other: bool) -> Result<bool, SetupError> {
    let running = control.all_active(&[unit]).await?;
    let enabled = control.all_enabled(&[unit]).await?;
    if !enabled {
        control.systemctl(&["enable", unit]).await?;
    }
    if running && !other {
        return Ok(!enabled);
    }
    if running && unit == PROXY {
        upgrade::replace(control, &mut io::sink()).await?;
    } else {
        // From a failed state too, and at once.
        control.restart(unit).await?;
    }
    Ok(true)
}

async fn start_broker(
    ground: &Ground,
    containers: Control<'_>,
    changes: &Changes,
) -> Result<bool, SetupError> {
    if changes.units.contains(BROKER_SOCKET) {
        containers.systemctl(&["stop", BROKER, BROKER_SOCKET]).await?;
    }
    let started = up(containers, &[BROKER_SOCKET]).await?;
    let other = changes.units.contains(BROKER) || containers.runs_other(BROKER, &ground.binary).await?;
    if other {
        containers.systemctl(&["try-restart", BROKER]).await?;
    }
    Ok(started || other)
}

/// A socket cannot be opened anew under a running service.
async fn restart_changed_sockets(control: Control<'_>, changes: &Changes) -> Result<(), SetupError> {
    for (socket, service) in
        [("rivetr.socket", DAEMON), ("rivetr-http.socket", DAEMON), ("rivetr-proxy.socket", PROXY)]
    {
        if changes.units.contains(socket) && control.all_active(&[socket]).await? {
            control.systemctl(&["stop", socket, service]).await?;
        }
    }
    Ok(())
}
