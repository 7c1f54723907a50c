//! What the proxy has counted, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was answered for one app since the proxy started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Requests {
    /// The app; `_rivetr` is rivetr itself, `_none` what was for no app.
    pub app: String,
    /// Requests that have ended.
    pub requests: u64,
    /// Those that ended with a status of 500 or more.
    pub errors: u64,
    /// Within so many microseconds half of them were answered; null: there were none.
    pub median_us: Option<u64>,
    /// Within so many microseconds 99 of 100 were answered.
    pub p99_us: Option<u64>,
    /// Bytes of requests' bodies, and through tunnels to the app.
    pub bytes_in: u64,
    /// Bytes of answers' bodies, and through tunnels from the app.
    pub bytes_out: u64,
    /// Requests and tunnels that have not ended.
    pub in_flight: u64,
    /// Requests that were sent once more, each time.
    pub retries: u64,
}
