//! `--wait`: answers that the server holds until the object has settled, or until there is something to show that has
//! not been shown (decision 9). There is no sleeping and no polling here.

use std::time::{Duration, Instant};

use crate::{
    error::{CliError, Kind},
    nouns::Noun,
    progress::Progress,
    session::{NO_BODY, Received, Session},
};

const READY: &str = "READY";

/// The longest that a server holds an answer, in seconds.
pub const LONGEST: &str = "300";

/// Waits until the object can be used; an error is said on the progress line.
pub async fn until_ready<N: Noun>(session: &Session, name: &str) -> Result<Received<N>, CliError> {
    until_made(session, name, Instant::now()).await
}

/// The same for what was asked for at that moment.
pub async fn until_made<N: Noun>(
    session: &Session,
    name: &str,
    asked: Instant,
) -> Result<Received<N>, CliError> {
    at_rest(session, Progress::since(name, asked), name, READY).await
}

/// The same, with another word for success, such as `rotated`.
pub async fn until_at_rest<N: Noun>(
    session: &Session,
    name: &str,
    outcome: &str,
) -> Result<Received<N>, CliError> {
    at_rest(session, Progress::new(name), name, outcome).await
}

async fn at_rest<N: Noun>(
    session: &Session,
    mut progress: Progress,
    name: &str,
    outcome: &str,
) -> Result<Received<N>, CliError> {
    let mut seen = String::new();
    loop {
        let answer = next::<N>(session, &progress, name, &seen).await?;
        let state = answer.body.state();
        if answer.settled && state.at_rest {
            if !state.good {
                let error = progress.fail(&state);
                show_log(session, answer.body.log());
                return Err(error);
            }
            let made = outcome == READY;
            let broker = answer.body.broker_took().filter(|_| made);
            progress.succeed(outcome, broker, &answer.body.detail());
            return Ok(answer);
        }
        if answer.settled {
            return Err(cannot_hold::<N>());
        }
        if seen.is_empty() && progress.is_watched() {
            progress.expect(usual(session, &answer.body).await);
        }
        progress.show(&state);
        seen = answer.seen.unwrap_or_default();
    }
}

/// It is no error if that cannot be learnt.
async fn usual<N: Noun>(session: &Session, one: &N) -> Option<Duration> {
    let usual = N::USUAL?;
    let listed: Result<Received<Vec<N>>, CliError> =
        session.call(N::OPERATIONS.list, &[], &[], NO_BODY).await;
    usual(one, &listed.ok()?.body)
}

/// The next answer that is worth a look. The first one, when nothing has been seen yet, is given at once.
async fn next<N: Noun>(
    session: &Session,
    progress: &Progress,
    name: &str,
    seen: &str,
) -> Result<Received<N>, CliError> {
    let get = N::OPERATIONS.get.expect("only kinds that can be looked at are waited for");
    let query = [("wait", LONGEST), ("seen", seen)];
    let answer = progress.during(session.call(get, &[name], &query, NO_BODY)).await;
    // Nobody answered: the server is away, or a person has seen enough.
    let again = format!("look again: dispatch get {} {name}", N::WORDS.command);
    answer.map_err(|error| match error.kind {
        Kind::Said => error.hint(again),
        _ if error.status().is_some() => error,
        _ => error.hint(format!("{name} goes on when the server does; {again}")),
    })
}

/// Waits until GET answers 404, or until the object has come to rest because it could not be removed.
pub async fn until_gone<N: Noun>(session: &Session, name: &str) -> Result<(), CliError> {
    let mut progress = Progress::new(name);
    let mut seen = String::new();
    loop {
        let answer = match next::<N>(session, &progress, name, &seen).await {
            Err(error) if error.status() == Some(404) => {
                progress.succeed("gone", None, "");
                return Ok(());
            }
            other => other?,
        };
        let mut state = answer.body.state();
        if answer.settled && state.at_rest {
            state.advice = None;
            return Err(progress.fail(&state));
        }
        if answer.settled {
            return Err(cannot_hold::<N>());
        }
        progress.show(&state);
        seen = answer.seen.unwrap_or_default();
    }
}

/// The end of what was done, indented below the line that says that it failed.
fn show_log(session: &Session, log: &[String]) {
    const MOST: usize = 20;
    for line in log.iter().skip(log.len().saturating_sub(MOST)) {
        session.console.note(&format!("      {line}"));
    }
}

/// A server of the first Dispatch answers at once, whatever is asked. Asking it again and again would be polling.
fn cannot_hold<N: Noun>() -> CliError {
    let noun = N::WORDS.command;
    CliError::input(format!(
        "this server does not hold answers for {noun}, so nothing was waited for"
    ))
}
