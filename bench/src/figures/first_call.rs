//! What a call costs whose function has no worker: sandbox, interpreter, import and answer, held against the same
//! interpreter and shim started by this process without any sandbox.
//!
//! The function ends its own process between two such calls, so that there is no worker.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Found, Wanted};
use crate::{
    report::{Spread, percentile},
    stage::{
        Stage, Trouble,
        cores::{Mode, Side},
        functions::{hello_input, hello_output, make_hello, output, run as a_run},
        note,
        server::Server,
        wire::Wire,
    },
};

const ROUNDS: usize = 8;
const STARTS: usize = 7;

pub fn run(stage: &Stage, wanted: &Wanted, found: &mut Vec<Found>) -> Result<(), Trouble> {
    for (mode, name) in Mode::BOTH.into_iter().zip(["first-call.pinned", "first-call.unpinned"]) {
        if wanted.has(name) {
            found.extend(measure(stage, mode)?.map(|spread| (name, spread)));
        }
    }
    Ok(())
}

fn measure(stage: &Stage, mode: Mode) -> Result<Option<Spread>, Trouble> {
    let take = |side| stage.cores.take(mode, side).map_err(Trouble::io("choose a core"));
    take(Side::Server)?;
    let folder = stage.folder(&format!("first-call-{}", mode.name()))?;
    let server = Server::start(&stage.dispatch, &folder)?;
    let mut wire = server.wire()?;
    make_hello(&mut wire)?;
    first_call(&mut wire)?;
    stage.bare.first_answer()?;

    let (mut ratios, mut through, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut served, mut direct) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            take(Side::Client)?;
            end_worker(&mut wire)?;
            served.push(ms(first_call(&mut wire)?));
            take(Side::Server)?;
            direct.push(ms(stage.bare.first_answer()?));
        }
        let p50 = |observed: &[f64]| percentile(observed, 50).unwrap_or(f64::NAN);
        ratios.push(p50(&served) / p50(&direct));
        through.extend(served);
        bare.extend(direct);
    }
    let p50 = |observed: &[f64]| percentile(observed, 50).unwrap_or_default();
    note(&format!(
        "  first call, {}: {:.1} ms through the server, {:.1} ms without a sandbox (DirectSpawner)",
        mode.name(),
        p50(&through),
        p50(&bare),
    ));
    server.stop()?;
    Ok(Spread::median(&ratios))
}

/// Afterwards there is no process of the function: the server answers when it has gone.
fn end_worker(wire: &mut Wire) -> Result<(), Trouble> {
    let run = a_run(&json!({ "exit": true }));
    let ended = wire.call("POST", "/v1/runs?functionName=hello", Some(&run))?;
    let message = ended.pointer("/error/message").and_then(serde_json::Value::as_str);
    match message.is_some_and(|message| message.contains("exited with status 0")) {
        true => Ok(()),
        false => Err(Trouble::wrong("a function that exits", ended)),
    }
}

fn first_call(wire: &mut Wire) -> Result<Duration, Trouble> {
    let request = wire.request("POST", "/v1/runs?functionName=hello", Some(&a_run(&hello_input())));
    let begun = Instant::now();
    let answer = wire.send(&request)?;
    let took = answer.at - begun;
    let found = output(&answer.body)?;
    if answer.status != 200 || found != hello_output() {
        return Err(Trouble::wrong("a first call", found));
    }
    Ok(took)
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
