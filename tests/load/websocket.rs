//! Messages over tunnels that are echoed. A tunnel that is closed properly is opened anew, as browsers do it, and the
//! message that was not echoed yet is sent again.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::http1::connect;
use crate::seen::Seen;
use crate::{Pace, Task, WORKERS};

/// Says that it is text, whole, masked and of 16 bytes (RFC 6455, 5.2).
const HEAD: [u8; 2] = [0x81, 0x80 | 16];
const MASK: [u8; 4] = [1, 2, 3, 4];
/// "Going away", masked and not.
const CLOSE: [u8; 8] = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
const CLOSED: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];
/// How often one message is sent: two releases and two proxies may go one after the other.
const TRIES: u32 = 4;

type Tunnel = BufReader<TcpStream>;

/// Sends messages until it is over. The tunnels of a worker live a little longer than those of the one before.
pub fn run(task: Task) -> Seen {
    let (address, life) = task.address.split_once('/').expect("websocket=ADDRESS/LIFE");
    let life = Duration::from_secs(life.parse().expect("LIFE is a number of seconds"));
    let life = life * (task.number + 1) / WORKERS;
    let task = Task { address: address.to_owned(), ..task };
    let (mut seen, mut pace) = (Seen::default(), Pace::new(&task));
    let (mut kept, mut opened, mut count) = (None, Instant::now(), 0_u64);
    while !task.is_over() {
        let due = pace.wait();
        if opened.elapsed() >= life
            && let Some(tunnel) = kept.take()
        {
            seen.add("websocket", due, close(tunnel));
            continue;
        }
        if kept.is_none() {
            opened = Instant::now();
        }
        count += 1;
        seen.add("websocket", due, echo(&task, &mut kept, count));
    }
    seen
}

/// Whether a message comes back, if need be over another tunnel.
fn echo(task: &Task, kept: &mut Option<Tunnel>, count: u64) -> Result<(), String> {
    let message = [&HEAD[..], &MASK, format!("{count:016}").as_bytes()].concat();
    for _ in 0..TRIES {
        let mut tunnel = match kept.take() {
            Some(tunnel) => tunnel,
            None => open(task)?,
        };
        if let Err(error) = tunnel.get_mut().write_all(&message) {
            // What the proxy said before it closed still lies here.
            return match next(&mut tunnel) {
                Ok(frame) if frame == CLOSED => continue,
                other => Err(format!("write: {error}, after {other:?}")),
            };
        }
        let frame = next(&mut tunnel)?;
        if frame == message {
            *kept = Some(tunnel);
            return Ok(());
        }
        if frame != CLOSED {
            return Err(format!("another frame came back: {frame:02x?}"));
        }
    }
    Err(format!("closed {TRIES} times"))
}

/// Ends a tunnel as the protocol wants it: a close is answered by one.
fn close(mut tunnel: Tunnel) -> Result<(), String> {
    // If the other side has closed already, its own is what comes.
    let written = tunnel.get_mut().write_all(&CLOSE);
    match next(&mut tunnel) {
        Ok(frame) if frame == CLOSE || frame == CLOSED => Ok(()),
        other => Err(format!("the close was answered by {other:02x?}, written: {written:?}")),
    }
}

fn open(task: &Task) -> Result<Tunnel, String> {
    let mut tunnel = connect(&task.address).map_err(|error| format!("connect: {error}"))?;
    let ask = format!(
        "GET /echo HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        task.host
    );
    tunnel.get_mut().write_all(ask.as_bytes()).map_err(|error| format!("handshake: {error}"))?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tunnel.read_exact(&mut byte).map_err(|error| format!("handshake: {error}"))?;
        head.extend(byte);
    }
    if head.starts_with(b"HTTP/1.1 101 ") {
        return Ok(tunnel);
    }
    let head = String::from_utf8_lossy(&head);
    Err(format!("no tunnel: {}", head.lines().next().unwrap_or_default()))
}

/// The next frame, as it came; none is longer than 125 bytes.
fn next(tunnel: &mut Tunnel) -> Result<Vec<u8>, String> {
    let mut head = [0; 2];
    tunnel.read_exact(&mut head).map_err(|error| format!("the tunnel ended without a close: {error}"))?;
    let [_, length] = head;
    let mask = if length & 0x80 == 0 { 0 } else { MASK.len() };
    let mut rest = vec![0; mask + usize::from(length & 0x7f)];
    tunnel.read_exact(&mut rest).map_err(|error| format!("the tunnel ended within a frame: {error}"))?;
    Ok([&head[..], &rest].concat())
}
