//! `dispatch server` as a process of its own, ended also when the test fails.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{BufRead as _, BufReader, Read},
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
    /// What it said on stdout.
    said: Arc<Log>,
    reader: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    more: Condvar,
}

impl Log {
    fn add(&self, line: &str) {
        self.text.lock().unwrap().push_str(&format!("{line}\n"));
        self.more.notify_all();
    }

    fn has(&self, parts: &[&str], times: usize) {
        let text = self.text.lock().unwrap();
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        let is_short = |text: &mut String| text.lines().filter(|line| has(line)).count() < times;
        let limit = Duration::from_secs(30);
        let (text, waited) = self.more.wait_timeout_while(text, limit, is_short).unwrap();
        assert!(!waited.timed_out(), "no {times} lines with {parts:?}: {text}");
    }
}

fn read(from: impl Read + Send + 'static, log: &Arc<Log>) -> thread::JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            log.add(&line);
        }
    })
}

impl Server {
    /// Everything it keeps is under `home`.
    pub fn start(home: &Path) -> Self {
        Self::start_with(home, &[])
    }

    pub fn start_with(home: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = command(home);
        command.args(FREE_PORTS).envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// On a machine without these files and directories. Only root can make one.
    pub fn start_without(home: &Path, hidden: &[&str]) -> Self {
        let mut command = without(hidden, command(home));
        command.args(FREE_PORTS);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::<Log>::default();
        let reader = Some(read(child.stderr.take().unwrap(), &log));
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        let said = Arc::<Log>::default();
        said.add(line.trim_end());
        let mut server = Self { port: 0, child, log, said, reader };
        let Some(port) = port else {
            server.end();
            panic!("the server said {line:?} and then: {}", server.log());
        };
        server.port = port;
        read(stdout, &server.said);
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
        self.log.has(parts, times);
    }

    /// Waits until it has said a line with this part on stdout.
    pub fn says(&self, part: &str) {
        self.said.has(&[part], 1);
    }

    pub fn said(&self) -> String {
        self.said.text.lock().unwrap().clone()
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

pub const FREE_PORTS: [&str; 7] =
    ["server", "--port", "0", "--gateway-port", "0", "--gateway-tls-port", "0"];

/// The executable with everything that it keeps under `home`.
pub fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
    command
        .env_clear()
        .env("HOME", home)
        .env("PATH", "/usr/bin:/bin")
        .env("XDG_DATA_HOME", home.join("data"))
        .env("XDG_CONFIG_HOME", home.join("config"))
        // The directory is closed to every other user.
        .env("DISPATCH_SERVER_USER", "");
    command
}

/// The same command in a mount namespace where these files are none and these directories are empty.
pub fn without(hidden: &[&str], command: Command) -> Command {
    let hide = "for path in $HIDDEN; do if [ -d $path ]; then mount -t tmpfs none $path; \
                else mount --bind /dev/null $path; fi || exit 9; done; exec \"$0\" \"$@\"";
    let words = ["--mount", "sh", "-c", hide];
    let mut hiding = within("unshare", &words, command.get_program(), &command);
    hiding.env("HIDDEN", hidden.join(" "));
    hiding
}

/// The same command, ended after a minute.
pub fn bounded(command: &Command) -> Command {
    within("timeout", &["60"], command.get_program(), command)
}

/// The same command as an ordinary user, with a copy of the executable in a directory that this user can enter.
pub fn as_nobody(directory: &Path, command: Command) -> Command {
    let copy = directory.join("dispatch");
    if !copy.exists() {
        fs::copy(command.get_program(), &copy).unwrap();
    }
    let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    within("setpriv", &other, copy.as_os_str(), &command)
}

fn within(outer: &str, words: &[&str], program: &OsStr, command: &Command) -> Command {
    let mut outer = Command::new(outer);
    outer.args(words).arg(program).args(command.get_args()).stdin(Stdio::null());
    outer.env_clear().envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    outer
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
