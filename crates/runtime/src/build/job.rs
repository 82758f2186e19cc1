//! One job, whatever it builds.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{BuildError, Builder, Built};
use crate::layer::{Digest, Held, LayerError, Staged, TreeLimits, measure};
use crate::logs::{FunctionLog, LogTap, last_errors};
use crate::network::{Relay, RelayLimits};
use crate::spawn::{
    Exit, HostBase, LayerMount, Limits, NetworkSpec, Process, RootSpec, WorkerSpec,
};
use crate::worker::how;

/// Where a job finds its tree, inside: it becomes the layer.
pub const OUTPUT: &str = "/layer";
/// Where a job finds [`Job::files`], read-only.
pub const INPUT: &str = "/build/input";
/// Room on disk for temporary files.
pub const SCRATCH: &str = "/build/tmp";

/// The longest report on a job's channel.
const MAX_REPORT_BYTES: u64 = 64 << 10;
/// How long to read what an ended job left in its channel, which is there already.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How often a running job's trees are measured, at least; and how much longer than measuring
/// takes the pause is, so that a large tree does not keep a core busy.
const MEASURE_EVERY: Duration = Duration::from_millis(250);
const MEASURE_SHARE: u32 = 10;

/// What is run, what it may see, and its bounds.
#[derive(Debug)]
pub struct Job {
    pub organization: Uuid,
    /// Of everything that determines the outcome. The same key in the same organization is built
    /// once.
    pub key: Digest,
    pub argv: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub base: HostBase,
    /// Read-only layers besides the three directories above.
    pub layers: Vec<LayerMount>,
    /// Small files, by plain names.
    pub files: Vec<(&'static str, Vec<u8>)>,
    /// Written to the job's descriptor 3, whose writing side is then closed.
    pub input: Bytes,
    pub network: NetworkSpec,
    pub limits: Limits,
    /// Of the output, and of the scratch directory.
    pub output: TreeLimits,
    pub time_limit: Duration,
}

impl Builder {
    /// Runs a job unless its layer is there already. Lines go to `log` as they come. The second
    /// value is what the job wrote to its descriptor 3, empty if it did not run.
    pub async fn run(
        &self,
        job: Job,
        log: &Arc<FunctionLog>,
    ) -> Result<(Built, Vec<u8>), BuildError> {
        let _turn = self.turns.acquire().await.map_err(|_| BuildError::Stopping)?;
        if let Some(layer) = self.find(job.organization, job.key).await? {
            return Ok((Built { layer, size: None }, Vec::new()));
        }
        let id = self.fresh_id();
        let (organization, key, output) = (job.organization, job.key, job.output);
        let staged = self.stage(id, &job).await?;
        let mut running = self.start(id, job, staged, log).await?;
        let report = match running.finish(output).await {
            Ok((Exit::Code(0), report)) => report,
            Ok((exit, report)) => {
                running.clear().await;
                let how = how(exit, running.memory_bytes);
                return Err(BuildError::Failed { how, said: last_errors(log), report });
            }
            Err(error) => {
                running.clear().await;
                return Err(error);
            }
        };
        let staged = running.staged.take().ok_or(BuildError::Report)?;
        let layers = self.layers.clone();
        let kept = blocking(move || layers.keep(staged, organization, key, output)).await?;
        let (layer, size) = kept.map_err(BuildError::Layer)?;
        Ok((Built { layer, size: Some(size) }, report))
    }

    async fn find(&self, organization: Uuid, key: Digest) -> Result<Option<Held>, BuildError> {
        let layers = self.layers.clone();
        blocking(move || layers.find(organization, key)).await
    }

    async fn stage(&self, id: Uuid, job: &Job) -> Result<Staged, BuildError> {
        let layers = self.layers.clone();
        let files = job.files.clone();
        blocking(move || {
            let staged = layers.stage(id).map_err(BuildError::Layer)?;
            for (name, content) in files {
                write_readable(&staged.input().join(name), &content).map_err(BuildError::Input)?;
            }
            Ok(staged)
        })
        .await?
    }

    async fn start(
        &self,
        id: Uuid,
        job: Job,
        staged: Staged,
        log: &Arc<FunctionLog>,
    ) -> Result<Running, BuildError> {
        let memory_bytes = job.limits.memory_bytes;
        let (time_limit, input) = (job.time_limit, job.input.clone());
        let spawned =
            self.spawner.spawn(spec(id, job, &staged)).await.map_err(BuildError::Spawn)?;
        let process = spawned.process;
        let runtime = Handle::current();
        let mut running =
            Running { process, staged: Some(staged), runtime, memory_bytes, time_limit, io: None };
        let tap =
            LogTap::new(spawned.stdout, spawned.stderr, Arc::clone(log), self.ambient.unix_ms)
                .map_err(BuildError::Descriptors)?;
        let channel =
            UnixStream::from_std(spawned.channel.into()).map_err(BuildError::Descriptors)?;
        let relay = match &self.dial {
            Some(dial) if !spawned.listeners.is_empty() => {
                let mut relay = Relay::new(Arc::clone(dial), RelayLimits::default());
                relay.serve_all(spawned.listeners).map_err(BuildError::Descriptors)?;
                Some(relay)
            }
            _ => None,
        };
        running.io = Some(Io { tap, channel, input, _relay: relay });
        Ok(running)
    }

