//! JavaScript dependencies: `npm install` of a package.json, made a layer with a directory
//! `node_modules`.

use std::sync::Arc;

use uuid::Uuid;

use super::packages::{self, Tool};
use super::{BuildError, Builder, Built, INPUT, Job, OUTPUT, PackageSettings};
use crate::layer::Digest;
use crate::logs::FunctionLog;
use crate::spawn::HostBase;

const MANIFEST: &str = "package.json";

/// npm installs where the manifest is, so the manifest comes along. A manifest without dependencies
/// makes a layer, too.
const INSTALL: &str = "
const fs = require('fs'), [npm, manifest, output, ...words] = process.argv.slice(1);
fs.copyFileSync(manifest, output + '/package.json');
fs.mkdirSync(output + '/node_modules');
const options = { cwd: output, stdio: 'inherit' };
const ended = require('child_process').spawnSync(process.execPath, [npm, ...words], options);
if (ended.error) throw ended.error;
if (ended.signal) process.kill(process.pid, ended.signal);
process.exitCode = ended.status;
";

/// What npm is run with.
#[derive(Debug, Clone)]
pub struct NpmBuild {
    pub organization: Uuid,
    /// The interpreter, and npm's program, by their absolute paths inside.
    pub interpreter: String,
    pub npm: String,
    pub base: HostBase,
    /// Of interpreter and ABI: another one builds anew.
    pub base_digest: String,
    /// The text of package.json.
    pub manifest: String,
    pub settings: PackageSettings,
}

impl Builder {
    /// Installs a manifest into a layer, or finds the one that was made from it before. npm's lines
    /// go to `log`.
    pub async fn npm_install(
        &self,
        npm: NpmBuild,
        log: &Arc<FunctionLog>,
    ) -> Result<Built, BuildError> {
        self.run(job(npm), log).await.map(|(built, _)| built)
    }
}

fn job(npm: NpmBuild) -> Job {
    let manifest = format!("{INPUT}/{MANIFEST}");
    let words = [
        &*npm.interpreter,
        "-e",
        INSTALL,
        "--",
        &*npm.npm,
        &manifest,
        OUTPUT,
        "install",
        "--omit=dev",
        "--no-audit",
        "--no-fund",
        "--no-package-lock",
        "--no-update-notifier",
        "--no-progress",
        "--no-color",
    ];
    let tool = Tool {
        argv: words.map(str::to_owned).to_vec(),
        manifest: (MANIFEST, npm.manifest.clone()),
        certificates: &["npm_config_cafile", "NODE_EXTRA_CA_CERTS"],
    };
    packages::job(npm.organization, key(&npm), npm.base, npm.settings, tool)
}

/// Where packages come from is part of it: another registry may have other packages by these names.
fn key(npm: &NpmBuild) -> Digest {
    let registries = npm.settings.environment.iter();
    let registries: Vec<String> = registries
        .filter(|(name, _)| name.ends_with("registry"))
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    Digest::of_parts([
        b"npm".as_slice(),
        npm.base_digest.as_bytes(),
        npm.manifest.as_bytes(),
        registries.concat().as_bytes(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> NpmBuild {
        NpmBuild {
            organization: Uuid::nil(),
            interpreter: "/usr/bin/node".to_owned(),
            npm: "/usr/lib/node_modules/npm/bin/npm-cli.js".to_owned(),
            base: HostBase::default(),
            base_digest: "20".to_owned(),
            manifest: "{}".to_owned(),
            settings: PackageSettings::default(),
        }
    }

    #[test]
    fn whatever_changes_the_packages_changes_the_key() {
        let base = key(&build());
        let changed = |change: fn(&mut NpmBuild)| {
            let mut other = build();
            change(&mut other);
            key(&other)
        };
        let variable = |npm: &mut NpmBuild, name: &str| {
            npm.settings.environment.push((name.to_owned(), "x".to_owned()));
        };
        assert_eq!(key(&build()), base);
        assert_ne!(changed(|npm| npm.manifest.push(' ')), base);
        assert_ne!(changed(|npm| npm.base_digest.push('1')), base);
        for (name, same) in [
            ("npm_config_registry", false),
            ("npm_config_@scope:registry", false),
            ("HTTPS_PROXY", true),
        ] {
            let mut other = build();
            variable(&mut other, name);
            assert_eq!(key(&other) == base, same, "{name}");
        }
    }
}
