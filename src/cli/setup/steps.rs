//! What was done, line by line, as it is done.

use std::io::{self, Write};

/// The list of steps.
pub(super) struct Steps<'a> {
    out: &'a mut dyn Write,
    changed: usize,
}

impl<'a> Steps<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, changed: 0 }
    }

    /// Something is as it should be; `changed` says that this run made it so.
    pub(super) fn step(&mut self, changed: bool, what: &str) -> io::Result<()> {
        self.changed += usize::from(changed);
        writeln!(self.out, "{} {what}", if changed { "[changed]" } else { "[as is]  " })
    }

    /// Something that only a person can do.
    pub(super) fn note(&mut self, what: &str) -> io::Result<()> {
        writeln!(self.out, "[note]    {what}")
    }

    pub(super) fn end(&mut self) -> io::Result<()> {
        match self.changed {
            0 => writeln!(self.out, "Nothing had to be changed."),
            1 => writeln!(self.out, "1 thing was changed."),
            count => writeln!(self.out, "{count} things were changed."),
        }
    }
}
