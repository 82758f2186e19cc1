//! Workers that nobody calls: ended after the keep-alive, without polling.

use std::sync::{Arc, Weak};

use tokio::time::{Instant, sleep_until};

use super::Inner;
use super::counters::count;
use super::function::Pool;
use super::state::{Idle, State};
use crate::worker::Worker;

impl Pool {
    /// Lays a worker aside until the next call.
    pub(super) fn lay_aside(
        self: &Arc<Self>,
        inner: &Arc<Inner>,
        state: &mut State,
        worker: Worker,
        now: Instant,
    ) {
        state.idle.push(Idle { worker, since: now });
        if !state.janitor {
            state.janitor = true;
            let task = end_idle(Arc::downgrade(self), now + inner.settings.keep_alive);
            inner.runtime.spawn(task);
        }
    }

    /// Ends the workers that had no call since `keep_alive`; says when to look again, or never.
    fn expire(&self) -> Option<Instant> {
        let inner = self.inner()?;
        let mut state = self.lock();
        let now = Instant::now();
        let keep_alive = inner.settings.keep_alive;
        let ended = state.take_idle(|_, idle| idle.since + keep_alive <= now);
        let next = state.idle.first().map(|idle| idle.since + keep_alive);
        let next = next.or_else(|| (!state.entries.is_empty()).then(|| now + keep_alive));
        state.janitor = next.is_some();
        drop(state);
        for _ in &ended {
            count(&inner.counters.expired);
        }
        next
    }
}

/// Sleeps until a worker may have been idle for too long: about once per keep-alive.
async fn end_idle(pool: Weak<Pool>, first: Instant) {
    let mut next = first;
    loop {
        sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        match pool.expire() {
            Some(at) => next = at,
            None => return,
        }
    }
}
