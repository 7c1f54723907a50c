//! The terminal that a person sits at: its size, and every key to the program that is run for them.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use zeroize::Zeroizing;

use crate::api::wire::Window;

/// A terminal that is used in another way, its keys passed on as they are or not shown; as it was before, when dropped.
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

/// Asks the person at the terminal, wherever standard input and output lead, for a line of no more than `most` bytes. What
/// they type is not shown.
pub fn ask_unseen(prompt: &str, most: u64) -> io::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty")?;
    let before = tcgetattr(&terminal)?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&terminal, OptionalActions::Drain, &unseen)?;
    let mut raw = RawTerminal { terminal, before };
    raw.terminal.write_all(prompt.as_bytes())?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new(&raw.terminal).take(most).read_line(&mut line)?;
    // The person's own line end was not shown either.
    raw.terminal.write_all(b"\n")?;
    Ok(line)
}

/// The size of the terminal on standard input.
pub fn window() -> io::Result<Window> {
    let size = tcgetwinsize(io::stdin())?;
    Ok(Window { rows: size.ws_row, columns: size.ws_col })
}
