//! How much of the host a container may have.

use std::path::PathBuf;

/// Limits of a container. An absent one is none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resources {
    /// Processors, as the file has it: `0.5`.
    pub cpus: Option<String>,
    /// The share of processor time beside others.
    pub cpu_shares: Option<u64>,
    /// Which processors: `0-2,4`.
    pub cpuset: Option<String>,
    /// Microseconds of a period.
    pub cpu_period: Option<u64>,
    /// Microseconds of processor time in a period.
    pub cpu_quota: Option<i64>,
    /// Microseconds of a period of real time.
    pub cpu_rt_period: Option<u64>,
    /// Microseconds of real time in a period.
    pub cpu_rt_runtime: Option<i64>,
    /// At most, in bytes.
    pub memory: Option<u64>,
    /// What it is pressed down to when memory is short, in bytes.
    pub memory_reservation: Option<u64>,
    /// Memory and swap together in bytes; -1 for no limit.
    pub memory_swap: Option<i64>,
    /// How readily it is swapped: 0 to 100.
    pub memory_swappiness: Option<u64>,
    /// Processes; -1 for no limit.
    pub pids: Option<i64>,
    /// Whether it is not killed when memory runs out.
    pub oom_kill_disable: bool,
    /// How readily it is killed: -1000 to 1000.
    pub oom_score_adj: Option<i64>,
    /// The share of disk time: 10 to 1000.
    pub io_weight: Option<u16>,
    /// The share of one device's time.
    pub io_weight_device: Vec<(String, u16)>,
    /// Bytes a second read from a device.
    pub read_bytes: Vec<(String, u64)>,
    /// Reads a second from a device.
    pub read_operations: Vec<(String, u64)>,
    /// Bytes a second written to a device.
    pub write_bytes: Vec<(String, u64)>,
    /// Writes a second to a device.
    pub write_operations: Vec<(String, u64)>,
}

/// A limit of a process: soft and hard; -1 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ulimit {
    /// What it meets first.
    pub soft: i64,
    /// What it may raise that to.
    pub hard: i64,
}

/// A device of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// A file below `/dev`.
    File {
        /// On the host.
        source: PathBuf,
        /// In the container.
        target: PathBuf,
        /// Some of `rwm`.
        permissions: Option<String>,
    },
    /// By its name in the Container Device Interface: `nvidia.com/gpu=all`.
    Cdi(String),
}
