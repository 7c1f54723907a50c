//! The client against a real server: documents, refusals, broken streams.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use futures_util::StreamExt;

use super::testing::Server;
use super::*;
use crate::api::wire;

type Chunk = Result<&'static str, std::io::Error>;

/// Each chunk is sent before the next one is made: a break would otherwise overtake what came before it.
fn stream(chunks: Vec<Chunk>) -> impl IntoResponse {
    let chunks = futures_util::stream::iter(chunks).then(|chunk| async {
        tokio::task::yield_now().await;
        chunk
    });
    ([("content-type", "text/event-stream")], Body::from_stream(chunks))
}

fn breaks() -> Chunk {
    Err(std::io::Error::other("the daemon was killed"))
}

async fn all(events: &mut Events) -> Result<Vec<String>, ClientError> {
    let mut seen = Vec::new();
    while let Some(event) = events.next().await? {
        seen.push(format!("{} {}", event.name, event.data));
    }
    Ok(seen)
}

#[tokio::test]
async fn a_file_is_sent_as_it_is_read() {
    let count = |body: axum::body::Bytes| async move { body.len().to_string() };
    let server = Server::start(Router::new().route("/upload", post(count)));
    let file = tempfile::tempfile().unwrap();
    file.set_len(100_000).unwrap();
    let answer = server.client().upload("/upload", tokio::fs::File::from_std(file)).await.unwrap();
    assert_eq!(answer.text(), "100000");
}

#[tokio::test]
async fn a_connection_is_taken_over_after_a_document() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let echo = |mut request: axum::extract::Request| async move {
        let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>().unwrap();
        let body = axum::body::to_bytes(request.into_body(), 1000).await.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(async move {
            let mut connection = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
            connection.write_all(&body).await.unwrap();
            let mut heard = vec![0; 5];
            connection.read_exact(&mut heard).await.unwrap();
            connection.write_all(&heard).await.unwrap();
        });
        tasks.detach_all();
        (StatusCode::SWITCHING_PROTOCOLS, [("connection", "upgrade"), ("upgrade", "test")], Body::empty())
    };
    let refuse = || async { (StatusCode::CONFLICT, r#"{"error":{"code":"conflict","message":"not live"}}"#) };
    let server = Server::start(Router::new().route("/echo", post(echo)).route("/refuse", post(refuse)));
    let mut connection = server.client().upgrade("/echo", "test", &["a"]).await.unwrap();
    connection.write_all(b"hello").await.unwrap();
    let mut heard = String::new();
    connection.read_to_string(&mut heard).await.unwrap();
    assert_eq!(heard, "[\"a\"]hello");
    let refused = server.client().upgrade("/refuse", "test", &["a"]).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { message, .. } if message == "not live"));
}

