//! A group: several pieces of work in one transaction with one sync, each in a savepoint of its own, so
//! that one that is refused takes nothing from its neighbours.

use rusqlite::Connection;

use super::{audit, blobs, objects, runs, sealed, shrink};
use crate::{
    Batch, Change, CommitError, Keyring,
    batch::{Origin, OtherOp},
    queue::{Outcome, Work},
};

/// Why a piece of work was not applied.
#[derive(Debug)]
pub(super) enum ApplyError {
    /// A precondition does not hold.
    Refused(CommitError),
    Sqlite(rusqlite::Error),
}

impl From<CommitError> for ApplyError {
    fn from(error: CommitError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for ApplyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What a group that was synced did.
#[derive(Debug)]
pub(super) struct Done {
    /// One for each piece of work, in order.
    pub(super) results: Vec<Result<Outcome, ApplyError>>,
    pub(super) changes: Vec<Change>,
    pub(super) seq: u64,
    /// False if nothing was left to write.
    pub(super) synced: bool,
}

/// Writes and syncs. An error means that nothing of the group was written. `seq` is the last number in use.
pub(super) fn commit(
    connection: &Connection,
    keyring: &Keyring,
    seq: u64,
    works: &[&Work],
) -> Result<Done, rusqlite::Error> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let done = apply_all(connection, keyring, seq, works).and_then(|done| {
        connection.execute_batch(if done.synced { "COMMIT" } else { "ROLLBACK" })?;
        Ok(done)
    });
    if done.is_err() && !connection.is_autocommit() {
        let _the_first_error_says_more = connection.execute_batch("ROLLBACK");
    }
    done
}

fn apply_all(
    connection: &Connection,
    keyring: &Keyring,
    mut seq: u64,
    works: &[&Work],
) -> Result<Done, rusqlite::Error> {
    let first = seq;
    let mut results = Vec::with_capacity(works.len());
    let mut changes = Vec::new();
    for work in works {
        connection.prepare_cached("SAVEPOINT work")?.execute(())?;
        let applied = apply(connection, keyring, work);
        match applied {
            // Some errors end the whole transaction, and with it the group.
            Err(ApplyError::Sqlite(error)) if connection.is_autocommit() => return Err(error),
            Err(_) => {
                connection.prepare_cached("ROLLBACK TO work")?.execute(())?;
            }
            Ok(_) => {}
        }
        connection.prepare_cached("RELEASE work")?.execute(())?;
        results.push(applied.map(|(mut outcome, of_work)| {
            if matches!(work, Work::Batch(_)) {
                seq += 1;
                outcome.seq = seq;
                changes.extend(of_work.into_iter().map(|change| Change { seq, ..change }));
            }
            outcome
        }));
    }
    if seq > first {
        let sql = "UPDATE sequence SET last = ?1";
        connection.prepare_cached(sql)?.execute((seq.cast_signed(),))?;
    }
    let synced =
        results.iter().any(|result| matches!(result, Ok(done) if done.seq + done.rows as u64 > 0));
    Ok(Done { results, changes, seq, synced })
}

fn apply(
    connection: &Connection,
    keyring: &Keyring,
    work: &Work,
) -> Result<(Outcome, Vec<Change>), ApplyError> {
    let rows = match work {
        Work::Batch(batch) => {
            return Ok((Outcome::default(), apply_batch(connection, keyring, batch)?));
        }
        Work::RecordRuns(records) => {
            for record in records {
                runs::record(connection, record)?;
            }
            records.len()
        }
        Work::SweepBlobs { limit } => blobs::sweep(connection, *limit)?,
        Work::Reseal { limit } => sealed::reseal(connection, keyring, *limit)?,
        Work::DeleteRuns(ids) => runs::delete_done(connection, ids)?,
        Work::Shrink { limit } => shrink::shrink(connection, *limit)?,
    };
    Ok((Outcome { seq: 0, rows }, Vec::new()))
}

fn apply_batch(
    connection: &Connection,
    keyring: &Keyring,
    batch: &Batch,
) -> Result<Vec<Change>, ApplyError> {
    // Blobs first: objects of the same batch may hold them.
    for op in &batch.others {
        if let OtherOp::PutBlob { digest, bytes } = op {
            blobs::put(connection, digest, bytes)?;
        }
    }
    let mut changes = Vec::with_capacity(batch.objects.len());
    for op in &batch.objects {
        changes.extend(objects::apply(connection, op)?);
    }
    for op in &batch.others {
        match op {
            OtherOp::PutBlob { .. } => {}
            OtherOp::Seal { organization, key, plain } => {
                sealed::put(connection, keyring, *organization, *key, plain)?;
            }
            OtherOp::DeleteSealed(key) => sealed::delete(connection, *key)?,
            OtherOp::InsertRun(run) => runs::insert(connection, run)?,
            OtherOp::UpdateRun(run, expect) => runs::update(connection, run, *expect)?,
        }
    }
    if let Origin::Request(row) = &batch.origin {
        audit::insert(connection, row)?;
    }
    Ok(changes)
}
