//! Requests by which one could be taken for two, or for another's (P1, P2, P5, P7). Each of the corpus becomes exactly
//! the requests that its file says, or is refused; however its bytes come, and whoever asks next is not touched.

use std::sync::Mutex;

use futures_util::StreamExt;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/proxy/tests/smuggling/http1.txt");
/// Cases that are tried side by side.
const AT_ONCE: usize = 8;
/// What stands behind every case.
const LAST: &str = "GET /last HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";
/// What another client asks next.
pub(super) const VICTIM: &str = "GET /victim";
/// What is asked of the recorder itself.
const END: &str = "GET /end HTTP/1.1\r\nHost: a.test\r\n\r\n";
/// Cases longer than this are not sent byte by byte.
const PIECES: usize = 2000;

#[tokio::test]
async fn one_framing_or_none() {
    all(false).await;
}

#[tokio::test]
async fn also_in_single_bytes() {
    all(true).await;
}

async fn all(pieces: bool) {
    let corpus = std::fs::read_to_string(CORPUS).unwrap();
    let cases: Vec<Case> =
        cases(corpus.trim_end_matches('\n')).filter(|case| !pieces || case.bytes.len() < PIECES).collect();
    assert!(cases.len() > 200, "{} cases", cases.len());
    let broken = Mutex::new(Vec::new());
    let tried = futures_util::stream::iter(&cases).for_each_concurrent(AT_ONCE, async |case| {
        if let Err(how) = case.try_out(pieces).await {
            broken.lock().unwrap().push(format!("{}: {how}", case.name));
        }
    });
    tried.await;
    let broken = broken.into_inner().unwrap();
    assert!(broken.is_empty(), "{} of {}:\n{}", broken.len(), cases.len(), broken.join("\n"));
}

/// Bytes of a client, and what may become of them.
struct Case<'a> {
    name: &'a str,
    bytes: Vec<u8>,
    outcomes: Vec<Outcome<'a>>,
}

struct Outcome<'a> {
    /// The requests that the target gets.
    requests: Vec<String>,
    /// How the first that it does not get is answered.
    refusal: Option<&'a str>,
}

fn cases(corpus: &str) -> impl Iterator<Item = Case<'_>> {
    corpus.split("\n=== ").skip(1).map(|text| {
        let (title, lines) = text.split_once('\n').unwrap();
        let (name, expected) = title.split_once(" => ").unwrap();
        let lines = lines.split('\n').filter(|line| !line.starts_with('#'));
        let bytes = lines.flat_map(|line| match line.strip_suffix("<>") {
            Some(line) => unescape(line),
            None => [&unescape(line)[..], b"\r\n"].concat(),
        });
        let bytes = bytes.collect();
        Case { name, bytes, outcomes: expected.split(" or ").map(outcome).collect() }
    })
}

fn outcome(text: &str) -> Outcome<'_> {
    let (refusals, requests): (Vec<&str>, Vec<&str>) =
        text.split(" | ").partition(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let requests = requests.into_iter().map(|request| unescape(request).escape_ascii().to_string());
    Outcome { requests: requests.collect(), refusal: refusals.first().copied() }
}

/// `<0a>` is a byte, and `<61*300>` many of it.
fn unescape(line: &str) -> Vec<u8> {
    let mut parts = line.split('<');
    let mut bytes = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_once('>').expect("a whole escape");
        let (byte, count) = code.split_once('*').unwrap_or((code, "1"));
        let byte = u8::from_str_radix(byte, 16).expect("a byte");
        bytes.extend(std::iter::repeat_n(byte, count.parse().expect("a number")));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

impl Case<'_> {
    async fn try_out(&self, pieces: bool) -> Result<(), String> {
        let (address, _target, heard) = recorder().await;
        let routes = table(1, &[("a.test", address), ("b.test", address)]);
        let proxy = Proxy::start_with(routes, |settings| settings.workers = Some(1)).await;
        let answer = ask(&proxy, &[&self.bytes, LAST.as_bytes()].concat(), pieces).await;
        let (victim, seen) = aftermath(proxy, address, heard).await;
        let told = |how| format!("{how}\n  answer {answer:?}\n  target {seen:?}");
        let judged = self.outcomes.iter().map(|outcome| outcome.judge(&answer, &victim, &seen));
        judged.reduce(Result::or).expect("an outcome").map_err(told)
    }
}

impl Outcome<'_> {
    fn judge(&self, answer: &str, victim: &str, seen: &[String]) -> Result<(), &'static str> {
        let rest = seen.strip_prefix(&self.requests[..]).ok_or("the target got others")?;
        // Half a request is of no harm where the client is told so.
        let refused = self.refusal.is_some();
        let rest: Vec<&str> =
            rest.iter().map(String::as_str).filter(|part| !refused || *part != PART).collect();
        let goes_on = match rest[..] {
            [VICTIM] => false,
            ["GET /last", VICTIM] => true,
            _ => return Err("the target got more or less"),
        };
        if !victim.starts_with("HTTP/1.1 200") || !victim.ends_with("\r\n\r\nGET /victim") {
            return Err("another got a wrong answer");
        }
        let expected = std::iter::repeat_n("200", self.requests.len()).chain(self.refusal);
        let expected: Vec<&str> = expected.chain(goes_on.then_some("200")).collect();
        let statuses = answer.split("HTTP/1.").skip(1).filter_map(|head| head.get(2..5));
        let statuses: Vec<&str> = statuses.filter(|status| *status != "100").collect();
        if statuses != expected {
            return Err("the client got other answers");
        }
        let closes = answer.contains("connection: close\r\n");
        if refused && !goes_on && !closes || self.refusal == Some("400") && goes_on {
            return Err("the connection is not closed");
        }
        Ok(())
    }
}

