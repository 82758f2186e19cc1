//! From a request to a response, the same way for every operation of the table.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dispatch_api::{
    Action, Method, ORGANIZATION_HEADER, Route, SEEN_HEADER, SETTLED_HEADER, routes,
};
use dispatch_gateway::listener::Peer;
use dispatch_model::ErrorCode;
use http::{HeaderMap, Request};
use percent_encoding::percent_decode_str;
use tokio::sync::Semaphore;

use crate::{
    http::{
        Answer, ApiError, Call, handlers,
        intake::{Pace, Placed, whole},
        wait::{self, Held},
    },
    platform::Platform,
};

/// All bodies together that have come and whose requests have not been answered.
const BODIES_BYTES_MAX: usize = 512 << 20;

/// The control plane as a service.
pub fn router(platform: Arc<Platform>) -> Router {
    let paths = Arc::new(Paths::from_table());
    let bodies = Bodies { room: Arc::new(Semaphore::new(BODIES_BYTES_MAX)), pace: Pace::SLOWEST };
    Router::new().fallback(answer).with_state(Edge { platform, paths, bodies })
}

#[derive(Clone)]
struct Edge {
    platform: Arc<Platform>,
    paths: Arc<Paths>,
    bodies: Bodies,
}

/// What all bodies share.
#[derive(Debug, Clone)]
struct Bodies {
    room: Arc<Semaphore>,
    pace: Pace,
}

async fn answer(State(edge): State<Edge>, request: Request<Body>) -> Response {
    match handle(&edge, request).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    }
}

async fn handle(edge: &Edge, request: Request<Body>) -> Result<Response, ApiError> {
    let (route, path) = edge.paths.find(request.method().as_str(), request.uri().path())?;
    if route.action == Action::Public {
        return Ok(handlers::public(&edge.platform, route.operation)?.into_response(route.success));
    }
    // A task of its own: a caller that goes away stops nothing, and a panic is an error of this request alone.
    // The body is read there as well: what the connection's task reads for itself wakes another thread each time.
    let done =
        tokio::spawn(serve(Arc::clone(&edge.platform), edge.bodies.clone(), route, path, request));
    let held = done.await.map_err(|_| {
        ApiError::new(ErrorCode::Internal, "the request failed; the server's log says why")
    })??;
    let mut response = Answer::into_response(held.answer, route.success);
    if !held.settled {
        let no = http::HeaderValue::from_static("false");
        response.headers_mut().insert(SETTLED_HEADER, no);
    }
    if let Some(seen) = held.seen.and_then(|seen| http::HeaderValue::from_str(&seen).ok()) {
        response.headers_mut().insert(SEEN_HEADER, seen);
    }
    Ok(response)
}

/// The answer, and whether what was waited for has settled.
async fn serve(
    platform: Arc<Platform>,
    bodies: Bodies,
    route: &'static Route,
    path: Vec<String>,
    request: Request<Body>,
) -> Result<Held, ApiError> {
    let (parts, body) = request.into_parts();
    let source = parts.extensions.get::<Peer>().map(|peer| peer.address.ip());
    platform.authenticator.check_host(&parts.headers)?;
    let actor = platform.authenticator.authenticate(&parts.headers)?;
    let (scope, organization_name) = organization(&platform, &parts.headers).await?;
    let (body, _room) = match route.method {
        Method::Post | Method::Put => {
            read_body(&parts.headers, body, route.body_bytes_max, bodies).await?
        }
        Method::Get | Method::Delete => (Bytes::new(), None),
    };
    let call = Call {
        operation: route.operation,
        organization: scope.organization(),
        scope,
        organization_name,
        actor,
        source,
        request_id: platform.entropy.uuid(),
        now: platform.clock.now(),
        path,
        query: query_pairs(parts.uri.query()),
        body,
        platform,
    };
    let wait = wait::seconds(&call)?;
    let answer = handlers::handle(&call).await?;
    wait::settle(&call, answer, wait).await
}

/// The organization of the request (decision 19a: missing or empty 422/602, unknown 403).
async fn organization(
    platform: &Platform,
    headers: &HeaderMap,
) -> Result<(dispatch_store::OrgScope, dispatch_model::Name), ApiError> {
    let text = headers.get(ORGANIZATION_HEADER).and_then(|value| value.to_str().ok());
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
        ApiError::new(ErrorCode::Required, format!("{ORGANIZATION_HEADER} in header is required"))
    })?;
    let unknown = || {
        ApiError::new(
            ErrorCode::Forbidden,
            format!("organization {text} does not exist, or you may not use it"),
        )
    };
    let name = text.parse().map_err(|_| unknown())?;
    let scope = platform.organization(&name).await?.ok_or_else(unknown)?;
    Ok((scope, name))
}

/// Of a body, and what one without a type is taken for.
const JSON: &str = "application/json";

async fn read_body(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    Bodies { room, pace }: Bodies,
) -> Result<Placed, ApiError> {
    let given = headers.get(http::header::CONTENT_TYPE);
    let given = given.map(|value| value.to_str().unwrap_or_default());
    let media = given.map_or(JSON, |text| text.split(';').next().unwrap_or_default().trim());
    let is_json = media.eq_ignore_ascii_case(JSON);
    let (body, place) = whole(body, max, &room, pace).await?;
    if !is_json && !body.is_empty() {
        return Err(ApiError::new(
            ErrorCode::UnsupportedMediaType,
            format!("unsupported media type {media:?}, only [{JSON}] are allowed"),
        ));
    }
    Ok((body, place))
}

