//! A function's source archive, made a layer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{BuildError, Builder, Built, Job, OUTPUT};
use crate::layer::{
    Digest, MAX_UNPACKED_BYTES, MAX_UNPACKED_ENTRIES, TreeLimits, UNPACK_ARGUMENT, UnpackReport,
};
use crate::spawn::{HostBase, Limits, NetworkSpec};

/// Where the unpacker finds itself, inside.
const UNPACKER: &str = "/build/unpacker";
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What is unpacked.
#[derive(Debug, Clone)]
pub struct SourceBuild {
    pub organization: Uuid,
    /// A gzip-compressed tar archive, as clients send it.
    pub archive: Bytes,
    /// Only its libraries are used: those that our own executable is linked with.
    pub base: HostBase,
}

impl Builder {
    /// Unpacks a source archive in a sandbox. What is wrong with the archive is
    /// [`BuildError::Source`].
    pub async fn unpack(&self, source: SourceBuild) -> Result<Built, BuildError> {
        let archive = source.archive.clone();
        let key = tokio::task::spawn_blocking(move || Digest::of_parts([b"source", &*archive]))
            .await
            .map_err(|_| BuildError::Stopping)?;
        let mut base = source.base;
        base.mounts.push((self.executable.clone(), UNPACKER.into()));
        let job = Job {
            organization: source.organization,
            key,
            argv: [UNPACKER, UNPACK_ARGUMENT, OUTPUT].map(str::to_owned).to_vec(),
            environment: Vec::new(),
            base,
            layers: Vec::new(),
            files: Vec::new(),
            input: source.archive,
            network: NetworkSpec::None,
            limits: Limits { processes: 8, ..Limits::default() },
            // The tree rounds files up to blocks; the unpacker counts bytes.
            output: TreeLimits {
                bytes: MAX_UNPACKED_BYTES + MAX_UNPACKED_ENTRIES * 8192,
                // Directories that the archive does not name are made too.
                entries: MAX_UNPACKED_ENTRIES * 8,
            },
            time_limit: TIME_LIMIT,
        };
        match self.run(job, &Arc::default()).await {
            Ok((built, _)) => Ok(built),
            Err(BuildError::Failed { how, said, report }) => {
                match serde_json::from_slice(&report) {
                    Ok(UnpackReport::Refused(reason)) => Err(BuildError::Source { reason }),
                    _ => Err(BuildError::Failed { how, said, report }),
                }
            }
            Err(other) => Err(other),
        }
    }
}
