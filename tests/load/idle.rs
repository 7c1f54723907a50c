//! Many connections with TLS, open all the time, each of which asks for something now and then so that it may stay.

use std::io::Read as _;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{sleep, timeout};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use crate::answer::PAGE;
use crate::{PATIENCE, tls};

/// From one request to the next: an idle connection is closed after a minute.
const PAUSE: Duration = Duration::from_secs(40);
/// Handshakes at a time.
const HANDSHAKES: usize = 32;

/// Opens the connections, says so, and keeps them until standard input ends.
pub fn run(host: &str, address: &str, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = LocalSet::new();
    local.block_on(&runtime.expect("a runtime can be made"), async {
        let connector = Rc::new(tls::connector(b"http/1.1"));
        let (over, mut kept) = (CancellationToken::new(), JoinSet::new());
        let mut shaking: JoinSet<Result<TlsStream<TcpStream>, String>> = JoinSet::new();
        for opened in 0..count + HANDSHAKES {
            if opened >= HANDSHAKES.min(count)
                && let Some(stream) = shaking.join_next().await
            {
                let stream = stream.expect("no panic").expect("each connection can be opened");
                kept.spawn_local(keep(stream, host.to_owned(), over.clone()));
            }
            if opened < count {
                let (connector, host, address) = (Rc::clone(&connector), host.to_owned(), address.to_owned());
                shaking.spawn_local(async move { tls::connect(&connector, &host, &address).await });
            }
        }
        println!("started");
        let ended = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
        ended.await.expect("no panic").expect("standard input can be read");
        over.cancel();
        let (mut requests, mut failures) = (0, Vec::new());
        while let Some(end) = kept.join_next().await {
            match end.expect("no panic") {
                Ok(asked) => requests += asked,
                Err(why) => failures.push(why),
            }
        }
        let (open, failed) = (count - failures.len(), failures.len());
        failures.truncate(3);
        println!("{}", json!({ "open": open, "requests": requests, "failed": failed, "failures": failures }));
    });
}

/// Asks now and then; returns how often.
async fn keep(
    mut stream: TlsStream<TcpStream>,
    host: String,
    over: CancellationToken,
) -> Result<u64, String> {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut asked = 0;
    loop {
        let exchange = async {
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = Vec::new();
            while !answer.ends_with(PAGE.as_bytes()) {
                if stream.read_buf(&mut answer).await? == 0 {
                    return Ok(false);
                }
            }
            Ok::<_, std::io::Error>(answer.starts_with(b"HTTP/1.1 200 "))
        };
        match timeout(PATIENCE, exchange).await {
            Ok(Ok(true)) => asked += 1,
            Ok(other) => return Err(format!("after {asked} requests: {other:?}")),
            Err(_over) => return Err(format!("after {asked} requests: no answer in time")),
        }
        tokio::select! {
            () = over.cancelled() => return Ok(asked),
            () = sleep(PAUSE) => {}
        }
    }
}
