//! One question to a program of this machine, with a bound on time and on the answer.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// A shim that builds caches first may need seconds.
const TIMEOUT_S: u64 = 20;
const MAX_ANSWER: usize = 64 << 10;

/// What `program` prints; fails if it ends otherwise than with 0.
pub(super) fn ask(program: &Path, arguments: &[&OsStr]) -> io::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir("/")
        .env_remove("NODE_OPTIONS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let pipe = child.stdout.take().map(OwnedFd::from);
    let answer = pipe.ok_or_else(|| io::Error::other("no pipe")).and_then(|pipe| read(&pipe));
    if answer.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    match answer {
        Ok(answer) if status.success() => Ok(answer),
        Ok(_) => Err(io::Error::other(format!("it ended with {status}"))),
        Err(error) => Err(error),
    }
}

fn read(pipe: &OwnedFd) -> io::Result<Vec<u8>> {
    let begun = Instant::now();
    let mut answer = Vec::new();
    loop {
        let left = Duration::from_secs(TIMEOUT_S).saturating_sub(begun.elapsed());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(0),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let ready = rustix::io::retry_on_intr(|| {
            poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout))
        })?;
        if ready == 0 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it did not answer in time"));
        }
        let mut part = [0u8; 4096];
        match rustix::io::retry_on_intr(|| rustix::io::read(pipe, &mut part))? {
            0 => return Ok(answer),
            count => answer.extend(part.get(..count).unwrap_or_default()),
        }
        if answer.len() > MAX_ANSWER {
            return Err(io::Error::other("it answered too much"));
        }
    }
}
