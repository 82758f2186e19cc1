//! `dispatch logs FUNCTION`: what its runs printed and how those that failed did, in the order in which they were made;
//! with `--follow`, also those that end from now on.

use std::time::Duration;

use dispatch_api::{
    Operation,
    function::Function,
    run::{Logs, Run},
};
use serde::Serialize;

use crate::{
    clock,
    commands::arity,
    error::CliError,
    output::{Console, Format, clean, time},
    runs::{self, EVER, Feed},
    session::{NO_BODY, Received, Session},
    suggest,
};

/// How often `--follow` looks. Nothing tells a client of new runs.
const TICK: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(hide = true)]
    names: Vec<String>,
    /// Go on with the runs that end from now on, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// Only this many of the last lines; -1 for all
    #[arg(
        short,
        long,
        value_name = "LINES",
        default_value_t = -1,
        hide_default_value = true,
        allow_negative_numbers = true
    )]
    tail: i64,
}

/// One line that a run printed.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    run: String,
    /// Unix seconds at which the run was made: when a line was printed, nobody wrote down.
    executed_time: i64,
    /// `stdout`, `stderr`, or `error` for how it failed.
    stream: &'static str,
    line: String,
}

pub async fn run(session: Session, args: Args) -> Result<(), CliError> {
    let [function] = arity::exactly::<1>(&args.names)?;
    let mut feed = Feed::new(Some(function.to_owned()), clock::now().as_second());
    let listed = runs::list(&session, Some(function), EVER).await?;
    if listed.body.is_empty() {
        exists(&session, function).await?;
        session.console.note(&format!("{function} has not run yet"));
    }
    if listed.truncated {
        session.console.note("there are older runs, which the server does not list");
    }
    feed.knows(&listed.body);
    let lines: Vec<Line> = runs::oldest_first(listed.body).iter().flat_map(lines).collect();
    let most = usize::try_from(args.tail).unwrap_or(usize::MAX);
    print(session.console, lines.get(lines.len().saturating_sub(most)..).unwrap_or_default())?;
    if !args.follow {
        return Ok(());
    }
    tokio::select! {
        ended = follow(&session, feed) => ended,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn follow(session: &Session, mut feed: Feed) -> Result<(), CliError> {
    loop {
        tokio::time::sleep(TICK).await;
        let fresh = feed.next(session, clock::now().as_second()).await?;
        let lines: Vec<Line> = fresh.iter().flat_map(lines).collect();
        if !lines.is_empty() {
            print(session.console, &lines)?;
        }
    }
}

/// Nothing is listed for a function that does not exist.
async fn exists(session: &Session, name: &str) -> Result<(), CliError> {
    let found: Result<Received<Function>, CliError> =
        session.call(Operation::GetFunction, &[name], &[], NO_BODY).await;
    match found {
        Ok(_) => Ok(()),
        Err(error) => Err(suggest::similar::<Function>(session, name, error).await),
    }
}

/// The lines of a run that is over; none of one that is not.
fn lines(run: &Run) -> Vec<Line> {
    let Logs { stdout, stderr } = run.logs.clone().unwrap_or_default();
    let error = run.error.as_ref().map(|error| format!("{}: {}", error.kind, error.message));
    let error = error.map(|text| text.lines().map(str::to_owned).collect());
    let of = |stream, texts: Option<Vec<String>>| {
        let line = move |line| Line {
            run: run.name.to_string(),
            executed_time: run.executed_time,
            stream,
            line,
        };
        texts.unwrap_or_default().into_iter().map(line)
    };
    of("stdout", stdout).chain(of("stderr", stderr)).chain(of("error", error)).collect()
}

fn print(console: Console, lines: &[Line]) -> Result<(), CliError> {
    let run = |line: &Line| match console.format {
        // Enough to find it: `dispatch get run FUNCTION RUN_ID` takes all of it.
        Format::Table => line.run.chars().take(8).collect(),
        _ => line.run.clone(),
    };
    match console.format {
        Format::Json | Format::Yaml => {
            console.json(&serde_json::to_string(lines).expect("lines are plain data"))
        }
        Format::Name => {
            let mut names: Vec<&str> = lines.iter().map(|line| line.run.as_str()).collect();
            names.dedup();
            names.into_iter().try_for_each(|name| console.line(name))
        }
        Format::Table | Format::Wide => lines.iter().try_for_each(|line| {
            let at = time::sortable(line.executed_time, &clock::zone());
            let text = clean::line(&line.line);
            console.line(&format!("{at}  {}  {:<6}  {text}", run(line), line.stream))
        }),
    }
}
