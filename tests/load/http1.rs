//! HTTP/1.1, on kept connections or on new ones, byte by byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::seen::Seen;
use crate::{PATIENCE, Pace, Task};

/// Asks until it is over; every other worker keeps its connection.
pub fn run(task: &Task) -> Seen {
    let (mut seen, mut pace, kept) = (Seen::default(), Pace::new(task), task.number.is_multiple_of(2));
    let close = if kept { "" } else { "Connection: close\r\n" };
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n{close}\r\n", task.host);
    let mut connection = None;
    while !task.is_over() {
        let due = pace.wait();
        let answer = ask(task, &request, &mut connection);
        seen.add("http1", due, answer);
    }
    seen
}

fn ask(task: &Task, request: &str, kept: &mut Option<BufReader<TcpStream>>) -> Result<(), String> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => connect(&task.address).map_err(|error| format!("connect: {error}"))?,
    };
    let write = connection.get_mut().write_all(request.as_bytes());
    write.map_err(|error| format!("write: {error}"))?;
    let (status, reusable) = read_answer(&mut connection)?;
    if reusable {
        *kept = Some(connection);
    }
    if status == 200 { Ok(()) } else { Err(format!("status {status}")) }
}

/// A connection on which nothing is waited for too long.
pub fn connect(address: &str) -> std::io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

/// The status, and whether the connection can be used again.
fn read_answer(connection: &mut BufReader<TcpStream>) -> Result<(u16, bool), String> {
    let mut line = String::new();
    let mut next = |connection: &mut BufReader<TcpStream>| {
        line.clear();
        match connection.read_line(&mut line) {
            Ok(0) => Err("the connection was closed before the answer".to_owned()),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(format!("read: {error}")),
        }
    };
    let first = next(connection)?;
    let status = first.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.ok_or_else(|| format!("not an answer: {first}"))?;
    let (mut length, mut chunked, mut reusable) = (None, false, true);
    loop {
        let field = next(connection)?.to_ascii_lowercase();
        match field.split_once(':').map(|(name, value)| (name, value.trim())) {
            None => break,
            Some(("content-length", value)) => length = value.parse::<u64>().ok(),
            Some(("transfer-encoding", value)) => chunked = value == "chunked",
            Some(("connection", value)) => reusable = value != "close",
            Some(_) => {}
        }
    }
    read_body(connection, length, chunked)?;
    Ok((status, reusable && (chunked || length.is_some())))
}

fn read_body(
    connection: &mut BufReader<TcpStream>,
    length: Option<u64>,
    chunked: bool,
) -> Result<(), String> {
    let skip = |connection: &mut BufReader<TcpStream>, length: u64| {
        let read = std::io::copy(&mut connection.take(length), &mut std::io::sink());
        match read.map_err(|error| format!("body: {error}"))? {
            read if read == length => Ok(()),
            read => Err(format!("the body ended after {read} of {length} bytes")),
        }
    };
    match length {
        Some(length) if !chunked => skip(connection, length),
        None if !chunked => skip(connection, u64::MAX).or(Ok(())),
        _ => loop {
            let mut size = String::new();
            connection.read_line(&mut size).map_err(|error| format!("chunk: {error}"))?;
            let size =
                u64::from_str_radix(size.trim(), 16).map_err(|_| "a chunk without a size".to_owned())?;
            skip(connection, size + 2)?;
            if size == 0 {
                return Ok(());
            }
        },
    }
}
