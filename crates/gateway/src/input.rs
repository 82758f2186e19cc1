//! From a request to the input of a run (contract §6.2). JSON is checked and passed on as the bytes that came;
//! no tree is built. Multipart forms are not read.

mod fields;

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::BodyExt;
use hyper::body::Body;
use serde::de::IgnoredAny;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a caller may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallLimits {
    /// The body of one request.
    pub body_bytes: usize,
    /// From its head to the end of its body.
    pub body_timeout: Duration,
    /// All bodies together that have come and whose calls have not ended; what finds no room is answered 503.
    pub buffered_bytes: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            body_bytes: 10 * 1024 * 1024,
            body_timeout: Duration::from_secs(60),
            buffered_bytes: 256 * 1024 * 1024,
        }
    }
}

/// Why a request makes no input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLarge {
        max: usize,
    },
    TooSlow,
    /// The client broke it off.
    Broken,
    NoRoom,
    UnsupportedType(String),
    NotJson,
    NotText,
    TooManyFields {
        max: usize,
    },
}

/// An input, and its place among the bytes that are held; to be kept until the call has ended.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) json: Bytes,
    pub(crate) _room: Option<OwnedSemaphorePermit>,
}

/// Reads the input of a request. What is refused by its head alone is not read.
pub(crate) async fn read<B>(
    parts: &Parts,
    body: &mut B,
    limits: &CallLimits,
    room: &Arc<Semaphore>,
) -> Result<Input, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        let query = parts.uri.query().unwrap_or_default();
        return Ok(Input { json: fields::to_json(query.as_bytes())?, _room: None });
    }
    let form = Form::of(&parts.headers);
    if body.is_end_stream() {
        return Ok(Input { json: EMPTY, _room: None });
    }
    if let Form::Unsupported(name) = form {
        return Err(Refusal::UnsupportedType(name));
    }
    let whole = whole(body, limits.body_bytes, room);
    let read = tokio::time::timeout(limits.body_timeout, whole).await;
    let (bytes, room) = read.map_err(|_| Refusal::TooSlow)??;
    Ok(Input { json: form.to_json(bytes)?, _room: room })
}

const EMPTY: Bytes = Bytes::from_static(b"{}");

/// What a body says that it is.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    Untyped,
    Json,
    Fields,
    Unsupported(String),
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(header::CONTENT_TYPE) else { return Self::Untyped };
        let value = String::from_utf8_lossy(value.as_bytes());
        let name = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.strip_prefix("application/") {
            None if name.is_empty() => Self::Untyped,
            Some("x-www-form-urlencoded") => Self::Fields,
            Some(kind) if kind == "json" || kind.ends_with("+json") => Self::Json,
            _ => Self::Unsupported(value.into_owned()),
        }
    }

    fn to_json(&self, body: Bytes) -> Result<Bytes, Refusal> {
        if body.is_empty() {
            return Ok(EMPTY);
        }
        match self {
            Self::Json => check_json(&body).map(|()| body),
            Self::Fields => fields::to_json(&body),
            Self::Untyped => {
                let text = std::str::from_utf8(&body).map_err(|_| Refusal::NotText)?;
                serde_json::to_vec(text).map(Bytes::from).map_err(|_| Refusal::NotText)
            }
            Self::Unsupported(name) => Err(Refusal::UnsupportedType(name.clone())),
        }
    }
}

/// Whether these bytes are exactly one JSON document, in UTF-8.
fn check_json(body: &[u8]) -> Result<(), Refusal> {
    // Skipping over a string, serde_json does not look at its encoding.
    let text = std::str::from_utf8(body).map_err(|_| Refusal::NotJson)?;
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|_| Refusal::NotJson)
}

