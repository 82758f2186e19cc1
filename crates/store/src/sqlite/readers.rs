//! Threads that read, each with a connection of its own, from one bounded queue.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread::{self, JoinHandle},
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::columns::{other_cause, read_error};
use crate::ReadError;

type Job = Box<dyn FnOnce(&Connection) + Send>;

#[derive(Debug)]
pub(crate) struct Readers {
    /// `None` once closed.
    jobs: RwLock<Option<mpsc::Sender<Job>>>,
}

impl Readers {
    pub(crate) fn start(
        connections: Vec<Connection>,
        queue: usize,
    ) -> io::Result<(Self, Vec<JoinHandle<()>>)> {
        let (sender, receiver) = mpsc::channel::<Job>(queue.max(1));
        let receiver = Arc::new(Mutex::new(receiver));
        let mut threads = Vec::new();
        for connection in connections {
            let receiver = Arc::clone(&receiver);
            let thread = thread::Builder::new().name("store-read".to_owned());
            threads.push(thread.spawn(move || serve(&connection, &receiver))?);
        }
        Ok((Self { jobs: RwLock::new(Some(sender)) }, threads))
    }

    /// Runs `read` in a transaction of its own on one of the threads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        let jobs = self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if !answer.is_closed() {
                let _nobody_waits_any_more = answer.send(in_snapshot(connection, read));
            }
        });
        jobs.ok_or(ReadError::Closed)?.send(job).await.map_err(|_| ReadError::Closed)?;
        answered
            .await
            .unwrap_or_else(|_| Err(ReadError::Unavailable(other_cause("the read panicked"))))
    }

    /// Reads that are queued are still answered.
    pub(crate) fn close(&self) {
        self.jobs.write().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn serve(connection: &Connection, jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(job) = job else { return };
        if catch_unwind(AssertUnwindSafe(|| job(connection))).is_err()
            && !connection.is_autocommit()
        {
            let _it_fails_again_at_the_next_read = connection.execute_batch("ROLLBACK");
        }
    }
}

/// Several statements of one read see the same state.
fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let transaction = connection.unchecked_transaction().map_err(read_error)?;
    let answer = read(&transaction)?;
    transaction.finish().map_err(read_error)?;
    Ok(answer)
}
