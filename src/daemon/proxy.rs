//! The proxy: sockets from systemd, routes from disk and from the control plane.

use std::process::ExitCode;

use super::{Process, refuse};
use crate::host::layout::Manager;
use crate::host::sockets::{Activated, Notifier};
use crate::proxy::{self, Limits, Notice, Settings};

/// Where visitors find HTTPS.
const HTTPS_PORT: u16 = 443;

pub(super) fn run(process: &Process) -> ExitCode {
    // Before any thread is started: it changes the environment.
    let listeners = match Activated::take() {
        Ok(mut activated) => activated.tcp_all("http"),
        Err(error) => return refuse(&error),
    };
    let listeners = match listeners {
        handed_in if !handed_in.is_empty() => handed_in,
        _ => match std::net::TcpListener::bind(process.settings.proxy.listen) {
            Ok(listener) => vec![listener],
            Err(error) => {
                return refuse(&format!("cannot listen on {}: {error}", process.settings.proxy.listen));
            }
        },
    };
    let notifier = Notifier;
    let settings = Settings {
        workers: process.settings.proxy.workers.map(|workers| workers as usize),
        routes: process.layout.routes(),
        link: process.layout.proxy_socket(),
        broker: (process.layout.manager == Manager::User).then(|| process.layout.netns_socket()),
        heartbeat: notifier.watchdog().map(|limit| limit / 2),
        trusted: process.settings.proxy.trusted.clone(),
        proxy_protocol: process.settings.proxy.proxy_protocol,
        https_port: HTTPS_PORT,
        limits: Limits::default(),
    };
    let ended = proxy::run(&settings, listeners, |notice| match notice {
        Notice::Ready(status) => notifier.ready(&status),
        Notice::Reloading => notifier.reloading(),
        Notice::Stopping => notifier.stopping(),
        Notice::Alive => notifier.alive(),
    });
    ended.map_or_else(|error| refuse(&error), |()| ExitCode::SUCCESS)
}
