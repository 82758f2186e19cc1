//! Frames from a worker: whatever a function's process may have written there.

use bytes::{Buf, Bytes, BytesMut};
use serde::de::DeserializeOwned;

use super::{
    ERROR, FIXED_BYTES, HEAD_BYTES, HELLO, LOAD_ERROR, LOADED, MAX_HEADER_BYTES, MAX_NOTE_BYTES,
    MAX_PAYLOAD_BYTES, RESULT, WorkerFrame,
};

/// What is wrong with a frame. Each reads after "the worker broke the protocol: "; from a worker,
/// every one of them ends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of unknown type {kind}")]
    UnknownType { kind: u8 },
    #[error("a frame of {bytes} bytes where at most {limit} are allowed")]
    Oversized { bytes: usize, limit: usize },
    #[error("a frame too short to hold its type and call id")]
    Short,
    #[error("a {what} frame that is not what it should be: {reason}")]
    Malformed { what: &'static str, reason: String },
    #[error("a payload of {bytes} bytes where at most {MAX_PAYLOAD_BYTES} are allowed")]
    PayloadTooLarge { bytes: usize },
    #[error("a context of {bytes} bytes where at most {MAX_HEADER_BYTES} are allowed")]
    HeaderTooLarge { bytes: usize },
}

/// Takes one frame off the front of `buffer`, or leaves it untouched and answers `None` while the
/// frame is not all there. A frame that can never be right is an error as soon as its first bytes
/// are there, so at most one allowed frame is ever waited for.
pub fn decode(buffer: &mut BytesMut) -> Result<Option<WorkerFrame>, FrameError> {
    let mut head: &[u8] = buffer;
    let Ok(length) = head.try_get_u32() else { return Ok(None) };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length < FIXED_BYTES {
        return Err(FrameError::Short);
    }
    if length > FIXED_BYTES + MAX_PAYLOAD_BYTES {
        let limit = MAX_PAYLOAD_BYTES;
        return Err(FrameError::Oversized { bytes: length - FIXED_BYTES, limit });
    }
    let Ok(kind) = head.try_get_u8() else { return Ok(None) };
    let limit = body_limit(kind)?;
    if length - FIXED_BYTES > limit {
        return Err(FrameError::Oversized { bytes: length - FIXED_BYTES, limit });
    }
    let Ok(call) = head.try_get_u64() else { return Ok(None) };
    let missing = length - FIXED_BYTES;
    if head.remaining() < missing {
        return Ok(None);
    }
    buffer.advance(HEAD_BYTES);
    let body = buffer.split_to(missing).freeze();
    read(kind, call, body).map(Some)
}

fn body_limit(kind: u8) -> Result<usize, FrameError> {
    match kind {
        RESULT => Ok(MAX_PAYLOAD_BYTES),
        HELLO | LOAD_ERROR | ERROR => Ok(MAX_NOTE_BYTES),
        LOADED => Ok(0),
        kind => Err(FrameError::UnknownType { kind }),
    }
}

fn read(kind: u8, call: u64, body: Bytes) -> Result<WorkerFrame, FrameError> {
    match kind {
        RESULT => Ok(WorkerFrame::Result { call, payload: body }),
        ERROR => Ok(WorkerFrame::Error { call, failure: json("error", &body)? }),
        LOADED => Ok(WorkerFrame::Loaded),
        LOAD_ERROR => Ok(WorkerFrame::LoadError(json("load error", &body)?)),
        HELLO => Ok(WorkerFrame::Hello(json("hello", &body)?)),
        kind => Err(FrameError::UnknownType { kind }),
    }
}

fn json<T: DeserializeOwned>(what: &'static str, body: &[u8]) -> Result<T, FrameError> {
    serde_json::from_slice(body)
        .map_err(|error| FrameError::Malformed { what, reason: error.to_string() })
}
