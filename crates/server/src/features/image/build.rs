//! The job that makes an image's dependency layer. The same dependencies on the same base are installed once in an
//! organization, and are there at once the second time. A crash means run again; dropping it cancels it.

use dispatch_model::{
    Kind, Object,
    base_image::Proof,
    image::{Built, Image, Spec},
};
use dispatch_runtime::{host::Language, layer::Held};

use crate::platform::Platform;

/// Lines of the build's log that are kept: the last ones.
const LINES_MAX: usize = 200;
/// Bytes of one of them.
const LINE_BYTES_MAX: usize = 2_000;

/// What was built, and the layer of it, held until it is stored.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) built: Built,
    pub(super) held: Option<Held>,
}

/// What came of it, and the log. `Err` is the one reason for people.
pub(super) async fn build(
    platform: &Platform,
    image: &Object<Image>,
    base: &Proof,
) -> (Result<Made, String>, Vec<String>) {
    let spec = &image.spec;
    if let Some(reason) = refused_packages(spec) {
        return (Err(reason), Vec::new());
    }
    let made = |held: Option<Held>| {
        let layer = held.as_ref().map(|held| held.digest().to_string());
        Made {
            built: Built { runtime: base.runtime.clone(), layer, base_digest: base.digest.clone() },
            held,
        }
    };
    if spec.manifest.trim().is_empty() {
        return (Ok(made(None)), Vec::new());
    }
    let Some(language) = Language::parse(&base.runtime) else {
        let words = format!("this version does not have {}", base.runtime);
        return (Err(words), Vec::new());
    };
    let interpreter = match platform.workers.host(language).await {
        Ok(host) if host.interpreter.digest == base.digest => host.interpreter,
        Ok(_) => {
            // Its controller proves the new one, and wakes us.
            platform.wakers.wake(Kind::BaseImage, spec.base_image.uuid());
            return (Err("the machine's interpreter has just changed".to_owned()), Vec::new());
        }
        Err(error) => return (Err(error.to_string()), Vec::new()),
    };
    let organization = image.meta.organization.uuid();
    let installing = platform.workers.install(organization, &interpreter, &spec.manifest);
    let (installed, lines) = installing.await;
    (installed.map(|layer| made(Some(layer))), kept(lines))
}

/// Base images of this machine are as the machine is: nothing of a system can be added to them. Contract §2.3: the
/// build fails, not the request.
fn refused_packages(spec: &Spec) -> Option<String> {
    let package = spec.system_packages.first()?;
    Some(match spec.system_packages.iter().find(|package| package.version.is_empty()) {
        Some(package) => format!("system package {} has no version", package.name),
        None => format!(
            "system package {} cannot be installed into a base image of this machine: install it on the machine itself, and leave systemDependencies out",
            package.name
        ),
    })
}

fn kept(lines: Vec<String>) -> Vec<String> {
    let skipped = lines.len().saturating_sub(LINES_MAX);
    let short = |mut line: String| {
        if line.len() > LINE_BYTES_MAX {
            line.truncate(line.floor_char_boundary(LINE_BYTES_MAX));
            line.push('…');
        }
        line
    };
    lines.into_iter().skip(skipped).map(short).collect()
}

#[cfg(test)]
mod tests {
    use dispatch_model::{Id, Name, image::SystemPackage};
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_system_package_is_refused_and_told_what_it_lacks() {
        let check = |packages: &[(&str, &str)], expect: Option<&str>| {
            let package = |(name, version): &(&str, &str)| SystemPackage {
                name: (*name).to_owned(),
                version: (*version).to_owned(),
            };
            let base_image_name: Name = "base".parse().unwrap();
            let spec = Spec {
                base_image: Id::from_uuid(Uuid::nil()),
                base_image_name,
                language: String::new(),
                manifest: String::new(),
                system_packages: packages.iter().map(package).collect(),
            };
            let found = refused_packages(&spec);
            let good = found.as_deref().map(|found| found.starts_with(expect.unwrap_or("?")));
            assert_eq!(good, expect.map(|_| true), "{found:?}");
        };
        check(&[], None);
        check(&[("curl", "7")], Some("system package curl cannot be installed"));
        check(&[("curl", "7"), ("wget", "")], Some("system package wget has no version"));
    }

    #[test]
    fn the_last_lines_are_kept_and_long_ones_cut() {
        let lines = (0..LINES_MAX + 1).map(|number| number.to_string()).collect();
        let found = kept(lines);
        assert_eq!((found.len(), found[0].as_str()), (LINES_MAX, "1"));
        let whole = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(
            kept(vec![whole.clone(), format!("{whole}é")]),
            [whole.clone(), format!("{whole}…")]
        );
    }
}
