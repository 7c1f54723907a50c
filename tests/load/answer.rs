//! The app: a short page at once or after a while, and an echo. It keeps connections, as most apps do, and ends at once
//! when it is told to.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;
use tokio::time::sleep;

/// The short page.
pub const PAGE: &str = "You asked, and this is the answer.\n";
/// Below this path an answer takes as many milliseconds as it says.
const WAIT: &str = "/wait/";

/// Answers at a port of all addresses until it is told to end.
pub fn run(port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let local = LocalSet::new();
    local.block_on(&runtime.expect("a runtime can be made"), async {
        let mut end = signal(SignalKind::terminate()).expect("signals can be taken");
        tokio::select! {
            _ = end.recv() => {}
            () = serve(port) => {}
        }
    });
}

async fn serve(port: u16) {
    let listener = TcpListener::bind(("0.0.0.0", port)).await.expect("the port is free");
    loop {
        let (stream, _) = listener.accept().await.expect("connections are accepted");
        stream.set_nodelay(true).ok();
        let server = http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        // A client that leaves is no failure of the app.
        tokio::task::spawn_local(async move { server.with_upgrades().await.ok() });
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::from(PAGE));
    if let Some(wait) = request.uri().path().strip_prefix(WAIT) {
        sleep(Duration::from_millis(wait.parse().unwrap_or(0))).await;
    } else if request.headers().contains_key(UPGRADE) {
        tokio::task::spawn_local(echo(request));
        response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    Ok(response)
}

async fn echo(request: Request<Incoming>) {
    let Ok(tunnel) = hyper::upgrade::on(request).await else { return };
    let (mut from, mut to) = tokio::io::split(TokioIo::new(tunnel));
    tokio::io::copy(&mut from, &mut to).await.ok();
}
