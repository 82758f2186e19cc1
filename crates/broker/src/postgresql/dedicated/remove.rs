//! The end of a broker that is not to come back: every server that it has made is stopped, and its
//! files are removed. What it has made on a server of others stays.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::cluster::Cluster;
use super::error::ClusterError;
use super::postmaster;
use crate::account::Account;
use crate::data::{DataDirectory, DataError};

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// The broker still runs, say.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The list of servers.
    #[error("{} cannot be read", path.display())]
    Directory { path: PathBuf, source: io::Error },
    /// One of them; its words.
    #[error("the server in {} is still there: {why}", path.display())]
    Cluster { path: PathBuf, why: String },
    /// As whom they run.
    #[error("the servers have no user")]
    Account(#[source] io::Error),
}

/// Ends and removes all servers that the broker of a data directory has made. The directory stays.
///
/// # Errors
/// Something is left; it can be tried again.
pub async fn remove(data_directory: &Path) -> Result<(), RemoveError> {
    let data = DataDirectory::open(data_directory)?;
    let path = data.file("clusters");
    let failed = |source| RemoveError::Directory { path: path.clone(), source };
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let account = Account::find().map_err(RemoveError::Account)?;
    for entry in entries {
        let directory = entry.map_err(failed)?.path();
        let cluster = Cluster { directory, account, programs: PathBuf::new() };
        end(&cluster).await.map_err(|error| RemoveError::Cluster {
            path: cluster.directory.clone(),
            why: error.to_string(),
        })?;
        tracing::info!(path = %cluster.directory.display(), "a server of its own is gone");
    }
    Ok(())
}

async fn end(cluster: &Cluster) -> Result<(), ClusterError> {
    postmaster::stop(cluster).await?;
    cluster.remove().await
}
