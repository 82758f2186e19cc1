//! The postmaster of a cluster: found again, started, waited for, stopped.
//!
//! One that runs is adopted, whoever started it: the broker may have been killed since. It is
//! recognised by `postmaster.pid` together with the process itself: that works in the data directory
//! and was started for it. A process that merely has the id, after a reboot say, does neither; and
//! since the process is held by a handle from before it is looked at, none can take its place later.
//! (The time in `postmaster.pid` decides nothing: it is the wall clock's, which may have been set
//! since, and then the broker would disown what it has to keep.)

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::process::Command;
use tokio::time::sleep;

use super::cluster::Cluster;
use super::error::{self, ClusterError};
use super::processes::Process;

/// Between two looks at whether a postmaster that starts is ready: 5 ms of a start of 100 ms.
const LOOK: Duration = Duration::from_millis(5);

/// For open transactions to be rolled back and a checkpoint, then for the process just to end.
const FAST: Duration = Duration::from_secs(20);
const IMMEDIATE: Duration = Duration::from_secs(10);
const KILLED: Duration = Duration::from_secs(30);

/// How much of a log is shown.
const SHOWN_BYTES: usize = 1_000;

/// The postmaster of a cluster, if it runs.
pub(super) fn find(cluster: &Cluster) -> Result<Option<Process>, ClusterError> {
    let Some(PidFile { pid, .. }) = PidFile::read(&cluster.data()) else { return Ok(None) };
    Process::hold(pid, || is_postmaster(pid, &cluster.data()))
        .map_err(ClusterError::io("look for its postmaster"))
}

/// Whether a process is the postmaster of that data directory: it works there, and its arguments
/// are those of a start (its children's are what they are doing).
fn is_postmaster(pid: i32, data: &Path) -> bool {
    let same_directory = || {
        let (own, its) = (fs::metadata(data).ok()?, fs::metadata(format!("/proc/{pid}/cwd")).ok()?);
        Some((own.dev(), own.ino()) == (its.dev(), its.ino()))
    };
    let started_for_it = || {
        let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        Some(words.windows(2).any(|pair| pair == [b"-D", data.as_os_str().as_encoded_bytes()]))
    };
    same_directory() == Some(true) && started_for_it() == Some(true)
}

/// Starts a postmaster, and waits until it lets administrators in. None may be running. Whatever an
/// earlier one has left, processes and `postmaster.pid`, is removed before.
///
/// # Errors
/// [`ClusterError::PortTaken`], or what its log says.
pub(super) async fn start(
    cluster: &Cluster,
    limit: Option<Duration>,
) -> Result<Process, ClusterError> {
    cluster.end_processes().await?;
    match fs::remove_file(cluster.data().join("postmaster.pid")) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(ClusterError::Io { what: "remove postmaster.pid", source: error });
        }
        _ => {}
    }
    let log = OpenOptions::new().create(true).append(true).open(cluster.log());
    let log = log.map_err(ClusterError::io("open its log"))?;
    let said_before = log.metadata().map_or(0, |found| found.len());
    let process = spawn(cluster, log).map_err(ClusterError::io("start its postmaster"))?;
    match wait(cluster, &process, limit).await {
        Err(ClusterError::Ended) => Err(why(cluster, said_before)),
        result => result.map(|()| process),
    }
}

fn spawn(cluster: &Cluster, log: File) -> io::Result<Process> {
    let mut command =
        cluster.account.command(cluster.programs.join("postgres"), &cluster.directory);
    let settings = format!("config_file={}", cluster.settings().display());
    command.arg("-D").arg(cluster.data()).args(["-c", &settings]);
    // A signal from a terminal is for the broker: its clusters outlive it.
    command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = Command::from(command).spawn()?;
    let gone = || io::Error::other("it ended at once");
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or_else(gone)?;
    // Nobody waits for the child before it is dropped, so its id is still its own.
    let process = Process::hold(pid, || true)?;
    drop(child);
    process.ok_or_else(gone)
}

/// Waits until a postmaster lets administrators in.
///
/// # Errors
/// [`ClusterError::Ended`], [`ClusterError::TooSlow`]
pub(super) async fn wait(
    cluster: &Cluster,
    process: &Process,
    limit: Option<Duration>,
) -> Result<(), ClusterError> {
    let ready = async {
        loop {
            match PidFile::read(&cluster.data()) {
                Some(file) if file.pid == process.pid && file.ready => return,
                _ => sleep(LOOK).await,
            }
        }
    };
    let too_long = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = ready => Ok(()),
        () = process.ended() => Err(ClusterError::Ended),
        () = too_long => {
            let limit_ms = limit.map_or(0, |limit| limit.as_millis());
            Err(ClusterError::TooSlow { what: "start", limit_ms })
        }
    }
}

/// Stops a postmaster: fast, then at once, then by force.
pub(super) async fn stop(cluster: &Cluster) -> Result<(), ClusterError> {
    if let Some(process) = find(cluster)? {
        for (signal, limit) in
            [(Signal::INT, FAST), (Signal::QUIT, IMMEDIATE), (Signal::KILL, KILLED)]
        {
            process.signal(signal).map_err(ClusterError::io("stop its postmaster"))?;
            if process.ends_within(limit).await {
                break;
            }
            tracing::warn!(?signal, pid = process.pid, "a postmaster has not ended");
        }
    }
    cluster.end_processes().await
}

/// Why a postmaster has ended, from what it wrote to its log since.
fn why(cluster: &Cluster, from: u64) -> ClusterError {
    let mut text = Vec::new();
    let read = File::open(cluster.log()).and_then(|mut log| {
        log.seek(SeekFrom::Start(from))?;
        log.take(64 * 1024).read_to_end(&mut text)
    });
    let text = String::from_utf8_lossy(&text);
    match read {
        Ok(_) if text.contains("Address already in use") => ClusterError::PortTaken,
        _ => ClusterError::DoesNotStart { log: error::last(&text, SHOWN_BYTES) },
    }
}

/// What is in `postmaster.pid`: eight lines, the last of which says how far it is.
struct PidFile {
    pid: i32,
    ready: bool,
}

impl PidFile {
    fn read(data: &Path) -> Option<Self> {
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        Some(Self { pid, ready: lines.nth(6).is_some_and(|status| status.trim() == "ready") })
    }
}
