//! The gateway itself: one request from its match to its answer. A service for [`listener::serve`](crate::listener).

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::body::Body;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::{
    answer::{self, Answer},
    call::{Invocation, Invoke},
    context,
    input::{self, CallLimits},
    listener::Peer,
    route::{Authentication, Route},
    table::{Table, Want},
};

/// A body that nobody wants is read for this long and this far, so that its client comes to read the answer.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 32 * 1024 * 1024;

/// Serves the published table. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    shared: Arc<Shared>,
}

struct Shared {
    table: ArcSwap<Table>,
    invoke: Arc<dyn Invoke>,
    limits: CallLimits,
    room: Arc<Semaphore>,
    calls: TaskTracker,
}

impl Gateway {
    /// A gateway without routes: everything is 404 until a table is published.
    pub fn new(invoke: Arc<dyn Invoke>, limits: CallLimits) -> Self {
        let room = Arc::new(Semaphore::new(limits.buffered_bytes.min(Semaphore::MAX_PERMITS)));
        let table = ArcSwap::default();
        let shared = Shared { table, invoke, limits, room, calls: TaskTracker::new() };
        Self { shared: Arc::new(shared) }
    }

    /// From now on requests are matched against `table`; running calls go on.
    pub fn publish(&self, table: Table) {
        self.shared.table.store(Arc::new(table));
    }

    /// The table that is served now.
    pub fn table(&self) -> Arc<Table> {
        self.shared.table.load_full()
    }

    /// Ends when no call runs, those included whose callers have gone. For the stop, after the listeners'.
    pub async fn calls_ended(&self) {
        self.shared.calls.close();
        self.shared.calls.wait().await;
        self.shared.calls.reopen();
    }

    async fn answer<B>(self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let (parts, mut body) = request.into_parts();
        let Some(host) = host(&parts) else {
            linger(&parts, body);
            return answer::ambiguous_host();
        };
        // The table is let go before anything is waited for.
        let route = find(&self.shared.table.load(), &parts, host).cloned();
        let Some(route) = route else {
            linger(&parts, body);
            return answer::no_api();
        };
        let mut answer = match refused(&parts, &route) {
            Some(refused) => refused,
            None => self.shared.call(&parts, &mut body, &route).await,
        };
        linger(&parts, body);
        if route.cors {
            answer::allow_any_site(&mut answer);
        }
        answer
    }
}

impl Shared {
    async fn call<B>(self: &Arc<Self>, parts: &Parts, body: &mut B, route: &Route) -> Answer
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
    {
        let input = match input::read(parts, body, &self.limits, &self.room).await {
            Ok(input) => input,
            Err(refusal) => return answer::of_refusal(&refusal),
        };
        let peer = parts.extensions.get::<Peer>().copied();
        let invocation = Invocation {
            organization: route.organization.clone(),
            function: route.function.clone(),
            blocking: is_blocking(&parts.headers),
            http_context: context::http_context(parts, route, peer),
            input: input.json.clone(),
            peer: peer.map(|peer| peer.address),
        };
        // In a task of its own, so that a caller who goes away takes nothing with it.
        let invoke = Arc::clone(&self.invoke);
        let call = self.calls.spawn(async move {
            let invoked = invoke.invoke(invocation).await;
            drop(input);
            invoked
        });
        match call.await {
            Ok(invoked) => answer::of_call(invoked),
            Err(_) => {
                tracing::error!(function = %route.function.name, "a call panicked");
                answer::panicked()
            }
        }
    }
}

/// The API for a request. What OPTIONS asks about is the method that is to follow, else the path.
fn find<'t>(table: &'t Table, parts: &Parts, host: Option<&str>) -> Option<&'t Arc<Route>> {
    let path = parts.uri.path();
    let by_method = |method: &Method| table.find(host, path, Want::Method(method));
    if parts.method != Method::OPTIONS {
        return by_method(&parts.method);
    }
    let announced = parts.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
    let announced = announced.and_then(|value| Method::from_bytes(value.as_bytes()).ok());
    let announced = announced.and_then(|method| by_method(&method));
    announced.or_else(|| by_method(&Method::OPTIONS)).or_else(|| table.find(host, path, Want::Any))
}

/// The answer without a call, if there is to be none.
fn refused(parts: &Parts, route: &Route) -> Option<Answer> {
    let tls = parts.extensions.get::<Peer>().is_some_and(|peer| peer.tls);
    if route.https_only && !tls {
        return Some(answer::https_only(parts.version));
    }
    if parts.method == Method::OPTIONS {
        let is_preflight = parts.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let is_served = route.methods.contains(&Method::OPTIONS);
        if !is_served || (route.cors && is_preflight) {
            return Some(answer::empty(StatusCode::OK));
        }
    }
    match route.authentication {
        Authentication::Public => None,
        Authentication::Unsupported(_) => Some(answer::unsupported_authentication()),
    }
}

/// The host that a request asks for; `None` if it cannot be told.
fn host(parts: &Parts) -> Option<Option<&str>> {
    if let Some(host) = parts.uri.host() {
        return Some(Some(host));
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => Some(None),
        (Some(host), None) => host.to_str().ok().map(Some),
        (Some(_), Some(_)) => None,
    }
}

fn is_blocking(headers: &HeaderMap) -> bool {
    let value = headers.get("x-dispatch-blocking");
    value.is_none_or(|value| !value.as_bytes().eq_ignore_ascii_case(b"false"))
}

/// Closing a connection on which a body still comes resets it, and the client may never see its answer.
fn linger<B>(parts: &Parts, mut body: B)
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    // Who waits for 100 sends nothing, and reading would ask for it.
    let waits = parts.headers.contains_key(header::EXPECT);
    if body.is_end_stream() || waits || parts.version == Version::HTTP_2 {
        return;
    }
    tokio::spawn(tokio::time::timeout(LINGER, async move {
        let mut passed = 0;
        while let Some(Ok(frame)) = body.frame().await {
            passed += frame.data_ref().map_or(0, Bytes::len);
            if passed > LINGER_BYTES {
                break;
            }
        }
    }));
}

impl<B> Service<Request<B>> for Gateway
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let gateway = self.clone();
        Box::pin(async move { Ok(gateway.answer(request).await) })
    }
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let apis = self.shared.table.load().len();
        f.debug_struct("Gateway").field("apis", &apis).finish_non_exhaustive()
    }
}
