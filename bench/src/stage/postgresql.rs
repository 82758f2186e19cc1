//! The product's own broker with a real PostgreSQL behind it.

use std::{fs, path::Path};

use dispatch_broker::testing::{PostgresCluster, directory};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{Stage, Trouble, daemon::Daemon};

/// A PostgreSQL with TLS, and the broker before it. Both end with this value.
#[derive(Debug)]
pub struct PostgresBroker {
    pub cluster: PostgresCluster,
    daemon: Daemon,
    /// Held for the servers of plan `dedicated`, which another user runs.
    _data: TempDir,
}

impl PostgresBroker {
    pub fn start(runtime: &Runtime, stage: &Stage, folder: &Path) -> Result<Self, Trouble> {
        let cluster = runtime
            .block_on(PostgresCluster::builder().setting("max_connections", "200").start())
            .map_err(|error| Trouble::Missing(error.to_string()))?;
        let data = directory().map_err(Trouble::io("make a directory"))?;
        let folder = folder.join("broker");
        fs::create_dir_all(&folder).map_err(Trouble::io("make a directory"))?;
        let admin_url = folder.join("admin-url");
        fs::write(&admin_url, cluster.admin_url()).map_err(Trouble::io("write a URL"))?;
        let text = |path: &Path| path.display().to_string();
        let arguments = [
            "broker",
            "postgresql",
            "--listen",
            "127.0.0.1:0",
            "--admin-url-file",
            &text(&admin_url),
            "--data",
            &text(&data.path().join("data")),
            "--tls-ca",
            &text(&cluster.ca_file()),
        ];
        let daemon = Daemon::start(&stage.dispatch, &folder, &arguments)?;
        Ok(Self { cluster, daemon, _data: data })
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.daemon.address)
    }

    pub fn stop(self) -> Result<(), Trouble> {
        self.daemon.stop()
    }
}
