//! One line: a JSON object, with nothing in it that could end the line or drive a terminal.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::domain::time::Timestamp;

/// What a request was and how it ended. Fields that say nothing are left out; Authorization and Cookie have none.
#[derive(Debug, Serialize)]
pub(in crate::proxy) struct Line<'a> {
    /// When it ended.
    #[serde(serialize_with = "time")]
    pub(in crate::proxy) time: Timestamp,
    pub(in crate::proxy) id: &'a str,
    pub(in crate::proxy) client: IpAddr,
    pub(in crate::proxy) method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) host: Option<Cow<'a, str>>,
    pub(in crate::proxy) path: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) query: Option<Cow<'a, str>>,
    /// Null: the client left before there was one.
    pub(in crate::proxy) status: Option<u16>,
    /// Of the answer's body, or through a tunnel.
    pub(in crate::proxy) bytes: u64,
    /// Of the request's body, or through a tunnel.
    pub(in crate::proxy) bytes_in: u64,
    #[serde(rename = "duration_ms", serialize_with = "millis")]
    pub(in crate::proxy) duration: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) target: Option<&'a str>,
    pub(in crate::proxy) protocol: &'static str,
    pub(in crate::proxy) tls: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) user_agent: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "is_zero")]
    pub(in crate::proxy) retries: u32,
    /// Why the proxy answered by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) refusal: Option<String>,
    /// How the answer ended, if not as it should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::proxy) end: Option<&'static str>,
}

/// What stands where lines were given up.
#[derive(Serialize)]
struct Dropped {
    #[serde(serialize_with = "time")]
    time: Timestamp,
    dropped: u64,
}

/// The line that says how many others are missing.
pub(super) fn dropped(time: Timestamp, dropped: u64) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Dropped { time, dropped }).unwrap_or_default();
    line.push(b'\n');
    line
}

/// A stranger's text, at most so many bytes of it, without what could drive a terminal.
pub(in crate::proxy) fn cleaned(bytes: &[u8], most: usize) -> Cow<'_, str> {
    let kept = bytes.get(..most).unwrap_or(bytes);
    let text = String::from_utf8_lossy(kept);
    if kept.len() == bytes.len() && !text.contains(char::is_control) {
        return text;
    }
    let mut clean: String =
        text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    if kept.len() < bytes.len() {
        clean.push('…');
    }
    clean.into()
}

/// RFC 3339 in UTC, to the millisecond.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn time<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    serializer.collect_str(&format_args!("{at:.3}"))
}

/// To the microsecond, for a request that is not as long as a tunnel may be.
fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    let micros = u32::try_from(duration.as_micros());
    let millis = micros.map_or_else(|_| duration.as_secs_f64().round() * 1000.0, |us| f64::from(us) / 1000.0);
    serializer.serialize_f64(millis)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in references")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line<'a>() -> Line<'a> {
        Line {
            time: Timestamp(1_795_433_078_120),
            id: "7-1",
            client: "192.0.2.7".parse().unwrap(),
            method: "GET",
            host: Some("a.test".into()),
            path: "/".into(),
            query: None,
            status: Some(200),
            bytes: 12,
            bytes_in: 0,
            duration: Duration::from_micros(1_250),
            app: Some("blog"),
            target: Some("rivetr-app-blog-7"),
            protocol: "HTTP/1.1",
            tls: false,
            user_agent: None,
            retries: 0,
            refusal: None,
            end: None,
        }
    }

    fn check(line: &Line<'_>, expect: &str) {
        assert_eq!(serde_json::to_string(line).unwrap(), expect);
    }

    #[test]
    fn lines() {
        check(
            &line(),
            r#"{"time":"2026-11-23T11:24:38.120Z","id":"7-1","client":"192.0.2.7","method":"GET","host":"a.test","path":"/","status":200,"bytes":12,"bytes_in":0,"duration_ms":1.25,"app":"blog","target":"rivetr-app-blog-7","protocol":"HTTP/1.1","tls":false}"#,
        );
        check(
            &Line {
                host: None,
                path: "/\"\\".into(),
                query: Some("a=b".into()),
                status: None,
                duration: Duration::from_hours(2),
                app: None,
                target: None,
                user_agent: Some("curl/8".into()),
                retries: 1,
                refusal: Some("no such host here".to_owned()),
                end: Some("the client left"),
                ..line()
            },
            r#"{"time":"2026-11-23T11:24:38.120Z","id":"7-1","client":"192.0.2.7","method":"GET","path":"/\"\\","query":"a=b","status":null,"bytes":12,"bytes_in":0,"duration_ms":7200000.0,"protocol":"HTTP/1.1","tls":false,"user_agent":"curl/8","retries":1,"refusal":"no such host here","end":"the client left"}"#,
        );
        assert_eq!(dropped(Timestamp(0), 3), b"{\"time\":\"1970-01-01T00:00:00.000Z\",\"dropped\":3}\n");
    }

    #[test]
    fn what_strangers_write_is_harmless() {
        for (text, most, expect) in [
            (&b"plain \xc3\xa4"[..], 99, "plain ä"),
            (b"a\nb\x1b[2J\x7f\x00", 99, "a\u{fffd}b\u{fffd}[2J\u{fffd}\u{fffd}"),
            (b"\xc2\x9b31m", 99, "\u{fffd}31m"),
            (b"\xff", 99, "\u{fffd}"),
            (b"abcdef", 6, "abcdef"),
            (b"abcdef", 5, "abcde…"),
            (b"abcd\xc3\xa4", 5, "abcd\u{fffd}…"),
        ] {
            assert_eq!(cleaned(text, most), expect, "{text:?}");
        }
    }
}
