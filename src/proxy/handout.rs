//! What proxy and broker say to each other: "so many sockets of this family", and the sockets, or why not.
//!
//! A request is two bytes: family (4 or 6) and count. A reply is two bytes, status and length:
//! status 0 with that many descriptors attached, or a status below with a text of that many bytes.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// The most sockets handed out at once.
pub(super) const BATCH: u8 = 16;

const SOCKETS: u8 = 0;
const ABSENT: u8 = 1;
const FAILED: u8 = 2;

/// A request for sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) family: Family,
    pub(super) count: u8,
}

/// The family of addresses that sockets are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    pub(super) fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(super) fn as_kernel(self) -> AddressFamily {
        match self {
            Self::V4 => AddressFamily::INET,
            Self::V6 => AddressFamily::INET6,
        }
    }
}

impl Ask {
    pub(super) fn encode(self) -> [u8; 2] {
        let family = match self.family {
            Family::V4 => 4,
            Family::V6 => 6,
        };
        [family, self.count]
    }

    pub(super) fn decode(bytes: [u8; 2]) -> Option<Self> {
        let [family, count] = bytes;
        let family = match family {
            4 => Family::V4,
            6 => Family::V6,
            _ => return None,
        };
        (1..=BATCH).contains(&count).then_some(Self { family, count })
    }
}

/// The answer to a request.
#[derive(Debug)]
pub(super) enum Reply {
    /// As many sockets as were asked for.
    Sockets(Vec<OwnedFd>),
    /// No container runs on a bridge network: there is no namespace to make sockets in.
    Absent(String),
    /// The sockets could not be made.
    Failed(String),
}

/// Sends a reply whole or not at all.
pub(super) fn send(to: impl AsFd, reply: &Reply) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH as usize))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<BorrowedFd<'_>>;
    let (status, text) = match reply {
        Reply::Sockets(sockets) => {
            descriptors = sockets.iter().map(AsFd::as_fd).collect();
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
            (SOCKETS, "")
        }
        Reply::Absent(text) => (ABSENT, text.as_str()),
        Reply::Failed(text) => (FAILED, text.as_str()),
    };
    let text = text.as_bytes();
    let text = text.get(..text.len().min(255)).unwrap_or_default();
    let length = match reply {
        Reply::Sockets(sockets) => sockets.len(),
        Reply::Absent(_) | Reply::Failed(_) => text.len(),
    };
    let head = [status, u8::try_from(length).map_err(io::Error::other)?];
    let parts = [IoSlice::new(&head), IoSlice::new(text)];
    let sent = sendmsg(to, &parts, &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
    if sent == head.len() + text.len() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::WriteZero, "the reply was cut"))
}

/// Receives a reply; `WouldBlock` if there is none yet.
pub(super) fn receive(from: impl AsFd) -> io::Result<Reply> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(BATCH as usize))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 257];
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut control, flags)?.bytes;
    let mut sockets = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            sockets.extend(descriptors);
        }
    }
    // The broker sends a reply in one piece and nothing unasked, so one read has all of it.
    match bytes.get(..received) {
        Some([]) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the broker ended")),
        Some([SOCKETS, count]) if usize::from(*count) == sockets.len() => Ok(Reply::Sockets(sockets)),
        Some([ABSENT, length, text @ ..]) if usize::from(*length) == text.len() => {
            Ok(Reply::Absent(String::from_utf8_lossy(text).into_owned()))
        }
        Some([FAILED, length, text @ ..]) if usize::from(*length) == text.len() => {
            Ok(Reply::Failed(String::from_utf8_lossy(text).into_owned()))
        }
        Some(_) | None => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "the broker's reply makes no sense"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn replies_arrive_as_they_were_sent() {
        let (here, there) = UnixStream::pair().unwrap();
        assert_eq!(receive(&here).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let sockets = (0..BATCH).map(|_| UnixStream::pair().unwrap().0.into()).collect();
        send(&there, &Reply::Sockets(sockets)).unwrap();
        assert!(matches!(receive(&here).unwrap(), Reply::Sockets(got) if got.len() == usize::from(BATCH)));
        send(&there, &Reply::Absent("none".into())).unwrap();
        assert!(matches!(receive(&here).unwrap(), Reply::Absent(text) if text == "none"));
        send(&there, &Reply::Failed("x".repeat(300))).unwrap();
        assert!(matches!(receive(&here).unwrap(), Reply::Failed(text) if text.len() == 255));
        drop(there);
        assert_eq!(receive(&here).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn requests() {
        let ask = Ask { family: Family::V6, count: BATCH };
        assert_eq!(Ask::decode(ask.encode()), Some(ask));
        for bytes in [[4, 0], [4, BATCH + 1], [5, 1], [0, 0]] {
            assert_eq!(Ask::decode(bytes), None);
        }
    }
}
