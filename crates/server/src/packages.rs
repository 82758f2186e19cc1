//! Where builds get the packages that functions depend on: the settings under `build`, what the server's own
//! environment and the tools' configuration say where those are silent, and what comes of them ([`Plan`]).

mod address;
mod install;
pub mod manifest;
pub mod npm;
pub mod pip;
mod plan;
mod way;
mod words;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use address::Address;
pub use plan::Plan;

/// The settings under `build`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Build {
    pub pip: pip::Config,
    pub npm: npm::Config,
}

/// How packages are installed on this server. Made once, at its start.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    pub pip: Plan,
    pub npm: Plan,
}

impl Build {
    /// What the tools would do if the server's own user called them here.
    pub fn found(variable: Lookup<'_>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self { pip: pip::found(&variable), npm: npm::found(&variable) }
    }

    /// The first thing in it that cannot be used, as key and fragment. Values are not quoted: they may hold
    /// credentials.
    pub fn check(&self) -> Result<(), (String, String)> {
        self.pip.check().map_err(|(key, why)| (format!("build.pip.{key}"), why))?;
        self.npm.check().map_err(|(key, why)| (format!("build.npm.{key}"), why))
    }

    /// Reads the certificates and looks whether directories are there; nothing else of the machine.
    pub fn plans(&self) -> Plans {
        Plans { pip: pip::plan(&self.pip), npm: npm::plan(&self.npm) }
    }

    /// The directories of this machine that builds will mount: the spawner has to be told at its start.
    pub fn directories(&self) -> Vec<PathBuf> {
        pip::directories(&self.pip)
    }
}

/// The value of a variable of the environment.
type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A setting as people may see it: the value of a dotted key without user, password and token.
pub fn without_credentials(key: &str, value: toml::Value) -> toml::Value {
    use toml::Value;
    let shown = |text: String| match key.rsplit('.').next() {
        Some("credentials" | "scopes") => format!("{:?}", npm::Line::of_settings(text)),
        _ if text.contains('@') => address::bare(&text),
        _ => text,
    };
    match value {
        Value::Array(list) => {
            Value::Array(list.into_iter().map(|item| without_credentials(key, item)).collect())
        }
        Value::String(text) if key.starts_with("build.") => Value::String(shown(text)),
        other => other,
    }
}
