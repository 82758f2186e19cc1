//! From the decision that a worker is needed to the worker in its pool.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::counters::count;
use super::function::Pool;
use super::state::{Current, Entry, Phase, State};
use super::{CallError, Inner, ReplaceError};
use crate::revision::Revision;
use crate::worker::{Interpreter, Start, StartError, Worker};

impl Pool {
    /// Begins to start a worker of the present revision; it looks after itself from here.
    pub(super) fn start_current(self: &Arc<Self>, inner: &Arc<Inner>, state: &mut State) {
        let Some(current) = state.current.clone() else { return };
        let id = self.announce(inner, state, current.generation, &current.revision);
        let (pool, inner) = (Arc::clone(self), Arc::clone(inner));
        let runtime = inner.runtime.clone();
        runtime.spawn(async move {
            let begun = Instant::now();
            match pool.run_start(&inner, id, &current.revision).await {
                Ok(worker) => pool.started(&inner, worker, begun.elapsed()),
                Err(error) => pool.start_failed(&inner, id, &Arc::new(error)),
            }
        });
    }

    /// Makes a revision the present one; returns its generation. Workers of it are started first, as
    /// many as serve now, so that none is missed; with `proof` at least one, otherwise perhaps none.
    pub(super) async fn change(
        self: &Arc<Self>,
        revision: Arc<Revision>,
        proof: bool,
    ) -> Result<u64, ReplaceError> {
        let inner = self.inner().ok_or(ReplaceError::Overtaken)?;
        let (generation, ids) = {
            let mut state = self.lock();
            let same = |current: &&Current| current.revision.id() == revision.id();
            if let Some(current) = state.current.as_ref().filter(same) {
                return Ok(current.generation);
            }
            state.generations += 1;
            let generation = state.generations;
            let serving = state.serving().0;
            if !proof && serving == 0 {
                let ended = self.switch(&mut state, generation, revision);
                drop(state);
                drop(ended);
                return Ok(generation);
            }
            let successors = serving.max(1);
            let ids: Vec<Uuid> = (0..successors)
                .map(|_| self.announce(&inner, &mut state, generation, &revision))
                .collect();
            (generation, ids)
        };
        let (pool, shared) = (Arc::clone(self), Arc::clone(&inner));
        // In a task of its own: a caller that goes away leaves no half-made change.
        let task = inner
            .runtime
            .spawn(async move { pool.succeed(&shared, ids, generation, revision).await });
        task.await.unwrap_or(Err(ReplaceError::Overtaken))?;
        Ok(generation)
    }

