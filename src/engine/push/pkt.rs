//! git's pkt-line framing, and what a push says in it (gitprotocol-pack, gitprotocol-common).
//!
//! Pure. Everything has a limit, because what is read here comes from strangers and from a child process.

use thiserror::Error;

use crate::domain::source::CommitId;

/// The longest packet, its four digits included (gitprotocol-common).
pub const PACKET_MAX: usize = 65_520;
/// The most bytes of text in one side-band packet: the channel takes one byte.
pub const BAND_MAX: usize = PACKET_MAX - 5;
/// Commands and shallow lines one push may send; a push to rivetr needs one.
pub const COMMANDS_MAX: usize = 1000;
/// A flush packet: the end of a list.
pub const FLUSH: &[u8] = b"0000";

/// The channels of the side band.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    /// What the client's program reads.
    Data,
    /// What the person reads, each line after `remote:`.
    Progress,
}

/// One packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The end of a list.
    Flush,
    /// Some bytes.
    Data(&'a [u8]),
}

/// Bytes that are not what git sends.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PktError {
    /// The four digits are none, or say a length that cannot be.
    #[error("a packet of the push has no proper length: is the client git?")]
    Length,
    /// A command cannot be read.
    #[error("a command of the push cannot be read: {0}")]
    Command(&'static str),
    /// There are too many commands.
    #[error("the push names too many branches; push one: git push rivetr main")]
    TooMany,
}

/// The length of what follows four digits; none: they are a flush.
pub fn length(digits: &[u8]) -> Result<Option<usize>, PktError> {
    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(PktError::Length);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| PktError::Length)?;
    match usize::from_str_radix(digits, 16).map_err(|_| PktError::Length)? {
        0 => Ok(None),
        length @ 4..=PACKET_MAX => Ok(Some(length - 4)),
        _ => Err(PktError::Length),
    }
}

/// Takes the first packet off `bytes`; none: more bytes are needed.
pub fn split(bytes: &[u8]) -> Result<Option<(Packet<'_>, &[u8])>, PktError> {
    let Some((digits, rest)) = bytes.split_at_checked(4) else { return Ok(None) };
    let Some(length) = length(digits)? else { return Ok(Some((Packet::Flush, rest))) };
    Ok(rest.split_at_checked(length).map(|(data, rest)| (Packet::Data(data), rest)))
}

/// Frames bytes as packets; what is longer than one packet becomes several.
#[must_use]
pub fn frame(data: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(data.len() + 4);
    for chunk in data.chunks(PACKET_MAX - 4) {
        framed.extend_from_slice(format!("{:04x}", chunk.len() + 4).as_bytes());
        framed.extend_from_slice(chunk);
    }
    framed
}

/// Frames bytes for a channel of the side band.
#[must_use]
pub fn band(channel: Band, data: &[u8]) -> Vec<u8> {
    let number = match channel {
        Band::Data => 1,
        Band::Progress => 2,
    };
    let mut framed = Vec::with_capacity(data.len() + 5);
    for chunk in data.chunks(BAND_MAX) {
        framed.extend_from_slice(format!("{:04x}", chunk.len() + 5).as_bytes());
        framed.push(number);
        framed.extend_from_slice(chunk);
    }
    framed
}

/// What a push asks for, before its pack.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// The commits at which the client's history is cut off.
    pub shallow: Vec<CommitId>,
    /// The references to change.
    pub commands: Vec<Command>,
    /// What the client can do.
    pub capabilities: Vec<String>,
}

/// One reference to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Where the client saw it; none: nowhere.
    pub old: Option<CommitId>,
    /// Where it is to be; none: it is to be deleted.
    pub new: Option<CommitId>,
    /// Its full name, such as `refs/heads/main`.
    pub name: String,
}

