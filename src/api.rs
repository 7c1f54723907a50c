//! The API, from both of its ends.

pub mod client;
pub mod wire;
