//! Runs as they are made and as they end. Nothing tells a client of new ones, so that this asks again and again; it does
//! not say how often.

use std::collections::BTreeMap;

use dispatch_api::{
    Operation,
    run::{NOT_FINISHED, Run},
};
use uuid::Uuid;

use crate::{
    error::CliError,
    session::{NO_BODY, Received, Session},
};

/// All runs there are: Go's zero time in Unix seconds, as the first command line asked.
pub const EVER: i64 = NOT_FINISHED;

/// The longest that a run takes (a function's largest timeout), and a minute. One that somebody waits for is recorded when
/// it ends, under the time at which it began.
const LONGEST_RUN_S: i64 = 16 * 60;

/// What has been seen of the runs of one function, or of all.
#[derive(Debug)]
pub struct Feed {
    function: Option<String>,
    /// Unix seconds; what ended before is no news.
    began: i64,
    /// When it was asked last.
    asked: i64,
    /// By id: when it was made, and the status in which it was seen last.
    seen: BTreeMap<Uuid, (i64, String)>,
}

impl Feed {
    /// From now on, in Unix seconds.
    pub fn new(function: Option<String>, now: i64) -> Self {
        Self { function, began: now, asked: now, seen: BTreeMap::new() }
    }

    /// These have been shown as they are.
    pub fn knows(&mut self, runs: &[Run]) {
        for run in runs {
            self.seen.insert(run.name, (run.executed_time, run.status.clone()));
        }
    }

    /// The runs that are new or have another status than the last time, oldest first.
    pub async fn next(&mut self, session: &Session, now: i64) -> Result<Vec<Run>, CliError> {
        let received = list(session, self.function.as_deref(), self.since()).await?;
        let oldest = received.body.last().map(|run| run.executed_time);
        if received.truncated && oldest.is_some_and(|oldest| oldest >= self.asked) {
            session.console.note("there are more runs than the server lists; some are not shown");
        }
        self.asked = now;
        Ok(self.absorb(received.body))
    }

    /// What is asked for: everything that may have changed.
    fn since(&self) -> i64 {
        let open = self.seen.values().filter(|(_, status)| !is_over(status));
        let recent = self.asked.saturating_sub(LONGEST_RUN_S);
        open.map(|(made, _)| *made).chain([recent]).min().unwrap_or(recent)
    }

    fn absorb(&mut self, listed: Vec<Run>) -> Vec<Run> {
        let mut fresh = oldest_first(listed);
        fresh.retain(|run| {
            let is_as_seen = |(_, status): &(i64, String)| *status == run.status;
            // The first Dispatch did not write down when a run failed.
            let ended = run.finished_time.max(run.executed_time);
            let is_old = is_over(&run.status) && ended < self.began;
            !is_old && !self.seen.get(&run.name).is_some_and(is_as_seen)
        });
        self.knows(&fresh);
        let since = self.since();
        self.seen.retain(|_, (made, _)| *made >= since);
        fresh
    }
}

/// The runs since a point in time, in Unix seconds, as the server lists them.
pub async fn list(
    session: &Session,
    function: Option<&str>,
    since: i64,
) -> Result<Received<Vec<Run>>, CliError> {
    let since = since.to_string();
    let mut query = vec![("since", since.as_str())];
    if let Some(function) = function {
        query.insert(0, ("functionName", function));
    }
    session.call(Operation::ListRuns, &[], &query, NO_BODY).await
}

/// The order in which they were made. The server lists the newest first, and knows more than the second.
pub fn oldest_first(mut runs: Vec<Run>) -> Vec<Run> {
    runs.reverse();
    runs.sort_by_key(|run| run.executed_time);
    runs
}

/// Nothing more will come of it.
pub fn is_over(status: &str) -> bool {
    matches!(status, "READY" | "ERROR")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u128, made: i64, status: &str) -> Run {
        Run {
            name: Uuid::from_u128(number),
            executed_time: made,
            status: status.to_owned(),
            ..Run::default()
        }
    }

    #[test]
    fn a_run_comes_once_per_status_and_is_asked_for_until_it_cannot_change() {
        let mut feed = Feed::new(None, 10_000);
        let mut check =
            |now: i64, listed: &[(u128, i64, i64, &str)], expect: &[u128], since: i64| {
                feed.asked = now;
                let listed = listed.iter().map(|(number, made, ended, status)| Run {
                    finished_time: *ended,
                    ..run(*number, *made, status)
                });
                let fresh: Vec<u128> =
                    feed.absorb(listed.collect()).iter().map(|run| run.name.as_u128()).collect();
                assert_eq!((fresh.as_slice(), feed.since()), (expect, since));
            };
        let waits = (1, 9_500, NOT_FINISHED, "INITIALIZED");
        // It ended before.
        check(10_000, &[(8, 9_990, 9_999, "READY")], &[], 9_040);
        check(10_001, &[(2, 10_000, 10_001, "READY"), waits], &[1, 2], 9_041);
        // Somebody waited for it for five minutes.
        check(
            10_301,
            &[(2, 10_000, 10_001, "READY"), (3, 10_000, 10_300, "ERROR"), waits],
            &[3],
            9_341,
        );
        check(10_900, &[waits], &[], 9_500);
        check(10_901, &[(1, 9_500, 10_900, "READY")], &[1], 9_941);
        check(12_000, &[], &[], 11_040);
        assert!(feed.seen.is_empty(), "what is not asked for any more is not kept");
    }

    #[test]
    fn runs_of_one_second_stay_in_the_servers_order() {
        let listed = vec![run(9, 5, ""), run(3, 5, ""), run(7, 4, "")];
        let sorted: Vec<u128> = oldest_first(listed).iter().map(|run| run.name.as_u128()).collect();
        assert_eq!(sorted, [7, 3, 9]);
    }
}
