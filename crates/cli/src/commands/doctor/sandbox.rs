//! Sandboxes, tried: a program is started in one, by a helper as a server has it, in a directory that is removed.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dispatch_engine::{Entropy as _, SystemEntropy};
use dispatch_runtime::{
    probe::{self, PROGRAM},
    spawn::{Layer, LayerState},
    spawner::{self, Helper, Spawner, SpawnerConfig, StartError},
};
use dispatch_server::config::Settings;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::{check::Check, interpreters::Found};
use crate::{commands::daemon, error::CliError, output::Console};

const NAME: &str = "sandbox";
/// Nobody's, on every machine.
const ORDINARY: u32 = 65_534;

/// A helper that waits, or why there is none.
pub struct Started {
    helper: Result<Helper, StartError>,
    executable: PathBuf,
    /// Removed at the end.
    _directory: TempDir,
}

/// Starts a helper with the base directories that a server's would have.
pub fn start(settings: Option<&Settings>, found: &Found) -> Result<Started, CliError> {
    let directory = tempfile::tempdir()?;
    let executable = std::fs::canonicalize("/proc/self/exe")?;
    let layers = directory.path().canonicalize()?;
    let mut config = SpawnerConfig::new(SystemEntropy.uuid(), vec![layers]);
    config.base_roots.push(executable.clone());
    config.base_roots.extend(settings.iter().flat_map(|settings| settings.build.directories()));
    config.base_roots.extend(found.iter().flatten().flat_map(|found| found.prefixes.clone()));
    let helper = spawner::start(&config);
    Ok(Started { helper, executable, _directory: directory })
}

/// What came of it, with a spawner if sandboxes can be made.
pub async fn checks(
    started: Result<Started, CliError>,
    is_root: bool,
    checks: &mut Vec<Check>,
) -> Option<Spawner> {
    let (spawner, tried) = match started {
        Ok(started) => try_one(started).await,
        Err(error) => (None, Tried::failed(error.text().trim_end(), "make room in /tmp")),
    };
    checks.extend(tried.checks(NAME));
    if is_root {
        checks.extend(as_ordinary_user().checks("sandbox.ordinary-user").into_iter().take(1));
    }
    spawner
}

/// What one attempt has shown.
#[derive(Debug, Serialize, Deserialize)]
struct Tried {
    /// Why none could be made, and what to do.
    failed: Option<(String, String)>,
    layers: Vec<(Layer, LayerState)>,
}

impl Tried {
    fn failed(why: &str, remedy: &str) -> Self {
        Self { failed: Some((why.to_owned(), remedy.to_owned())), layers: Vec::new() }
    }

    /// The first is the sandbox itself, the others its layers. Only one of the server's own user decides.
    fn checks(&self, name: &str) -> Vec<Check> {
        if let Some((why, remedy)) = &self.failed {
            return vec![match name {
                NAME => Check::wrong(name, why, remedy).deciding(),
                _ => Check::off(name, why, remedy),
            }];
        }
        let on = self.layers.iter().filter(|(_, state)| !matches!(state, LayerState::Off(_)));
        let detail =
            format!("a program ran in one; {} of {} layers", on.count(), self.layers.len());
        let mut checks = vec![Check::ok(name, detail)];
        checks.extend(self.layers.iter().map(|(layer, state)| self::layer(name, *layer, state)));
        checks
    }
}

fn layer(above: &str, layer: Layer, state: &LayerState) -> Check {
    let name = format!("{above}.{}", layer.name().replace(' ', "-"));
    match state {
        LayerState::On(how) => Check::ok(&name, how),
        LayerState::Partial(how) => {
            Check { remedy: remedy(layer), ..Check::ok(&name, format!("in part: {how}")) }
        }
        LayerState::Off(why) => {
            let nothing = || "nothing to do: not in this version".to_owned();
            Check::off(&name, why, remedy(layer).unwrap_or_else(nothing))
        }
    }
}

