//! Reading a request: version, identities, ids, query and body, each with its bound.

use axum::extract::Request;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::request::Call;
use super::router::{MAX_BODY_BYTES, MAX_ID_BYTES};
use crate::headers::{API_VERSION, ORIGINATING_IDENTITY, REQUEST_IDENTITY};
use crate::types::{ApiVersion, ErrorBody, OriginatingIdentity};

/// A refusal before the broker is asked.
pub(super) struct Refused {
    pub(super) status: StatusCode,
    pub(super) body: ErrorBody,
}

impl Refused {
    fn new(status: StatusCode, description: impl Into<String>) -> Self {
        let body = ErrorBody { description: Some(description.into()), ..ErrorBody::default() };
        Self { status, body }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { status: failure.status(), body: failure.body() }
    }
}

/// The headers that concern every request: 400 without a version, 412 for one that is not 2.x.
pub(super) fn call(headers: &HeaderMap) -> Result<Call, Refused> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(version) = headers.get(API_VERSION) else {
        let text = "the header X-Broker-API-Version is missing";
        return Err(Refused::new(StatusCode::BAD_REQUEST, text));
    };
    let version = version.to_str().ok().and_then(|text| text.parse::<ApiVersion>().ok());
    let api_version = match version {
        Some(version) if version.major == 2 => version,
        Some(_) => {
            let text = "this broker speaks version 2.x of the API";
            return Err(Refused::new(StatusCode::PRECONDITION_FAILED, text));
        }
        None => {
            let text = "the header X-Broker-API-Version is not of the form MAJOR.MINOR";
            return Err(Refused::new(StatusCode::BAD_REQUEST, text));
        }
    };
    let originating_identity = match headers.get(ORIGINATING_IDENTITY) {
        None => None,
        Some(value) => {
            let identity = value.to_str().ok().and_then(OriginatingIdentity::from_header);
            let text =
                "X-Broker-API-Originating-Identity is not a platform and base64 of an object";
            Some(identity.ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, text))?)
        }
    };
    Ok(Call {
        api_version,
        originating_identity,
        request_identity: text(REQUEST_IDENTITY).map(str::to_owned),
    })
}

/// One id of a path, which axum has decoded (OSB-011), within its bound.
pub(super) fn id(segment: &str) -> Result<String, Failure> {
    match segment.len() {
        0 => Err(Failure::bad_request("an id in the path is empty")),
        1..=MAX_ID_BYTES => Ok(segment.to_owned()),
        _ => Err(Failure::bad_request(format!("an id is longer than {MAX_ID_BYTES} bytes"))),
    }
}

/// The query of a request, decoded.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(parts: &Parts) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        Self(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<String> {
        let found = self.0.iter().find(|(key, value)| key == name && !value.is_empty())?;
        Some(found.1.clone())
    }

    pub(super) fn required(&self, name: &str) -> Result<String, Failure> {
        self.get(name)
            .ok_or_else(|| Failure::bad_request(format!("{name} is missing in the query")))
    }

    pub(super) fn accepts_incomplete(&self) -> bool {
        self.get("accepts_incomplete").is_some_and(|value| value == "true")
    }
}

/// The body as JSON, whatever its Content-Type says (OSB-002).
pub(super) async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Refused> {
    let limited = Limited::new(request.into_body(), MAX_BODY_BYTES);
    let bytes = match limited.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            let text = format!("the body is longer than {MAX_BODY_BYTES} bytes");
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        Err(_) => {
            return Err(Refused::new(StatusCode::BAD_REQUEST, "the body ended before its time"));
        }
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        // Its place and kind, without the text: a body may hold secrets.
        let place = format!("line {} column {}", error.line(), error.column());
        let text = match error.classify() {
            serde_json::error::Category::Data => {
                format!("the body is not such a request: see {place}")
            }
            _ => format!("the body is not JSON: see {place}"),
        };
        Refused::new(StatusCode::BAD_REQUEST, text)
    })
}
