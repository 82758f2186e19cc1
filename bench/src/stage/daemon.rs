//! A `dispatch server` or `dispatch broker`: the real executable, in a directory and with a HOME of its own. It ends
//! with this value.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{Trouble, interrupted, note, pause};

/// The HOME of a process, in its directory.
pub const HOME: &str = "home";
/// Longer than any start that is worth measuring.
const START: Duration = Duration::from_secs(60);
/// A server finishes its calls for up to 30 s.
const STOP: Duration = Duration::from_secs(40);
const SIGTERM: i32 = 15;
/// Of its log, when it does not start.
const TAIL_CHARACTERS: usize = 2_000;
/// What a build needs to know of this machine, and nothing else of our environment.
const KEPT: [&str; 8] = [
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT",
];

/// A process that said where it listens.
#[derive(Debug)]
pub struct Daemon {
    child: Option<Child>,
    pub address: SocketAddr,
    /// When its process was begun.
    pub begun: Instant,
    /// Held, so that it can go on speaking.
    _stdout: BufReader<ChildStdout>,
}

impl Daemon {
    /// Starts it and waits for the line on stdout that says where it listens.
    pub fn start(dispatch: &Path, directory: &Path, arguments: &[&str]) -> Result<Self, Trouble> {
        let home = directory.join(HOME);
        fs::create_dir_all(&home).map_err(Trouble::io("make a home directory"))?;
        let log = directory.join("log");
        let errors = File::create(&log).map_err(Trouble::io("make a log"))?;
        let kept =
            std::env::vars().filter(|(name, _)| KEPT.iter().any(|kept| name.starts_with(kept)));
        let mut command = Command::new(dispatch);
        command
            .args(arguments)
            .env_clear()
            .envs(kept)
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_DATA_HOME", home.join("data"))
            .env("XDG_CACHE_HOME", home.join("cache"))
            .env("LANG", "C.UTF-8")
            // The directory is closed to every other user.
            .env("DISPATCH_SERVER_USER", "")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        let begun = Instant::now();
        let mut child = command.spawn().map_err(Trouble::io("start dispatch"))?;
        interrupted::remember(child.id());
        match listens(&mut child) {
            Ok((address, stdout)) => {
                Ok(Self { child: Some(child), address, begun, _stdout: stdout })
            }
            Err(trouble) => {
                let _ = child.kill();
                let _ = child.wait();
                interrupted::forget(child.id());
                let said = fs::read_to_string(&log).unwrap_or_default();
                let from = said.floor_char_boundary(said.len().saturating_sub(TAIL_CHARACTERS));
                let said = said.get(from..).unwrap_or_default();
                Err(Trouble::wrong(
                    format!("dispatch {} did not start", arguments.join(" ")),
                    format!("{trouble}; its log ends with: {said}"),
                ))
            }
        }
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Asks it to end and waits for it.
    pub fn stop(mut self) -> Result<(), Trouble> {
        let Some(mut child) = self.child.take() else { return Ok(()) };
        interrupted::end(child.id(), Signal::TERM);
        let until = Instant::now() + STOP;
        let status = loop {
            let ended = child.try_wait().map_err(Trouble::io("wait for dispatch"))?;
            match ended {
                Some(status) => break status,
                None if Instant::now() < until => pause(Duration::from_millis(2)),
                None => {
                    self.child = Some(child);
                    return Err(Trouble::wrong("dispatch was asked to stop", "it goes on"));
                }
            }
        };
        interrupted::forget(child.id());
        match (status.success(), status.signal()) {
            (true, _) => Ok(()),
            // A measurement is no test of stopping; but somebody should know.
            (false, Some(SIGTERM)) => {
                note("  SIGTERM ended dispatch at once: it did not listen for it yet");
                Ok(())
            }
            _ => Err(Trouble::wrong("dispatch was asked to stop", status)),
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            interrupted::forget(child.id());
        }
    }
}

/// The address in its first line. A watchdog ends a process that says nothing, so that reading ends.
fn listens(child: &mut Child) -> Result<(SocketAddr, BufReader<ChildStdout>), Trouble> {
    let stdout = child.stdout.take();
    let mut stdout =
        BufReader::new(stdout.ok_or_else(|| Trouble::Missing("no stdout".to_owned()))?);
    let (heard, silent) = std::sync::mpsc::channel::<()>();
    let pid = child.id();
    let watchdog = std::thread::spawn(move || {
        if silent
            .recv_timeout(START)
            .is_err_and(|why| why == std::sync::mpsc::RecvTimeoutError::Timeout)
        {
            interrupted::end(pid, Signal::KILL);
        }
    });
    let mut line = String::new();
    let read = stdout.read_line(&mut line);
    drop(heard);
    let _ = watchdog.join();
    read.map_err(Trouble::io("hear from dispatch"))?;
    let address = address_in(&line).ok_or_else(|| Trouble::wrong("its first line", &line))?;
    Ok((address, stdout))
}

fn address_in(line: &str) -> Option<SocketAddr> {
    line.trim_end().rsplit_once("http://")?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_the_end_of_the_line() {
        let check = |line: &str, expect: Option<&str>| {
            assert_eq!(address_in(line).map(|at| at.to_string()).as_deref(), expect, "{line:?}");
        };
        check("dispatch server listens on http://127.0.0.1:4711\n", Some("127.0.0.1:4711"));
        check("broker postgresql listens on http://[::1]:1\n", Some("[::1]:1"));
        check("", None);
        check("http://nowhere\n", None);
    }

    #[test]
    fn what_does_not_start_is_reported_with_its_log_and_leaves_no_process() {
        let directory = tempfile::tempdir().unwrap();
        let shell = Path::new("/bin/sh");
        let error =
            Daemon::start(shell, directory.path(), &["-c", "echo broken >&2; exec sleep 0"]);
        let text = error.unwrap_err().to_string();
        assert!(text.contains("broken"), "{text}");
    }

    #[test]
    fn it_is_ended_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let script = "echo listens on http://127.0.0.1:1; exec sleep 1000";
        let daemon =
            Daemon::start(Path::new("/bin/sh"), directory.path(), &["-c", script]).unwrap();
        let process = format!("/proc/{}", daemon.pid());
        assert!(Path::new(&process).exists());
        drop(daemon);
        assert!(!Path::new(&process).exists());
    }
}
