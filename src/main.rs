//! The program: reads the command line, and becomes a daemon or has a command run.

use std::process::ExitCode;

use rivetr::cli::{self, Invocation};
use rivetr::daemon;

fn main() -> ExitCode {
    match cli::invocation() {
        Invocation::Serve(flags) => daemon::serve(&flags),
        Invocation::Rehearse(flags) => daemon::rehearse(&flags),
        Invocation::Proxy { flags, next } => daemon::proxy(&flags, next),
        Invocation::Netns(flags) => daemon::netns(&flags),
        Invocation::Ended(exit) => exit.into(),
    }
}
