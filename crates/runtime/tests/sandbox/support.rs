//! A spawn helper with a temporary data directory, and small Python programs in its sandboxes.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dispatch_runtime::host::{self, Interpreter};
use dispatch_runtime::spawn::{
    DirectSpawner, Exit, Process, RootSpec, Spawn, SpawnError, Spawned, WorkerSpec,
};
use dispatch_runtime::spawner::{Spawner, SpawnerConfig, start};
use tempfile::TempDir;
use uuid::Uuid;

pub(crate) const ORGANIZATION: Uuid = Uuid::from_u128(7);

/// A helper of its own and a data directory. End it with `finish`.
pub(crate) struct Lab {
    pub(crate) spawner: Spawner,
    pub(crate) helper: u32,
    pub(crate) instance: Uuid,
    pub(crate) directory: TempDir,
    next: AtomicU64,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut SpawnerConfig)) -> Self {
        let directory = TempDir::with_prefix("dispatch-sandbox-").unwrap();
        std::fs::create_dir(directory.path().join("layers")).unwrap();
        // Open to everybody: what holds a worker must be its sandbox, not these modes.
        open_to_all(directory.path());
        let instance = fresh_id();
        let mut config = SpawnerConfig::new(instance, vec![directory.path().join("layers")]);
        config.lock = Some(directory.path().join("spawner.lock"));
        change(&mut config);
        let helper = start(&config).unwrap();
        let pid = helper.pid();
        let spawner = Spawner::new(helper).unwrap();
        Self { spawner, helper: pid, instance, directory, next: AtomicU64::new(1) }
    }

    /// For a helper that was started under another's instance.
    pub(crate) fn adopt(mut self, instance: Uuid) -> Self {
        self.instance = instance;
        self
    }

    /// What the helper locks.
    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.path().join("spawner.lock")
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.directory.path().join("layers")
    }

    /// A Python program with nothing but the base under it.
    pub(crate) fn spec(&self, program: &str) -> WorkerSpec {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = Uuid::from_u128(self.instance.as_u128() ^ u128::from(number));
        WorkerSpec::new(id, ORGANIZATION, python(program), root())
    }

    pub(crate) async fn spawn(&self, spec: WorkerSpec) -> Result<Spawned, SpawnError> {
        self.spawner.spawn(spec).await
    }

    /// Runs a program to its end.
    pub(crate) async fn run(&self, program: &str) -> Outcome {
        Outcome::of(self.spawn(self.spec(program)).await.unwrap()).await
    }

    /// Ends the helper, and fails if anything of it is left on the machine.
    pub(crate) async fn finish(self) {
        let Self { spawner, helper, instance, .. } = self;
        spawner.shut_down().await;
        assert!(!Path::new(&format!("/proc/{helper}")).exists(), "the helper is still there");
        assert_eq!(cgroups_of(instance), Vec::<PathBuf>::new(), "cgroups are left");
    }
}

pub(crate) fn open_to_all(path: &Path) {
    let mode = if path.is_dir() { 0o777 } else { 0o666 };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn python(program: &str) -> Vec<String> {
    ["/usr/bin/python3", "-I", "-S", "-c", program].map(str::to_owned).to_vec()
}

/// What a program said until it ended, and how.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) exit: Exit,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) async fn of(spawned: Spawned) -> Self {
        let Spawned { stdout, stderr, process, channel: _channel, .. } = spawned;
        let all = async { tokio::join!(text(stdout), text(stderr), ended(&process)) };
        let (stdout, stderr, exit) = all.await;
        Self { exit, stdout, stderr }
    }
}

/// The same program with no sandbox, as this test's own user.
pub(crate) async fn run_unconfined(program: &str) -> Outcome {
    let spec = WorkerSpec::new(fresh_id(), ORGANIZATION, python(program), RootSpec::default());
    Outcome::of(DirectSpawner.spawn(spec).await.unwrap()).await
}

/// How a worker ends; one that has not after two minutes never will, and is killed.
pub(crate) async fn ended(process: &Process) -> Exit {
    match tokio::time::timeout(Duration::from_secs(120), process.wait()).await {
        Ok(exit) => exit,
        Err(_) => {
            process.kill();
            panic!("{process:?} does not end")
        }
    }
}

/// Test code only: the product's ids come from its own source.
pub(crate) fn fresh_id() -> Uuid {
    let mut bytes = [0u8; 16];
    std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    Uuid::from_bytes(bytes)
}

/// Root of the machine; the root of a user namespace is an ordinary user.
pub(crate) fn is_root() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let whole = map.split_whitespace().nth(2) == Some("4294967295");
    rustix::process::geteuid().is_root() && whole
}

pub(crate) fn root() -> RootSpec {
    static PYTHON: OnceLock<Interpreter> = OnceLock::new();
    let python = PYTHON.get_or_init(|| host::find(host::Language::Python3, None).unwrap());
    RootSpec { base: python.base(), layers: Vec::new() }
}

/// Everything that comes out of a descriptor until its end.
pub(crate) async fn text(descriptor: OwnedFd) -> String {
    let read = move || {
        rustix::io::ioctl_fionbio(&descriptor, false).unwrap();
        let mut all = Vec::new();
        std::fs::File::from(descriptor).read_to_end(&mut all).unwrap();
        String::from_utf8_lossy(&all).into_owned()
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

/// The next line of a program that says one at a time.
pub(crate) async fn line(stdout: &OwnedFd) -> String {
    let mut text = String::new();
    until(|| {
        let mut bytes = [0u8; 256];
        match rustix::io::read(stdout, &mut bytes) {
            Ok(count) => text.push_str(std::str::from_utf8(&bytes[..count]).unwrap()),
            Err(rustix::io::Errno::AGAIN) => {}
            Err(error) => panic!("{error}"),
        }
        if text.ends_with('\n') { Ok(()) } else { Err(format!("so far {text:?}")) }
    })
    .await;
    text
}

/// Directories of one server in any cgroup hierarchy.
pub(crate) fn cgroups_of(instance: Uuid) -> Vec<PathBuf> {
    let name = format!("dispatch-{instance}");
    let mut waiting = vec![PathBuf::from("/sys/fs/cgroup")];
    let mut found = Vec::new();
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if entry.file_name().to_str() == Some(&name) {
                    found.push(entry.path());
                }
                waiting.push(entry.path());
            }
        }
    }
    found
}

/// Waits for a condition; fails with the last reason why it does not hold.
pub(crate) async fn until(mut holds: impl FnMut() -> Result<(), String>) {
    let mut last = String::new();
    for _ in 0..2000 {
        match holds() {
            Ok(()) => return,
            Err(reason) => last = reason,
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain: {last}");
}

/// Pids of all processes below one.
pub(crate) fn descendants(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let direct = children.split_whitespace().filter_map(|child| child.parse::<u32>().ok());
    direct.flat_map(|child| std::iter::once(child).chain(descendants(child))).collect()
}

/// Processes of this test with these words in their command line.
pub(crate) fn named(words: &str) -> Vec<rustix::process::Pid> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    numbers
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(words)
        })
        .filter_map(rustix::process::Pid::from_raw)
        .collect()
}
