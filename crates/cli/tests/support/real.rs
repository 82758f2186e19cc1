//! `dispatch server` as a process of its own, ended also when the test fails.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};

pub struct Server {
    pub port: u16,
    child: Child,
    /// Keeps reading, so that the server never waits for a full pipe.
    log: Option<thread::JoinHandle<String>>,
}

impl Server {
    /// Everything it keeps is under `home`.
    pub fn start(home: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_dispatch"))
            .args(["server", "--port", "0", "--gateway-port", "0", "--gateway-tls-port", "0"])
            .env_clear()
            .env("HOME", home)
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap_or_default();
            text
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let port = line.trim_end().rsplit(':').next().and_then(|port| port.parse().ok());
        let mut server = Self { port: 0, child, log: Some(log) };
        let Some(port) = port else {
            let log = server.end();
            panic!("the server said {line:?} and then: {log}");
        };
        server.port = port;
        thread::spawn(move || stdout.read_to_string(&mut String::new()));
        server
    }

    /// Asks it to stop, and makes sure that it ended well.
    pub fn finish(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        let log = self.end();
        assert!(status.success(), "the server ended with {status}: {log}");
    }

    fn end(&mut self) -> String {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.log.take().and_then(|log| log.join().ok()).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}
