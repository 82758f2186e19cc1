//! A store that refuses some writes of the controllers, as one does whose disk is full.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use dispatch_store::CommitError;

use crate::faults::{Point, Script};

/// Refuses the writes of this name, so many times.
#[derive(Debug)]
pub struct Refusal {
    pub point: &'static str,
    pub times: AtomicU32,
}

#[async_trait]
impl Script for Refusal {
    async fn reach(&self, _: Point) {}

    fn refuse(&self, point: &'static str) -> Option<CommitError> {
        if point != self.point {
            return None;
        }
        let less = |times: u32| times.checked_sub(1);
        let refused = self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok();
        refused.then(|| CommitError::DiskFull { what: "dispatch.db".into() })
    }
}
