//! The routes of the API over a [`Broker`].

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};

use super::Broker;
use super::authentication::Authentication;
use super::failure::Failure;
use super::read::{self, Query, Refused};
use super::request::{
    Bind, Call, Deprovision, GetBinding, GetInstance, PollBinding, PollInstance, Provision, Unbind,
    Update,
};
use super::respond;
use crate::headers::REQUEST_IDENTITY;
use crate::types::{BindBody, ErrorBody, ProvisionBody, UpdateBody};

/// The longest body of a request, in bytes; a longer one is answered 413.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The longest id in a path, in bytes after decoding; a longer one is answered 400.
pub const MAX_ID_BYTES: usize = 255;

/// The HTTP interface of a broker, to be served at the root or nested under a prefix.
///
/// Every request is first authenticated (401), then its version is checked (400 without one, 412
/// for one that is not 2.x). `X-Broker-API-Request-Identity` is echoed on every answer.
pub fn router(broker: Arc<dyn Broker>, authentication: Authentication) -> Router {
    let instance = "/v2/service_instances/{instance}";
    let binding = format!("{instance}/service_bindings/{{binding}}");
    let served = Arc::new(Served { broker, authentication });
    Router::new()
        .route("/v2/catalog", get(catalog))
        .route(instance, get(instance_get).put(provision).patch(update).delete(deprovision))
        .route(&format!("{instance}/last_operation"), get(instance_operation))
        .route(&binding, get(binding_get).put(bind).delete(unbind))
        .route(&format!("{binding}/last_operation"), get(binding_operation))
        .method_not_allowed_fallback(|| async {
            plain(StatusCode::METHOD_NOT_ALLOWED, "no such method here")
        })
        .fallback(|| async { plain(StatusCode::NOT_FOUND, "no such path") })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&served), guard))
        .with_state(served)
}

struct Served {
    broker: Arc<dyn Broker>,
    authentication: Authentication,
}

type Context = State<Arc<Served>>;
type Answer = Result<Response, Refused>;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        respond::with(self.status, &self.body)
    }
}

/// Authentication, version, and the echo of the request's identity.
async fn guard(
    State(served): Context,
    mut request: Request,
    next: axum::middleware::Next,
) -> Response {
    let identity = request.headers().get(REQUEST_IDENTITY).cloned();
    let mut response = if served.authentication.admits(request.headers()) {
        match read::call(request.headers()) {
            Ok(call) => {
                request.extensions_mut().insert(call);
                next.run(request).await
            }
            Err(refused) => refused.into_response(),
        }
    } else {
        let mut response = plain(StatusCode::UNAUTHORIZED, "the broker needs credentials");
        if let Some(challenge) = served.authentication.challenge() {
            let value = HeaderValue::from_static(challenge);
            response.headers_mut().insert(WWW_AUTHENTICATE, value);
        }
        response
    };
    if let Some(identity) = identity {
        response.headers_mut().insert(REQUEST_IDENTITY, identity);
    }
    response
}

fn plain(status: StatusCode, text: &str) -> Response {
    let body = ErrorBody { description: Some(text.to_owned()), ..ErrorBody::default() };
    respond::with(status, &body)
}

/// What the guard has read from the headers.
fn call_of(request: &Request) -> Call {
    request.extensions().get::<Call>().cloned().expect("the guard has put it there")
}

/// The ids of a path in their order.
struct Ids(Vec<String>);

impl Ids {
    fn of(path: &RawPathParams) -> Result<Self, Failure> {
        Ok(Self(path.iter().map(|(_, segment)| read::id(segment)).collect::<Result<_, _>>()?))
    }

    fn next(&mut self) -> String {
        self.0.remove(0)
    }
}

/// Runs a change to its end even when the caller goes away; a panic is a 500.
async fn to_the_end<T, F>(work: F) -> Answer
where
    F: Future<Output = Result<T, Failure>> + Send + 'static,
    T: IntoResponse + Send + 'static,
{
    match tokio::spawn(work).await {
        Ok(Ok(answer)) => Ok(answer.into_response()),
        Ok(Err(failure)) => Ok(failure.into_response()),
        Err(_) => Ok(Failure::internal("the broker failed while it was working").into_response()),
    }
}

async fn catalog(State(served): Context, request: Request) -> Answer {
    let call = call_of(&request);
    to_the_end(async move {
        let catalog = served.broker.catalog(&call).await?;
        Ok(respond::with(StatusCode::OK, &catalog))
    })
    .await
}

async fn provision(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts);
    let body: ProvisionBody = read::body(Request::from_parts(parts, body)).await?;
    let request =
        Provision { instance_id: ids.next(), accepts_incomplete: query.accepts_incomplete(), body };
    to_the_end(async move { served.broker.provision(&call, request).await }).await
}

async fn update(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts);
    let body: UpdateBody = read::body(Request::from_parts(parts, body)).await?;
    let request =
        Update { instance_id: ids.next(), accepts_incomplete: query.accepts_incomplete(), body };
    to_the_end(async move { served.broker.update(&call, request).await }).await
}

async fn deprovision(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = Deprovision {
        instance_id: ids.next(),
        accepts_incomplete: query.accepts_incomplete(),
        service_id: query.required("service_id")?,
        plan_id: query.required("plan_id")?,
    };
    to_the_end(async move { served.broker.deprovision(&call, request).await }).await
}

async fn instance_operation(
    State(served): Context,
    path: RawPathParams,
    request: Request,
) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = PollInstance {
        instance_id: ids.next(),
        service_id: query.get("service_id"),
        plan_id: query.get("plan_id"),
        operation: query.get("operation"),
    };
    to_the_end(async move { served.broker.instance_operation(&call, request).await }).await
}

async fn instance_get(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = GetInstance {
        instance_id: ids.next(),
        service_id: query.get("service_id"),
        plan_id: query.get("plan_id"),
    };
    to_the_end(async move {
        let document = served.broker.get_instance(&call, request).await?;
        Ok(respond::with(StatusCode::OK, &document))
    })
    .await
}

async fn bind(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts);
    let body: BindBody = read::body(Request::from_parts(parts, body)).await?;
    let request = Bind {
        instance_id: ids.next(),
        binding_id: ids.next(),
        accepts_incomplete: query.accepts_incomplete(),
        body,
    };
    to_the_end(async move { served.broker.bind(&call, request).await }).await
}

async fn unbind(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = Unbind {
        instance_id: ids.next(),
        binding_id: ids.next(),
        accepts_incomplete: query.accepts_incomplete(),
        service_id: query.required("service_id")?,
        plan_id: query.required("plan_id")?,
    };
    to_the_end(async move { served.broker.unbind(&call, request).await }).await
}

async fn binding_operation(
    State(served): Context,
    path: RawPathParams,
    request: Request,
) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = PollBinding {
        instance_id: ids.next(),
        binding_id: ids.next(),
        service_id: query.get("service_id"),
        plan_id: query.get("plan_id"),
        operation: query.get("operation"),
    };
    to_the_end(async move { served.broker.binding_operation(&call, request).await }).await
}

async fn binding_get(State(served): Context, path: RawPathParams, request: Request) -> Answer {
    let (call, mut ids) = (call_of(&request), Ids::of(&path)?);
    let query = Query::of(&request.into_parts().0);
    let request = GetBinding {
        instance_id: ids.next(),
        binding_id: ids.next(),
        service_id: query.get("service_id"),
        plan_id: query.get("plan_id"),
    };
    to_the_end(async move {
        let document = served.broker.get_binding(&call, request).await?;
        Ok(respond::with(StatusCode::OK, &document))
    })
    .await
}
