//! One change at a time per instance, in the order of arrival, within this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Gate, OwnedMutexGuard};
use tokio::time::timeout;

type Gates = Arc<Mutex<HashMap<String, Arc<Gate<()>>>>>;

/// The gates of the instances that are being changed, or waited for.
#[derive(Debug, Default)]
pub(crate) struct Turns(Gates);

/// The right to change one instance, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    key: String,
    gates: Gates,
    gate: Arc<Gate<()>>,
    guard: Option<OwnedMutexGuard<()>>,
}

/// Earlier requests for the same instance have not ended in time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("another operation on this instance has not ended within {waited_ms} ms")]
pub(crate) struct Waited {
    waited_ms: u128,
}

impl Turns {
    /// Waits for one's turn.
    pub(crate) async fn take(&self, key: &str, limit: Duration) -> Result<Turn, Waited> {
        let gate = {
            let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(gates.entry(key.to_owned()).or_default())
        };
        // Made before the wait, so that a caller that gives up tidies up as well.
        let mut turn = Turn { key: key.to_owned(), gates: Arc::clone(&self.0), gate, guard: None };
        match timeout(limit, Arc::clone(&turn.gate).lock_owned()).await {
            Ok(guard) => turn.guard = Some(guard),
            Err(_) => return Err(Waited { waited_ms: limit.as_millis() }),
        }
        Ok(turn)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // The map's and this one: nobody else holds it or waits for it.
        if Arc::strong_count(&self.gate) <= 2 {
            gates.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn one_at_a_time_and_nothing_is_left() {
        let turns = Turns::default();
        let first = turns.take("a", LONG).await.expect("free");
        let other = turns.take("b", SOON).await.expect("another key is free");
        assert_eq!(turns.take("a", SOON).await.expect_err("taken"), Waited { waited_ms: 1 });
        drop(first);
        drop(turns.take("a", LONG).await.expect("free again"));
        drop(other);
        assert!(turns.0.lock().expect("unpoisoned").is_empty());
    }

    #[tokio::test]
    async fn a_waiting_caller_gets_its_turn() {
        let turns = Turns::default();
        let first = turns.take("a", LONG).await.expect("free");
        let (second, ()) = tokio::join!(turns.take("a", LONG), async { drop(first) });
        assert!(second.is_ok());
    }
}
