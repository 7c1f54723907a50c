//! The terminal that a person sits at: its size, and every key to the program that is run for them.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use crate::api::wire::Window;

/// A terminal whose keys are passed on as they are; as it was before, when dropped.
pub struct RawTerminal {
    terminal: File,
    before: Termios,
}

impl RawTerminal {
    /// Whether a person sits at both ends: they type, and they see.
    pub fn is_there() -> bool {
        io::stdin().is_terminal() && io::stdout().is_terminal()
    }

    /// Passes keys on from now on.
    pub fn enter() -> io::Result<Self> {
        let terminal = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // There is nobody to tell: the terminal itself may be gone.
        tcsetattr(&self.terminal, OptionalActions::Drain, &self.before).ok();
    }
}

/// The size of the terminal on standard input.
pub fn window() -> io::Result<Window> {
    let size = tcgetwinsize(io::stdin())?;
    Ok(Window { rows: size.ws_row, columns: size.ws_col })
}
