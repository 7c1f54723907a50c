//! Points at which a test makes the daemon die, to see that it recovers. In any other build they do nothing.

use super::Engine;

/// Every point, in the order in which a deployment meets them: `after-x` lies between the work of x and its commit.
#[cfg(feature = "failpoints")]
pub const ALL: [&str; 13] = [
    "enqueued",
    "fetching",
    "after-fetching",
    "building",
    "after-building",
    "starting",
    "after-starting",
    "checking",
    "after-checking",
    "switching",
    "after-switching",
    "retiring",
    "after-retiring",
];

impl Engine {
    /// Dies here by SIGKILL, once, if the file `failpoint` of the state directory names this point.
    #[cfg(feature = "failpoints")]
    pub(super) fn failpoint(&self, name: &str) {
        if crate::host::workspace::take_failpoint(&self.machine().layout.state, name) {
            let me = nix::unistd::Pid::this();
            nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL).ok();
        }
    }

    /// Does nothing.
    #[cfg(not(feature = "failpoints"))]
    #[inline]
    #[expect(clippy::unused_self, reason = "the same call as where it does something")]
    pub(super) fn failpoint(&self, _name: &str) {}
}
