//! Frames against tables, and against garbage.

use super::*;
use bytes::{BufMut, BytesMut};
use uuid::Uuid;

fn frame(kind: u8, call: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.put_u32(u32::try_from(FIXED_BYTES + body.len()).unwrap());
    bytes.put_u8(kind);
    bytes.put_u64(call);
    bytes.extend_from_slice(body);
    bytes
}

fn announced(length: u32, rest: &[u8]) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(rest);
    bytes
}

fn check(input: &[u8], expect: Result<Option<WorkerFrame>, FrameError>) {
    assert_eq!(decode(&mut BytesMut::from(input)), expect, "of {} bytes", input.len());
}

#[test]
fn a_workers_frames_are_read() {
    let failure = r#"{"type":"InputError","message":"no","stacktrace":["a","b"]}"#;
    let read = Failure {
        kind: FailureKind::InputError,
        message: "no".to_owned(),
        stacktrace: vec!["a".to_owned(), "b".to_owned()],
    };
    let hello = Hello { protocol: 1, language: "python3".to_owned(), version: "3.11.2".to_owned() };
    check(
        &frame(HELLO, 0, br#"{"protocol":1,"language":"python3","version":"3.11.2"}"#),
        Ok(Some(WorkerFrame::Hello(hello))),
    );
    check(&frame(LOADED, 0, b""), Ok(Some(WorkerFrame::Loaded)));
    check(
        &frame(LOAD_ERROR, 0, failure.as_bytes()),
        Ok(Some(WorkerFrame::LoadError(read.clone()))),
    );
    check(
        &frame(ERROR, 7, failure.as_bytes()),
        Ok(Some(WorkerFrame::Error { call: 7, failure: read })),
    );
    check(
        &frame(RESULT, u64::MAX, b"null"),
        Ok(Some(WorkerFrame::Result { call: u64::MAX, payload: Bytes::from_static(b"null") })),
    );
    check(
        &frame(ERROR, 1, br#"{"type":"FunctionError","message":"x"}"#),
        Ok(Some(WorkerFrame::Error { call: 1, failure: Failure::function("x") })),
    );
}

#[test]
fn a_frame_that_is_not_all_there_is_waited_for() {
    let whole = frame(RESULT, 3, b"[1,2]");
    for end in 0..whole.len() {
        let mut buffer = BytesMut::from(&whole[..end]);
        assert_eq!(decode(&mut buffer), Ok(None), "{end} bytes of it");
        assert_eq!(buffer, &whole[..end], "and is left as it was");
    }
}

#[test]
fn frames_that_can_never_be_right_are_refused_at_their_first_bytes() {
    let huge = u32::try_from(FIXED_BYTES + MAX_PAYLOAD_BYTES + 1).unwrap();
    let over = MAX_PAYLOAD_BYTES + 1;
    check(
        &announced(huge, b""),
        Err(FrameError::Oversized { bytes: over, limit: MAX_PAYLOAD_BYTES }),
    );
    check(&announced(8, b""), Err(FrameError::Short));
    check(&announced(0, b""), Err(FrameError::Short));
    check(&announced(20, b"\x07"), Err(FrameError::UnknownType { kind: 7 }));
    for kind in [LOAD, CALL, 0, 255] {
        check(&frame(kind, 0, b"{}"), Err(FrameError::UnknownType { kind }));
    }
    check(&announced(10, &[LOADED]), Err(FrameError::Oversized { bytes: 1, limit: 0 }));
    let note = u32::try_from(FIXED_BYTES + MAX_NOTE_BYTES + 1).unwrap();
    for kind in [ERROR, HELLO, LOAD_ERROR] {
        let bytes = MAX_NOTE_BYTES + 1;
        check(
            &announced(note, &[kind]),
            Err(FrameError::Oversized { bytes, limit: MAX_NOTE_BYTES }),
        );
    }
}

#[test]
fn a_result_at_the_bound_is_read_and_one_byte_more_is_not() {
    let body = vec![b' '; MAX_PAYLOAD_BYTES];
    let payload = Bytes::from(body.clone());
    check(&frame(RESULT, 1, &body), Ok(Some(WorkerFrame::Result { call: 1, payload })));
    let mut more = body;
    more.push(b' ');
    let bytes = MAX_PAYLOAD_BYTES + 1;
    check(&frame(RESULT, 1, &more), Err(FrameError::Oversized { bytes, limit: MAX_PAYLOAD_BYTES }));
}

#[test]
fn notes_that_are_not_what_they_should_be_are_refused() {
    for body in ["", "{}", "[]", r#"{"type":"SystemError","message":"x"}"#, "{\"type\":", "\u{0}"] {
        let answer = decode(&mut BytesMut::from(&frame(ERROR, 1, body.as_bytes())[..]));
        assert!(
            matches!(answer, Err(FrameError::Malformed { what: "error", .. })),
            "{body:?} gave {answer:?}"
        );
    }
}

#[test]
fn a_load_frame_has_the_documented_bytes() {
    let load = Load {
        handler: "hello.handle".to_owned(),
        code: "/function".to_owned(),
        dependencies: vec!["/dependencies".to_owned()],
    };
    let body = br#"{"handler":"hello.handle","code":"/function","dependencies":["/dependencies"]}"#;
    assert_eq!(load_frame(&load), frame(LOAD, 0, body));
}

#[test]
fn a_call_frame_has_the_documented_bytes() {
    let head = CallHead {
        call: 0x0102_0304_0506_0708,
        run: Uuid::from_u128(5),
        deadline_unix_ms: 1_700_000_000_123,
        timeout_ms: 60_000,
    };
    let (context, payload) = (br#"{"secrets":{}}"#, br#"{"n":1}"#);
    let mut wire = vec![b'x'; 90];
    head.write(&mut wire, context.len(), payload.len()).unwrap();
    wire.extend_from_slice(context);
    wire.extend_from_slice(CallHead::AFTER_CONTEXT);
    wire.extend_from_slice(payload);
    let header = concat!(
        r#"{"id":"00000000-0000-0000-0000-000000000005","deadline":1700000000123,"#,
        r#""timeout":60000,"context":{"secrets":{}}}"#
    );
    let mut body = u32::try_from(header.len()).unwrap().to_be_bytes().to_vec();
    body.extend_from_slice(header.as_bytes());
    body.extend_from_slice(payload);
    assert_eq!(wire, frame(CALL, head.call, &body));
}

#[test]
fn a_call_over_its_bounds_is_refused() {
    let head = CallHead { call: 1, run: Uuid::nil(), deadline_unix_ms: 0, timeout_ms: 0 };
    let mut wire = Vec::new();
    assert_eq!(head.write(&mut wire, 2, MAX_PAYLOAD_BYTES), Ok(()));
    let bytes = MAX_PAYLOAD_BYTES + 1;
    assert_eq!(head.write(&mut wire, 2, bytes), Err(FrameError::PayloadTooLarge { bytes }));
    head.write(&mut wire, 0, 0).unwrap();
    let room = MAX_HEADER_BYTES - (wire.len() - HEAD_BYTES - 4 + 1);
    assert_eq!(head.write(&mut wire, room, 0), Ok(()));
    let bytes = MAX_HEADER_BYTES + 1;
    assert_eq!(head.write(&mut wire, room + 1, 0), Err(FrameError::HeaderTooLarge { bytes }));
}

/// A small generator of repeatable noise (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> usize {
        usize::try_from(self.next() % bound).unwrap()
    }
}

#[test]
fn noise_never_panics_and_never_makes_the_buffer_grow_past_a_frame() {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    for round in 0..20_000 {
        let mut buffer = BytesMut::new();
        for _ in 0..noise.below(8) {
            // Half of the noise looks like the start of a frame, else nothing gets past the length.
            if noise.below(2) == 0 {
                buffer.put_u32(u32::try_from(noise.below(64)).unwrap());
                buffer.put_u8(u8::try_from(noise.below(24)).unwrap());
            }
            for _ in 0..noise.below(24) {
                buffer.put_u8(noise.next().to_be_bytes()[0]);
            }
            let before = buffer.len();
            match decode(&mut buffer) {
                Ok(Some(_)) => assert!(buffer.len() < before, "round {round} took nothing off"),
                Ok(None) => assert_eq!(buffer.len(), before, "round {round} lost bytes"),
                Err(_) => break,
            }
        }
    }
}

#[test]
fn frames_cut_anywhere_come_out_the_same() {
    let mut noise = Noise(42);
    for _ in 0..2_000 {
        let mut wire = Vec::new();
        let mut expect = Vec::new();
        for _ in 0..=noise.below(6) {
            let body: Vec<u8> = (0..noise.below(300)).map(|_| b'0').collect();
            let call = noise.next();
            wire.extend_from_slice(&frame(RESULT, call, &body));
            expect.push(WorkerFrame::Result { call, payload: Bytes::from(body) });
        }
        let mut buffer = BytesMut::new();
        let mut got = Vec::new();
        let mut rest = wire.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((1 + noise.below(64)).min(rest.len()));
            buffer.extend_from_slice(now);
            rest = later;
            while let Some(frame) = decode(&mut buffer).unwrap() {
                got.push(frame);
            }
        }
        assert_eq!(got, expect);
    }
}
