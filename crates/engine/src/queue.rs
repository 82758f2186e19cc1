//! The keyed queue, as a plain data structure: no task, no clock, no lock.
//!
//! A key is in it once however often it is woken; it is never handed out twice at a time; a wake-up during a run
//! means another run; a due time is a wake-up in the future.

use std::collections::{BTreeSet, HashMap, VecDeque};

use jiff::Timestamp;
use uuid::Uuid;

/// What a controller is woken with. It carries no data: the object is loaded afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub Uuid);

/// Who asked for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    Wake,
    Rescan,
}

#[derive(Debug, Default)]
struct Entry {
    queued: Option<Origin>,
    running: bool,
    due: Option<Timestamp>,
    /// Failures in a row, for back-off.
    failures: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    entries: HashMap<Key, Entry>,
    ready: VecDeque<Key>,
    due: BTreeSet<(Timestamp, Key)>,
}

impl Queue {
    /// Asks for a run now. A due time that was set is forgotten: the run will say when next.
    pub(crate) fn wake(&mut self, key: Key, origin: Origin) {
        let entry = self.entries.entry(key).or_default();
        if origin == Origin::Rescan && (entry.running || entry.due.is_some()) {
            return; // it is being looked after; a rescan is for what was forgotten
        }
        if let Some(at) = entry.due.take() {
            self.due.remove(&(at, key));
        }
        match entry.queued {
            Some(Origin::Wake) => {}
            Some(Origin::Rescan) => entry.queued = Some(origin),
            None => {
                entry.queued = Some(origin);
                if !entry.running {
                    self.ready.push_back(key);
                }
            }
        }
    }

    /// The next key to run, and who asked. What is due by `now` counts as woken.
    pub(crate) fn take(&mut self, now: Timestamp) -> Option<(Key, Origin)> {
        while let Some((at, key)) = self.due.first().copied().filter(|(at, _)| *at <= now) {
            self.due.remove(&(at, key));
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.due = None;
            }
            self.wake(key, Origin::Wake);
        }
        let key = self.ready.pop_front()?;
        let entry = self.entries.get_mut(&key)?;
        entry.running = true;
        Some((key, entry.queued.take().unwrap_or(Origin::Wake)))
    }

    /// The run of `key` ended well; `next` is when it wants to run again.
    pub(crate) fn finish(&mut self, key: Key, next: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.failures = 0;
        self.settle(key, next);
    }

    /// The run of `key` failed for a reason of ours; the number of failures in a row so far.
    pub(crate) fn fail(&mut self, key: Key) -> u32 {
        self.entries.get_mut(&key).map_or(1, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.failures
        })
    }

    /// Puts a key that stopped running where it belongs now.
    pub(crate) fn settle(&mut self, key: Key, next: Option<Timestamp>) {
        let Some(entry) = self.entries.get_mut(&key) else { return };
        entry.running = false;
        if entry.queued.is_some() {
            self.ready.push_back(key);
        } else if let Some(at) = next {
            entry.due = Some(at);
            self.due.insert((at, key));
        } else if entry.failures == 0 {
            self.entries.remove(&key);
        }
    }

    pub(crate) fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// When there is something to do: `now` if a key runs or is queued, else the first time that is set.
    pub(crate) fn busy_at(&self, now: Timestamp) -> Option<Timestamp> {
        let busy = self.entries.values().any(|entry| entry.running || entry.queued.is_some());
        if busy { Some(now) } else { self.next_due() }
    }

    /// Keys that run, are queued or are due.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Key = Key(Uuid::from_u128(1));
    const B: Key = Key(Uuid::from_u128(2));

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_key_is_queued_once_and_never_runs_twice_at_a_time() {
        let mut queue = Queue::default();
        queue.wake(A, Origin::Wake);
        queue.wake(A, Origin::Wake);
        queue.wake(B, Origin::Wake);
        assert_eq!(queue.take(at(0)), Some((A, Origin::Wake)));
        queue.wake(A, Origin::Wake);
        assert_eq!(queue.take(at(0)), Some((B, Origin::Wake)));
        assert_eq!(queue.take(at(0)), None);
        queue.finish(A, None);
        assert_eq!(queue.take(at(0)), Some((A, Origin::Wake)));
        queue.finish(A, None);
        queue.finish(B, None);
        assert_eq!((queue.take(at(0)), queue.len()), (None, 0));
    }

    #[test]
    fn a_due_time_is_a_wake_up_in_the_future_and_a_wake_up_cancels_it() {
        let mut queue = Queue::default();
        queue.wake(A, Origin::Wake);
        queue.take(at(0));
        queue.finish(A, Some(at(10)));
        assert_eq!((queue.take(at(9)), queue.next_due()), (None, Some(at(10))));
        queue.wake(A, Origin::Wake);
        assert_eq!(queue.take(at(9)), Some((A, Origin::Wake)));
        queue.finish(A, Some(at(20)));
        assert_eq!(queue.take(at(20)), Some((A, Origin::Wake)));
        queue.finish(A, None);
        assert_eq!(queue.take(at(1000)), None);
    }

    #[test]
    fn a_rescan_leaves_alone_what_is_looked_after() {
        let mut queue = Queue::default();
        queue.wake(A, Origin::Wake);
        queue.take(at(0));
        queue.wake(A, Origin::Rescan);
        queue.finish(A, Some(at(10)));
        queue.wake(A, Origin::Rescan);
        assert_eq!(queue.take(at(9)), None);
        queue.wake(B, Origin::Rescan);
        assert_eq!(queue.take(at(9)), Some((B, Origin::Rescan)));
    }

    #[test]
    fn failures_are_counted_until_a_run_ends_well() {
        let mut queue = Queue::default();
        queue.wake(A, Origin::Wake);
        queue.take(at(0));
        assert_eq!(queue.fail(A), 1);
        queue.settle(A, Some(at(1)));
        queue.take(at(1));
        assert_eq!(queue.fail(A), 2);
        queue.settle(A, Some(at(3)));
        queue.take(at(3));
        queue.finish(A, None);
        queue.wake(A, Origin::Wake);
        queue.take(at(3));
        assert_eq!(queue.fail(A), 1);
    }
}
