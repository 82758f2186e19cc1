//! Installing what a manifest names: which tool does it for a language, and how it is called.

use std::sync::Arc;

use dispatch_runtime::{
    build::{BuildError, Built, NpmBuild, PackageSettings, PipBuild},
    host::{self, Interpreter, Language},
    layer::Held,
    logs::FunctionLog,
};
use uuid::Uuid;

use super::{Plan, words};
use crate::{proxy::Pass, workers::Workers};

/// The layer, held until it is stored who has it, or the one reason for people; and the log.
pub type Installed = (Result<Held, String>, Vec<String>);

impl Workers {
    /// Runs the language's tool in a sandbox of its own, or finds what it made of the same manifest before.
    pub async fn install(
        &self,
        organization: Uuid,
        interpreter: &Interpreter,
        manifest: &str,
    ) -> Installed {
        let plan = match interpreter.language {
            Language::Python3 => &self.packages.pip,
            Language::NodeJs => &self.packages.npm,
        };
        let Some(pass) = self.proxy.admit(Arc::clone(&plan.rules)) else {
            return (Err("too many builds run at this moment".to_owned()), Vec::new());
        };
        let log = Arc::new(FunctionLog::default());
        let settings = settings(plan, &pass);
        let built = self.run_tool(organization, interpreter, manifest, settings, &log).await;
        let (printed, _) = log.lines();
        let printed: Vec<String> = printed.iter().map(|line| plan.redact(&line.text)).collect();
        let refused: Vec<String> = pass.refused().iter().map(|words| plan.redact(words)).collect();
        let mut lines = plan.notes.clone();
        lines.extend(printed.iter().cloned());
        lines.extend(refused.iter().map(|words| format!("not reached: {words}")));
        let outcome = match built {
            Ok(built) => {
                if built.size.is_none() {
                    lines.push("the same dependencies had been installed before".to_owned());
                }
                Ok(built.layer)
            }
            Err(Failure::Missing(words)) => Err(words),
            Err(Failure::Build(BuildError::Failed { how, .. })) => {
                let Interpreter { language, executable, .. } = interpreter;
                Err(words::reason(*language, executable, &how, &printed, &refused))
            }
            Err(Failure::Build(error)) => Err(plan.redact(&error.reason())),
        };
        (outcome, lines)
    }

    async fn run_tool(
        &self,
        organization: Uuid,
        interpreter: &Interpreter,
        manifest: &str,
        settings: PackageSettings,
        log: &Arc<FunctionLog>,
    ) -> Result<Built, Failure> {
        let executable = interpreter.executable.to_string_lossy().into_owned();
        let manifest = manifest.to_owned();
        let (base, base_digest) = (interpreter.base(), interpreter.digest.clone());
        let built = match interpreter.language {
            Language::Python3 => {
                let interpreter = executable;
                let pip =
                    PipBuild { organization, interpreter, base, base_digest, manifest, settings };
                self.builder.pip_install(pip, log).await
            }
            Language::NodeJs => {
                let npm = host::npm(interpreter).ok_or_else(|| {
                    let words = "has no npm: install it (Debian: apt-get install npm)";
                    Failure::Missing(format!("{executable} {words}"))
                })?;
                let npm = npm.to_string_lossy().into_owned();
                let interpreter = executable;
                let npm = NpmBuild {
                    organization,
                    interpreter,
                    npm,
                    base,
                    base_digest,
                    manifest,
                    settings,
                };
                self.builder.npm_install(npm, log).await
            }
        };
        built.map_err(Failure::Build)
    }
}

enum Failure {
    /// The tool is not on this machine: what to install.
    Missing(String),
    Build(BuildError),
}

fn settings(plan: &Plan, pass: &Pass) -> PackageSettings {
    let mut settings = plan.settings.clone();
    settings.endpoints = vec![pass.endpoint()];
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"] {
        settings.environment.push((name.to_owned(), pass.url()));
    }
    settings
}
