//! Version, health, the description of the API, and the page that `dispatch login` looks at (contract §1.1, §1.2).

use std::sync::LazyLock;

use dispatch_api::{
    openapi,
    version::{Message, Version},
};

use crate::{
    http::{Answer, ApiError},
    platform::Platform,
};

/// `GET /v1/version`.
pub fn get(_: &Platform) -> Result<Answer, ApiError> {
    Answer::json(&version())
}

/// `GET /healthz…`: alive is what it says; what does not work is on the objects that it concerns.
pub fn health(_: &Platform) -> Result<Answer, ApiError> {
    // Members in the order of the alphabet, as they always were.
    Answer::json(&serde_json::json!({ "version": version() }))
}

/// `GET /home`.
pub fn home() -> Result<Answer, ApiError> {
    Answer::json(&Message { message: "Home Page, You have already logged in".to_owned() })
}

/// `GET /openapi.json`. It does not change while the server runs.
pub fn openapi() -> Answer {
    static DOCUMENT: LazyLock<Vec<u8>> =
        LazyLock::new(|| openapi::document(&version().version).to_string().into_bytes());
    Answer { body: Some(DOCUMENT.clone()), ..Answer::empty() }
}

fn version() -> Version {
    Version {
        version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
        commit: option_env!("DISPATCH_COMMIT").unwrap_or_default().to_owned(),
        build_date: option_env!("DISPATCH_BUILD_DATE").unwrap_or_default().to_owned(),
        go_version: String::new(),
        compiler: "rustc".to_owned(),
        platform: format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    }
}
