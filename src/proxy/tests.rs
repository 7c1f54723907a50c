//! The whole proxy on loopback: real listeners, real targets, bytes as a client would send them.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::link::client::Client;
use super::table::{Route, Routes, Target, Via, write};
use crate::domain::time::Timestamp;

use super::{Limits, Listeners, Notice, ProxyError, Settings, access_log, control};

mod conformance;
mod downgrade;
mod foresight;
mod frames;
mod framing;
mod generations;
mod h2c;
mod http2;
mod patience;
mod replicas;
mod rules;
mod secure;
mod seeing;
mod serving;
mod smuggling;
mod switching;
mod tls;
mod tunnels;
mod websockets;

/// No test waits longer than this for what must come.
const SURELY: Duration = Duration::from_secs(20);

/// A running proxy.
struct Proxy {
    address: SocketAddr,
    /// The same with TLS.
    secure: SocketAddr,
    link: Client,
    routes: PathBuf,
    certs: PathBuf,
    stop: CancellationToken,
    thread: std::thread::JoinHandle<Result<(), ProxyError>>,
    dir: Arc<TempDir>,
}

impl Proxy {
    /// Two workers on a listener of its own.
    async fn start(limits: Limits, routes: &[(&str, SocketAddr)]) -> Self {
        Self::start_on(StdListener::bind("127.0.0.1:0").unwrap(), limits, routes).await
    }

    async fn start_on(listener: StdListener, limits: Limits, routes: &[(&str, SocketAddr)]) -> Self {
        Self::start_as(listener, table(1, routes), |settings| settings.limits = limits).await
    }

    /// Serves `routes` by settings that are the usual ones but for what `change` does.
    async fn start_with(routes: Routes, change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_as(StdListener::bind("127.0.0.1:0").unwrap(), routes, change).await
    }

    async fn start_as(listener: StdListener, routes: Routes, change: impl FnOnce(&mut Settings)) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        write(&dir.path().join("routes.json"), &routes).unwrap();
        std::fs::create_dir(dir.path().join("certs")).unwrap();
        Self::start_in(dir, ["proxy.sock", "next.sock"], listener, change).await
    }

    /// With the routes that are there, and its own link before the other's.
    async fn start_in(
        dir: Arc<TempDir>,
        links: [&str; 2],
        listener: StdListener,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let path = dir.path().join("routes.json");
        let address = listener.local_addr().unwrap();
        let https = StdListener::bind("127.0.0.1:0").unwrap();
        let secure = https.local_addr().unwrap();
        let listeners = Listeners { http: vec![listener], https: vec![https] };
        let certs = dir.path().join("certs");
        let [link, sibling] = links.map(|link| dir.path().join(link));
        let mut settings = Settings {
            workers: Some(2),
            routes: path.clone(),
            certs: certs.clone(),
            link,
            sibling,
            broker: None,
            heartbeat: None,
            access_log: None,
            trusted: Vec::new(),
            proxy_protocol: false,
            https_port: 443,
            clock: || Timestamp(1_795_433_078_120),
            limits: Limits::default(),
        };
        change(&mut settings);
        let link = Client::new(&settings.link);
        let (stop, (ready, is_ready)) = (CancellationToken::new(), oneshot::channel());
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let ready = std::cell::Cell::new(Some(ready));
            let notify = move |notice| {
                if let (Notice::Ready(_), Some(ready)) = (notice, ready.take()) {
                    ready.send(()).unwrap();
                }
            };
            LocalSet::new().block_on(&runtime, control(&settings, listeners, notify, stopped))
        });
        timeout(SURELY, is_ready).await.unwrap().unwrap();
        Self { address, secure, link, routes: path, certs, stop, thread, dir }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What comes back on a connection of its own until it ends.
    async fn say(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect().await;
        // The proxy may have heard enough before all was said.
        let _heard = stream.write_all(bytes.as_ref()).await;
        let mut answer = Vec::new();
        let _reset = timeout(SURELY, stream.read_to_end(&mut answer)).await.expect("the connection ends");
        String::from_utf8(answer).unwrap()
    }

    async fn route(&self, generation: u64, routes: &[(&str, SocketAddr)]) {
        self.put(&table(generation, routes)).await;
    }

    async fn put(&self, routes: &Routes) {
        write(&self.routes, routes).unwrap();
        assert_eq!(self.link.load().await.unwrap(), routes.generation);
    }

    async fn in_flight(&self, key: SocketAddr) -> u64 {
        let status = self.link.status().await.unwrap();
        status
            .targets
            .iter()
            .find(|target| target.key == key.to_string())
            .map_or(0, |target| target.in_flight)
    }

    async fn stop(self) -> Result<(), ProxyError> {
        self.stop.cancel();
        tokio::task::spawn_blocking(|| self.thread.join().unwrap()).await.unwrap()
    }
}

