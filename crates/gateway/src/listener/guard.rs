//! What stands around every request: it is counted, it knows its peer, and a panic in it is its own 500.

use std::{
    any::Any,
    convert::Infallible,
    error::Error,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower::{Service, ServiceExt};

use super::{
    Peer,
    activity::{Activity, Call},
};

const PANIC_BODY: &[u8] = br#"{"code":500,"message":"internal error"}"#;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;

/// Answers one request with `service`; never panics.
pub(super) async fn answer<S, B>(
    service: S,
    mut request: Request<Incoming>,
    peer: Peer,
    activity: Arc<Activity>,
) -> Result<Response<Guarded<B>>, Infallible>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>,
{
    let call = activity.begin_call(request.version() == Version::HTTP_2);
    request.extensions_mut().insert(peer);
    // The service and the request are gone after a panic, so nothing can see them half changed.
    let outcome =
        AssertUnwindSafe(async move { service.oneshot(request).await }).catch_unwind().await;
    Ok(match outcome {
        Ok(Ok(response)) => response.map(|body| Guarded::body(body, call)),
        Err(panic) => {
            report(&*panic);
            let mut response = Response::new(Guarded::panicked(call));
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
            response
        }
    })
}

/// The panic's own words go to the panic hook only: they may hold anything.
fn report(_: &(dyn Any + Send)) {
    tracing::error!("a request panicked");
}

/// A response body that ends its [`Call`] when it has been handed over.
pub(super) struct Guarded<B> {
    inner: Inner<B>,
    _call: Call,
}

enum Inner<B> {
    Body(Pin<Box<B>>),
    Panicked(Option<Bytes>),
}

impl<B> Guarded<B> {
    fn body(body: B, call: Call) -> Self {
        Self { inner: Inner::Body(Box::pin(body)), _call: call }
    }

    fn panicked(call: Call) -> Self {
        Self { inner: Inner::Panicked(Some(Bytes::from_static(PANIC_BODY))), _call: call }
    }
}

impl<B> Body for Guarded<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.inner {
            Inner::Panicked(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Inner::Body(body) => {
                let poll = || body.as_mut().poll_frame(cx).map_err(Into::into);
                panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
                    report(&*panic);
                    Poll::Ready(Some(Err("the answer's body panicked".into())))
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Body(body) => body.is_end_stream(),
            Inner::Panicked(body) => body.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Body(body) => body.size_hint(),
            Inner::Panicked(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
        }
    }
}
