//! `dispatch server` as a process of its own, ended also when the test fails.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

pub struct Server {
    pub port: u16,
    child: Child,
    /// What it logged; read by a thread, so that the server never waits for a full pipe.
    log: Arc<Log>,
    reader: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

impl Server {
    /// Everything it keeps is under `home`.
    pub fn start(home: &Path) -> Self {
        Self::start_with(home, &[])
    }

    pub fn start_with(home: &Path, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dispatch"))
            .args(["server", "--port", "0", "--gateway-port", "0", "--gateway-tls-port", "0"])
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            // The directory is closed to every other user.
            .env("DISPATCH_SERVER_USER", "")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::<Log>::default();
        let lines = Arc::clone(&log);
        let reader = thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                lines.text.lock().unwrap().push_str(&(line + "\n"));
                lines.more.notify_all();
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        let mut server = Self { port: 0, child, log, reader: Some(reader) };
        let Some(port) = port else {
            server.end();
            panic!("the server said {line:?} and then: {}", server.log());
        };
        server.port = port;
        thread::spawn(move || stdout.read_to_string(&mut String::new()));
        server
    }

    /// Asks it to stop, and makes sure that it ended well.
    pub fn finish(mut self) {
        self.signal(Signal::TERM);
        let status = self.child.wait().unwrap();
        self.end();
        assert!(status.success(), "the server ended with {status}: {}", self.log());
    }

    /// Ends it as a crash does, and waits for that.
    pub fn kill(mut self) {
        self.end();
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap(), signal)
            .unwrap();
    }

    /// Waits until the log has that many lines with all of these parts.
    pub fn logged(&self, parts: &[&str], times: usize) {
        let text = self.log.text.lock().unwrap();
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        let is_short = |text: &mut String| text.lines().filter(|line| has(line)).count() < times;
        let limit = Duration::from_secs(30);
        let (text, waited) = self.log.more.wait_timeout_while(text, limit, is_short).unwrap();
        assert!(!waited.timed_out(), "no {times} lines with {parts:?}: {text}");
    }

    /// The user of each of its threads.
    pub fn uids(&self) -> BTreeSet<String> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let uids = threads.map(|thread| {
            let status = fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
            let line = status.lines().find(|line| line.starts_with("Uid:")).unwrap().to_owned();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        });
        uids.collect()
    }

    pub fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = self.reader.take().map(thread::JoinHandle::join);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