impl Request {
    /// Takes in one packet of the list.
    pub fn take(&mut self, data: &[u8]) -> Result<(), PktError> {
        if self.commands.len() + self.shallow.len() >= COMMANDS_MAX {
            return Err(PktError::TooMany);
        }
        let (line, capabilities) = match data.iter().position(|byte| *byte == 0) {
            Some(end) => data.split_at(end),
            None => (data, &[] as &[u8]),
        };
        let line = text(line)?;
        if let Some(name) = line.strip_prefix("shallow ") {
            self.shallow.push(CommitId::parse(name).map_err(|_| PktError::Command("a bad shallow line"))?);
            return Ok(());
        }
        if line.starts_with("push-cert") {
            return Err(PktError::Command("signed pushes are not taken; push without --signed"));
        }
        if self.commands.is_empty() {
            let words = text(capabilities.strip_prefix(b"\0").unwrap_or_default())?;
            self.capabilities = words.split_ascii_whitespace().map(ToOwned::to_owned).collect();
        }
        self.commands.push(Command::parse(line)?);
        Ok(())
    }

    /// Whether the client can do this.
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|word| word == capability)
    }

    /// The hash that the client's object names are made with.
    #[must_use]
    pub fn object_format(&self) -> &str {
        self.capabilities.iter().find_map(|word| word.strip_prefix("object-format=")).unwrap_or("sha1")
    }
}

impl Command {
    fn parse(line: &str) -> Result<Self, PktError> {
        let mut words = line.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(PktError::Command("it has fewer than three words"));
        };
        let proper = name.starts_with("refs/") && name.len() <= 1000 && !name.chars().any(char::is_control);
        if old.len() != new.len() || !proper {
            return Err(PktError::Command("its names are not well formed"));
        }
        Ok(Self { old: object(old)?, new: object(new)?, name: name.to_owned() })
    }
}

fn object(name: &str) -> Result<Option<CommitId>, PktError> {
    if matches!(name.len(), 40 | 64) && name.bytes().all(|byte| byte == b'0') {
        return Ok(None);
    }
    CommitId::parse(name).map(Some).map_err(|_| PktError::Command("a bad object name"))
}

fn text(bytes: &[u8]) -> Result<&str, PktError> {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|_| PktError::Command("it is not UTF-8"))
}

/// What git said about a pack and the one reference it was to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The objects are there and the reference stands.
    Ok,
    /// It refused, in its own words.
    Refused(String),
}

