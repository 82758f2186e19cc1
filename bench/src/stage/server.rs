//! A control plane of one's own: `dispatch server` on free loopback ports, and the key to it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::Value;

use super::{
    Trouble,
    daemon::{Daemon, HOME},
    wire::Wire,
};

/// A server that answers.
#[derive(Debug)]
pub struct Server {
    daemon: Daemon,
    pub key: String,
    directory: PathBuf,
    /// From the start of the process to the first answer.
    pub ready_after: Duration,
}

impl Server {
    /// Starts on what is in the directory, or for the first time.
    pub fn start(dispatch: &Path, directory: &Path) -> Result<Self, Trouble> {
        let data = directory.join("data").display().to_string();
        let keys = directory.join("keys").display().to_string();
        let arguments = [
            "server",
            "--data",
            &data,
            "--keys",
            &keys,
            "--port",
            "0",
            "--gateway-port",
            "0",
            "--gateway-tls-port",
            "0",
        ];
        let daemon = Daemon::start(dispatch, directory, &arguments)?;
        Wire::connect(daemon.address, "")?.call("GET", "/healthz", None)?;
        let ready_after = daemon.begun.elapsed();
        let key = key(&directory.join(HOME).join(".dispatch/config.json"))?;
        Ok(Self { daemon, key, directory: directory.to_owned(), ready_after })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.daemon.address
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.directory.join("data/dispatch.db")
    }

    /// Of whoever uses it from the command line.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.directory.join(HOME)
    }

    /// A new connection with the administrator's key.
    pub fn wire(&self) -> Result<Wire, Trouble> {
        Wire::connect(self.address(), &self.key)
    }

    /// Asks it to end; returns how long that took.
    pub fn stop(self) -> Result<Duration, Trouble> {
        let begun = Instant::now();
        self.daemon.stop()?;
        Ok(begun.elapsed())
    }
}

/// The cookie of the present context.
fn key(config: &Path) -> Result<String, Trouble> {
    let text = fs::read_to_string(config).map_err(Trouble::io("read the login"))?;
    let config: Value = serde_json::from_str(&text).unwrap_or_default();
    let found = config.get("current").and_then(Value::as_str).and_then(|current| {
        config.get("contexts")?.get(current)?.get("cookie")?.as_str().map(str::to_owned)
    });
    found.ok_or_else(|| Trouble::Missing("the first start left no key".to_owned()))
}
