//! What the server adds to a warm call: HTTP, login, pool and record.
//!
//! The bare round trip is made by this process through the worker API of `dispatch_runtime`, to a worker of the same
//! interpreter, shim, handler and sandbox. It runs where the server runs: on the server's core, beside its worker.

use std::time::{Duration, Instant};

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

const ROUNDS: usize = 15;
const CALLS: usize = 300;
/// Before anything is counted: caches, the pool, the processor's clock.
const WARM_UP: usize = 500;

pub fn run(stage: &Stage, wanted: &Wanted, found: &mut Vec<Found>) -> Result<(), Trouble> {
    for (mode, name) in Mode::BOTH.into_iter().zip(["warm-call.pinned", "warm-call.unpinned"]) {
        if wanted.has(name) {
            found.extend(measure(stage, mode)?.map(|spread| (name, spread)));
        }
    }
    Ok(())
}

fn measure(stage: &Stage, mode: Mode) -> Result<Option<Spread>, Trouble> {
    let take = |side| stage.cores.take(mode, side).map_err(Trouble::io("choose a core"));
    take(Side::Server)?;
    stage.bare.place(&stage.cores, mode)?;
    let folder = stage.folder(&format!("warm-call-{}", mode.name()))?;
    let server = Server::start(&stage.dispatch, &folder)?;
    let mut worker = stage.bare.worker()?;
    let mut wire = server.wire()?;
    make_hello(&mut wire)?;
    calls(&mut wire, WARM_UP)?;
    stage.bare.calls(&mut worker, WARM_UP)?;

    let (mut differences, mut through, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        take(Side::Client)?;
        let p50 = median_us(&calls(&mut wire, CALLS)?);
        take(Side::Server)?;
        let p50_bare = median_us(&stage.bare.calls(&mut worker, CALLS)?);
        differences.push(p50 - p50_bare);
        through.push(p50);
        bare.push(p50_bare);
    }
    let p50 = |observed: &[f64]| percentile(observed, 50).unwrap_or_default();
    note(&format!(
        "  warm call, {}: {:.0} µs through the server, {:.0} µs bare",
        mode.name(),
        p50(&through),
        p50(&bare),
    ));
    server.stop()?;
    Ok(Spread::median(&differences))
}

/// Round trips through the server, each checked.
fn calls(wire: &mut Wire, count: usize) -> Result<Vec<Duration>, Trouble> {
    let body = a_run(&hello_input());
    let request = wire.request("POST", "/v1/runs?functionName=hello", Some(&body));
    let expect = hello_output();
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        let answer = wire.send(&request)?;
        took.push(answer.at - begun);
        let found = output(&answer.body)?;
        if answer.status != 200 || found != expect {
            return Err(Trouble::wrong("a warm call", found));
        }
    }
    Ok(took)
}

fn median_us(took: &[Duration]) -> f64 {
    let micros: Vec<f64> = took.iter().map(|took| took.as_secs_f64() * 1e6).collect();
    percentile(&micros, 50).unwrap_or_default()
}
