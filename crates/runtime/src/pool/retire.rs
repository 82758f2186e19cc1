//! Rotation: no process keeps credentials that are about to be withdrawn (decision 25).

use std::sync::{Arc, PoisonError};

use futures::future::join_all;
use uuid::Uuid;

use super::function::Pool;
use super::state::{Phase, is_older};
use super::{CallError, Inner, Pools};
use crate::revision::BindingVersion;

impl Pools {
    /// Ends every worker that was ever given credentials of `binding` older than `before`: each
    /// function that has such workers gets a fresh one first, then they finish their calls and end.
    /// Returns when no such process is alive.
    ///
    /// From the first poll on, calls that carry older credentials are refused with
    /// [`CallError::Superseded`]. Dropping the future stops nothing that has begun.
    pub async fn retire(&self, binding: Uuid, before: u64) {
        self.inner.refuse_from_now(binding, before);
        let pools = self.inner.all();
        let successions = pools.iter().map(|pool| {
            // In tasks of their own: a caller that goes away leaves no half-made change.
            let pool = Arc::clone(pool);
            self.inner.runtime.spawn(async move { pool.retire(binding, before).await })
        });
        for ended in join_all(successions.collect::<Vec<_>>()).await {
            if let Err(error) = ended
                && error.is_panic()
            {
                // What it left undone must not count as done.
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }

    /// Lets go of what [`Pools::retire`] remembers of a binding that no longer exists.
    pub fn forget_binding(&self, binding: Uuid) {
        let mut oldest = self.inner.oldest.write().unwrap_or_else(PoisonError::into_inner);
        oldest.remove(&binding);
    }
}

impl Inner {
    fn refuse_from_now(&self, binding: Uuid, before: u64) {
        let mut oldest = self.oldest.write().unwrap_or_else(PoisonError::into_inner);
        let known = oldest.entry(binding).or_insert(before);
        *known = before.max(*known);
    }

    pub(super) fn refuse_older(&self, carried: &[BindingVersion]) -> Result<(), CallError> {
        if carried.is_empty() {
            return Ok(());
        }
        let oldest = self.oldest.read().unwrap_or_else(PoisonError::into_inner);
        let older = |carried: &&BindingVersion| {
            oldest.get(&carried.binding).is_some_and(|oldest| carried.version < *oldest)
        };
        match carried.iter().find(older) {
            Some(carried) => Err(CallError::Superseded { binding: carried.binding }),
            None => Ok(()),
        }
    }
}

impl Pool {
    async fn retire(self: &Arc<Self>, binding: Uuid, before: u64) {
        // First, or one of them would take the successor and spoil it.
        self.refuse_waiting(binding, before);
        if self.wants_successor(binding, before)
            && let Err(error) = self.start_another().await
        {
            tracing::warn!(
                function = %self.function, reason = %error.reason(),
                "no fresh worker could be started before the old ones are retired"
            );
        }
        self.sweep(binding, before);
        self.until(|state| {
            !state.entries.iter().any(|entry| is_older(&entry.given, binding, before))
        })
        .await;
    }

    /// Whether all workers that take calls are about to go.
    fn wants_successor(&self, binding: Uuid, before: u64) -> bool {
        let state = self.lock();
        let mut serving = state
            .entries
            .iter()
            .filter(|entry| state.is_current(entry.generation) && entry.phase != Phase::Ending)
            .peekable();
        serving.peek().is_some() && serving.all(|entry| is_older(&entry.given, binding, before))
    }

    /// Calls that wait with older credentials have to come again with new ones.
    fn refuse_waiting(&self, binding: Uuid, before: u64) {
        let mut state = self.lock();
        let (refused, kept) = std::mem::take(&mut state.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|waiter| is_older(&waiter.bindings, binding, before));
        state.waiting = kept.into();
        drop(state);
        for waiter in refused {
            let _ = waiter.sender.send(Err(CallError::Superseded { binding }));
        }
    }

    /// Ends idle workers with older credentials; busy ones end after their call.
    fn sweep(&self, binding: Uuid, before: u64) {
        let mut state = self.lock();
        let ended = state.take_idle(|entry, _| is_older(&entry.given, binding, before));
        for entry in &mut state.entries {
            if is_older(&entry.given, binding, before) {
                entry.phase = Phase::Ending;
            }
        }
        drop(state);
        drop(ended);
    }
}
