//! What a base image's URL stands for, and the job that has its interpreter prove itself in the full sandbox.

use std::time::Duration;

use dispatch_model::base_image::Proof;
use dispatch_runtime::{
    host::Language,
    spawn::{RootSpec, WorkerSpec},
    worker::Interpreter,
};
use uuid::Uuid;

use crate::platform::Platform;

/// From the start of a process to its hello.
const HELLO_TIMEOUT: Duration = Duration::from_secs(30);

/// What to write instead of what is no runtime.
fn those_there_are() -> String {
    Language::ALL.map(|language| format!("host:{language}")).join(" or ")
}

/// The images of the first Dispatch are not maintained any more: they mean the matching runtime of this machine
/// (design §5). `Err` says what to do instead.
pub(super) fn language(url: &str) -> Result<Language, String> {
    let image = url.split('@').next().unwrap_or(url);
    let tagless = image.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
    let image = tagless.map_or(image, |(image, _)| image);
    let known =
        image.strip_prefix("dispatchframework/").and_then(|rest| rest.strip_suffix("-base"));
    let name = match (url.strip_prefix("host:"), known) {
        (Some(name), _) => name,
        (None, Some("nodejs6" | "nodejs8")) => "nodejs",
        (None, Some(name)) => name,
        (None, None) => {
            return Err(format!(
                "{url} is not a base image that this version knows; use {}",
                those_there_are()
            ));
        }
    };
    Language::parse(name).ok_or_else(|| match name {
        "powershell" | "java" => {
            format!("{name} functions are not in this version yet; use {}", those_there_are())
        }
        other => format!("there is no runtime {other} on this machine; use {}", those_there_are()),
    })
}

/// Starts the interpreter in the sandbox and waits for its hello. `Err` is the one reason, for people.
pub(super) async fn prove(
    platform: &Platform,
    organization: Uuid,
    url: &str,
) -> Result<Proof, String> {
    let language = language(url)?;
    let host = platform.workers.host(language).await.map_err(|error| error.to_string())?;
    let (interpreter, program) = (host.interpreter, host.program);
    let root = RootSpec { base: program.base().clone(), layers: Vec::new() };
    let argv = program.argv().to_vec();
    let spec = WorkerSpec::new(platform.entropy.uuid(), organization, argv, root);
    let workers = &platform.workers;
    Interpreter::prove(workers.spawner.as_ref(), workers.ambient, spec, HELLO_TIMEOUT)
        .await
        .map_err(|error| error.reason())?;
    Ok(Proof {
        runtime: language.to_string(),
        version: interpreter.version.clone(),
        digest: interpreter.digest.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_the_first_dispatch_stand_for_the_runtimes_of_this_machine() {
        let check = |url: &str, expect: Option<Language>| {
            assert_eq!(language(url).ok(), expect, "{url}");
        };
        let (python3, nodejs) = (Some(Language::Python3), Some(Language::NodeJs));
        check("host:python3", python3);
        check("host:nodejs", nodejs);
        check("dispatchframework/python3-base:0.0.13", python3);
        check("dispatchframework/python3-base", python3);
        check("dispatchframework/python3-base@sha256:00", python3);
        check("dispatchframework/nodejs-base:0.0.12", nodejs);
        check("dispatchframework/nodejs6-base:0.0.2", nodejs);
        check("host:cobol", None);
        check("host:nodejs6", None);
        check("dispatchframework/powershell-base:0.0.10", None);
        check("registry.example:5000/dispatchframework/python3-base:1", None);
        check("", None);
    }
}
