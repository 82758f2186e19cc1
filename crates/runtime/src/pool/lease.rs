//! A worker in a caller's hands. Whatever becomes of the caller, it goes back to its pool.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::counters::count;
use super::function::{Pool, Returned};
use super::{Answer, Call, CallError, CallInput};
use crate::revision::Revision;
use crate::spawn::{Endpoint, SpawnError};
use crate::worker::{BeginError, Finished, Outcome, Worker};

#[derive(Debug)]
pub(super) struct Lease {
    worker: Option<Worker>,
    revision: Arc<Revision>,
    pool: Arc<Pool>,
    begun: Option<Instant>,
}

impl Lease {
    pub(super) fn new(worker: Worker, revision: Arc<Revision>, pool: Arc<Pool>) -> Self {
        Self { worker: Some(worker), revision, pool, begun: None }
    }

    /// Takes the worker without giving it back.
    pub(super) fn into_worker(mut self) -> Option<Worker> {
        self.worker.take()
    }

    /// Runs the call. `None`: the worker was gone before it began, take another one.
    pub(super) async fn call(
        mut self,
        call: &Call,
        cold: bool,
    ) -> Result<Option<Answer>, CallError> {
        self.reach(&call.endpoints).await?;
        let Some(worker) = &mut self.worker else { return Ok(None) };
        let input = CallInput {
            run: call.id,
            timeout: call.timeout,
            context: call.context.clone(),
            payload: call.payload.clone(),
        };
        match worker.begin(input) {
            Ok(()) => {}
            Err(BeginError::TooLarge(error)) => return Err(CallError::TooLarge(error)),
            Err(BeginError::Gone) => {
                worker.kill();
                if let Some(worker) = self.worker.take() {
                    let reason = "it ended or broke the protocol between calls".to_owned();
                    self.pool.give_back(worker, Returned::Broken { reason });
                }
                return Ok(None);
            }
        }
        let begun = Instant::now();
        self.begun = Some(begun);
        let Finished { outcome, logs } = worker.finish().await;
        let duration = begun.elapsed();
        if let Some(worker) = self.worker.take() {
            give_back(&self.pool, worker, &outcome, duration);
        }
        let lost = matches!(outcome, Outcome::Died(_) | Outcome::HungUp | Outcome::Broke { .. });
        let cut_off = lost && self.pool.lock().killed;
        let revision = self.revision.id();
        let result = outcome.into_result(self.revision.spec().limits.memory_bytes);
        Ok(Some(Answer { result, logs, cut_off, revision, cold, duration }))
    }

    /// Makes reachable what this call needs and the worker has not.
    async fn reach(&self, endpoints: &[Endpoint]) -> Result<(), CallError> {
        let Some(worker) = self.worker.as_ref().filter(|_| !endpoints.is_empty()) else {
            return Ok(());
        };
        let missing = self.pool.widen(worker.id(), endpoints);
        if missing.is_empty() {
            return Ok(());
        }
        let listeners = worker
            .process()
            .add_endpoints(missing.clone())
            .await
            .map_err(|error| CallError::Unreachable { error: Arc::new(error) })?;
        if listeners.is_empty() {
            self.pool.not_widened(worker.id(), missing);
            return Ok(());
        }
        let Some(inner) = self.pool.inner() else { return Err(CallError::NotFound) };
        self.pool.connect(&inner, worker.id(), listeners).map_err(|source| {
            let error = SpawnError::Io { what: "serve a listener", source };
            CallError::Unreachable { error: Arc::new(error) }
        })
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut worker) = self.worker.take() else { return };
        if !worker.is_open() {
            self.pool.give_back(worker, Returned::Unused);
            return;
        }
        // The caller went away during the call: it goes on without it.
        let pool = Arc::clone(&self.pool);
        let Some(inner) = pool.inner() else { return };
        count(&inner.counters.abandoned);
        let begun = self.begun.unwrap_or_else(Instant::now);
        inner.runtime.spawn(async move {
            let finished = worker.finish().await;
            give_back(&pool, worker, &finished.outcome, begun.elapsed());
        });
    }
}

fn give_back(pool: &Arc<Pool>, worker: Worker, outcome: &Outcome, took: Duration) {
    let returned = match outcome {
        Outcome::Returned(_) | Outcome::Failed(_) => Returned::Used { took },
        Outcome::TimedOut => Returned::TimedOut { took },
        Outcome::Died(_) => Returned::Broken { reason: "its process ended during calls".into() },
        Outcome::HungUp => Returned::Broken { reason: "it closed its connection".into() },
        Outcome::Broke { reason } => Returned::Broken { reason: reason.clone() },
    };
    pool.give_back(worker, returned);
}
