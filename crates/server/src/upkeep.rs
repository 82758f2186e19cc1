//! Housekeeping: runs are kept for a time and a count (decision 15).

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;

use crate::{platform::Platform, time};

/// How long a run is kept.
const RUNS_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Of each function.
const RUNS_KEPT_MAX: u32 = 1_000;
const EVERY: Duration = Duration::from_secs(3_600);

/// Once an hour, until the server stops.
pub async fn keep(platform: Arc<Platform>) {
    loop {
        let next = time::after(platform.clock.now(), EVERY);
        tokio::select! {
            () = platform.clock.sleep_until(next) => {}
            () = platform.stopping.cancelled() => return,
        }
        let oldest = platform.clock.now().saturating_sub(RUNS_KEPT).unwrap_or(jiff::Timestamp::MIN);
        match platform.store.prune_runs(&platform.system, oldest, RUNS_KEPT_MAX).await {
            Ok(0) => {}
            Ok(runs) => tracing::info!(runs, "old runs were deleted"),
            Err(error) => tracing::error!(%error, "old runs cannot be deleted"),
        }
    }
}
