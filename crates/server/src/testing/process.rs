//! A server in a process of its own, on the real clock, which can be made to end at a named point (decision 40).
//!
//! The process is this test binary once more: scripts exist in tests only, and no other binary knows of this.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use dispatch_engine::{SystemClock, SystemEntropy};
use dispatch_runtime::spawn::DirectSpawner;
use dispatch_store::CommitError;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, ChildStdin, Command},
};

use super::server::{key, machine, settings};
use crate::{
    faults::{Faults, Point, Script},
    server,
};

const DIRECTORY: &str = "DISPATCH_TEST_SERVER_DIRECTORY";
/// In the directory: the point at which the process ends, and the so-manieth time from when it was written.
const END: &str = "ends-at";
const PATIENCE: Duration = Duration::from_secs(60);

/// Dropping it kills the process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The process ends with the one that has started it.
    _stdin: Option<ChildStdin>,
    directory: PathBuf,
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Process {
    /// In a directory that a process before may have left.
    pub async fn start(directory: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "testing::process::serve", "--nocapture"])
            .env(DIRECTORY, directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let ready = async {
            loop {
                let line = lines.next_line().await.unwrap().expect("it ended before it was ready");
                if let Some((_, url)) = line.split_once("ready ") {
                    return url.to_owned();
                }
            }
        };
        let url = tokio::time::timeout(PATIENCE, ready).await.expect("it never was ready");
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let directory = directory.to_owned();
        Self { child, _stdin: stdin, url, key: key(&directory), directory, http }
    }

    /// The process ends when it is there the so-manieth time from now on.
    pub fn end_at(&self, point: Point, time: u32) {
        let text = format!("{} {:?} {time}", point.name, point.moment);
        // In one step: it may be read at any moment.
        let unfinished = self.directory.join("unfinished");
        std::fs::write(&unfinished, text).unwrap();
        std::fs::rename(unfinished, self.directory.join(END)).unwrap();
    }

    /// Waits for that end, and starts the next process.
    pub async fn ended_and_begun_again(mut self) -> Self {
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = ended.expect("it never came to its end").unwrap();
        assert_eq!(status.signal(), Some(Signal::SIGKILL as i32), "{status}");
        std::fs::remove_file(self.directory.join(END)).unwrap();
        Self::start(&self.directory).await
    }

    /// Status and body; `None` if the process has ended before it answered.
    pub async fn send(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        let request = request.header("Cookie", &self.key).header("X-Dispatch-Org", "dispatch");
        let answer = request.json(body).timeout(PATIENCE).send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        Some((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
    }

    /// GETs until `done` says so.
    pub async fn until<T>(&self, path: &str, done: impl Fn(u16, &Value) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        loop {
            let answer = self.send("GET", path, &Value::Null).await;
            let (status, body) = answer.expect("it ended although nobody has asked for that");
            if let Some(found) = done(status, &body) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "never came; last of {path}: {status} {body}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Ends this process at the point that the file in the directory says.
#[derive(Debug)]
struct Ends {
    file: PathBuf,
    /// How often each was passed, by what the file said then.
    passed: Mutex<BTreeMap<String, u32>>,
}

#[async_trait]
impl Script for Ends {
    async fn reach(&self, point: Point) {
        let Ok(text) = std::fs::read_to_string(&self.file) else { return };
        let here = format!("{} {:?} ", point.name, point.moment);
        let Some(time) = text.strip_prefix(&here).map(|time| time.parse::<u32>().unwrap()) else {
            return;
        };
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.entry(text).or_default();
        *times += 1;
        if *times == time {
            // Nothing is flushed, closed or dropped; no other thread takes another step.
            kill(Pid::this(), Signal::SIGKILL).unwrap();
        }
    }

    fn refuse(&self, _: &'static str) -> Option<CommitError> {
        None
    }
}

/// Not a test: what `Process::start` starts. It serves until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serve() {
    let Some(directory) = std::env::var_os(DIRECTORY).map(PathBuf::from) else { return };
    let script = Ends { file: directory.join(END), passed: Mutex::default() };
    let settings = settings(&directory);
    let parts = server::Parts {
        listeners: server::Listeners::bind(&settings).unwrap(),
        run_as: None,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        machine: machine(Arc::new(DirectSpawner)),
        host_name: None,
        faults: Faults::scripted(Arc::new(script)),
    };
    let running = server::start(settings, parts).await.unwrap();
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "ready http://{}", running.addresses.control_plane).unwrap();
    stdout.flush().unwrap();
    drop(stdout);
    // Nobody writes there: it ends when whoever has started us does.
    let end = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(end).await.unwrap().unwrap();
    std::process::exit(0);
}
