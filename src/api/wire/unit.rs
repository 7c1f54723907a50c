//! Units on the wire, as systemd sees them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A unit, as systemd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unit {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// systemd's word: `active`, `activating`, `failed` and so on.
    pub active_state: String,
    /// systemd's finer word: `running`, `auto-restart` and so on.
    pub sub_state: String,
    /// How often systemd has restarted it.
    pub restarts: u32,
    /// Since when it is in this state (RFC 3339, UTC).
    pub since: Option<String>,
    /// When the kernel last killed something in it for want of memory (RFC 3339, UTC); null: never.
    #[serde(default)]
    pub out_of_memory: Option<String>,
    /// What it uses and may use.
    #[serde(default)]
    pub usage: InUse,
}

/// What a container uses now, and the most that it may use. What is null is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InUse {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// The most of it in bytes, or `max` where it is not limited.
    pub memory_limit: Option<String>,
    /// Processor time in percent of one processor.
    pub cpu_percent: Option<u64>,
    /// The most of it in percent of one processor, or `max` where it is not limited.
    pub cpu_percent_limit: Option<String>,
}
