//! The server in this process, on a clock that moves only when it is told to; its workers in real sandboxes.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dispatch_engine::{Clock as _, Entropy as _, ManualClock, SystemEntropy};
use dispatch_runtime::{
    spawner::{self, Spawner, SpawnerConfig},
    worker::Ambient,
};
use dispatch_server::{
    Running,
    config::Settings,
    packages::Build,
    server::{self, Parts},
    workers::Machine,
};
use jiff::Timestamp;
use tokio::runtime::Runtime;

/// For what goes on by itself, a build that gets its packages from far away included.
const PATIENCE: Duration = Duration::from_secs(300);

pub struct Server {
    running: Running,
    clock: Arc<ManualClock>,
    runtime: Arc<Runtime>,
}

impl Server {
    /// Everything it keeps is under `home`; its login for the command line too. Packages come from where the machine's
    /// own pip gets them.
    pub fn start(home: &Path, runtime: Arc<Runtime>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
        let data = home.join("data");
        let build = Build::found(&|name| std::env::var(name).ok());
        let running = runtime.block_on(async {
            let local = "127.0.0.1:0".parse().unwrap();
            let settings = Settings {
                listen: local,
                gateway_listen: local,
                gateway_tls_listen: local,
                data,
                keys: home.join("keys"),
                client_config: home.join(".dispatch/config.json"),
                build,
                ..Settings::default()
            };
            let parts = Parts {
                listeners: server::Listeners::bind(&settings).unwrap(),
                clock: Arc::clone(&clock) as _,
                entropy: Arc::new(SystemEntropy),
                machine: machine(&settings.data, &settings.build),
                host_name: None,
                run_as: None,
            };
            server::start(settings, parts).await.unwrap()
        });
        Self { running, clock, runtime }
    }

    pub fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    /// Control plane, gateway, gateway over TLS.
    pub fn ports(&self) -> [u16; 3] {
        let addresses = self.running.addresses;
        [addresses.control_plane, addresses.gateway, addresses.gateway_tls].map(|it| it.port())
    }

    /// Lets this much time pass; what is to be done meanwhile is done at its time.
    pub fn pass(&self, time: Duration) {
        let end = self.clock.now().checked_add(time).unwrap();
        self.quiet();
        while let Some(next) = self.running.busy_at().filter(|next| *next <= end) {
            self.advance_to(next);
        }
        self.advance_to(end);
    }

    /// Waits until there is nothing to do before a later time.
    pub fn quiet(&self) {
        let begun = Instant::now();
        let is_busy = || self.running.busy_at().is_some_and(|at| at <= self.clock.now());
        self.runtime.block_on(async {
            while is_busy() {
                assert!(begun.elapsed() < PATIENCE, "the controllers never came to rest");
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    fn advance_to(&self, at: Timestamp) {
        let left = Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default();
        self.clock.advance(left);
        self.quiet();
    }

    pub fn finish(self) {
        self.runtime.block_on(self.running.stop());
    }
}

/// Must be called inside the runtime.
fn machine(data: &Path, build: &Build) -> Machine {
    let layers = data.join("layers");
    fs::create_dir_all(&layers).unwrap();
    // This process is its own helper, and the product's executable unpacks sources.
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_dispatch"));
    let mut config = SpawnerConfig::new(SystemEntropy.uuid(), vec![layers]);
    config.base_roots = vec![executable.clone()];
    config.base_roots.extend(build.directories());
    let spawner = Spawner::new(spawner::start(&config).unwrap()).unwrap();
    Machine {
        confinement: spawner.confinement().to_string(),
        spawner: Arc::new(spawner),
        ambient: Ambient { unix_ms: || 1_800_000_000_000, random: || SystemEntropy.number() },
        executable,
        path: Some("/usr/bin:/bin".into()),
    }
}
