//! One authenticated request, as handlers see it.

use std::{fmt, net::IpAddr, sync::Arc};

use bytes::Bytes;
use dispatch_api::{Operation, Tag, routes};
use dispatch_model::{ErrorCode, Id, Kind, Name, Noun, Object, Tags, organization::Organization};
use dispatch_store::{AuditRow, Batch, OrgScope, Stored};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::{ApiError, body};
use crate::platform::Platform;

/// Everything a handler needs. It cannot be made without authentication: that is where the scope comes from.
pub struct Call {
    pub platform: Arc<Platform>,
    pub operation: Operation,
    pub scope: OrgScope,
    pub organization: Id<Organization>,
    pub organization_name: Name,
    pub actor: String,
    pub source: Option<IpAddr>,
    pub request_id: Uuid,
    pub now: Timestamp,
    /// Decoded values of the `{…}` in the path.
    pub path: Vec<String>,
    pub query: Vec<(String, String)>,
    pub body: Bytes,
}

impl fmt::Debug for Call {
    /// Without the body, which may be or hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation)
            .field("organization", &self.organization_name)
            .field("request_id", &self.request_id)
            .field("path", &self.path)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Call {
    /// The first parameter of the path, as the name of one of our objects.
    ///
    /// The pattern of v0.1.22 is weaker than that of new names: what fits it and cannot be a name is simply not found.
    pub fn name_of(&self, kind: Kind) -> Result<Name, ApiError> {
        let text = self.path_parameter();
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            let parameter = path_parameter_of(kind);
            return Err(ApiError::new(
                ErrorCode::Pattern,
                format!(r"{parameter} in path should match '^[\w\d\-]+$'"),
            ));
        }
        text.parse().map_err(|_| ApiError::not_found(kind, text))
    }

    pub fn path_parameter(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// The last value of a query parameter.
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Absent is false; anything but a boolean is refused.
    pub fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.query(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1" | "") => Ok(true),
            Some(other) => Err(ApiError::new(
                ErrorCode::WrongType,
                format!("{name} in query must be of type boolean: {other:?}"),
            )),
        }
    }

    /// The body as JSON of this shape (contract §1.3: 400 if it is not).
    pub fn body<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if self.body.is_empty() {
            return Err(ApiError::required("body"));
        }
        body::parse(&self.body)
    }

    /// A batch with the one audit row that this request gets.
    pub fn batch(&self, kind: Kind, name: &str, id: Uuid) -> Batch {
        let route = routes::of(self.operation);
        Batch::new().request(AuditRow {
            at: self.now,
            actor: self.actor.clone(),
            organization: Some(self.organization),
            action: route.action.as_str().to_owned(),
            kind: Some(kind),
            name: Some(name.to_owned()),
            id: Some(id),
            source: self.source,
            request_id: self.request_id,
            details: serde_json::json!({ "operation": format!("{:?}", self.operation) }),
        })
    }

    /// The object of this name in the organization, or 404.
    pub async fn find<K: Noun>(&self, name: &Name) -> Result<Object<K>, ApiError> {
        let found = self.platform.store.get::<K>(&self.scope, name).await?;
        let stored = found.ok_or_else(|| ApiError::not_found(K::KIND, name.as_str()))?;
        stored.readable().map_err(|why| unreadable(K::KIND, name, &why))
    }

    /// All objects of a kind in the organization, those that cannot be read included.
    pub async fn list<K: Noun>(&self) -> Result<Vec<Stored<K>>, ApiError> {
        Ok(self.platform.store.list::<K>(&self.scope).await?)
    }

    /// The filter of `?tags=application=x` (contract §1.3: only `application` and `app` are known).
    pub fn tag_filter(&self) -> Result<Option<String>, ApiError> {
        let mut wanted = None;
        for (_, text) in self.query.iter().filter(|(key, _)| key == "tags") {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                ApiError::bad_request(format!("error parsing tag '{text}': invalid format"))
            })?;
            if !key.eq_ignore_ascii_case("application") && !key.eq_ignore_ascii_case("app") {
                return Err(ApiError::bad_request(format!(
                    "error parsing tag '{text}': key '{key}' not exist"
                )));
            }
            wanted = Some(value.to_owned());
        }
        Ok(wanted)
    }
}

/// What v0.1.22 called the name in a path, and would have called it.
const fn path_parameter_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Secret => "secretName",
        Kind::Function => "functionName",
        Kind::Image => "imageName",
        Kind::BaseImage => "baseImageName",
        Kind::Api => "api",
        Kind::ServiceBroker => "serviceBrokerName",
        Kind::ServiceInstance => "serviceInstanceName",
        Kind::ServiceBinding => "serviceBindingName",
        Kind::AccessKey | Kind::Organization | Kind::Orphan | Kind::ServiceClass => "name",
    }
}

/// Whether an object with these tags passes `Call::tag_filter`.
pub fn has_application(tags: &Tags, wanted: Option<&str>) -> bool {
    wanted.is_none_or(|wanted| {
        tags.iter().any(|(key, value)| key.eq_ignore_ascii_case("application") && value == wanted)
    })
}

/// Tags of a request; at most 64, each part at most 256 bytes.
pub fn tags(tags: Option<Vec<Tag>>) -> Result<Tags, ApiError> {
    let tags = dispatch_api::tag::from_wire(tags);
    if tags.len() > 64 {
        return Err(ApiError::new(ErrorCode::TooLong, "tags in body should have at most 64 items"));
    }
    if tags.iter().any(|(key, value)| key.len() > 256 || value.len() > 256) {
        return Err(ApiError::new(
            ErrorCode::TooLong,
            "tags in body should be at most 256 bytes long each",
        ));
    }
    Ok(tags)
}

/// The required `name` of a new object.
pub fn new_name(name: Option<&str>) -> Result<Name, ApiError> {
    let text = name.ok_or_else(|| ApiError::required("name"))?;
    Ok(text.parse()?)
}

/// An object that this program cannot read is an error on that object alone (decision 6).
pub fn unreadable(
    kind: Kind,
    name: &Name,
    why: &dispatch_model::object::UnreadableForm,
) -> ApiError {
    ApiError::new(ErrorCode::Conflict, format!("{} {name} cannot be used: {why}", kind.noun()))
}
