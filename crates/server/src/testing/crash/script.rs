//! Stops a controller at a named point, and remembers which points were passed.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use dispatch_store::CommitError;
use tokio::sync::watch;

use crate::faults::{Point, Script};

#[derive(Debug, Default)]
pub(super) struct CrashScript {
    state: Mutex<State>,
    /// Grows when whoever has stopped may go on.
    resumed: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    at: Option<(Point, u32)>,
    stops_left: u32,
    stopped: bool,
    passed: BTreeMap<Point, u32>,
}

impl CrashScript {
    /// Stops at this point, and from then on this many times.
    pub(super) fn arm(&self, at: Option<(Point, u32)>, stops: u32) {
        *self.state() = State { at, stops_left: stops, stopped: false, passed: BTreeMap::new() };
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Whoever has stopped goes on, unless it is gone with its process.
    pub(super) fn resume(&self) {
        self.state().stopped = false;
        self.resumed.send_modify(|times| *times += 1);
    }

    /// Each point that was passed, each time, but at most so many times.
    pub(super) fn passed(&self, times_max: u32) -> Vec<(Point, u32)> {
        let passed = &self.state().passed;
        let times = |(point, times): (&Point, &u32)| {
            let point = *point;
            (1..=(*times).min(times_max)).map(move |time| (point, time))
        };
        passed.iter().flat_map(times).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stops(&self, point: Point) -> bool {
        let mut state = self.state();
        let times = state.passed.entry(point).or_default();
        *times += 1;
        let times = *times;
        // A process that has ended does nothing anywhere.
        if state.stopped {
            return true;
        }
        let here = state.at.is_some_and(|(at, time)| at == point && times >= time);
        if here && state.stops_left > 0 {
            state.stops_left -= 1;
            state.stopped = true;
            return true;
        }
        false
    }
}

#[async_trait]
impl Script for CrashScript {
    async fn reach(&self, point: Point) {
        let mut resumed = self.resumed.subscribe();
        if self.stops(point) {
            let _the_sender_is_ours = resumed.changed().await;
        }
    }

    fn refuse(&self, _: &'static str) -> Option<CommitError> {
        None
    }
}
