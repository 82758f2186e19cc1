//! The one thread that writes: takes what is waiting, commits it as a group, tells of the changes, then answers.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock, atomic::Ordering::Relaxed},
};

use rusqlite::Connection;
use tokio::sync::broadcast;

use super::{
    columns::{commit_error, is_disk_full, other_cause},
    group::{self, ApplyError, Done},
    space,
};
use crate::{
    Change, CommitError, Keyring,
    queue::{Answer, Group, Queue, Work},
    store::Counts,
};

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) connection: Connection,
    pub(crate) path: PathBuf,
    pub(crate) reserve_bytes: u64,
    pub(crate) keyring: Arc<RwLock<Keyring>>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) changes: broadcast::Sender<Change>,
    pub(crate) counts: Arc<Counts>,
    /// The number of the last batch.
    pub(crate) seq: u64,
    /// The last attempt to store run records failed.
    pub(crate) runs_postponed: bool,
}

impl Writer {
    /// Returns when the queue is closed and everything in it is done.
    pub(crate) fn run(mut self) {
        while let Some(group) = self.queue.next() {
            self.write(group);
        }
        // What is not copied into the database now is copied at the next start.
        let checkpoint =
            self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        if let Err(error) = checkpoint {
            tracing::warn!(%error, database = %self.path.display(), "the log of writes was not copied into the database; the next start does it");
        }
    }

    fn write(&mut self, Group { jobs, runs }: Group) {
        let records = (!runs.is_empty()).then_some(Work::RecordRuns(runs));
        let mut works: Vec<&Work> = jobs.iter().map(|job| &job.work).collect();
        works.extend(&records);
        let mut answers = self.answers(&works);

        if let Some(Work::RecordRuns(runs)) = records
            && let Some(answer) = answers.pop()
        {
            self.recorded(runs, answer);
        }
        for (job, answer) in jobs.into_iter().zip(answers) {
            if matches!(job.work, Work::Batch(_)) {
                let count =
                    if answer.is_ok() { &self.counts.batches } else { &self.counts.failed_batches };
                count.fetch_add(1, Relaxed);
            }
            let _nobody_waits_any_more = job.answer.send(answer);
        }
    }

    fn recorded(&mut self, runs: Vec<crate::RunRecord>, answer: Answer) {
        let count = runs.len() as u64;
        let postponed = answer.err();
        match &postponed {
            None => {
                self.counts.recorded_runs.fetch_add(count, Relaxed);
            }
            Some(error) => {
                // Said once, not at every try.
                if !self.runs_postponed {
                    let error: &dyn std::error::Error = error;
                    tracing::warn!(error, records = count, "run records cannot be stored yet");
                }
                self.counts.postponed_runs.fetch_add(count, Relaxed);
                self.queue.give_back(runs);
            }
        }
        self.runs_postponed = postponed.is_some();
    }

    /// What there is no room for is refused, the rest is tried.
    fn answers(&mut self, works: &[&Work]) -> Vec<Answer> {
        let reusable = self.reusable_bytes();
        let fits = space::fits(&self.path, self.reserve_bytes, reusable, works);
        let tried: Vec<&Work> =
            works.iter().zip(&fits).filter(|(_, fits)| **fits).map(|(work, _)| *work).collect();
        let mut answers =
            if tried.is_empty() { Vec::new() } else { self.attempt_caught(&tried) }.into_iter();
        let mut answer = |fits: bool| {
            let full = || Err(CommitError::DiskFull { what: self.path.clone() });
            if fits { answers.next().unwrap_or_else(full) } else { full() }
        };
        fits.into_iter().map(&mut answer).collect()
    }

    /// What the database file holds of pages that are free. Not knowing it only refuses too early.
    fn reusable_bytes(&self) -> u64 {
        let ask = |pragma| self.connection.query_row(pragma, (), |row| row.get::<_, i64>(0));
        let pages = ask("PRAGMA freelist_count").unwrap_or(0);
        let size = ask("PRAGMA page_size").unwrap_or(0);
        u64::try_from(pages.saturating_mul(size)).unwrap_or(0)
    }

    fn attempt_caught(&mut self, works: &[&Work]) -> Vec<Answer> {
        catch_unwind(AssertUnwindSafe(|| self.attempt(works))).unwrap_or_else(|_| {
            if !self.connection.is_autocommit() {
                let _the_panic_was_reported = self.connection.execute_batch("ROLLBACK");
            }
            let error = CommitError::Unavailable(other_cause("the write panicked"));
            works.iter().map(|_| Err(error.clone())).collect()
        })
    }

    /// If the disk is too full for all of it, each is tried alone: a big one must not fail the small ones.
    fn attempt(&mut self, works: &[&Work]) -> Vec<Answer> {
        let keyring = self.keyring.read().unwrap_or_else(PoisonError::into_inner).clone();
        match group::commit(&self.connection, &keyring, self.seq, works) {
            Ok(done) => self.committed(done),
            Err(error) if works.len() > 1 && is_disk_full(&error, &self.path) => {
                works.iter().flat_map(|work| self.attempt(&[work])).collect()
            }
            Err(error) => {
                let error = commit_error(error, &self.path);
                works.iter().map(|_| Err(error.clone())).collect()
            }
        }
    }

    fn committed(&mut self, done: Done) -> Vec<Answer> {
        self.seq = done.seq;
        if done.synced {
            self.counts.commits.fetch_add(1, Relaxed);
        }
        for change in done.changes {
            let _nobody_listens = self.changes.send(change);
        }
        let answers = done.results.into_iter().map(|result| {
            result.map_err(|error| match error {
                ApplyError::Refused(error) => error,
                ApplyError::Sqlite(error) => commit_error(error, &self.path),
            })
        });
        answers.collect()
    }
}
