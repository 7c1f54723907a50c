//! A container of its own in which one command runs, made like an app's live release and gone with the command.

use super::name::Slug;

/// A container for one command.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OneOff {
    /// The app.
    pub app: Slug,
    /// Its number, never given twice, whichever the app.
    pub number: u32,
}

impl OneOff {
    /// The most of one app at once: each has an address in the network of the project, which has few.
    pub const MAX: u32 = 16;

    /// The name of its unit and container: `rivetr-run-blog-12`.
    #[must_use]
    pub fn unit_name(&self) -> String {
        format!("rivetr-run-{}-{}", self.app, self.number)
    }
}