async fn ask(proxy: &Proxy, bytes: &[u8], pieces: bool) -> String {
    if !pieces {
        return proxy.say(bytes).await;
    }
    let mut stream = proxy.connect().await;
    stream.set_nodelay(true).unwrap();
    let (mut read, mut write) = stream.split();
    let writing = async {
        for byte in bytes {
            // The proxy may have heard enough before all was said.
            if write.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    let mut answer = Vec::new();
    let reading = timeout(SURELY, read.read_to_end(&mut answer));
    let ((), ended) = tokio::join!(writing, reading);
    let _reset = ended.expect("the connection ends");
    String::from_utf8(answer).unwrap()
}

/// What happens on a connection of the recorder.
pub(super) enum Heard {
    Opened,
    Request(String),
    Closed,
}

/// What the recorder calls a request that ends before it is whole.
pub(super) const PART: &str = "a part";

/// A target that says what it gets, in the words of the corpus, and takes nothing but what leaves no doubt.
pub(super) async fn recorder() -> (SocketAddr, JoinSet<()>, UnboundedReceiver<Heard>) {
    let (say, heard) = unbounded_channel();
    let (address, target) = target(move |stream| {
        let say = say.clone();
        async move {
            say.send(Heard::Opened).unwrap();
            let tell = |request| say.send(Heard::Request(request)).unwrap();
            record(stream, tell).await;
            say.send(Heard::Closed).unwrap();
        }
    })
    .await;
    (address, target, heard)
}

async fn record(mut stream: TcpStream, tell: impl Fn(String)) {
    let mut bytes = Vec::new();
    loop {
        match first(&bytes) {
            Ok(Some((request, length))) => {
                bytes.drain(..length);
                let name = request.split(' ').take(2).collect::<Vec<_>>().join(" ");
                tell(request);
                let length = if name.starts_with("HEAD ") { 0 } else { name.len() };
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}", name.len(), &name[..length]);
                let _left = stream.write_all(answer.as_bytes()).await;
                continue;
            }
            Ok(None) => {}
            Err(why) => {
                tell(format!("{why}: {}", bytes.escape_ascii()));
                return;
            }
        }
        if !matches!(stream.read_buf(&mut bytes).await, Ok(1..)) {
            break;
        }
    }
    if !bytes.is_empty() {
        tell(PART.to_owned());
    }
}

/// The first request and its length, once it is whole; or why it leaves a doubt.
fn first(bytes: &[u8]) -> Result<Option<(String, usize)>, &'static str> {
    let Some(end) = find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "not text")?;
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else { return Err("not a request line") };
    if !target.starts_with('/') && target != "*" {
        return Err("not a target");
    }
    let (mut hosts, mut lengths, mut codings) = (0, vec![], vec![]);
    for line in lines {
        let (name, value) = line.split_once(": ").or_else(|| line.split_once(':')).ok_or("no colon")?;
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || !name.bytes().all(fine) {
            return Err("a doubtful name");
        }
        if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return Err("a doubtful value");
        }
        match name.to_ascii_lowercase().as_str() {
            "host" => hosts += 1,
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            _ => {}
        }
    }
    if hosts != 1 {
        return Err("not one host");
    }
    let rest = &bytes[end + 4..];
    let body = match (&lengths[..], &codings[..]) {
        ([], []) => Some((vec![], 0)),
        ([length], []) => {
            let length: usize = length.parse().map_err(|_| "not a length")?;
            rest.get(..length).map(|body| (body.to_vec(), length))
        }
        ([], ["chunked"]) => chunks(rest)?,
        _ => return Err("not one framing"),
    };
    Ok(body.map(|(body, length)| {
        let request = format!("{method} {target} {}", body.escape_ascii());
        (request.trim_end().to_owned(), end + 4 + length)
    }))
}

/// A body in chunks and its length in all, once it is whole.
fn chunks(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, &'static str> {
    let (mut body, mut at) = (vec![], 0);
    loop {
        let Some(line) = find(&bytes[at..], b"\r\n") else { return Ok(None) };
        let digits = &bytes[at..at + line];
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err("a doubtful chunk");
        }
        let size =
            usize::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).map_err(|_| "a large chunk")?;
        at += line + 2;
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        if !data.ends_with(b"\r\n") {
            return Err("a chunk that ends elsewhere");
        }
        body.extend_from_slice(&data[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// What another client is answered who asks next, and all that the target has got once the proxy is gone.
pub(super) async fn aftermath(
    proxy: Proxy,
    target: SocketAddr,
    mut heard: UnboundedReceiver<Heard>,
) -> (String, Vec<String>) {
    let victim = proxy.say(format!("{VICTIM} HTTP/1.1\r\nHost: b.test\r\nConnection: close\r\n\r\n")).await;
    proxy.stop().await.unwrap();
    // It is accepted after all connections that came before.
    let mut stream = TcpStream::connect(target).await.unwrap();
    stream.write_all(END.as_bytes()).await.unwrap();
    drop(stream);
    let (mut seen, mut open, mut ended) = (Vec::new(), 0, false);
    while !ended || open > 0 {
        match timeout(SURELY, heard.recv()).await.expect("the end comes").unwrap() {
            Heard::Opened => open += 1,
            Heard::Closed => open -= 1,
            Heard::Request(request) if request == "GET /end" => ended = true,
            Heard::Request(request) => seen.push(request),
        }
    }
    (victim, seen)
}
