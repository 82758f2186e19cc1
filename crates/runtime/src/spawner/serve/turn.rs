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
    wait_for(path, ROUNDS)
}

/// Tries once at the beginning, and again after each of `rounds` pauses.
fn wait_for(path: &Path, rounds: u32) -> Result<File, String> {
    let failed = |what: &str, error: std::io::Error| format!("{what} {}: {error}", path.display());
    let link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(false).mode(0o600).custom_flags(link);
    let file = options.open(path).map_err(|error| failed("open", error))?;
    for round in 0..=rounds {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(errno) => return Err(failed("lock", errno.into())),
        }
        if round < rounds {
            let pause = Timespec { tv_sec: 0, tv_nsec: ROUND_MS * 1_000_000 };
            let _ = poll(&mut [], Some(&pause));
        }
    }
    Err(format!(
        "the workers of an earlier server do not end; its spawn helper holds {}",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether somebody holds the lock, asked through a description of its own.
    fn is_held(path: &Path) -> bool {
        let file = OpenOptions::new().write(true).open(path).unwrap();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => false,
            Err(Errno::WOULDBLOCK) => true,
            Err(errno) => panic!("{errno}"),
        }
    }

    #[test]
    fn the_next_waits_until_the_one_before_has_gone_and_then_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("spawner.lock");
        let first = wait(&path).unwrap();
        assert!(is_held(&path));
        let waiting = {
            let path = path.clone();
            std::thread::spawn(move || wait(&path))
        };
        // The file is open twice: the other has begun to wait.
        while count_open(&path) < 2 && !waiting.is_finished() {
            std::thread::yield_now();
        }
        assert!(!waiting.is_finished(), "it came while the first had it");
        drop(first);
        let second = waiting.join().unwrap().unwrap();
        assert!(is_held(&path), "it came without the lock");
        drop(second);
        assert!(!is_held(&path));
    }

    fn count_open(path: &Path) -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
        open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to == path)).count()
    }

    #[test]
    fn it_gives_up_after_its_last_round_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spawner.lock");
        let first = wait_for(&path, 0).expect("free: one try is enough");
        for rounds in [0, 1, 3] {
            let error = wait_for(&path, rounds).unwrap_err();
            assert!(error.contains("do not end"), "{rounds}: {error}");
        }
        drop(first);
        assert!(wait_for(&path, 0).is_ok());
    }

    #[test]
    fn a_link_is_no_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spawner.lock");
        std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
        assert!(wait(&path).unwrap_err().contains("spawner.lock"));
    }
}