/// Routes whose keys are the addresses of their targets, and whose labels are their hosts; rows of one host stand side
/// by side.
fn table(generation: u64, routes: &[(&str, SocketAddr)]) -> Routes {
    let target =
        |address: &SocketAddr| Target { key: address.to_string(), via: Via::Host, address: *address };
    let route = |rows: &[(&str, SocketAddr)]| {
        let plain = Route::plain(rows[0].0, rows.iter().map(|(_, address)| target(address)).collect());
        Route { label: Some(rows[0].0.to_owned()), ..plain }
    };
    let routes = routes.chunk_by(|a, b| a.0 == b.0).map(route).collect();
    Routes { generation, routes, ..Routes::default() }
}

/// A target that gives each connection to `serve`; ends with what is returned.
async fn target<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> (SocketAddr, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    target_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), serve)
}

fn target_on<F>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    let serving = async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tasks.spawn(serve(stream));
        }
    };
    let mut task = JoinSet::new();
    task.spawn(serving);
    (address, task)
}

/// A target that says back what it was sent, and its own name.
async fn echo(name: &'static str) -> (SocketAddr, JoinSet<()>) {
    echo_on(TcpListener::bind("127.0.0.1:0").await.unwrap(), name)
}

fn echo_on(listener: TcpListener, name: &'static str) -> (SocketAddr, JoinSet<()>) {
    target_on(listener, move |stream| async move {
        let service =
            service_fn(move |request| async move { Ok::<_, Infallible>(repeat(name, request).await) });
        let _left =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    })
}

async fn repeat(name: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    use std::fmt::Write;
    let (head, body) = request.into_parts();
    let mut text = format!("{name}\n{} {}\n", head.method, head.uri);
    for (field, value) in &head.headers {
        writeln!(text, "{field}: {}", value.to_str().unwrap()).unwrap();
    }
    let body = body.collect().await.unwrap().to_bytes();
    writeln!(text, "\n{} bytes: {}", body.len(), String::from_utf8_lossy(&body)).unwrap();
    Response::new(Full::from(text))
}

/// Reads the head of a request or response, and no byte more.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    let reading = async {
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        Ok::<_, std::io::Error>(())
    };
    timeout(SURELY, reading).await.expect("a head comes").expect("a whole head comes");
    String::from_utf8(head).unwrap()
}

/// Reads a response with a Content-Length.
async fn read_answer(stream: &mut TcpStream) -> (String, String) {
    let head = read_head(stream).await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).expect("a length");
    let mut body = vec![0; length.parse().unwrap()];
    timeout(SURELY, stream.read_exact(&mut body)).await.expect("a body comes").unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// A refusal to connect: the address is kept for as long as this process lives, and not listened on.
fn nowhere() -> SocketAddr {
    let (address, kept) = not_yet();
    std::mem::forget(kept);
    address
}

/// The same until its socket listens.
fn not_yet() -> (SocketAddr, TcpSocket) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    (socket.local_addr().unwrap(), socket)
}
