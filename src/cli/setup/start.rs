//! Has the service managers take up what was installed, and starts anew only what is other than before.

use std::io;

use super::SetupError;
use super::account::Account;
use super::control::Control;
use super::ground::{Ground, Way};
use super::install::Changes;
use super::steps::Steps;
use super::upgrade::{self, PROXY};

const DAEMON: &str = "rivetr.service";
const DAEMON_SOCKETS: [&str; 2] = ["rivetr.socket", "rivetr-http.socket"];
const PROXY_SOCKETS: [&str; 2] = ["rivetr-proxy.socket", "rivetr-proxy-tls.socket"];
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
    let names = [DAEMON_SOCKETS, PROXY_SOCKETS].concat();
    if changes.moved {
        own.systemctl(&[&["reenable"], &names[..], &[PROXY, DAEMON]].concat()).await?;
        containers.systemctl(&["reenable", BROKER_SOCKET]).await?;
    }
    let podman = up(containers, &["podman.socket"]).await?;
    steps.step(podman, "Podman's API socket")?;
    if ground.way != Way::SystemWide {
        let broker = start_broker(ground, containers, changes).await?;
        steps.step(broker, "network broker: rivetr-netns.socket")?;
    }
    stop_under_other_sockets(own, changes).await?;
    let sockets = up(own, &names).await?;
    steps.step(sockets, &format!("sockets: {}", names.join(", ")))?;
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

/// A socket cannot be opened under a running service, be it anew or for the first time.
async fn stop_under_other_sockets(control: Control<'_>, changes: &Changes) -> Result<(), SetupError> {
    for (sockets, service) in [(DAEMON_SOCKETS, DAEMON), (PROXY_SOCKETS, PROXY)] {
        let other = sockets.iter().any(|socket| changes.units.contains(*socket));
        // One that a newer package has brought was never open.
        let other = other || !control.all_active(&sockets).await?;
        if other && control.any_active(&[&sockets[..], &[service]].concat()).await? {
            // Together: a request at a socket that stayed would start the service again.
            control.systemctl(&[&["stop"], &sockets[..], &[service]].concat()).await?;
        }
    }
    Ok(())
}
