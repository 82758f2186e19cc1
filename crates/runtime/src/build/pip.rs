//! Python dependencies: `pip install --target` of a requirements file, made a layer.

use std::sync::Arc;

use uuid::Uuid;

use super::packages::Tool;
use super::{BuildError, Builder, Built, INPUT, Job, OUTPUT, PackageSettings, packages};
use crate::layer::Digest;
use crate::logs::FunctionLog;
use crate::spawn::HostBase;

const REQUIREMENTS: &str = "requirements.txt";

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
    pub settings: PackageSettings,
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
    let tool = Tool {
        argv: words.map(str::to_owned).to_vec(),
        manifest: (REQUIREMENTS, pip.manifest.clone()),
        certificates: &["PIP_CERT"],
    };
    packages::job(pip.organization, key(&pip), pip.base, pip.settings, tool)
}

/// Where packages come from is part of it: another index may have other packages by these names.
fn key(pip: &PipBuild) -> Digest {
    let index = |name: &str| pip.settings.variable(name).as_bytes();
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
    use std::time::Duration;

    use super::*;
    use crate::spawn::{Endpoint, NetworkSpec};

    fn build() -> PipBuild {
        PipBuild {
            organization: Uuid::nil(),
            interpreter: "/usr/bin/python3".to_owned(),
            base: HostBase::default(),
            base_digest: "3.11".to_owned(),
            manifest: "a==1".to_owned(),
            settings: PackageSettings::default(),
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
