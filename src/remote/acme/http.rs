//! HTTPS to the server: with roots of this machine or of a file, with limits, and with an ear for `Retry-After`.

use std::cell::Cell;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, Request};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use jiff::fmt::rfc2822;
use tokio::time::timeout;

use super::super::tls::believing;

/// How long the server may take for one answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// How long a connection is kept that nobody uses.
const IDLE_LIMIT: Duration = Duration::from_secs(20);

tokio::task_local! {
    /// What the last refusal of this exchange said about when to come back.
    pub(super) static TOLD: Cell<Option<Duration>>;
}

/// Connections to the server.
pub(super) struct Http(Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>);

/// Connections that trust the roots of this machine, or those in a file alone.
pub(super) fn client(ca_file: Option<&Path>) -> Result<Http, String> {
    let config = believing(ca_file).map_err(|error| format!("ca_file: {error}"))?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_only()
        .enable_http1()
        .enable_http2()
        .build();
    let mut builder = Client::builder(TokioExecutor::new());
    builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_LIMIT);
    Ok(Http(builder.build(connector)))
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let answer = HttpClient::request(&self.0, request);
        Box::pin(async move {
            let late = |_| Error::Other(format!("no answer within {} s", ANSWER_LIMIT.as_secs()).into());
            let answer = timeout(ANSWER_LIMIT, answer).await.map_err(late)??;
            if !answer.parts.status.is_success() {
                // An error says that nobody wants to know.
                TOLD.try_with(|told| told.set(retry_after(&answer.parts.headers))).ok();
            }
            Ok(answer)
        })
    }
}

/// How long to wait: a number of seconds, or a date, which is measured by the server's own clock (RFC 9110, 10.2.3).
fn retry_after(fields: &HeaderMap) -> Option<Duration> {
    let text = fields.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let now = date(fields.get(DATE)?.to_str().ok()?)?;
    Duration::try_from(date(text)?.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn when_to_come_back() {
        let check = |after: &'static str, date: &'static str, seconds: Option<u64>| {
            let mut fields = HeaderMap::new();
            fields.insert(RETRY_AFTER, after.parse().unwrap());
            fields.insert(DATE, date.parse().unwrap());
            assert_eq!(retry_after(&fields), seconds.map(Duration::from_secs), "{after}");
        };
        let date = "Fri, 31 Dec 1999 23:59:29 GMT";
        check("120", date, Some(120));
        check("Fri, 31 Dec 1999 23:59:59 GMT", date, Some(30));
        check("Fri, 31 Dec 1999 23:59:00 GMT", date, None);
        check("soon", date, None);
        check("-1", date, None);
        check("Fri, 31 Dec 1999 23:59:59 GMT", "now", None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
