//! What installations of packages have in common, whichever tool does them.
//!
//! The sandbox has no network but the endpoints given, usually one: a proxy of the server that
//! admits the hosts of the build settings alone (decision 35).

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{INPUT, Job, SCRATCH};
use crate::layer::{Digest, TreeLimits};
use crate::spawn::{Endpoint, HostBase, Limits, NetworkSpec};

const CERTIFICATES: &str = "certificates.pem";

/// Where packages come from, and the bounds of an installation.
#[derive(Debug, Clone)]
pub struct PackageSettings {
    /// `PIP_INDEX_URL`, `HTTPS_PROXY` and the like. No secret belongs here: the packages' own code
    /// runs with it.
    pub environment: Vec<(String, String)>,
    /// What can be reached: the proxy.
    pub endpoints: Vec<Endpoint>,
    /// Certificates to trust instead of the machine's, PEM.
    pub certificates: Option<Vec<u8>>,
    /// Directories of this machine that the settings name, as host path and path inside, mounted
    /// read-only. They must lie under a base root of the spawner.
    pub mounts: Vec<(PathBuf, PathBuf)>,
    pub limits: Limits,
    pub output: TreeLimits,
    pub time_limit: Duration,
}

impl Default for PackageSettings {
    fn default() -> Self {
        Self {
            environment: Vec::new(),
            endpoints: Vec::new(),
            certificates: None,
            mounts: Vec::new(),
            limits: Limits {
                memory_bytes: 1 << 30,
                processes: 256,
                cpu_millis: 2000,
                tmp_bytes: 64 << 20,
                descriptors: 1024,
            },
            output: TreeLimits { bytes: 1 << 30, entries: 200_000 },
            time_limit: Duration::from_secs(600),
        }
    }
}

impl PackageSettings {
    /// A variable's value; empty where it is not set.
    pub(super) fn variable(&self, name: &str) -> &str {
        let found = self.environment.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }
}

/// How one tool is called.
pub(super) struct Tool {
    pub(super) argv: Vec<String>,
    /// The manifest's name, and its text.
    pub(super) manifest: (&'static str, String),
    /// Variables that name a file of certificates.
    pub(super) certificates: &'static [&'static str],
}

pub(super) fn job(
    organization: Uuid,
    key: Digest,
    mut base: HostBase,
    settings: PackageSettings,
    tool: Tool,
) -> Job {
    base.mounts.extend(settings.mounts);
    let (name, text) = tool.manifest;
    let mut files = vec![(name, text.into_bytes())];
    let mut environment =
        vec![("HOME".to_owned(), SCRATCH.to_owned()), ("TMPDIR".to_owned(), SCRATCH.to_owned())];
    environment.extend(settings.environment);
    if let Some(certificates) = settings.certificates {
        files.push((CERTIFICATES, certificates));
        environment.retain(|(name, _)| !tool.certificates.contains(&name.as_str()));
        let inside = || format!("{INPUT}/{CERTIFICATES}");
        environment.extend(tool.certificates.iter().map(|name| ((*name).to_owned(), inside())));
    }
    Job {
        organization,
        key,
        argv: tool.argv,
        environment,
        base,
        layers: Vec::new(),
        files,
        input: Bytes::new(),
        network: match settings.endpoints {
            endpoints if endpoints.is_empty() => NetworkSpec::None,
            endpoints => NetworkSpec::Bound(endpoints),
        },
        limits: settings.limits,
        output: settings.output,
        time_limit: settings.time_limit,
    }
}
