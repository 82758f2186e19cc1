//! The configuration file: named contexts, as v0.1.22 writes them; the flat form of early releases is read too.
//! What this program does not know in it is kept when it is written again.

use std::{
    collections::BTreeMap, fs, io, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{error::CliError, files};

/// All contexts. Empty when there is no file.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ConfigFile {
    #[serde(default)]
    pub current: String,
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// One server and how to log in to it. The order of fields is the order in which they are written.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Context {
    #[serde(default)]
    pub host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(default)]
    pub scheme: String,
    #[serde(default)]
    pub organization: String,
    #[serde(default)]
    pub cookie: String,
    #[serde(default)]
    pub insecure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(rename = "api-https-port", default, skip_serializing_if = "Option::is_none")]
    pub api_https_port: Option<u16>,
    #[serde(rename = "api-http-port", default, skip_serializing_if = "Option::is_none")]
    pub api_http_port: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serviceaccount: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwtprivatekey: Option<String>,
    /// A bearer token. Only this program writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({}://{}:{:?})", self.scheme, self.host, self.port)
    }
}

impl Context {
    /// Forgets every way to log in.
    pub fn clear_login(&mut self) {
        self.cookie.clear();
        self.serviceaccount = None;
        self.jwtprivatekey = None;
        self.token = None;
    }
}

impl ConfigFile {
    /// A missing file is an empty one, unless it was named.
    pub fn read(path: &Path, named: bool) -> Result<Self, CliError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !named => {
                return Ok(Self::default());
            }
            Err(error) => return Err(cannot("read", path, &error)),
        };
        Self::parse(&text).map_err(|e| {
            CliError::input(format!("configuration {} cannot be understood: {e}", path.display()))
                .hint("mend it, or use another one: --config FILE")
        })
    }

    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let tree: Value = serde_json::from_str(text)?;
        if !tree.is_object() {
            return Err(serde::de::Error::custom("it is no JSON object"));
        }
        if tree.get("contexts").is_some() || tree.get("host").is_none() {
            return serde_json::from_value(tree);
        }
        let context: Context = serde_json::from_value(tree)?;
        let name = name_for(&context.host);
        let contexts = BTreeMap::from([(name.clone(), context)]);
        Ok(Self { current: name, contexts, other: BTreeMap::new() })
    }

    /// The context in use; none where there is no file or no choice was made.
    pub fn current(&self) -> Result<Option<&Context>, CliError> {
        match self.contexts.get(&self.current) {
            Some(context) => Ok(Some(context)),
            None if self.current.is_empty() => Ok(None),
            None => Err(CliError::input(format!("No such context {}", self.current))
                .hint("choose one with: dispatch manage context --set NAME")),
        }
    }

    /// Replaces the file in one step. It may hold keys, so nobody else can read it.
    pub fn write(&self, path: &Path) -> Result<(), CliError> {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let folder = path.parent().unwrap_or(Path::new("."));
        let error = |e: io::Error| cannot("write", &path, &e);
        fs::create_dir_all(folder).map_err(error)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(error)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600)).map_err(error)?;
        file.write_all(self.to_text().as_bytes()).map_err(error)?;
        file.as_file().sync_all().map_err(error)?;
        file.persist(&path).map_err(|e| error(e.error))?;
        Ok(())
    }

    fn to_text(&self) -> String {
        let json = serde_json::to_string(self).expect("contexts are plain data with text keys");
        format!("{}\n", crate::output::json::indented(&json, 4))
    }
}

/// `192.168.64.55` → `192-168-64-55`.
pub fn name_for(host: &str) -> String {
    host.to_lowercase().replace('.', "-")
}

fn cannot(verb: &str, path: &Path, error: &io::Error) -> CliError {
    let why = files::why(error);
    CliError::input(format!("cannot {verb} configuration {}: {why}", path.display()))
        .hint("use another one: --config FILE")
}
