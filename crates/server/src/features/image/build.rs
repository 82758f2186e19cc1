//! The job that makes an image's dependency layer. The same dependencies on the same base are installed once in an
//! organization, and are there at once the second time. A crash means run again.

use std::sync::Arc;

use dispatch_model::{Object, base_image::Proof, image::Built, image::Image};
use dispatch_runtime::{build::PipBuild, logs::FunctionLog};

use crate::platform::Platform;

/// Lines of the build's log that are kept.
const LINES_MAX: usize = 200;

/// What came of it, and the log. `Err` is the one reason for people.
pub(super) async fn build(
    platform: &Platform,
    image: &Object<Image>,
    base: &Proof,
) -> (Result<Built, String>, Vec<String>) {
    let spec = &image.spec;
    if let Some(package) = spec.system_packages.first() {
        let reason = format!(
            "system package {} cannot be installed: base images of this machine are as the machine is; install it there",
            package.name
        );
        return (Err(reason), Vec::new());
    }
    let built = |layer| Built { layer, base_digest: base.digest.clone() };
    if spec.manifest.trim().is_empty() {
        return (Ok(built(None)), Vec::new());
    }
    let interpreter = match platform.workers.python3().await {
        Ok(interpreter) => interpreter,
        Err(error) => return (Err(error.to_string()), Vec::new()),
    };
    let log = Arc::new(FunctionLog::default());
    let job = PipBuild {
        organization: image.meta.organization.uuid(),
        interpreter: interpreter.executable.to_string_lossy().into_owned(),
        base: interpreter.base(),
        base_digest: interpreter.digest,
        manifest: spec.manifest.clone(),
        settings: platform.workers.pip.clone(),
    };
    let made = platform.workers.builder.pip_install(job, &log).await;
    let (lines, _) = log.lines();
    let skipped = lines.len().saturating_sub(LINES_MAX);
    let lines = lines.into_iter().skip(skipped).map(|line| line.text).collect();
    match made {
        Ok(made) => (Ok(built(Some(made.layer.to_string()))), lines),
        Err(error) => (Err(error.reason()), lines),
    }
}