/// A body to its end. Its bytes take room as they come, so that a length which is only claimed holds nothing.
async fn whole<B>(
    body: &mut B,
    max: usize,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > max as u64 {
        return Err(Refusal::TooLarge { max });
    }
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::Broken)?;
        let Ok(data) = frame.into_data() else { continue };
        let so_far = first.len() + all.len();
        if data.len() > max - so_far {
            return Err(Refusal::TooLarge { max });
        }
        let bytes = u32::try_from(data.len()).map_err(|_| Refusal::TooLarge { max })?;
        let more = Arc::clone(room).try_acquire_many_owned(bytes).map_err(|_| Refusal::NoRoom)?;
        match &mut held {
            None => held = Some(more),
            Some(held) => held.merge(more),
        }
        // Most bodies come in one piece, which is passed on as it is.
        if so_far == 0 {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok((if all.is_empty() { first } else { all.freeze() }, held))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn limits(max: usize) -> CallLimits {
        CallLimits { body_bytes: max, ..CallLimits::default() }
    }

    async fn input_of(
        method: &str,
        uri: &str,
        kind: Option<&[u8]>,
        body: &'static [u8],
    ) -> Result<String, Refusal> {
        let mut request = http::Request::new(());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        *request.uri_mut() = uri.parse().expect("a uri");
        if let Some(kind) = kind {
            let kind = HeaderValue::from_bytes(kind).expect("a header's value");
            request.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        let (parts, ()) = request.into_parts();
        let room = Arc::new(Semaphore::new(1000));
        let input = read(&parts, &mut Full::from(body), &limits(100), &room).await?;
        Ok(String::from_utf8(input.json.to_vec()).expect("UTF-8"))
    }

    #[tokio::test]
    async fn each_kind_of_request_makes_its_input() {
        let check = async |request: &str, kind: &str, body: &'static str, expect: &str| {
            let (method, uri) = request.split_once(' ').expect("a method and a uri");
            let kind = (!kind.is_empty()).then_some(kind.as_bytes());
            let input = input_of(method, uri, kind, body.as_bytes()).await;
            assert_eq!(input, Ok(expect.to_owned()), "{request} {kind:?} {body}");
        };
        check(
            "GET /?name=vmware&place=PaloAlto",
            "",
            "",
            r#"{"name":"vmware","place":"PaloAlto"}"#,
        )
        .await;
        check("GET /", "", "", "{}").await;
        check("GET /?", "", "", "{}").await;
        check("GET /?a=1", "text/plain", "ignored", r#"{"a":"1"}"#).await;
        check("PUT /?a=1", "", "", "{}").await;
        check("PUT /", "application/json", "", "{}").await;
        check("PUT /", "text/plain", "", "{}").await;
        check("PUT /", "", "two\nlines", r#""two\nlines""#).await;
        let json = " {\"b\": 1, \"a\": [1.50, \"\\u00e9\"]}\n";
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/vnd.api+json",
        ] {
            check("POST /", kind, json, json).await;
        }
        check("DELETE /", "application/json", "null", "null").await;
        let form = "application/x-www-form-urlencoded";
        check(
            "PUT /",
            form,
            "name=VMware&place=Palo Alto",
            r#"{"name":"VMware","place":"Palo Alto"}"#,
        )
        .await;
        check("PUT /", form, "a=1&b=%C3%A9+x&a=2", r#"{"a":["1","2"],"b":"é x"}"#).await;
    }

    #[tokio::test]
    async fn what_makes_no_input_is_refused() {
        let check = async |kind: &[u8], body: &'static [u8], expect: Refusal| {
            let kind = (!kind.is_empty()).then_some(kind);
            assert_eq!(input_of("PUT", "/", kind, body).await, Err(expect), "{body:?}");
        };
        let json = b"application/json";
        let bad: [&[u8]; 9] = [
            b"not a json payload",
            b"{\"a\":1",
            b"{} {}",
            b"{\"a\":}",
            b"{\"a\": nan}",
            b"[1,]",
            b"\"\xff\"",
            b"\xef\xbb\xbf{}",
            b" ",
        ];
        for body in bad {
            check(json, body, Refusal::NotJson).await;
        }
        check(b"", b"\xff", Refusal::NotText).await;
        for kind in ["text/plain", "multipart/form-data; boundary=x", "application/jsonx", "json"] {
            check(kind.as_bytes(), b"x", Refusal::UnsupportedType(kind.to_owned())).await;
        }
        check(json, &[b' '; 101], Refusal::TooLarge { max: 100 }).await;
    }

    #[test]
    fn json_of_any_depth_is_checked_without_a_stack() {
        let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        assert_eq!(check_json(deep.as_bytes()), Ok(()));
    }

    fn pieces(pieces: &[&'static str]) -> impl Body<Data = Bytes> + Unpin {
        let frames: Vec<_> =
            pieces.iter().map(|p| Ok::<_, String>(Frame::data((*p).into()))).collect();
        StreamBody::new(futures::stream::iter(frames))
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_bounded_at_the_last_byte() {
        let room = Arc::new(Semaphore::new(1000));
        let read = async |list: &[&'static str], max| {
            whole(&mut pieces(list), max, &room).await.map(|(bytes, _)| bytes)
        };
        assert_eq!(read(&["ab", "", "cd", "e"], 5).await, Ok(Bytes::from("abcde")));
        assert_eq!(read(&["", "abcde"], 5).await, Ok(Bytes::from("abcde")));
        assert_eq!(read(&["ab", "cd", "ef"], 5).await, Err(Refusal::TooLarge { max: 5 }));
        assert_eq!(read(&["abcdef"], 5).await, Err(Refusal::TooLarge { max: 5 }));
        assert_eq!(read(&[], 5).await, Ok(Bytes::new()));
    }

    #[tokio::test]
    async fn bodies_take_room_until_they_are_let_go() {
        let room = Arc::new(Semaphore::new(5));
        let first = whole(&mut pieces(&["ab", "c"]), 10, &room).await.expect("there is room");
        let refused = whole(&mut pieces(&["ab", "c"]), 10, &room).await;
        assert_eq!(refused.map(drop), Err(Refusal::NoRoom));
        assert_eq!(room.available_permits(), 2, "what was refused holds nothing");
        drop(first);
        let again = whole(&mut pieces(&["abcde"]), 10, &room).await;
        assert!(again.is_ok());
    }
}