fn query_pairs(query: Option<&str>) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The table's paths, matched.
struct Paths(matchit::Router<Vec<&'static Route>>);

impl Paths {
    fn from_table() -> Self {
        let mut by_path: std::collections::BTreeMap<&str, Vec<&'static Route>> =
            std::collections::BTreeMap::new();
        for route in routes::all() {
            by_path.entry(route.path).or_default().push(route);
        }
        let mut router = matchit::Router::new();
        for (path, rows) in by_path {
            router.insert(path, rows).expect("a test holds that the table's paths do not clash");
        }
        Self(router)
    }

    /// The row for a request, and the decoded parameters of its path. Empty and trailing segments do not count.
    fn find(&self, method: &str, raw: &str) -> Result<(&'static Route, Vec<String>), ApiError> {
        let segments: Vec<&str> = raw.split('/').filter(|segment| !segment.is_empty()).collect();
        let clean = format!("/{}", segments.join("/"));
        let not_found =
            || ApiError::new(ErrorCode::NotFound, format!("path {clean} was not found"));
        let lookup = if clean.starts_with("/healthz") { "/healthz" } else { clean.as_str() };
        let Ok(found) = self.0.at(lookup) else {
            let resource = segments.get(1).copied().unwrap_or_default();
            if segments.first() == Some(&"v1") && routes::NOT_BUILT.contains(&resource) {
                return Err(ApiError::new(
                    ErrorCode::NotImplemented,
                    "Endpoint is not implemented in this version of Dispatch",
                ));
            }
            return Err(not_found());
        };
        let mut path = Vec::new();
        for (_, value) in found.params.iter() {
            let decoded = percent_decode_str(value).decode_utf8().map_err(|_| not_found())?;
            path.push(decoded.into_owned());
        }
        let rows = found.value;
        let row = rows.iter().find(|route| route.method.as_str() == method).ok_or_else(|| {
            let allowed: Vec<&str> = rows.iter().map(|route| route.method.as_str()).collect();
            let allowed = allowed.join(",");
            let message = format!("method {method} is not allowed, but [{allowed}] are");
            let mut error = ApiError::new(ErrorCode::MethodNotAllowed, message);
            error.allow = Some(allowed);
            error
        })?;
        Ok((row, path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_with_and_without_slashes_and_its_parameters_are_decoded() {
        let paths = Paths::from_table();
        let check = |method, raw, expect: Result<(u16, Vec<&str>), (u16, &str)>| {
            let found = paths.find(method, raw);
            match (found, expect) {
                (Ok((route, path)), Ok((success, parameters))) => {
                    assert_eq!(
                        (route.success, path),
                        (success, parameters.iter().map(|s| (*s).to_owned()).collect())
                    );
                }
                (Err(error), Err((status, message))) => {
                    assert_eq!(
                        (error.code.http_status(), error.message.as_str()),
                        (status, message)
                    );
                }
                (found, expect) => panic!("{method} {raw}: {found:?}, expected {expect:?}"),
            }
        };
        check("GET", "/v1/secret", Ok((200, vec![])));
        check("POST", "/v1/secret/", Ok((201, vec![])));
        check("GET", "/v1/serviceclass/p.mysql%2Fa%20b", Ok((200, vec!["p.mysql/a b"])));
        check("GET", "/healthz/deep", Ok((200, vec![])));
        check("GET", "/v2/x", Err((404, "path /v2/x was not found")));
        check("GET", "/v1/secret/%ff", Err((404, "path /v1/secret/%ff was not found")));
        check(
            "POST",
            "/v1/iam/policy",
            Err((501, "Endpoint is not implemented in this version of Dispatch")),
        );
        check("PATCH", "/v1/secret", Err((405, "method PATCH is not allowed, but [POST,GET] are")));
    }

    #[tokio::test]
    async fn what_is_too_large_for_its_route_is_refused() {
        let server = crate::testing::TestServer::start().await;
        let check = async |path: &str, key: &str, bytes: usize, expect: u16| {
            let body = serde_json::json!({ (key): "x".repeat(bytes) });
            let answer = server.post(path, &body).await;
            assert_eq!(answer.status, expect, "{path} {bytes}: {}", answer.text);
        };
        // `{"x":""}` around it.
        check("/v1/baseimage", "x", (1 << 20) - 8, 422).await;
        check("/v1/baseimage", "x", (1 << 20) - 7, 413).await;
        // Its two quotation marks are of it.
        check("/v1/runs?functionName=f", "input", (10 << 20) - 2, 404).await;
        check("/v1/runs?functionName=f", "input", (10 << 20) - 1, 413).await;
        check("/v1/runs?functionName=f", "input", 11 << 20, 413).await;
        server.finish().await;
    }

    /// Nobody can send on where an answer has come early: the connection is of no more use, and it is said to be.
    #[tokio::test]
    async fn a_body_that_stops_coming_is_answered_408_on_a_connection_that_closes() {
        let server = crate::testing::TestServer::start().await;
        let platform = Arc::clone(server.running.platform());
        let pace = Pace { silence: std::time::Duration::from_millis(20), ..Pace::SLOWEST };
        let bodies = Bodies { room: Arc::new(Semaphore::new(10)), pace };
        let paths = Arc::new(Paths::from_table());
        let edge = Edge { platform, paths, bodies: bodies.clone() };
        let body = Body::from_stream(futures::StreamExt::chain(
            futures::stream::iter([Ok::<_, std::io::Error>("{")]),
            futures::stream::pending(),
        ));
        let request = Request::post("/v1/secret")
            .header("Host", "127.0.0.1")
            .header("Cookie", server.key())
            .header("X-Dispatch-Org", "dispatch");
        let response = answer(State(edge), request.body(body).unwrap()).await;
        let close = response.headers().get(http::header::CONNECTION).unwrap();
        assert_eq!((response.status().as_u16(), close.to_str().unwrap()), (408, "close"));
        assert_eq!(bodies.room.available_permits(), 10);
        server.finish().await;
    }
}
