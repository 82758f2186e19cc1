//! What a server takes from the machine: its spawn helper, started before there are threads or secrets (decision 29),
//! and the ambient clock and randomness of workers.

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use dispatch_engine::{Clock, Entropy as _, SystemClock, SystemEntropy};
use dispatch_runtime::{
    host::{self, Language},
    spawner::{self, Helper, Spawner, SpawnerConfig},
    worker::Ambient,
};
use dispatch_server::{config::Settings, workers::Machine};
use rustix::process::{Resource, Rlimit};
use uuid::Uuid;

use crate::{commands::daemon, error::CliError, files};

/// The helper and what it was told. To be made while this process has one thread.
pub(super) struct Prepared {
    helper: Helper,
    executable: PathBuf,
}

/// Refuses a directory that a living server has, without making anything.
pub(super) fn alone(data: &Path) -> Result<(), CliError> {
    match File::open(data.join("server.lock")) {
        Ok(lock) => lock_for(&lock, data),
        // It is to be made, or to be given to this user: whoever makes it says so.
        Err(_) => Ok(()),
    }
}

fn lock_for(lock: &File, data: &Path) -> Result<(), CliError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(_) => Err(CliError::input(format!("another server uses {}", data.display()))
            .hint("stop that one, or give this one a data directory of its own: --data DIR")),
    }
}

/// Starts the helper. The data directory's lock is held meanwhile: the helper removes what an earlier server of this
/// directory left, and must not mistake a living one's workers for that.
pub(super) fn prepare(settings: &mut Settings) -> Result<Prepared, CliError> {
    let cannot = |what: &str, path: &Path, error: &std::io::Error| {
        CliError::input(format!("cannot {what} {}: {}", path.display(), files::why(error)))
            .hint("let this user write there, or choose another place: --data DIR")
    };
    let layers = settings.data.join("layers");
    fs::create_dir_all(&layers).map_err(|e| cannot("make", &layers, &e))?;
    settings.data =
        fs::canonicalize(&settings.data).map_err(|e| cannot("open", &settings.data, &e))?;
    let lock = settings.data.join("server.lock");
    let lock = File::create(&lock).map_err(|e| cannot("make", &lock, &e))?;
    lock_for(&lock, &settings.data)?;
    let executable = std::env::current_exe().and_then(fs::canonicalize);
    let executable = executable.map_err(|e| cannot("find", Path::new("/proc/self/exe"), &e))?;
    let instance = instance(&settings.data.join("instance-id"))
        .map_err(|e| cannot("keep the id of", &settings.data, &e))?;
    let mut config = SpawnerConfig::new(instance, vec![settings.data.join("layers")]);
    config.lock = Some(settings.data.join("spawner.lock"));
    config.base_roots = vec![executable.clone()];
    config.base_roots.extend(settings.build.directories());
    let path = std::env::var_os("PATH");
    // Where it is where it usually is, nobody needs to be asked.
    for language in Language::ALL.into_iter().filter(|language| !language.is_usual()) {
        let found = host::find(language, path.as_deref());
        config.base_roots.extend(found.map(|found| found.prefixes).unwrap_or_default());
    }
    no_core_dumps()?;
    let helper = spawner::start(&config).map_err(|error| {
        let why = daemon::failed(&error);
        CliError::input(format!("failed to start the spawn helper: {}", why.text().trim_end()))
            .hint("what this machine allows: dispatch doctor")
    })?;
    Ok(Prepared { helper, executable })
}

/// Credentials are in this process's memory: a crash must not leave them on a disk (decision 28).
fn no_core_dumps() -> Result<(), CliError> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none)
        .map_err(|error| CliError::input(format!("cannot switch core dumps off: {error}")))
}

impl Prepared {
    /// Must be called inside a tokio runtime.
    pub(super) fn machine(self) -> Result<Machine, CliError> {
        let spawner = Spawner::new(self.helper)?;
        tracing::info!(confinement = %spawner.confinement(), "workers are held by");
        Ok(Machine {
            confinement: spawner.confinement().to_string(),
            spawner: Arc::new(spawner),
            ambient: Ambient { unix_ms, random },
            executable: self.executable,
            path: std::env::var_os("PATH"),
        })
    }
}

fn unix_ms() -> u64 {
    u64::try_from(SystemClock.now().as_millisecond()).unwrap_or(0)
}

fn random() -> u64 {
    SystemEntropy.number()
}

/// The id of this data directory, made at the first start.
fn instance(path: &Path) -> std::io::Result<Uuid> {
    if let Some(known) = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()) {
        return Ok(known);
    }
    let fresh = SystemEntropy.uuid();
    let mut file = File::create(path)?;
    writeln!(file, "{fresh}")?;
    file.sync_all()?;
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_keeps_its_id_and_a_damaged_one_gets_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instance-id");
        let first = instance(&path).unwrap();
        assert_eq!(instance(&path).unwrap(), first);
        fs::write(&path, "").unwrap();
        assert_ne!(instance(&path).unwrap(), first);
    }
}
