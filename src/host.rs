//! This machine: its service manager, containers, repositories, logs and sockets.

pub mod systemd;
