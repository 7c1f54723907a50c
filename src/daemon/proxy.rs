//! The proxy: sockets from systemd, routes from disk and from the control plane.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;

use super::{Process, refuse};
use crate::config::settings::{AccessLog, Logged, Proxy};
use crate::host::layout::Manager;
use crate::host::sockets::{Activated, Notifier};
use crate::proxy::access_log::{self, Choice};
use crate::proxy::{self, Limits, Listeners, Notice, Settings};

pub(super) fn run(process: &Process, next: bool) -> ExitCode {
    // Before any thread is started: it changes the environment.
    let mut activated = match Activated::take() {
        Ok(activated) => activated,
        Err(error) => return refuse(&error),
    };
    let Proxy { listen, listen_tls, workers, access_log: logged, trusted, proxy_protocol } =
        &process.settings.proxy;
    let listeners = if activated.is_empty() {
        let bind = |address: &SocketAddr| {
            let bound = TcpListener::bind(address).map(|listener| vec![listener]);
            bound.map_err(|error| refuse(&format!("cannot listen on {address}: {error}")))
        };
        match bind(listen).and_then(|http| Ok(Listeners { http, https: bind(listen_tls)? })) {
            Ok(listeners) => listeners,
            Err(refused) => return refused,
        }
    } else {
        Listeners { http: activated.tcp_all("http"), https: activated.tcp_all("https") }
    };
    let notifier = Notifier;
    let (mut link, mut sibling) = (process.layout.proxy_socket(), process.layout.next_proxy_socket());
    if next {
        std::mem::swap(&mut link, &mut sibling);
    }
    let settings = Settings {
        workers: workers.map(|workers| workers as usize),
        routes: process.layout.routes(),
        certs: process.layout.certificates(),
        link,
        sibling,
        broker: (process.layout.manager == Manager::User).then(|| process.layout.netns_socket()),
        heartbeat: notifier.watchdog().map(|limit| limit / 2),
        access_log: access_log(logged),
        trusted: trusted.clone(),
        proxy_protocol: *proxy_protocol,
        https_port: super::serve::public_tls_port(process),
        clock: super::serve::now,
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

fn access_log(configured: &AccessLog) -> Option<access_log::Settings> {
    let AccessLog { choice, sample, query, file } = configured;
    let choice = match choice {
        Logged::Off => return None,
        Logged::Errors => Choice::Errors,
        Logged::Sampled => Choice::Sampled(*sample),
        Logged::All => Choice::All,
    };
    Some(access_log::Settings { choice, query: *query, file: file.clone(), clock: super::serve::now })
}
