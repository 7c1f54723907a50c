//! Does a target answer? Asked on the very path that traffic takes, again and again until it does or time is over.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{HOST, USER_AGENT};
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::dial::{DialError, Dialer};
use super::http2::Beside;
use super::rules::Protocol;
use super::table::Target;

/// The pause after the first failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest pause: an app that is ready waits no longer than this for its traffic.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// A try that time was over for sooner than this tells nothing about the target.
const TELLING: Duration = Duration::from_secs(1);

/// What to ask, and of whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Who is asked.
    pub target: Target,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// The path to ask for; without it a connection is enough.
    pub path: Option<String>,
    /// The Host to name: many apps refuse those they do not know. Without it, the target's address.
    pub host: Option<String>,
    /// The first and the last status that count as an answer.
    pub statuses: (u16, u16),
    /// How long one answer may take.
    pub attempt: Duration,
    /// When to give up.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It answered: took the connection, or said a status that counts.
    Answered {
        /// From the beginning of the probe.
        after: Duration,
        /// The status, if a path was asked for.
        status: Option<u16>,
    },
    /// It did not until time was over.
    Never {
        /// What the last try met, in words.
        last: String,
    },
}

/// Probes until there is an answer or time is over.
pub(super) async fn probe(dialer: &Dialer, probe: &Probe) -> ProbeOutcome {
    let Probe { target, protocol, path, host, statuses, attempt, timeout: limit } = probe;
    let request = path.as_deref().map(|path| request(target, *protocol, path, host.as_deref()));
    let request = match request.transpose() {
        Ok(request) => request,
        Err(error) => return ProbeOutcome::Never { last: format!("the probe cannot be asked: {error}") },
    };
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last = None;
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            let last = last.unwrap_or_else(|| String::from("there was no time to ask"));
            return ProbeOutcome::Never { last };
        }
        match once(dialer, target, *protocol, request.clone(), *statuses, left.min(*attempt)).await {
            Ok(status) => return ProbeOutcome::Answered { after: begun.elapsed(), status },
            // A try that was cut short says less than the one before it.
            Err(_) if left < TELLING && begun.elapsed() >= *limit && last.is_some() => {}
            Err(words) => last = Some(words),
        }
        sleep(pause.min(limit.saturating_sub(begun.elapsed()))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

type ProbeRequest = Request<Empty<Bytes>>;

/// What is sent to a target to ask for a path.
pub(super) fn request(
    target: &Target,
    protocol: Protocol,
    path: &str,
    host: Option<&str>,
) -> Result<ProbeRequest, http::Error> {
    let host = host.map_or_else(|| target.address.to_string(), str::to_owned);
    let path = http::uri::PathAndQuery::try_from(path)?;
    let request = Request::get(http::Uri::from(path.clone())).header(USER_AGENT, "rivetr-probe");
    let request = match protocol {
        Protocol::Http1 => request.header(HOST, host),
        Protocol::H2c => {
            let uri = http::Uri::builder().scheme("http").authority(host).path_and_query(path).build()?;
            request.uri(uri).version(Version::HTTP_2)
        }
    };
    request.body(Empty::new())
}

/// Asks once; the status, or in words why there is none that counts.
pub(super) async fn once(
    dialer: &Dialer,
    target: &Target,
    protocol: Protocol,
    request: Option<ProbeRequest>,
    (first, last): (u16, u16),
    limit: Duration,
) -> Result<Option<u16>, String> {
    let asked = async {
        let stream = dialer.connect(target).await.map_err(|error| words(&error))?;
        let Some(request) = request else { return Ok(None) };
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        let status = ask(stream, protocol, request).await.map_err(|error| {
            format!("{} took the connection and did not answer with HTTP: {error}", target.address)
        })?;
        if (first..=last).contains(&status.as_u16()) {
            return Ok(Some(status.as_u16()));
        }
        Err(format!("{path} answered with status {status}, not one from {first} to {last}"))
    };
    let late = |_| {
        let seconds = limit.as_secs_f64();
        Err(format!("timeout: {} did not answer within {seconds:.1} s", target.address))
    };
    timeout(limit, asked).await.unwrap_or_else(late)
}

async fn ask(stream: TcpStream, protocol: Protocol, request: ProbeRequest) -> hyper::Result<StatusCode> {
    if protocol == Protocol::H2c {
        let executor = Beside(TaskTracker::new());
        let (mut sender, connection) = http2::handshake(executor, TokioIo::new(stream)).await?;
        let asked = std::pin::pin!(sender.send_request(request));
        let answered = match select(asked, std::pin::pin!(connection)).await {
            Either::Left((answered, _connection)) => answered,
            Either::Right((_ended, asked)) => asked.await,
        };
        return answered.map(|response: Response<Incoming>| response.status());
    }
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asked = async move {
        sender.send_request(request).await.map(|response: Response<Incoming>| response.status())
    };
    // With the answer the sender is gone, and with it the connection.
    let (status, _ended) = tokio::join!(asked, connection);
    status
}

fn words(error: &DialError) -> String {
    match error {
        DialError::Refused(address) => format!("refused: nothing listens on {address}"),
        DialError::TimedOut(..) => format!("timeout: {error}"),
        DialError::Other(..) | DialError::NoNamespace(_) | DialError::Broker { .. } | DialError::NoBroker => {
            error.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::proxy::table::Via;

    async fn run(path: Option<&str>, answers: Vec<&'static str>, limit: Duration) -> ProbeOutcome {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Target { key: "a".into(), via: Via::Host, address };
        let silent_at = path.is_some().then_some("");
        let server = async move {
            let mut silent = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut asked = [0; 1024];
                let count = stream.read(&mut asked).await.unwrap();
                assert!(count == 0 || asked.starts_with(b"GET /up HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).await.unwrap();
                if silent_at == Some(answer) {
                    silent.push(stream);
                }
            }
            // Then nothing listens there any more.
            drop(listener);
            std::future::pending::<()>().await;
        };
        let dialer = Dialer::new(None, Duration::from_secs(5));
        let (statuses, attempt) = ((200, 399), Duration::from_secs(10));
        let path = path.map(str::to_owned);
        let protocol = Protocol::default();
        let asked = Probe { target, protocol, path, host: None, statuses, attempt, timeout: limit };
        tokio::select! {
            outcome = probe(&dialer, &asked) => outcome,
            () = server => unreachable!("the server never ends"),
        }
    }

    const BUSY: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    const MOVED: &str =
        "HTTP/1.1 302 Found\r\nlocation: /x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

    #[tokio::test]
    async fn it_asks_until_there_is_an_answer() {
        let outcome = run(Some("/up"), vec![BUSY, "nonsense", MOVED], Duration::from_secs(20)).await;
        assert!(matches!(outcome, ProbeOutcome::Answered { status: Some(302), .. }), "{outcome:?}");
    }

    #[tokio::test]
    async fn it_says_what_the_last_try_met() {
        let short = Duration::from_millis(300);
        for (path, answers, expected) in [
            (Some("/up"), vec![BUSY; 50], "status 503"),
            (Some("/up"), vec![""], "timeout"),
            // The little time that is left for the second try says nothing.
            (Some("/up"), vec![BUSY, ""], "status 503"),
            (Some("/up"), vec![], "refused"),
            (None, vec![], "refused"),
            (Some("u p"), vec![], "cannot be asked"),
        ] {
            match run(path, answers, short).await {
                ProbeOutcome::Never { last } => assert!(last.contains(expected), "{last}"),
                ProbeOutcome::Answered { .. } => panic!("there was nothing to answer {expected}"),
            }
        }
    }

    #[tokio::test]
    async fn a_connection_is_enough_without_a_path() {
        let outcome = run(None, vec![""], Duration::from_secs(20)).await;
        assert!(matches!(outcome, ProbeOutcome::Answered { status: None, .. }), "{outcome:?}");
    }
}
