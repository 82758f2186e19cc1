//! `dispatch get run [FUNCTION [RUN_ID]]`.

use std::time::Duration;

use dispatch_api::{Operation, run::Run};

use crate::{
    clock,
    commands::{
        arity,
        get::{self, Wanted, watch::Rows},
    },
    error::{CliError, Kind},
    runs::{self, EVER, Feed},
    session::{NO_BODY, Received, Session},
};

/// How often `--follow` looks, as ever (contract §3.2). Nothing tells a client of new runs.
const TICK: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Print runs as they come, until Ctrl-C; with a RUN_ID, print each change of that run
    #[arg(short, long, visible_alias = "watch", visible_short_alias = 'w')]
    follow: bool,
    /// Only the run that was started last
    #[arg(long)]
    last: bool,
    /// Sort by a column
    #[arg(long, value_name = "COLUMN", value_enum)]
    by: Option<By>,
    /// Accepted for old scripts; nothing is filtered
    #[arg(short, long, value_name = "NAME")]
    application: Option<String>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum By {
    Function,
    Status,
    Started,
    Finished,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    arity::at_most(&args.names, 2)?;
    let function = args.names.first().map(String::as_str);
    if let Some(id) = args.names.get(1) {
        let ever = EVER.to_string();
        let query = [("functionName", function.unwrap_or_default()), ("since", ever.as_str())];
        if args.follow {
            let wanted = Wanted { name: Some(id), query: &query, watch: true };
            return get::watch::run::<Run>(&session, &wanted).await;
        }
        let found: Received<Run> = session.call(Operation::GetRun, &[id], &query, NO_BODY).await?;
        return get::print(session.console, &[found.body], &found.raw);
    }
    if args.follow {
        return follow(&session, function).await;
    }
    let found = runs::list(&session, function, EVER).await?;
    if found.truncated {
        session.console.note("there are older runs, which the server does not list");
    }
    if !args.last && args.by.is_none() {
        return get::print(session.console, &found.body, &found.raw);
    }
    let mut chosen = found.body;
    match args.by {
        None => {}
        Some(By::Function) => chosen.sort_by(|a, b| a.function_name.cmp(&b.function_name)),
        Some(By::Status) => chosen.sort_by(|a, b| a.status.cmp(&b.status)),
        Some(By::Started) => chosen.sort_by_key(|run| run.executed_time),
        Some(By::Finished) => chosen.sort_by_key(|run| run.finished_time),
    }
    if !args.last {
        return get::print(session.console, &chosen, &plain(&chosen));
    }
    match chosen.into_iter().max_by_key(|run| (run.executed_time, run.name)) {
        Some(last) => {
            let raw = plain(&last);
            get::print(session.console, &[last], &raw)
        }
        None => get::print::<Run>(session.console, &[], &found.raw),
    }
}

fn plain(runs: &impl serde::Serialize) -> Box<serde_json::value::RawValue> {
    serde_json::value::to_raw_value(runs).expect("a run is plain data")
}

/// Rows without a header, each run once per status, until Ctrl-C, which ends it with code 1 as ever.
async fn follow(session: &Session, function: Option<&str>) -> Result<(), CliError> {
    tokio::select! {
        error = rows(session, function) => error,
        _ = tokio::signal::ctrl_c() => Err(Kind::Said.into()),
    }
}

async fn rows(session: &Session, function: Option<&str>) -> Result<(), CliError> {
    let mut feed = Feed::new(function.map(str::to_owned), clock::now().as_second());
    let mut rows = Rows::without_header(session.console);
    let mut tick = tokio::time::interval(TICK);
    loop {
        tick.tick().await;
        let fresh = feed.next(session, clock::now().as_second()).await?;
        let fresh: Vec<_> = fresh.into_iter().map(|run| (plain(&run), run)).collect();
        rows.print(&fresh.into_iter().map(|(raw, run)| (run, raw)).collect::<Vec<_>>())?;
    }
}
