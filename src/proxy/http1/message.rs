//! Heads of HTTP/1.1 as bytes and as values: read without copies of their fields, and written.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig, Status};

use super::coding::Decoder;
use super::head::{After, Framing};
use crate::proxy::limits::{FIELD_BYTES, FIELDS};
use crate::proxy::refusal::Refusal;

/// A request as it was heard.
#[derive(Debug)]
pub(in crate::proxy) struct Heard {
    /// As far as it could be read.
    pub(in crate::proxy) request: Request<()>,
    /// What follows, or why it is refused.
    pub(in crate::proxy) after: Result<After, Refusal>,
}

impl Heard {
    /// A request of which nothing was read.
    pub(in crate::proxy) fn refused(refusal: Refusal) -> Self {
        Self { request: unread(), after: Err(refusal) }
    }

    /// Whether the client may ask again on its connection.
    pub(in crate::proxy) fn keeps(&self) -> bool {
        self.after.is_ok() && keeps(self.request.version(), self.request.headers())
    }

    /// Whether it waits to be told that its body is wanted.
    pub(in crate::proxy) fn expects(&self) -> bool {
        self.request.version() == Version::HTTP_11 && self.request.headers().contains_key(EXPECT)
    }
}

/// Reads the whole head of a request.
pub(in crate::proxy) fn request(head: &Bytes) -> Heard {
    let mut request = unread();
    let after = read_request(head, &mut request);
    Heard { request, after }
}

/// What stands for a request of which nothing is known.
fn unread() -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("*");
    request
}

fn read_request(head: &Bytes, request: &mut Request<()>) -> Result<After, Refusal> {
    let mut space = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
    let mut read = httparse::Request::new(&mut []);
    let parsed = ParserConfig::default().parse_request_with_uninit_headers(&mut read, head, &mut space);
    let (method, target, version) = match parsed {
        Ok(Status::Complete(_)) => (read.method, read.path, read.version),
        Ok(Status::Partial) => return Err(Refusal::Malformed("the head is not whole")),
        Err(httparse::Error::TooManyHeaders) => return Err(Refusal::HeadTooLarge),
        Err(httparse::Error::Version) => {
            return Err(Refusal::Malformed("this version of HTTP is not spoken"));
        }
        Err(_) => return Err(Refusal::Malformed("the head is not one of HTTP")),
    };
    let (Some(method), Some(target), Some(version)) = (method, target, version) else {
        return Err(Refusal::Malformed("the request line is not whole"));
    };
    let method = Method::from_bytes(method.as_bytes());
    *request.method_mut() = method.map_err(|_| Refusal::Malformed("the method is none"))?;
    *request.version_mut() = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    if target.len() > crate::proxy::limits::TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    let target = Uri::from_maybe_shared(head.slice_ref(target.as_bytes()));
    *request.uri_mut() = target.map_err(|_| Refusal::Malformed("the address is none"))?;
    let mut framing = Framing::default();
    let fields = request.headers_mut();
    fields.reserve(read.headers.len() + 8);
    for Header { name, value } in read.headers.iter() {
        if name.len() + value.len() > FIELD_BYTES {
            return Err(Refusal::HeadTooLarge);
        }
        framing.field(name, value)?;
        let (name, value) = field(head, name, value).ok_or(Refusal::Malformed("a field is none"))?;
        fields.append(name, value);
    }
    framing.after(version)
}

fn field(head: &Bytes, name: &str, value: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_maybe_shared(head.slice_ref(value)).ok()?))
}

/// Reads fields alone, with the empty line behind them.
pub(in crate::proxy) fn fields(bytes: &Bytes) -> Option<HeaderMap> {
    let mut space = [httparse::EMPTY_HEADER; FIELDS];
    match httparse::parse_headers(bytes, &mut space) {
        Ok(Status::Complete((_, read))) => {
            read.iter().map(|Header { name, value }| field(bytes, name, value)).collect()
        }
        Ok(Status::Partial) | Err(_) => None,
    }
}

