//! The world outside: servers of others that rivetr speaks to.

pub mod acme;
pub mod s3;
pub mod tls;
