//! The way of a request through the fake broker: books, credentials, version, fault, work.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State as Extract};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use tower::ServiceExt as _;

use super::books::RequestRecord;
use super::fault::{CallKind, Fault, RawAnswer};
use super::state::{Shared, State};
use crate::broker::{Authentication, Broker};
use crate::headers::{API_VERSION, REQUEST_IDENTITY};
use crate::types::ApiVersion;

/// The longest body of a request that is recorded, in bytes.
const MAX_RECORDED_BYTES: usize = 16 * 1024 * 1024;

/// Marks an answer instead of which the connection is to be ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reset;

/// The fake broker as a router.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(whole).with_state(shared)
}

/// Goes on to the end even if the caller goes away, as a real broker may.
async fn whole(Extract(shared): Extract<Arc<Shared>>, request: Request) -> Response {
    let work = tokio::spawn(handle(shared, request));
    work.await.unwrap_or_else(|_| reset())
}

async fn handle(shared: Arc<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_RECORDED_BYTES).collect().await else {
        return reset();
    };
    let body = body.to_bytes();
    let call = CallKind::of(&parts.method, parts.uri.path());
    let (index, fault) = shared.with(|state| {
        let index = state.record(call, &parts, &body);
        (index, state.take_fault(call))
    });
    let response = answer(&shared, call, parts, body, fault).await;
    if response.extensions().get::<Reset>().is_none() {
        let status = response.status().as_u16();
        shared.with(|state| {
            if let Some(request) = state.books.requests.get_mut(index) {
                request.status = Some(status);
            }
        });
    }
    response
}

async fn answer(
    shared: &Arc<Shared>,
    call: CallKind,
    parts: Parts,
    body: Bytes,
    fault: Option<Fault>,
) -> Response {
    match fault {
        Some(Fault::Instead(answer)) => return raw(&answer),
        Some(Fault::ResetBefore) => return reset(),
        Some(Fault::HangBefore) => shared.hang().await,
        _ => {}
    }
    let response = right(shared, call, parts, body).await;
    match fault {
        Some(Fault::After(answer)) => raw(&answer),
        Some(Fault::ResetAfter) => reset(),
        Some(Fault::ResetInBody) => cut(response).await,
        Some(Fault::HangAfter) => {
            shared.hang().await;
            response
        }
        Some(Fault::Drip { pause }) => drip(response, pause).await,
        Some(Fault::Header { name, value }) => with_header(response, &name, value.as_deref()),
        _ => response,
    }
}

/// What a well-behaved broker answers.
async fn right(shared: &Arc<Shared>, call: CallKind, parts: Parts, body: Bytes) -> Response {
    let settings = shared.read(|state| state.settings.clone());
    if !settings.authentication.admits(&parts.headers) {
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        if let Some(challenge) = settings.authentication.challenge() {
            let value = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        return response;
    }
    if let Some(versions) = &settings.versions
        && !version_of(&parts.headers).is_some_and(|version| versions.contains(&version))
    {
        return raw(&RawAnswer::error(412, "", "this version is not spoken here"));
    }
    if call == CallKind::Catalog
        && let Some(etag) = &settings.etag
        && parts.headers.get(IF_NONE_MATCH).is_some_and(|given| given == etag.as_str())
    {
        return raw(&RawAnswer::empty(304).with_header("etag", etag));
    }
    let broker: Arc<dyn Broker> = Arc::clone(shared) as _;
    let router = crate::broker::router(broker, Authentication::None);
    let request = Request::from_parts(parts, Body::from(body));
    let Ok(mut response) = router.oneshot(request).await;
    let polled = matches!(call, CallKind::PollInstance | CallKind::PollBinding);
    if let Some(after) = settings.retry_after.as_deref()
        && (polled || response.status() == StatusCode::ACCEPTED)
    {
        response = with_header(response, RETRY_AFTER.as_str(), Some(after));
    }
    if call == CallKind::Catalog && response.status() == StatusCode::OK {
        response = match settings.etag.as_deref() {
            Some(etag) => with_header(response, ETAG.as_str(), Some(etag)),
            None => response,
        };
    }
    response
}

impl State {
    /// Puts a request into the books, with what is wrong with its headers.
    fn record(&mut self, call: CallKind, parts: &Parts, body: &Bytes) -> usize {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: Vec<_> =
            parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let record = RequestRecord {
            call,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers,
            body: body.to_vec(),
            status: None,
        };
        if version_of(&parts.headers).is_none() {
            self.books.violation("OSB-001: a request has no version");
        }
        match record.header(REQUEST_IDENTITY) {
            None | Some("") => self.books.violation("OSB-010: a request has no identity"),
            Some(identity) => {
                let same = |other: &RequestRecord| other.header(REQUEST_IDENTITY) == Some(identity);
                if self.books.requests.iter().any(same) {
                    self.books.violation("OSB-010: two requests have the same identity");
                }
            }
        }
        self.books.requests.push(record);
        self.books.requests.len() - 1
    }

    fn take_fault(&mut self, call: CallKind) -> Option<Fault> {
        let queued = self.faults.get_mut(&call).and_then(std::collections::VecDeque::pop_front);
        queued.or_else(|| self.always.get(&call).cloned())
    }
}

fn version_of(headers: &HeaderMap) -> Option<ApiVersion> {
    headers.get(API_VERSION)?.to_str().ok()?.parse().ok()
}

fn raw(answer: &RawAnswer) -> Response {
    let mut response = Response::new(Body::from(answer.body.clone()));
    *response.status_mut() = answer.status();
    for (name, value) in &answer.headers {
        let (Ok(name), Ok(value)) =
            (HeaderName::try_from(name), HeaderValue::from_bytes(value.as_bytes()))
        else {
            continue;
        };
        response.headers_mut().append(name, value);
    }
    response
}

fn with_header(mut response: Response, name: &str, value: Option<&str>) -> Response {
    if let Ok(name) = HeaderName::try_from(name) {
        match value.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok()) {
            Some(value) => response.headers_mut().insert(name, value),
            None => response.headers_mut().remove(name),
        };
    }
    response
}

/// No answer: the listener ends the connection.
fn reset() -> Response {
    let broken: Result<Bytes, _> = Err(std::io::Error::other("reset"));
    let body = Body::from_stream(stream::iter([broken]));
    let mut response = Response::new(body);
    response.extensions_mut().insert(Reset);
    response
}

/// The head and half of the body; then the connection breaks.
async fn cut(response: Response) -> Response {
    let (parts, bytes) = whole_body(response).await;
    let half = bytes.slice(..bytes.len() / 2);
    // The pause lets the first half reach the caller.
    let body = stream::iter([Ok(half)]).chain(stream::once(async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("reset"))
    }));
    Response::from_parts(parts, Body::from_stream(body))
}

async fn drip(response: Response, pause: Duration) -> Response {
    let (parts, bytes) = whole_body(response).await;
    let body = stream::iter(0..bytes.len()).then(move |index| {
        let byte = bytes.slice(index..=index);
        async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>(byte)
        }
    });
    Response::from_parts(parts, Body::from_stream(body))
}

/// Head and body apart; the length stays in the head, so that a missing rest is noticed.
async fn whole_body(response: Response) -> (http::response::Parts, Bytes) {
    let (mut parts, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    parts.headers.insert(http::header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    (parts, bytes)
}