    /// Starts the successors and makes their revision the present one, if at least one has started.
    async fn succeed(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        ids: Vec<Uuid>,
        generation: u64,
        revision: Arc<Revision>,
    ) -> Result<(), ReplaceError> {
        let begun = Instant::now();
        let (mut workers, mut failure) = (Vec::new(), None);
        // One after the other: those that serve now go on serving and need the processors too.
        for id in &ids {
            match self.run_start(inner, *id, &revision).await {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    count(&inner.counters.failed_starts);
                    self.settled(*id);
                    failure = Some(error);
                }
            }
        }
        if let (true, Some(error)) = (workers.is_empty(), failure) {
            return Err(ReplaceError::StartFailed { error: Arc::new(error) });
        }
        let mut state = self.lock();
        let overtaken = state.changed > generation;
        let mut ended =
            if overtaken { Vec::new() } else { self.switch(&mut state, generation, revision) };
        let now = Instant::now();
        state.pace.saw_start(now - begun);
        state.last_start = Some(now);
        for worker in workers {
            ended.extend(self.place(inner, &mut state, worker, true, now));
        }
        drop(state);
        drop(ended);
        for id in ids {
            self.settled(id);
        }
        if overtaken { Err(ReplaceError::Overtaken) } else { Ok(()) }
    }

    /// Starts one more worker of the present revision and waits for it, if the function has any.
    pub(super) async fn start_another(self: &Arc<Self>) -> Result<(), Arc<StartError>> {
        let Some(inner) = self.inner() else { return Ok(()) };
        let (id, current) = {
            let mut state = self.lock();
            let Some(current) = state.current.clone() else { return Ok(()) };
            (self.announce(&inner, &mut state, current.generation, &current.revision), current)
        };
        let begun = Instant::now();
        match self.run_start(&inner, id, &current.revision).await {
            Ok(worker) => {
                self.started(&inner, worker, begun.elapsed());
                Ok(())
            }
            Err(error) => {
                let error = Arc::new(error);
                self.start_failed(&inner, id, &error);
                Err(error)
            }
        }
    }

    fn announce(
        &self,
        inner: &Inner,
        state: &mut State,
        generation: u64,
        revision: &Arc<Revision>,
    ) -> Uuid {
        let random = inner.ambient.random;
        let bits = (u128::from(random()) << 64) | u128::from(random());
        let id = uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid();
        state.entries.push(Entry::new(id, generation, Arc::clone(revision)));
        id
    }

    async fn run_start(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        id: Uuid,
        revision: &Arc<Revision>,
    ) -> Result<Worker, StartError> {
        count(&inner.counters.starts);
        let _guard = Panicking { pool: self, inner, id };
        let limit = inner.settings.start_timeout;
        match timeout(limit, self.start_and_load(inner, id, revision)).await {
            Ok(result) => result,
            Err(_) => Err(StartError::TimedOut { after: limit }),
        }
    }

    async fn start_and_load(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        id: Uuid,
        revision: &Arc<Revision>,
    ) -> Result<Worker, StartError> {
        let ended = Ended { pool: Arc::downgrade(self), id };
        let mut interpreter = {
            // Only until the hello: importing is the function's own work, within its own cpu.
            let _turn = inner.starts.acquire().await;
            let start = Start {
                spawner: &*inner.spawner,
                ambient: inner.ambient,
                log: Arc::clone(&self.log),
                grace: inner.settings.grace,
                on_exit: Box::new(move |_| drop(ended)),
            };
            Interpreter::start(start, revision.worker_spec(id)).await?
        };
        let listeners = std::mem::take(&mut interpreter.listeners);
        self.connect(inner, id, listeners).map_err(StartError::Descriptors)?;
        if let Some(entry) = self.lock().entry(id) {
            entry.process = Some(interpreter.process().clone());
            entry.confinement = Some(interpreter.confinement().clone());
        }
        interpreter.load(&revision.spec().load, Arc::clone(&self.log)).await
    }

    fn started(self: &Arc<Self>, inner: &Arc<Inner>, worker: Worker, took: Duration) {
        let mut state = self.lock();
        let now = Instant::now();
        state.pace.saw_start(took);
        state.last_start = Some(now);
        let id = worker.id();
        let ended = self.place(inner, &mut state, worker, true, now);
        if state.wants_start(now, &inner.settings) {
            self.start_current(inner, &mut state);
        }
        drop(state);
        drop(ended);
        self.settled(id);
    }

    fn start_failed(self: &Arc<Self>, inner: &Arc<Inner>, id: Uuid, error: &Arc<StartError>) {
        count(&inner.counters.failed_starts);
        let mut state = self.lock();
        let Some(generation) = state.entry(id).map(|entry| entry.generation) else { return };
        let current = state.is_current(generation);
        let now = Instant::now();
        if let Some(entry) = state.entry(id) {
            entry.phase = Phase::Ending;
        }
        if current {
            state.health.failed(error.reason(), now, &inner.settings);
        }
        // Calls that joined this start share its end, unless other workers will serve them.
        let joined = if current && state.serving().0 == 0 {
            std::mem::take(&mut state.waiting)
        } else {
            Default::default()
        };
        if state.wants_start(now, &inner.settings) {
            self.start_current(inner, &mut state);
        }
        drop(state);
        self.settled(id);
        for waiter in joined {
            let failed = CallError::StartFailed { error: Arc::clone(error) };
            let _ = waiter.sender.send(Err(failed));
        }
    }
}

/// A start that panics has failed: otherwise its pool would count on it for ever.
struct Panicking<'a> {
    pool: &'a Arc<Pool>,
    inner: &'a Arc<Inner>,
    id: Uuid,
}

impl Drop for Panicking<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.pool.start_failed(self.inner, self.id, &Arc::new(StartError::Panicked));
        }
    }
}

/// Tells the pool that no process of a worker is left: when the process ends, or when it turns out
/// that there will be none.
struct Ended {
    pool: Weak<Pool>,
    id: Uuid,
}

impl Drop for Ended {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.exited(self.id);
        }
    }
}
