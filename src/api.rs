//! JSON over HTTP.

pub mod wire;
