//! The broker: hands out sockets made in the network namespace of rootless Podman.

use std::process::ExitCode;

use super::{Process, refuse};
use crate::host::sockets::Activated;
use crate::proxy::broker;

pub(super) fn run(process: &Process) -> ExitCode {
    let activated = Activated::take();
    let listener = match activated.map(|mut activated| activated.unix("netns")) {
        Ok(Some(listener)) => listener,
        Ok(None) => {
            return refuse(&"rivetr netns is started by rivetr-netns.socket: systemctl --user start it");
        }
        Err(error) => return refuse(&error),
    };
    match broker::run(&listener, &process.layout.user_runtime) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => refuse(&error),
    }
}
