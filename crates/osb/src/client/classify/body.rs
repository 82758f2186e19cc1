//! Reading the bodies of good answers. An error is a fragment that quotes nothing.
//!
//! What is not essential is dropped when it is misshapen rather than called malformed: metadata
//! (OSB-134) never leads to the loss of an instance.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::outcome::Polled;
use super::super::words;
use super::MAX_OPERATION_CHARS;
use crate::json::kind;
use crate::text::clean;
use crate::types::{
    BindingDocument, Endpoint, InstanceDocument, ProvisionAnswer, UpdateAnswer, VolumeMount,
};

/// `operation` of a 202: a string of 1 to 10,000 characters, null or absent (OSB-088).
pub(super) fn operation(value: Option<Value>) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= MAX_OPERATION_CHARS => Ok(Some(text)),
        Some(Value::String(_)) => {
            Err(format!("operation has more than {MAX_OPERATION_CHARS} characters"))
        }
        Some(other) => Err(format!("operation is {}", kind(&other))),
    }
}

pub(super) fn provision(_: u16, mut value: Value) -> Result<ProvisionAnswer, String> {
    let metadata = optional(&mut value, "metadata");
    let dashboard_url = text(&mut value, "dashboard_url")?;
    Ok(ProvisionAnswer { dashboard_url, operation: None, metadata })
}

pub(super) fn update(_: u16, mut value: Value) -> Result<UpdateAnswer, String> {
    let metadata = optional(&mut value, "metadata");
    let dashboard_url = text(&mut value, "dashboard_url")?;
    Ok(UpdateAnswer { dashboard_url, operation: None, metadata })
}

pub(super) fn instance(mut value: Value) -> Result<InstanceDocument, String> {
    Ok(InstanceDocument {
        metadata: optional(&mut value, "metadata"),
        maintenance_info: optional(&mut value, "maintenance_info"),
        service_id: text(&mut value, "service_id")?,
        plan_id: text(&mut value, "plan_id")?,
        dashboard_url: text(&mut value, "dashboard_url")?,
        parameters: field(&mut value, "parameters")?,
    })
}

/// A binding's document (OSB-152 … OSB-155).
pub(super) fn binding(mut value: Value, requires: &[String]) -> Result<BindingDocument, String> {
    let document = BindingDocument {
        metadata: optional(&mut value, "metadata"),
        credentials: field(&mut value, "credentials")?,
        syslog_drain_url: text(&mut value, "syslog_drain_url")?,
        route_service_url: text(&mut value, "route_service_url")?,
        volume_mounts: field::<Vec<_>>(&mut value, "volume_mounts")?.unwrap_or_default(),
        endpoints: field::<Vec<_>>(&mut value, "endpoints")?.unwrap_or_default(),
        parameters: field(&mut value, "parameters")?,
    };
    let needs = |present: bool, name: &str, permission: &str| match present
        && !requires.iter().any(|required| required == permission)
    {
        true => Err(format!("{name} although the service does not require {permission}")),
        false => Ok(()),
    };
    needs(document.syslog_drain_url.is_some(), "syslog_drain_url", "syslog_drain")?;
    needs(document.route_service_url.is_some(), "route_service_url", "route_forwarding")?;
    needs(!document.volume_mounts.is_empty(), "volume_mounts", "volume_mount")?;
    document.volume_mounts.iter().try_for_each(volume_mount)?;
    document.endpoints.iter().try_for_each(endpoint)?;
    Ok(document)
}

fn volume_mount(mount: &VolumeMount) -> Result<(), String> {
    let bad = |name: &str| Err(format!("{name} of a volume mount is missing or unknown"));
    match mount {
        mount if mount.driver.is_empty() => bad("driver"),
        mount if mount.container_dir.is_empty() => bad("container_dir"),
        mount if !matches!(mount.mode.as_str(), "r" | "rw") => bad("mode"),
        mount if mount.device_type != "shared" => bad("device_type"),
        mount if mount.device.volume_id.is_empty() => bad("device.volume_id"),
        _ => Ok(()),
    }
}

fn endpoint(endpoint: &Endpoint) -> Result<(), String> {
    let protocol = endpoint.protocol.as_deref().unwrap_or("tcp");
    if endpoint.host.is_empty() {
        return Err("host of an endpoint is empty".to_owned());
    }
    if endpoint.ports.is_empty() || !endpoint.ports.iter().all(|ports| is_port_range(ports)) {
        return Err("ports of an endpoint are missing or no ports".to_owned());
    }
    match protocol {
        "tcp" | "udp" | "all" => Ok(()),
        _ => Err("protocol of an endpoint is unknown".to_owned()),
    }
}

/// `"443"` or `"9000-9010"`.
fn is_port_range(text: &str) -> bool {
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match text.split_once('-') {
        None => port(text).is_some(),
        Some((first, last)) => match (port(first), port(last)) {
            (Some(first), Some(last)) => first <= last,
            _ => false,
        },
    }
}

/// The state of an operation (OSB-106, OSB-107).
pub(super) fn state(value: &Value, retry_after: Option<Duration>) -> Polled {
    let description = words::description(value.get("description").and_then(Value::as_str));
    let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(true);
    match value.get("state").and_then(Value::as_str) {
        Some("in progress") => Polled::InProgress { description, retry_after },
        Some("succeeded") => Polled::Succeeded { description },
        Some("failed") => Polled::Failed {
            description,
            instance_usable: flag("instance_usable"),
            update_repeatable: flag("update_repeatable"),
        },
        Some(other) => {
            Polled::Unknown(format!("HTTP 200 with the unknown state {}", clean(other, 50)))
        }
        None => Polled::Unknown("HTTP 200 without a state".to_owned()),
    }
}

/// A text, null or absent.
fn text(value: &mut Value, name: &str) -> Result<Option<String>, String> {
    field(value, name)
}

/// A field that has to be right if it is there.
fn field<T: DeserializeOwned>(value: &mut Value, name: &str) -> Result<Option<T>, String> {
    let Some(given) = value.as_object_mut().and_then(|object| object.remove(name)) else {
        return Ok(None);
    };
    let kind = kind(&given);
    serde_json::from_value(given).map_err(|_| format!("{name} is {kind} of the wrong shape"))
}

/// A field that is dropped if it is wrong.
fn optional<T: DeserializeOwned>(value: &mut Value, name: &str) -> Option<T> {
    field(value, name).unwrap_or_default()
}