    fn fresh_id(&self) -> Uuid {
        let random = self.ambient.random;
        let bits = (u128::from(random()) << 64) | u128::from(random());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    }
}

fn spec(id: Uuid, job: Job, staged: &Staged) -> WorkerSpec {
    let mount =
        |host, inside: &str, read_only| LayerMount { host, inside: inside.into(), read_only };
    let mut layers = job.layers;
    layers.push(mount(staged.output(), OUTPUT, false));
    layers.push(mount(staged.input(), INPUT, true));
    layers.push(mount(staged.scratch(), SCRATCH, false));
    let root = RootSpec { base: job.base, layers };
    let mut spec = WorkerSpec::new(id, job.organization, job.argv, root);
    spec.environment = job.environment;
    spec.limits = job.limits;
    spec.network = job.network;
    spec.umask = 0o022;
    spec
}

/// A job's process and its tree. Dropped before it is kept or cleared, it ends the one,
/// then removes the other.
struct Running {
    process: Process,
    staged: Option<Staged>,
    runtime: Handle,
    memory_bytes: u64,
    time_limit: Duration,
    io: Option<Io>,
}

struct Io {
    tap: LogTap,
    channel: UnixStream,
    input: Bytes,
    /// Connects the job's endpoints until its end.
    _relay: Option<Relay>,
}

impl Running {
    /// Ends the process and removes its tree.
    async fn clear(&mut self) {
        self.process.kill();
        self.process.wait().await;
        if let Some(staged) = self.staged.take() {
            let _ = spawn_blocking(move || drop(staged)).await;
        }
    }

    /// How it ended, and what it wrote to its channel.
    async fn finish(&mut self, output: TreeLimits) -> Result<(Exit, Vec<u8>), BuildError> {
        let Some(mut io) = self.io.take() else { return Err(BuildError::Report) };
        let staged = self.staged.as_ref();
        let trees = staged.map(|staged| [staged.output(), staged.scratch()]);
        let mut report = Vec::new();
        let ended = {
            let (reading, mut writing) = io.channel.split();
            let feed = async {
                // A job that does not read its input says why in its report or exit status.
                let _ = writing.write_all(&io.input).await;
                let _ = writing.shutdown().await;
            };
            let mut reading = reading.take(MAX_REPORT_BYTES);
            let hear = reading.read_to_end(&mut report);
            // None of these ends the wait: pipes may close long before the process ends.
            let talk = async {
                let _ = tokio::join!(feed, hear, io.tap.pump());
                std::future::pending::<Infallible>().await
            };
            let work = async {
                tokio::select! {
                    exit = self.process.wait() => Ok(exit),
                    error = too_large(trees, output) => Err(error),
                    never = talk => match never {},
                }
            };
            timeout(self.time_limit, work).await
        };
        io.tap.take_rest();
        let seconds = self.time_limit.as_secs();
        let exit = ended.map_err(|_| BuildError::TimedOut { seconds })??;
        // What it wrote just before its end is still in the socket.
        let mut rest = (&mut io.channel).take(MAX_REPORT_BYTES);
        let _ = timeout(LAST_WORDS, rest.read_to_end(&mut report)).await;
        Ok((exit, report))
    }
}

/// Returns when one of the trees is over the bounds.
async fn too_large(trees: Option<[PathBuf; 2]>, limits: TreeLimits) -> BuildError {
    let Some(trees) = trees else { return std::future::pending().await };
    let mut pause = MEASURE_EVERY;
    loop {
        sleep(pause).await;
        let trees = trees.clone();
        let begun = Instant::now();
        let measured =
            spawn_blocking(move || trees.iter().try_for_each(|tree| measure(tree, limits)));
        if let Ok(Err(error)) = measured.await {
            return BuildError::Layer(LayerError::Tree(error));
        }
        pause = MEASURE_EVERY.max(begun.elapsed() * MEASURE_SHARE);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(staged) = self.staged.take() else { return };
        self.process.kill();
        let process = self.process.clone();
        self.runtime.spawn(async move {
            process.wait().await;
            let _ = spawn_blocking(move || drop(staged)).await;
        });
    }
}

fn write_readable(path: &Path, content: &[u8]) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, content)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BuildError> {
    spawn_blocking(work).await.map_err(|_| BuildError::Stopping)
}
