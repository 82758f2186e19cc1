//! Python dependencies: `pip install --target` of a requirements file, made a layer.
//!
//! The sandbox has no network but the endpoints given, usually one: a proxy of the server that
//! admits the hosts of the build settings alone (decision 35).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use uuid::Uuid;

use super::{BuildError, Builder, Built, INPUT, Job, OUTPUT, SCRATCH};
use crate::layer::{Digest, TreeLimits};
use crate::logs::FunctionLog;
use crate::spawn::{Endpoint, HostBase, Limits, NetworkSpec};

const REQUIREMENTS: &str = "requirements.txt";
const CERTIFICATES: &str = "certificates.pem";

/// What pip is run with.
#[derive(Debug, Clone)]
pub struct PipBuild {
    pub organization: Uuid,
    /// The interpreter by its absolute path inside; `pip` must be importable there.
    pub interpreter: String,
    pub base: HostBase,
    /// Of interpreter and ABI: another one builds anew.
    pub base_digest: String,
    /// The text of requirements.txt.
    pub manifest: String,
    pub settings: PipSettings,
}

/// Where packages come from, and the bounds of an installation.
#[derive(Debug, Clone)]
pub struct PipSettings {
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

impl Default for PipSettings {
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

impl Builder {
    /// Installs a manifest into a layer, or finds the one that was made from it before. pip's lines
    /// go to `log`.
    pub async fn pip_install(
        &self,
        pip: PipBuild,
        log: &Arc<FunctionLog>,
    ) -> Result<Built, BuildError> {
        self.run(job(pip), log).await.map(|(built, _)| built)
    }
}

fn job(pip: PipBuild) -> Job {
    let key = key(&pip);
    let settings = pip.settings;
    let mut base = pip.base;
    base.mounts.extend(settings.mounts);
    let mut files = vec![(REQUIREMENTS, pip.manifest.into_bytes())];
    let mut environment =
        vec![("HOME".to_owned(), SCRATCH.to_owned()), ("TMPDIR".to_owned(), SCRATCH.to_owned())];
    environment.extend(settings.environment);
    if let Some(certificates) = settings.certificates {
        files.push((CERTIFICATES, certificates));
        environment.retain(|(name, _)| name != "PIP_CERT");
        environment.push(("PIP_CERT".to_owned(), format!("{INPUT}/{CERTIFICATES}")));
    }
    let requirements = format!("{INPUT}/{REQUIREMENTS}");
    let words = [
        &*pip.interpreter,
        "-I",
        "-m",
        "pip",
        "install",
        "--target",
        OUTPUT,
        "--requirement",
        &requirements,
        "--no-input",
        "--no-cache-dir",
        "--no-color",
        "--progress-bar",
        "off",
        "--disable-pip-version-check",
        "--no-warn-script-location",
    ];
    Job {
        organization: pip.organization,
        key,
        argv: words.map(str::to_owned).to_vec(),
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

/// Where packages come from is part of it: another index may have other packages by these names.
fn key(pip: &PipBuild) -> Digest {
    let index = |name: &str| {
        let found = pip.settings.environment.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value).as_bytes()
    };
    Digest::of_parts([
        b"pip".as_slice(),
        pip.base_digest.as_bytes(),
        pip.manifest.as_bytes(),
        index("PIP_INDEX_URL"),
        index("PIP_EXTRA_INDEX_URL"),
        index("PIP_FIND_LINKS"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> PipBuild {
        PipBuild {
            organization: Uuid::nil(),
            interpreter: "/usr/bin/python3".to_owned(),
            base: HostBase::default(),
            base_digest: "3.11".to_owned(),
            manifest: "a==1".to_owned(),
            settings: PipSettings::default(),
        }
    }

    #[test]
    fn whatever_changes_the_packages_changes_the_key() {
        let base = key(&build());
        let mut other = build();
        other.settings.time_limit = Duration::from_secs(1);
        other.settings.environment.push(("HTTPS_PROXY".to_owned(), "http://x".to_owned()));
        assert_eq!(key(&other), base, "how they come does not");
        let changed = |change: fn(&mut PipBuild)| {
            let mut other = build();
            change(&mut other);
            key(&other)
        };
        assert_ne!(changed(|pip| pip.manifest.push('1')), base);
        assert_ne!(changed(|pip| pip.base_digest.push('1')), base);
        let index = |pip: &mut PipBuild| {
            pip.settings.environment.push(("PIP_INDEX_URL".to_owned(), "x".to_owned()));
        };
        assert_ne!(changed(index), base);
    }

    #[test]
    fn a_job_reaches_its_endpoints_only_and_trusts_the_certificates_given() {
        assert_eq!(job(build()).network, NetworkSpec::None);
        let mut pip = build();
        let proxy = Endpoint { host: "127.0.0.1".to_owned(), port: 3128 };
        pip.settings.endpoints = vec![proxy.clone()];
        pip.settings.certificates = Some(b"pem".to_vec());
        pip.settings.environment = vec![("PIP_CERT".to_owned(), "/elsewhere".to_owned())];
        let job = job(pip);
        assert_eq!(job.network, NetworkSpec::Bound(vec![proxy]));
        let certificates: Vec<_> =
            job.environment.iter().filter(|(name, _)| name == "PIP_CERT").collect();
        assert_eq!(certificates.len(), 1);
        assert_eq!(certificates[0].1, "/build/input/certificates.pem");
        assert_eq!(job.files.len(), 2);
    }
}
