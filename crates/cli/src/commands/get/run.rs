//! `dispatch get run [FUNCTION [RUN_ID]]`.

use std::{collections::BTreeSet, time::Duration};

use dispatch_api::{Operation, run::Run};
use uuid::Uuid;

use crate::{
    clock,
    commands::{arity, get},
    error::{CliError, Kind},
    session::{NO_BODY, Received, Session},
};

/// All runs there are: Go's zero time in Unix seconds, as the first command line asked.
const EVER: &str = "-62135596800";
/// How often `--follow` looks, as ever (contract §3.2). Nothing tells a client of new runs.
const TICK: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Print runs as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only the run that was started last
    #[arg(long)]
    last: bool,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    arity::at_most(&args.names, 2)?;
    let mut query = vec![("since", EVER)];
    if let Some(function) = args.names.first() {
        query.insert(0, ("functionName", function.as_str()));
    }
    if let Some(id) = args.names.get(1) {
        let found: Received<Run> = session.call(Operation::GetRun, &[id], &query, NO_BODY).await?;
        return get::print(session.console, &[found.body], &found.raw);
    }
    if args.follow {
        return follow(&session, args.names.first()).await;
    }
    let found: Received<Vec<Run>> = session.call(Operation::ListRuns, &[], &query, NO_BODY).await?;
    if !args.last {
        return get::print(session.console, &found.body, &found.raw);
    }
    let Some(last) = found.body.into_iter().max_by_key(|run| (run.executed_time, run.name)) else {
        return get::print::<Run>(session.console, &[], &found.raw);
    };
    let raw = serde_json::value::to_raw_value(&last).expect("a run is plain data");
    get::print(session.console, &[last], &raw)
}

/// Rows without a header, each run once per status, until Ctrl-C, which ends it with code 1 as ever.
async fn follow(session: &Session, function: Option<&String>) -> Result<(), CliError> {
    tokio::select! {
        error = rows(session, function) => error,
        _ = tokio::signal::ctrl_c() => Err(Kind::Said.into()),
    }
}

async fn rows(session: &Session, function: Option<&String>) -> Result<(), CliError> {
    let mut shown: BTreeSet<(Uuid, String)> = BTreeSet::new();
    let mut since = clock::now().as_second();
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let next = clock::now().as_second();
        let from = since.to_string();
        let mut query = vec![("since", from.as_str())];
        query.extend(function.map(|function| ("functionName", function.as_str())));
        let found: Received<Vec<Run>> =
            session.call(Operation::ListRuns, &[], &query, NO_BODY).await?;
        let mut fresh = found.body;
        fresh.retain(|run| shown.insert((run.name, run.status.clone())));
        let rows = get::table(&fresh, false).render();
        let rows: String = rows.lines().skip(2).map(|line| format!("{line}\n")).collect();
        session.console.block(&rows)?;
        since = next;
    }
}
