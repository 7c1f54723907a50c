//! A part of a body, as it passes from the connection that it is read from to the one that it is written to.

use std::io;
use std::rc::Rc;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::Frame;

use super::BodyError;
use crate::proxy::http1::Pipe;

/// A part of a body.
#[derive(Debug)]
pub(in crate::proxy) enum Piece {
    /// So many bytes, in front of the buffer that was lent.
    Scratch(usize),
    /// These.
    Bytes(Bytes),
    /// What is in there, for a connection that takes it from there.
    Piped(Rc<Pipe>),
    /// The fields behind it.
    Trailers(HeaderMap),
}

impl Piece {
    /// How many bytes of the body it has.
    pub(in crate::proxy) fn len(&self) -> usize {
        match self {
            Self::Scratch(length) => *length,
            Self::Bytes(bytes) => bytes.len(),
            Self::Piped(pipe) => pipe.held(),
            Self::Trailers(_) => 0,
        }
    }

    /// The same as a frame that may be kept.
    pub(super) fn into_frame(self, scratch: &[u8]) -> Result<Frame<Bytes>, BodyError> {
        Ok(match self {
            Self::Scratch(length) => {
                Frame::data(Bytes::copy_from_slice(scratch.get(..length).unwrap_or_default()))
            }
            Self::Bytes(bytes) => Frame::data(bytes),
            // Only who asks for it gets one.
            Self::Piped(_) => return Err(BodyError::Ended(io::ErrorKind::Unsupported.into())),
            Self::Trailers(fields) => Frame::trailers(fields),
        })
    }
}
