//! Which tool installs the packages of a language, and how it is called.

use std::sync::Arc;

use dispatch_model::{Object, image::Image};
use dispatch_runtime::{
    build::{BuildError, Built, NpmBuild, PackageSettings, PipBuild},
    host::{self, Interpreter, Language},
    logs::FunctionLog,
};

use crate::{packages::Plan, platform::Platform, proxy::Pass};

/// Where the packages of a language come from.
pub(super) fn plan(platform: &Platform, language: Language) -> &Plan {
    match language {
        Language::Python3 => &platform.workers.packages.pip,
        Language::NodeJs => &platform.workers.packages.npm,
    }
}

/// What came of it; `Err` in words for people.
pub(super) enum Failure {
    /// The tool is not on this machine: what to install.
    Missing(String),
    Build(BuildError),
}

/// Runs the tool in its sandbox. Its lines go to `log`.
pub(super) async fn install(
    platform: &Platform,
    image: &Object<Image>,
    interpreter: &Interpreter,
    pass: &Pass,
    log: &Arc<FunctionLog>,
) -> Result<Built, Failure> {
    let organization = image.meta.organization.uuid();
    let settings = settings(plan(platform, interpreter.language), pass);
    let executable = interpreter.executable.to_string_lossy().into_owned();
    let manifest = image.spec.manifest.clone();
    let (base, base_digest) = (interpreter.base(), interpreter.digest.clone());
    let builder = &platform.workers.builder;
    let built = match interpreter.language {
        Language::Python3 => {
            let interpreter = executable;
            let pip = PipBuild { organization, interpreter, base, base_digest, manifest, settings };
            builder.pip_install(pip, log).await
        }
        Language::NodeJs => {
            let npm = host::npm(interpreter).ok_or_else(|| {
                let words = "has no npm: install it (Debian: apt-get install npm)";
                Failure::Missing(format!("{executable} {words}"))
            })?;
            let npm = npm.to_string_lossy().into_owned();
            let interpreter = executable;
            let npm =
                NpmBuild { organization, interpreter, npm, base, base_digest, manifest, settings };
            builder.npm_install(npm, log).await
        }
    };
    built.map_err(Failure::Build)
}

fn settings(plan: &Plan, pass: &Pass) -> PackageSettings {
    let mut settings = plan.settings.clone();
    settings.endpoints = vec![pass.endpoint()];
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
        settings.environment.push((name.to_owned(), pass.url()));
    }
    settings
}
