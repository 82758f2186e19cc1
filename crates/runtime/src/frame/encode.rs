//! Frames to a worker.

use std::io::Write;

use bytes::BufMut;
use uuid::Uuid;

use super::{
    CALL, FIXED_BYTES, FrameError, HEAD_BYTES, LOAD, Load, MAX_HEADER_BYTES, MAX_PAYLOAD_BYTES,
};

/// The length of a call's header, before the header.
const HEADER_LENGTH_BYTES: usize = 4;

/// The whole load frame. Its call id is 0, which no call ever has.
#[must_use]
pub fn load_frame(load: &Load) -> Vec<u8> {
    let body = serde_json::to_vec(load).expect("strings and lists always have a JSON form");
    let mut frame = Vec::with_capacity(HEAD_BYTES + body.len());
    frame.put_u32(wire_length(FIXED_BYTES + body.len()));
    frame.put_u8(LOAD);
    frame.put_u64(0);
    frame.extend_from_slice(&body);
    frame
}

/// The part of a call frame before its context. On the wire follow the context, one `}`
/// ([`CallHead::AFTER_CONTEXT`]) and the payload, none of which is copied.
#[derive(Debug, Clone, Copy)]
pub struct CallHead {
    /// Unguessable; the worker must answer with it.
    pub call: u64,
    /// The run's id, for the function's own use.
    pub run: Uuid,
    /// Unix time in milliseconds at which the worker will be killed.
    pub deadline_unix_ms: u64,
    pub timeout_ms: u64,
}

impl CallHead {
    pub const AFTER_CONTEXT: &'static [u8] = b"}";

    /// Replaces what is in `head`, whose memory the caller keeps for the next call.
    /// `context_bytes` is the length of a JSON object, `payload_bytes` that of any JSON value.
    pub fn write(
        &self,
        head: &mut Vec<u8>,
        context_bytes: usize,
        payload_bytes: usize,
    ) -> Result<(), FrameError> {
        let fixed = HEAD_BYTES + HEADER_LENGTH_BYTES;
        head.clear();
        head.resize(fixed, 0);
        write!(
            head,
            r#"{{"id":"{}","deadline":{},"timeout":{},"context":"#,
            self.run.as_hyphenated(),
            self.deadline_unix_ms,
            self.timeout_ms
        )
        .expect("writing to memory does not fail");
        let header = head.len() - fixed + context_bytes + Self::AFTER_CONTEXT.len();
        if header > MAX_HEADER_BYTES {
            return Err(FrameError::HeaderTooLarge { bytes: header });
        }
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return Err(FrameError::PayloadTooLarge { bytes: payload_bytes });
        }
        let mut start = head.get_mut(..fixed).expect("it was given this length above");
        start.put_u32(wire_length(FIXED_BYTES + HEADER_LENGTH_BYTES + header + payload_bytes));
        start.put_u8(CALL);
        start.put_u64(self.call);
        start.put_u32(wire_length(header));
        Ok(())
    }
}

fn wire_length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("every bound of this module is far below 4 GiB")
}
