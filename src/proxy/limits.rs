//! Every limit of the proxy, with its unit and its reason. It only names them; who waits or counts applies them.

use std::time::Duration;

/// The bytes of a request head that are read before the client is refused with 431.
pub(super) const HEAD_BYTES: usize = 32 * 1024;
/// The bytes of one header field: single sign-on cookies fit.
pub(super) const FIELD_BYTES: usize = 8 * 1024;
/// The bytes of a request target, as in common servers.
pub(super) const TARGET_BYTES: usize = 8 * 1024;
/// The bytes of an answer's head: bounds what a hostile app costs.
pub(super) const UPSTREAM_BUFFER: usize = 64 * 1024;
/// The slowest upload that is still served, in bytes a second, once [`Limits::body_idle`] has been waited in all.
pub(super) const BODY_RATE: u64 = 256;
/// New handshakes from one address in a second: each costs a signature, and browsers come back with a ticket.
pub(super) const HANDSHAKES_PER_SECOND: u32 = 200;
/// The fields of one request or answer.
pub(super) const FIELDS: usize = 100;
/// Requests that one HTTP/2 client may have under way.
pub(super) const STREAMS: u32 = 100;
/// The bytes that may be on their way, unread, of one stream and of one connection of HTTP/2: what a client that is
/// never answered costs at most.
pub(super) const STREAM_WINDOW: u32 = 64 * 1024;
/// See [`STREAM_WINDOW`].
pub(super) const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The bytes of one HTTP/2 frame, which is the least that may be chosen.
pub(super) const FRAME_BYTES: u32 = 16 * 1024;
/// The bytes of all header fields of one HTTP/2 request.
pub(super) const FIELDS_BYTES: u32 = 16 * 1024;
/// The bytes of one stream's answer that wait for an HTTP/2 client.
pub(super) const STREAM_BUFFER: usize = 64 * 1024;
/// How often the other side of an HTTP/2 connection is asked whether it is still there.
pub(super) const PING_EVERY: Duration = Duration::from_secs(30);
/// How long it may take to say so.
pub(super) const PING_WAIT: Duration = Duration::from_secs(10);
/// The pause before each further try to connect to a target that refuses: an app that restarts is back soon.
pub(super) const CONNECT_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// An upstream connection idle for longer serves only requests that may be sent twice:
/// many servers close theirs after a few seconds, and a POST must not meet that moment.
pub(super) const FRESH_ENOUGH: Duration = Duration::from_secs(1);

/// How long a client may take to read its last answer and hang up.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// Heads of an answer before the last one (1xx), as in common servers.
pub(super) const INTERIM_HEADS: usize = 10;

/// The waits and counts that a test or an administrator may want otherwise.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From accepting a connection to its first byte.
    pub first_byte: Duration,
    /// From accepting a connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From the first byte of a request to the end of its head.
    pub header: Duration,
    /// Between two requests on one connection.
    pub idle: Duration,
    /// Between two reads of a request's body.
    pub body_idle: Duration,
    /// For a client that takes none of what is written to it.
    pub write_stall: Duration,
    /// The largest request body, in bytes, where a route says nothing else.
    pub body_bytes: u64,
    /// For one connection to a target.
    pub connect: Duration,
    /// From the end of a request to the head of its answer.
    pub answer: Duration,
    /// Between two reads of an answer's body.
    pub answer_idle: Duration,
    /// For a tunnel in which nothing moves; a ping is a movement.
    pub tunnel_idle: Duration,
    /// Requests on one connection before it is closed.
    pub requests: u32,
    /// The age of a connection after which it is closed.
    pub age: Duration,
    /// Idle upstream connections are closed after this: below what common app servers wait.
    pub pool_idle: Duration,
    /// Idle upstream connections that one worker keeps for one target.
    pub pool_per_target: usize,
    /// Idle upstream connections that one worker keeps in all; each holds 25 to 30 KB.
    pub pool_total: usize,
    /// Connections from one address (from one /64 of IPv6); the machine itself is not counted.
    pub connections_per_client: u32,
    /// How long idle connections stay open once the proxy was asked to stop. A request that is already on
    /// its way is answered, and told that it is the last; to close at once would lose it.
    pub farewell: Duration,
    /// How long requests in flight may go on once the proxy was asked to stop.
    pub stop: Duration,
    /// How long tunnels may, where another proxy accepts meanwhile; where none does they are ended at once, for new
    /// clients wait. Shorter than `stop`: what is said at their end has to come through.
    pub tunnels: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(15),
            idle: Duration::from_mins(1),
            body_idle: Duration::from_secs(30),
            write_stall: Duration::from_mins(1),
            body_bytes: 100 * 1024 * 1024,
            connect: Duration::from_secs(5),
            answer: Duration::from_mins(1),
            answer_idle: Duration::from_mins(5),
            tunnel_idle: Duration::from_hours(1),
            requests: 1000,
            age: Duration::from_hours(1),
            pool_idle: Duration::from_secs(30),
            pool_per_target: 32,
            pool_total: 256,
            connections_per_client: 256,
            farewell: Duration::from_secs(1),
            stop: Duration::from_secs(30),
            tunnels: Duration::from_secs(20),
        }
    }
}
