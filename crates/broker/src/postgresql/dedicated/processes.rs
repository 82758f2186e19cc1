//! Processes, held so that a later one with the same id is not taken for them; and which processes
//! work in a directory.
//!
//! A process is found by the directory that is its own, not by an id that was written down: ids are
//! used again, soon after a reboot above all.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, timeout};

/// One process. That it is gone, and another has its id, cannot go unnoticed.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    handle: AsyncFd<OwnedFd>,
}

impl Process {
    /// The process with that id, if there is one and it is the one that is meant. That is asked once
    /// the process is held: before, it could end and another take its id.
    pub(super) fn hold(pid: i32, is_meant: impl FnOnce() -> bool) -> io::Result<Option<Self>> {
        let Some(id) = Pid::from_raw(pid).filter(|_| pid > 0) else { return Ok(None) };
        let handle = match pidfd_open(id, PidfdFlags::NONBLOCK) {
            Ok(handle) => handle,
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        match is_meant() {
            true => {
                #[expect(
                    deprecated,
                    reason = "its successor is unsafe, because a descriptor can be closed under it: \
                              this one is owned by what it is given to"
                )]
                let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
                Ok(Some(Self { pid, handle }))
            }
            false => Ok(None),
        }
    }

    /// Sends a signal. That the process has ended is no error.
    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.handle.get_ref(), signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(&self) {
        // Readable is what the handle becomes then. An error would mean that nothing is known of it
        // any more: what is there is found again by its directory.
        let _ = self.handle.readable().await;
    }

    /// Waits for its end, so long; whether it came.
    pub(super) async fn ends_within(&self, limit: Duration) -> bool {
        timeout(limit, self.ended()).await.is_ok()
    }
}

/// The directory in which a process works; none if it has ended, or is not ours to ask.
pub(super) fn directory_of(pid: i32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// The processes that work in a directory or below it.
pub(super) fn working_in(directory: &Path) -> io::Result<Vec<i32>> {
    let found = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| directory_of(*pid).is_some_and(|at| at.starts_with(directory)))
        .collect();
    Ok(found)
}

/// Kills the processes that work in a directory, until there is none. How many are left after
/// `limit`.
pub(super) async fn end_all(directory: &Path, limit: Duration) -> io::Result<usize> {
    let deadline = Instant::now() + limit;
    loop {
        let pids = working_in(directory)?;
        if pids.is_empty() || Instant::now() >= deadline {
            return Ok(pids.len());
        }
        for pid in pids {
            let is_meant = || directory_of(pid).is_some_and(|at| at.starts_with(directory));
            let Some(process) = Process::hold(pid, is_meant)? else { continue };
            process.signal(Signal::KILL)?;
            process.ends_within(deadline.saturating_duration_since(Instant::now())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use super::*;

    struct Ended(Child);

    impl Drop for Ended {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[tokio::test]
    async fn what_works_in_a_directory_is_found_and_ended_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a directory");
        let parent = parent.path().canonicalize().expect("its path");
        let start = |name: &str| {
            let directory = parent.join(name);
            fs::create_dir(&directory).expect("made");
            let mut command = Command::new("/bin/sleep");
            let child = command.arg("600").current_dir(&directory).spawn().expect("started");
            (directory, Ended(child))
        };
        let (mine, mut child) = start("a");
        let (_, mut other) = start("ab");
        let pid = i32::try_from(child.0.id()).expect("an id");
        assert_eq!(working_in(&mine).expect("listed"), [pid]);
        assert!(Process::hold(pid, || false).expect("asked").is_none(), "another one was meant");
        let process = Process::hold(pid, || true).expect("asked").expect("there");
        assert!(!process.ends_within(Duration::from_millis(1)).await);
        assert_eq!(end_all(&mine, Duration::from_secs(60)).await.expect("ended"), 0);
        assert!(process.ends_within(Duration::from_secs(60)).await);
        assert!(!child.0.wait().expect("its end").success());
        process.signal(Signal::KILL).expect("that it has ended is no error");
        assert!(Process::hold(pid, || directory_of(pid).is_some()).expect("asked").is_none());
        assert!(other.0.try_wait().expect("asked").is_none(), "the other one goes on");
    }
}
