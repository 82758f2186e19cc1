//! What a base image's URL stands for, and the job that has its interpreter prove itself in the full sandbox.

use std::time::Duration;

use dispatch_model::base_image::Proof;
use dispatch_runtime::{
    spawn::{RootSpec, WorkerSpec},
    worker::Interpreter,
};
use uuid::Uuid;

use crate::platform::Platform;

/// From the start of a process to its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// A language's runtime on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runtime {
    Python3,
}

/// The images of the first Dispatch are not maintained any more: they mean the matching runtime of this machine
/// (design §5). `Err` says what to do instead.
pub(super) fn runtime(url: &str) -> Result<Runtime, String> {
    let image = url.split('@').next().unwrap_or(url);
    let tagless = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let image = tagless.map_or(image, |(image, _)| image);
    let known =
        image.strip_prefix("dispatchframework/").and_then(|rest| rest.strip_suffix("-base"));
    let language = match (url.strip_prefix("host:"), known) {
        (Some(language), _) | (None, Some(language)) => language,
        (None, None) => {
            return Err(format!(
                "{url} is not a base image that this version knows; use host:python3"
            ));
        }
    };
    match language {
        "python3" => Ok(Runtime::Python3),
        "nodejs" | "nodejs6" | "powershell" | "java" => {
            Err(format!("{language} functions are not in this version yet; use host:python3"))
        }
        other => Err(format!("there is no runtime {other} on this machine; use host:python3")),
    }
}

/// Starts the interpreter in the sandbox and waits for its hello. `Err` is the one reason, for people.
pub(super) async fn prove(
    platform: &Platform,
    organization: Uuid,
    url: &str,
) -> Result<Proof, String> {
    let Runtime::Python3 = runtime(url)?;
    let python = platform.workers.python3().await.map_err(|error| error.to_string())?;
    let (interpreter, program) = (python.interpreter, python.program);
    let root = RootSpec { base: program.base().clone(), layers: Vec::new() };
    let argv = program.argv().to_vec();
    let spec = WorkerSpec::new(platform.entropy.uuid(), organization, argv, root);
    let workers = &platform.workers;
    Interpreter::prove(workers.spawner.as_ref(), workers.ambient, spec, HELLO_TIMEOUT)
        .await
        .map_err(|error| error.reason())?;
    Ok(Proof {
        runtime: "python3".to_owned(),
        version: interpreter.version.clone(),
        digest: interpreter.digest.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_the_first_dispatch_stand_for_the_runtimes_of_this_machine() {
        let check = |url: &str, expect: bool| assert_eq!(runtime(url).is_ok(), expect, "{url}");
        check("host:python3", true);
        check("dispatchframework/python3-base:0.0.13", true);
        check("dispatchframework/python3-base", true);
        check("dispatchframework/python3-base@sha256:00", true);
        check("host:cobol", false);
        check("dispatchframework/powershell-base:0.0.10", false);
        check("registry.example:5000/dispatchframework/python3-base:1", false);
        check("", false);
    }
}
