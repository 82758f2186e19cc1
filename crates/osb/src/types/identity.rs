//! Who caused a request: `X-Broker-API-Originating-Identity` (OSB-008).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::JsonObject;

/// `X-Broker-API-Originating-Identity`: a platform's name and an object in its own shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OriginatingIdentity {
    pub platform: String,
    pub value: JsonObject,
}

impl OriginatingIdentity {
    /// Reads the header's value: the platform, one space, base64 of a JSON object.
    pub fn from_header(text: &str) -> Option<Self> {
        let (platform, encoded) = text.split_once(' ')?;
        if platform.is_empty() {
            return None;
        }
        let value = serde_json::from_slice(&STANDARD.decode(encoded.trim()).ok()?).ok()?;
        Some(Self { platform: platform.to_owned(), value })
    }

    /// Writes the header's value.
    pub fn to_header(&self) -> String {
        let json = serde_json::Value::Object(self.value.clone()).to_string();
        format!("{} {}", self.platform, STANDARD.encode(json))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OSB-008: standard padded base64, one space, a platform.
    #[test]
    fn an_originating_identity_survives_its_header() {
        let value = serde_json::json!({"user_id": "é?>", "groups": ["a"]});
        let identity = OriginatingIdentity {
            platform: "dispatch".to_owned(),
            value: value.as_object().cloned().unwrap_or_default(),
        };
        assert_eq!(OriginatingIdentity::from_header(&identity.to_header()), Some(identity));
        for bad in ["", "dispatch", " e30=", "dispatch ???", "dispatch W10="] {
            assert_eq!(OriginatingIdentity::from_header(bad), None, "{bad}");
        }
    }
}
