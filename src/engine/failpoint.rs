//! Points at which a test makes the daemon die, to see that it recovers. In any other build they do nothing.
//!
//! `x` lies before the work of a state, `after-x` between that work and the moment at which it is stored.

use super::Engine;

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