impl Report {
    /// Reads the report of `git receive-pack` for exactly one command.
    pub fn parse(mut bytes: &[u8]) -> Result<Self, PktError> {
        let mut refusal = None;
        let mut done = false;
        while let Some((packet, rest)) = split(bytes)? {
            bytes = rest;
            let Packet::Data(data) = packet else { break };
            let line = text(data)?;
            if let Some(unpacked) = line.strip_prefix("unpack ") {
                if unpacked != "ok" {
                    refusal = Some(format!("the pack could not be unpacked: {unpacked}"));
                }
            } else if let Some(refused) = line.strip_prefix("ng ") {
                let why = refused.split_once(' ').map_or("no reason given", |(_name, why)| why);
                refusal.get_or_insert_with(|| why.to_owned());
            } else if line.starts_with("ok ") {
                done = true;
            }
        }
        match refusal {
            Some(why) => Ok(Self::Refused(why)),
            None if done => Ok(Self::Ok),
            None => Err(PktError::Command("git ended without a report")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn id(text: &str) -> Option<CommitId> {
        CommitId::parse(text).ok()
    }

    #[test]
    fn commands() {
        let mut request = Request::default();
        request.take(format!("shallow {A}").as_bytes()).unwrap();
        let first = format!("{ZERO} {A} refs/heads/main\0 report-status side-band-64k object-format=sha1\n");
        request.take(first.as_bytes()).unwrap();
        request.take(format!("{A} {ZERO} refs/heads/old\n").as_bytes()).unwrap();
        assert_eq!(request.shallow, [id(A).unwrap()]);
        let command = |old, new, name: &str| Command { old: id(old), new: id(new), name: name.to_owned() };
        assert_eq!(
            request.commands,
            [command(ZERO, A, "refs/heads/main"), command(A, ZERO, "refs/heads/old")]
        );
        assert!(request.can("side-band-64k") && !request.can("push-options"));
        assert_eq!(request.object_format(), "sha1");
    }

    #[test]
    fn commands_that_git_would_not_send() {
        for bad in [
            "",
            "push-cert\0 x",
            "shallow main",
            &format!("{A} {A}"),
            &format!("{A} {A} main"),
            &format!("{A} {ZERO}0 refs/heads/main"),
            &format!("{A} main refs/heads/main"),
            &format!("{A} {A} refs/heads/a\u{1b}[31m"),
        ] {
            assert!(Request::default().take(bad.as_bytes()).is_err(), "{bad:?}");
        }
        let mut request = Request::default();
        let line = format!("{A} {A} refs/heads/main");
        let taken = (0..=COMMANDS_MAX).take_while(|_| request.take(line.as_bytes()).is_ok()).count();
        assert_eq!(taken, COMMANDS_MAX);
    }

    #[test]
    fn reports() {
        let report = |lines: &[&str]| {
            let packets: Vec<u8> = lines.iter().flat_map(|line| frame(line.as_bytes())).collect();
            Report::parse(&[packets.as_slice(), FLUSH].concat())
        };
        assert_eq!(report(&["unpack ok\n", "ok refs/x\n"]), Ok(Report::Ok));
        let refused = |why: &str| Ok(Report::Refused(why.to_owned()));
        assert_eq!(report(&["unpack ok\n", "ng refs/x failed to lock\n"]), refused("failed to lock"));
        let unpack = ["unpack index-pack abnormal exit\n", "ng refs/x unpacker error\n"];
        assert_eq!(report(&unpack), refused("the pack could not be unpacked: index-pack abnormal exit"));
        assert!(report(&["unpack ok\n"]).is_err());
        assert!(Report::parse(b"").is_err());
    }

    #[test]
    fn lengths() {
        for bad in [&b"0001"[..], b"0003", b"zzzz", b"+004", b"fff1", b"\xff\xff\xff\xff"] {
            assert_eq!(split(bad), Err(PktError::Length), "{bad:?}");
        }
        for short in [&b""[..], b"000", b"0005"] {
            assert_eq!(split(short), Ok(None), "{short:?}");
        }
        assert_eq!(split(b"0004"), Ok(Some((Packet::Data(b""), &b""[..]))));
    }

    /// Bytes for up to three packets, cheap to make.
    fn blob() -> impl Strategy<Value = Vec<u8>> {
        (1..3 * PACKET_MAX, proptest::collection::vec(any::<u8>(), 1..50))
            .prop_map(|(length, pattern)| pattern.into_iter().cycle().take(length).collect())
    }

    proptest! {
        #[test]
        fn what_is_framed_is_read_back(data in blob()) {
            let framed = [frame(&data), FLUSH.to_vec()].concat();
            let (mut rest, mut read) = (framed.as_slice(), Vec::new());
            while let Some((Packet::Data(part), more)) = split(rest).unwrap() {
                read.extend_from_slice(part);
                rest = more;
            }
            prop_assert_eq!(rest, FLUSH);
            prop_assert_eq!(read, data);
        }

        #[test]
        fn a_band_keeps_within_a_packet(data in blob()) {
            let framed = band(Band::Progress, &data);
            let (mut rest, mut read) = (framed.as_slice(), Vec::new());
            while let Some((Packet::Data(part), more)) = split(rest).unwrap() {
                prop_assert_eq!(part[0], 2);
                read.extend_from_slice(&part[1..]);
                rest = more;
            }
            prop_assert_eq!(read, data);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut request = Request::default();
            let taken = request.take(&bytes).is_ok();
            prop_assert_eq!(taken, !request.commands.is_empty() || !request.shallow.is_empty());
            let report = Report::parse(&bytes);
            prop_assert!(report != Ok(Report::Ok) || bytes.windows(3).any(|part| part == b"ok "));
            if let Ok(Some((Packet::Data(data), rest))) = split(&bytes) {
                prop_assert_eq!(data.len() + rest.len() + 4, bytes.len());
            }
        }
    }
}