#[tokio::test]
async fn documents_come_as_they_were_sent() {
    let echo = |headers: HeaderMap, body: String| async move {
        let field = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        format!(
            "{{\"host\":{:?},\"token\":{:?},\"body\":{body}}}\n",
            field("host").unwrap(),
            field("authorization").unwrap()
        )
    };
    let server = Server::start(Router::new().route("/api/echo", post(echo)));
    let client = Client::new(Target::Socket(server.socket()), Some("rvt_x".to_owned()));
    let answer = client
        .post("/api/echo", &wire::Deploy { commit: Some("c".to_owned()), no_cache: false })
        .await
        .unwrap();
    assert_eq!(answer.text(), r#"{"host":"localhost","token":"Bearer rvt_x","body":{"commit":"c"}}"#);
    let error = answer.decode::<wire::App>().unwrap_err();
    assert!(matches!(error, ClientError::NotUnderstood(_)), "{error}");
    assert!(!format!("{client:?}").contains("rvt_x"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let body =
        r#"{"error":{"code":"c","message":"no such app: blog","fields":{"port":"is taken"},"request":"r1"}}"#;
    let router = Router::new()
        .route("/404", get(move || async move { (StatusCode::NOT_FOUND, body) }))
        .route("/401", get(move || async move { (StatusCode::UNAUTHORIZED, body) }))
        .route("/409", get(move || async move { (StatusCode::CONFLICT, body) }))
        .route("/500", get(move || async move { (StatusCode::INTERNAL_SERVER_ERROR, body) }))
        .route("/nginx", get(|| async { (StatusCode::BAD_GATEWAY, "<html>") }))
        .route("/binary", get(|| async { vec![0xff_u8, 0xfe] }));
    let server = Server::start(router);
    let client = server.client();
    let fetch = async |path: &str| client.get(path).await.unwrap_err();
    assert!(
        matches!(fetch("/404").await, ClientError::NotFound { message } if message == "no such app: blog")
    );
    assert!(matches!(fetch("/401").await, ClientError::Forbidden { .. }));
    assert!(
        matches!(fetch("/409").await, ClientError::Refused { fields, .. } if fields["port"] == "is taken")
    );
    assert!(
        matches!(fetch("/500").await, ClientError::Failed { request, .. } if request.as_deref() == Some("r1"))
    );
    assert!(matches!(fetch("/nginx").await, ClientError::NotRivetr { .. }));
    assert!(matches!(fetch("/binary").await, ClientError::NotRivetr { .. }));
    assert!(matches!(client.events("/404", Ends::WithEvent).await, Err(ClientError::NotFound { .. })));
}

#[tokio::test]
async fn nobody_there_is_said_with_the_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let error = Client::new(Target::Socket(path.clone()), None).get("/").await.unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let bad_token = Client::new(Target::Socket(path), Some("a\nb".to_owned()));
    assert!(bad_token.get("/").await.is_err());
}

#[tokio::test]
async fn a_server_that_hangs_up_is_a_broken_connection() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let client = Client::new(Target::Socket(path), None);
    let (outcome, ()) = tokio::join!(client.get("/"), async { drop(listener.accept().await.unwrap()) });
    assert!(matches!(outcome, Err(ClientError::Broken { .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_broken_stream_goes_on_after_the_last_event() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let handler = move |headers: HeaderMap| {
        let after = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        log.lock().unwrap().push(after.clone());
        let chunks = match after.as_deref() {
            None => vec![Ok("id: 1\ndata: a\n\nid: 2\nda"), Ok("ta: b\n\nid: 3\ndata: never fin"), breaks()],
            Some("2") => vec![Ok(": hello\n\n"), Ok("id: 3\ndata: c\n\n")],
            _ => vec![Ok("event: end\ndata: live\n\n"), breaks()],
        };
        async move { stream(chunks) }
    };
    let server = Server::start(Router::new().route("/log", get(handler)));
    let mut events = server.client().events("/log", Ends::WithEvent).await.unwrap();
    assert_eq!(all(&mut events).await.unwrap(), ["message a", "message b", "message c", "end live"]);
    let after = |id: &str| Some(id.to_owned());
    assert_eq!(*asked.lock().unwrap(), [None, after("2"), after("3")]);
}

#[tokio::test]
async fn a_restart_is_waited_for() {
    let first =
        Router::new().route("/log", get(|| async { stream(vec![Ok("id: 1\ndata: a\n\n"), breaks()]) }));
    let second =
        Router::new().route("/log", get(|| async { stream(vec![Ok("event: end\ndata: live\n\n")]) }));
    let mut server = Server::start(first);
    let mut events = server.client().events("/log", Ends::WithEvent).await.unwrap();
    assert_eq!(events.next().await.unwrap().unwrap().data, "a");
    server.stop();
    // The first attempt finds no socket; the server is back only once it was made.
    let (rest, ()) = tokio::join!(all(&mut events), async {
        tokio::task::yield_now().await;
        server.serve(second);
    });
    assert_eq!(rest.unwrap(), ["end live"]);
}

#[tokio::test]
async fn events_without_an_id_are_not_asked_for_twice() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let handler = move || {
        count.fetch_add(1, Ordering::Relaxed);
        async { stream(vec![Ok("data: a\n\n"), breaks()]) }
    };
    let server = Server::start(Router::new().route("/log", get(handler)));
    let mut events = server.client().events("/log", Ends::WithStream).await.unwrap();
    assert!(matches!(all(&mut events).await, Err(ClientError::Broken { .. })));
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_stream_may_end_with_its_last_byte() {
    let handler = || async { stream(vec![Ok("data: a\n\ndata: b\n\n")]) };
    let server = Server::start(Router::new().route("/log", get(handler)));
    let mut events = server.client().events("/log", Ends::WithStream).await.unwrap();
    assert_eq!(all(&mut events).await.unwrap(), ["message a", "message b"]);
}

#[tokio::test]
async fn a_resumed_stream_that_is_refused_says_why() {
    let handler = |headers: HeaderMap| async move {
        if headers.contains_key("last-event-id") {
            let gone = r#"{"error":{"code":"not_found","message":"the log is gone"}}"#;
            return (StatusCode::NOT_FOUND, gone).into_response();
        }
        stream(vec![Ok("id: 1\ndata: a\n\n"), breaks()]).into_response()
    };
    let server = Server::start(Router::new().route("/log", get(handler)));
    let mut events = server.client().events("/log", Ends::WithEvent).await.unwrap();
    assert!(matches!(all(&mut events).await, Err(ClientError::NotFound { .. })));
}

#[tokio::test]
async fn a_page_is_not_taken_for_a_stream() {
    let server = Server::start(Router::new().route("/log", get(|| async { "hello" })));
    let outcome = server.client().events("/log", Ends::WithEvent).await;
    assert!(matches!(outcome, Err(ClientError::NotRivetr { .. })));
}

#[tokio::test]
async fn a_server_over_https_is_believed_by_its_roots() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::{ServerConfig, crypto};

    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = made.signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            assert!(String::from_utf8(head).unwrap().contains("authorization: Bearer rvt_x"));
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    crate::files::write_whole(&ca, made.cert.pem().as_bytes(), 0o600).unwrap();
    let target = Target::parse(&format!("https://localhost:{port}")).unwrap();
    let client = Client::new(target, Some("rvt_x".to_owned()));
    let error = client.get("/api/apps").await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    let client = client.with_roots(Some(ca.clone()));
    assert_eq!(client.get("/api/apps").await.unwrap().text(), "{}");
    // The same server under a name that its certificate is not for.
    let other = Target::parse(&format!("https://127.0.0.1:{port}")).unwrap();
    let error = Client::new(other, None).with_roots(Some(ca)).get("/").await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
}