/// The head of an answer, and what follows it.
#[derive(Debug)]
pub(in crate::proxy) struct Said {
    pub(in crate::proxy) answer: Response<()>,
    pub(in crate::proxy) body: Decoder,
    /// Whether the target may be asked again on its connection.
    pub(in crate::proxy) keeps: bool,
}

/// Reads the whole head of an answer to a request with this method.
pub(in crate::proxy) fn answer(head: &Bytes, method: &Method) -> Result<Said, &'static str> {
    let mut space = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
    let mut read = httparse::Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut read, head, &mut space);
    let (Ok(Status::Complete(_)), Some(version), Some(code)) = (parsed, read.version, read.code) else {
        return Err("its head is not one of HTTP");
    };
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(code).map_err(|_| "its status is none")?;
    *answer.version_mut() = if version == 0 { Version::HTTP_10 } else { Version::HTTP_11 };
    let fields = answer.headers_mut();
    fields.reserve(read.headers.len() + 4);
    for Header { name, value } in read.headers.iter() {
        let (name, value) = self::field(head, name, value).ok_or("a field is none")?;
        fields.append(name, value);
    }
    let body = body_of(&mut answer, method)?;
    let keeps = keeps(answer.version(), answer.headers()) && (body.left().is_some() || chunked(&answer));
    Ok(Said { answer, body, keeps })
}

fn chunked(answer: &Response<()>) -> bool {
    answer.headers().contains_key(TRANSFER_ENCODING)
}

/// How the body of an answer is framed (RFC 9112, 6.3).
fn body_of(answer: &mut Response<()>, method: &Method) -> Result<Decoder, &'static str> {
    let length = length(answer.headers_mut())?;
    let bodiless = answer.status().is_informational()
        || matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let mut codings = answer.headers().get_all(TRANSFER_ENCODING).iter();
    let coding = codings.next();
    if codings.next().is_some()
        || coding.is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
        || (coding.is_some() && answer.version() == Version::HTTP_10)
    {
        return Err("its transfer coding is not exactly `chunked`");
    }
    Ok(match (coding, length) {
        _ if bodiless || *method == Method::HEAD => Decoder::length(0),
        (Some(_), _) => Decoder::padded_chunks(),
        (None, Some(length)) => Decoder::length(length),
        (None, None) => Decoder::until_close(),
    })
}

/// The length that an answer names, once.
fn length(fields: &mut HeaderMap) -> Result<Option<u64>, &'static str> {
    let mut lengths = fields.get_all(CONTENT_LENGTH).iter();
    let Some(first) = lengths.next() else { return Ok(None) };
    let (others, equal) = lengths.fold((0, true), |(count, equal), next| (count + 1, equal && next == first));
    let digits = first.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let length = digits.and_then(|text| text.parse().ok()).filter(|_| equal);
    let length = length.ok_or("its length is not one number")?;
    if others > 0 {
        let first = first.clone();
        fields.insert(CONTENT_LENGTH, first);
    }
    Ok(Some(length))
}

/// Whether a connection goes on after this message.
fn keeps(version: Version, fields: &HeaderMap) -> bool {
    let mut keeps = version == Version::HTTP_11;
    for value in fields.get_all(CONNECTION) {
        for token in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            if token.eq_ignore_ascii_case(b"close") {
                return false;
            }
            keeps |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
    keeps
}

/// Writes the head of a request to a target. Its host stands among the lines of the introduction.
pub(in crate::proxy) fn write_request(
    out: &mut BytesMut,
    method: &Method,
    uri: &Uri,
    introduction: &[u8],
    fields: &HeaderMap,
) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.extend_from_slice(b" ");
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if !target.starts_with(['/', '*']) {
        // An address with a host may have no path.
        out.extend_from_slice(b"/");
    }
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    out.extend_from_slice(introduction);
    for (name, value) in fields.iter().filter(|(name, _)| *name != HOST) {
        write_field(out, name, value);
    }
}

