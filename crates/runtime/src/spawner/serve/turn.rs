//! One helper for one data directory at a time: the next begins when the one before has ended every worker of its own.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

/// A helper whose server was killed ends its workers within some milliseconds, and gives up after seconds.
const ROUNDS: u32 = 2_000;
const ROUND_MS: i64 = 5;

/// The turn, which ends with this process. The error is for people.
pub(super) fn wait(path: &Path) -> Result<File, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what} {}: {error}", path.display());
    let link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(link);
    let file = options.open(path).map_err(|error| failed("open", error))?;
    for _ in 0..ROUNDS {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(failed("lock", errno.into())),
        }
        let pause = Timespec { tv_sec: 0, tv_nsec: ROUND_MS * 1_000_000 };
        let _ = poll(&mut [], Some(&pause));
    }
    Err(format!(
        "the workers of an earlier server do not end; its spawn helper holds {}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_waits_until_the_one_before_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spawner.lock");
        let first = wait(&path).unwrap();
        let (next, begun) = std::sync::mpsc::channel();
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || {
                let second = OpenOptions::new().write(true).open(&path).unwrap();
                let refused = flock(&second, FlockOperation::NonBlockingLockExclusive);
                next.send(refused).unwrap();
                wait(&path)
            })
        };
        assert_eq!(begun.recv().unwrap(), Err(Errno::WOULDBLOCK));
        drop(first);
        assert!(waiting.join().unwrap().is_ok());
    }

    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spawner.lock");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(wait(&path).unwrap_err().contains("spawner.lock"));
    }
}