/// What makes a layer stronger, where something does.
fn remedy(layer: Layer) -> Option<String> {
    let text = match layer {
        Layer::Identity => "start the server as root: each worker gets a host uid of its own",
        Layer::Memory | Layer::Processes | Layer::Cpu => {
            "start the server as root, or in a unit of systemd with Delegate=yes: cgroups do it then"
        }
        _ => return None,
    };
    Some(text.to_owned())
}

async fn try_one(started: Started) -> (Option<Spawner>, Tried) {
    let helper = match started.helper {
        Ok(helper) => helper,
        Err(StartError::NoSandbox { step, hint, source }) => {
            let why = format!("this machine does not let it {step}: {source}");
            return (None, Tried::failed(&why, hint));
        }
        Err(error) => {
            let why = daemon::failed(&error).text();
            return (None, Tried::failed(&format!("the helper did not start: {why}"), DO_REPORT));
        }
    };
    let spawner = match Spawner::new(helper) {
        Ok(spawner) => spawner,
        Err(error) => return (None, Tried::failed(&error.to_string(), DO_REPORT)),
    };
    let argv = vec![PROGRAM.to_owned(), "--version".to_owned()];
    let base = probe::base_with(&started.executable);
    match probe::run(&spawner, SystemEntropy.uuid(), base, argv).await {
        Ok(answer) => (Some(spawner), Tried { failed: None, layers: answer.confinement.layers }),
        Err(error) => {
            let why = daemon::failed(&error).text();
            let why = format!("a program in a sandbox: {}", why.trim_end());
            spawner.shut_down().await;
            (None, Tried::failed(&why, DO_REPORT))
        }
    }
}

const DO_REPORT: &str = "look at the kernel's checks above, and at dmesg";

/// Root starts this executable again as nobody in particular.
fn as_ordinary_user() -> Tried {
    let mut command = Command::new(Path::new("/proc/self/exe"));
    command.args(["doctor", "--try-sandbox"]).uid(ORDINARY).gid(ORDINARY);
    command.env_clear().env("HOME", "/").current_dir("/");
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let tried = command.output().ok();
    let tried = tried.and_then(|output| serde_json::from_slice(&output.stdout).ok());
    tried.unwrap_or_else(|| Tried::failed("it could not be tried", "run dispatch doctor as one"))
}

/// Prints what [`as_ordinary_user`] reads.
pub fn as_this_user(console: Console) -> Result<(), CliError> {
    let started = start(None, &Found::new())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tried = runtime.block_on(async {
        let (spawner, tried) = try_one(started).await;
        if let Some(spawner) = spawner {
            spawner.shut_down().await;
        }
        tried
    });
    console.line(&serde_json::to_string(&tried).expect("an attempt is plain data"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layer_has_a_line_and_what_would_make_it_stronger() {
        let on = LayerState::On("cgroup v2".to_owned());
        let off = LayerState::Off("not in this version".to_owned());
        let part = LayerState::Partial("watched".to_owned());
        let layers = vec![(Layer::Cpu, on), (Layer::Landlock, off), (Layer::Memory, part)];
        let checks = Tried { failed: None, layers }.checks(NAME);
        let lines: Vec<_> = checks.iter().map(|check| check.cells().concat()).collect();
        assert_eq!(
            lines,
            [
                "ok     sandboxa program ran in one; 2 of 3 layers",
                "ok     sandbox.cpucgroup v2",
                "off    sandbox.landlocknot in this version",
                "ok     sandbox.memoryin part: watched",
            ]
        );
        let told: Vec<bool> = checks.iter().map(|check| check.remedy.is_some()).collect();
        assert_eq!(told, [false, false, true, true]);
    }

    #[test]
    fn a_sandbox_that_fails_decides_but_for_that_of_another_user() {
        let failed = Tried::failed("no", "do");
        let check = |name: &str, mark: &str, decides| {
            let checks = failed.checks(name);
            let only = checks.first().unwrap();
            assert_eq!((only.cells()[0].trim(), only.decides), (mark, decides), "{name}");
        };
        check(NAME, "wrong", true);
        check("sandbox.ordinary-user", "off", false);
    }
}
