//! A PostgreSQL server on which instances live: how the broker administers it, and how functions
//! reach it. The shared one, or the one that belongs to an instance.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::check::{self, CheckError, Report};
use super::credentials::Reach;
use super::error::PgError;
use super::pool::Pool;

/// Between two attempts to reach a server that may still be starting.
const RETRY: Duration = Duration::from_millis(20);

/// One server.
pub(super) struct Server {
    pub(super) pool: Pool,
    pub(super) reach: Reach,
    /// Whether the broker is a superuser there.
    pub(super) superuser: bool,
}

/// Waits until a server answers, and examines it. It may still be starting: what time can mend is
/// tried again until `limit`.
pub(super) async fn ready(pool: &Pool, limit: Duration) -> Result<Report, CheckError> {
    let deadline = Instant::now() + limit;
    loop {
        match examine(pool).await {
            Err(CheckError::Asking(error)) if mends(&error) && Instant::now() < deadline => {
                tracing::debug!(%error, "waiting for PostgreSQL");
                sleep(RETRY).await;
            }
            result => return result,
        }
    }
}

/// Examines a server as it is now.
pub(super) async fn examine(pool: &Pool) -> Result<Report, CheckError> {
    let session = pool.fresh().await?;
    let report = check::check(&session).await?;
    session.give_back().await;
    Ok(report)
}

fn mends(error: &PgError) -> bool {
    match error {
        PgError::Unreachable { .. } | PgError::Lost { .. } => true,
        // 57P03: it is starting up.
        PgError::Refused { sqlstate, .. } => sqlstate == "57P03",
        _ => false,
    }
}