/// Writes the first line of an answer.
pub(in crate::proxy) fn write_status(out: &mut BytesMut, version: Version, status: StatusCode) {
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    out.extend_from_slice(b" ");
    out.extend_from_slice(status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes one field.
pub(in crate::proxy) fn write_field(out: &mut BytesMut, name: &HeaderName, value: &HeaderValue) {
    out.extend_from_slice(name.as_str().as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(head: &str, method: &Method) -> Result<(u16, Option<u64>, bool), &'static str> {
        let head = Bytes::from(head.replace('\n', "\r\n"));
        answer(&head, method).map(|said| (said.answer.status().as_u16(), said.body.left(), said.keeps))
    }

    #[test]
    fn bodies_of_answers() {
        for (head, expected) in [
            ("HTTP/1.1 200 OK\nContent-Length: 5\n\n", Ok((200, Some(5), true))),
            ("HTTP/1.1 200 \nContent-Length: 5\nContent-Length: 5\n\n", Ok((200, Some(5), true))),
            ("HTTP/1.1 200 OK\nContent-Length: 5\nConnection: x, Close\n\n", Ok((200, Some(5), false))),
            ("HTTP/1.0 200 OK\nContent-Length: 5\n\n", Ok((200, Some(5), false))),
            ("HTTP/1.0 200 OK\nContent-Length: 5\nConnection: keep-alive\n\n", Ok((200, Some(5), true))),
            ("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 5\n\n", Ok((200, None, true))),
            ("HTTP/1.1 200 OK\n\n", Ok((200, None, false))),
            ("HTTP/1.1 204 No Content\nContent-Length: 5\n\n", Ok((204, Some(0), true))),
            ("HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n", Ok((304, Some(0), true))),
            ("HTTP/1.1 103 Early Hints\n\n", Ok((103, Some(0), true))),
        ] {
            assert_eq!(said(head, &Method::GET), expected, "{head}");
        }
        assert_eq!(said("HTTP/1.1 200 OK\nContent-Length: 5\n\n", &Method::HEAD), Ok((200, Some(0), true)));
        for head in [
            "HTTP/1.1 200 OK\nContent-Length: 5\nContent-Length: 6\n\n",
            "HTTP/1.1 200 OK\nContent-Length: 5, 5\n\n",
            "HTTP/1.1 200 OK\nContent-Length: +5\n\n",
            "HTTP/1.1 200 OK\nContent-Length:\n\n",
            "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n",
            "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n",
            "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\n",
            "HTTP/1.1 2 OK\n\n",
            "HTTP/2.0 200 OK\n\n",
            "nonsense\n\n",
        ] {
            assert!(said(head, &Method::GET).is_err(), "{head}");
        }
    }

    #[test]
    fn a_head_is_read_and_written() {
        let head = "GET /x?y=%20 HTTP/1.1\r\nHost: a.org\r\nX-A: 1\r\nx-a:  2 \r\n";
        let whole = Bytes::from(format!("{head}\r\n"));
        let read = self::request(&whole);
        assert_eq!((read.after, read.keeps(), read.expects()), (Ok(After::Body(0)), true, false));
        let request = read.request;
        let mut out = BytesMut::new();
        write_request(&mut out, request.method(), request.uri(), b"host: b.org\r\n", request.headers());
        assert_eq!(out, "GET /x?y=%20 HTTP/1.1\r\nhost: b.org\r\nx-a: 1\r\nx-a: 2\r\n");
    }

    #[test]
    fn what_is_refused_is_told_as_far_as_it_was_read() {
        let head = Bytes::from("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n");
        let Heard { request, after } = self::request(&head);
        assert_eq!((request.uri().path(), request.method()), ("/x", &Method::POST));
        assert_eq!(after, Err(Refusal::Malformed("Content-Length is not a number")));
        let Heard { request, after } = self::request(&Bytes::from("PRI * HTTP/2.0\r\n\r\n"));
        assert!(after.is_err());
        assert_eq!(request.uri().path(), "*");
    }
}
