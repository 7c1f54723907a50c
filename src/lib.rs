//! rivetr: `git push`, and the app runs as an ordinary systemd unit on your own host.
//!
//! In reading order; a module names only modules above it (`daemon` and `cli`'s own entry excepted).

pub mod domain;
pub mod files;
pub mod proxy;
