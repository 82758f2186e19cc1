//! Counts the synced commits of a running server from outside: in SQLite's write-ahead log every transaction ends with a
//! frame that is marked as a commit, and with `synchronous=FULL` (decision 4) each of them is synced before it counts.
//!
//! Nothing is asked of the server and nothing slows it down. The format is that of
//! <https://sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

const HEADER_BYTES: u64 = 32;
const FRAME_HEADER_BYTES: u64 = 24;

/// A log that is being written by somebody else.
#[derive(Debug)]
pub struct Wal {
    path: PathBuf,
    /// What tells one run through the file from the next: it is begun anew after it was copied into the database.
    salts: [u8; 8],
    /// Frames of this run that were looked at.
    frames: u64,
    commits: u64,
    restarts: u64,
}

/// How many commits there were since the counting began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub commits: u64,
    /// How often the file was begun anew: between two counts of which this differs, commits may have been missed.
    pub restarts: u64,
}

impl Count {
    /// Commits since an earlier count; `None` if some may have been missed.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<u64> {
        (self.restarts == earlier.restarts).then(|| self.commits - earlier.commits)
    }
}

impl Wal {
    /// The log of a database. It need not be there yet.
    #[must_use]
    pub fn of(database: &Path) -> Self {
        let mut path = database.as_os_str().to_owned();
        path.push("-wal");
        Self { path: path.into(), salts: [0; 8], frames: 0, commits: 0, restarts: 0 }
    }

    /// Reads what is new.
    pub fn count(&mut self) -> io::Result<Count> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(self.now()),
            Err(error) => return Err(error),
        };
        let mut header = [0; HEADER_BYTES as usize];
        if !filled(&file, &mut header, 0)? {
            return Ok(self.now());
        }
        let (_, rest) = header.split_at(8);
        let (page, rest) = rest.split_at(4);
        let (_, rest) = rest.split_at(4);
        let salts = *rest.first_chunk().expect("16 bytes begin with 8");
        let page = u64::from(u32::from_be_bytes(*page.first_chunk().expect("these are 4 bytes")));
        if salts != self.salts {
            self.salts = salts;
            self.frames = 0;
            self.restarts += 1;
        }
        let mut frame = [0; 16];
        loop {
            let at = HEADER_BYTES + self.frames * (FRAME_HEADER_BYTES + page);
            if !filled(&file, &mut frame, at)? || frame.last_chunk() != Some(&self.salts) {
                return Ok(self.now());
            }
            let (_, rest) = frame.split_at(4);
            if rest.first_chunk() != Some(&[0_u8; 4]) {
                self.commits += 1;
            }
            self.frames += 1;
        }
    }

    const fn now(&self) -> Count {
        Count { commits: self.commits, restarts: self.restarts }
    }
}

fn filled(file: &File, buffer: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(buffer, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn every_transaction_is_one_commit_however_many_pages_it_writes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        let mut wal = Wal::of(&path);
        let nothing = wal.count().unwrap();
        database
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (a)",
            )
            .unwrap();
        let begun = wal.count().unwrap();
        assert_eq!(begun.since(nothing), None, "the file is new: what was before is not known");
        assert_eq!(begun.commits, 1);
        let big = "x".repeat(50_000);
        for text in ["", "y", &big] {
            let before = wal.count().unwrap();
            database.execute("INSERT INTO t VALUES (?1)", [text]).unwrap();
            assert_eq!(wal.count().unwrap().since(before), Some(1));
        }
        let before = wal.count().unwrap();
        database.execute_batch("BEGIN; DELETE FROM t; INSERT INTO t VALUES (1); COMMIT").unwrap();
        database.execute_batch("BEGIN; DELETE FROM t; ROLLBACK").unwrap();
        let _: i64 = database.query_row("SELECT count(*) FROM t", (), |row| row.get(0)).unwrap();
        assert_eq!(wal.count().unwrap().since(before), Some(1), "one of two was committed");
    }

    #[test]
    fn a_log_that_was_begun_anew_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let database = Connection::open(&path).unwrap();
        database.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (a)").unwrap();
        let mut wal = Wal::of(&path);
        let before = wal.count().unwrap();
        database.query_row("PRAGMA wal_checkpoint(RESTART)", (), |_| Ok(())).unwrap();
        database.execute_batch("INSERT INTO t VALUES (1); INSERT INTO t VALUES (2)").unwrap();
        let after = wal.count().unwrap();
        assert_eq!(after.since(before), None);
        database.execute_batch("INSERT INTO t VALUES (3)").unwrap();
        assert_eq!(wal.count().unwrap().since(after), Some(1), "from then on it counts again");
    }
}
