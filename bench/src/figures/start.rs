//! How soon a server answers after its process was started, and what it holds in memory when nothing happens.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{Found, Wanted, memory};
use crate::{
    report::Spread,
    stage::{
        Stage, Trouble,
        functions::{
            HELLO, HELLO_FILE, HELLO_HANDLER, function, hello_input, hello_output, make_python3,
            output, run as a_run,
        },
        note, pause,
        server::Server,
        wire::Wire,
    },
};

const FIRST_STARTS: usize = 7;
const SECOND_STARTS: usize = 15;
const FUNCTIONS: usize = 1_000;
/// For all functions to be built and proven; each is loaded once in a sandbox.
const PATIENCE: Duration = Duration::from_secs(900);

pub fn run(stage: &Stage, wanted: &Wanted, found: &mut Vec<Found>) -> Result<(), Trouble> {
    if wanted.has("start.first") || wanted.has("memory.empty") {
        let (mut ready, mut resident) = (Vec::new(), Vec::new());
        for number in 0..FIRST_STARTS {
            let folder = stage.folder(&format!("start-first-{number}"))?;
            let server = Server::start(&stage.dispatch, &folder)?;
            ready.push(ms(server.ready_after));
            if number == 0 && wanted.has("memory.empty") {
                resident.push(memory::idle(&server, "empty")?);
            }
            server.stop()?;
        }
        found.extend(Spread::median(&ready).map(|spread| ("start.first", spread)));
        found.extend(Spread::worst(&resident).map(|spread| ("memory.empty", spread)));
    }
    if wanted.has("start.second") || wanted.has("memory.functions") {
        let folder = stage.folder("start-second")?;
        let server = Server::start(&stage.dispatch, &folder)?;
        store_functions(&server)?;
        server.stop()?;
        let (mut ready, mut resident) = (Vec::new(), Vec::new());
        for number in 0..SECOND_STARTS {
            let server = Server::start(&stage.dispatch, &folder)?;
            ready.push(ms(server.ready_after));
            if number == 0 && wanted.has("memory.functions") {
                resident.push(memory::idle(&server, "with 1,000 functions")?);
            }
            if number == 0 {
                check(&mut server.wire()?)?;
            }
            server.stop()?;
        }
        found.extend(Spread::median(&ready).map(|spread| ("start.second", spread)));
        found.extend(Spread::worst(&resident).map(|spread| ("memory.functions", spread)));
    }
    Ok(())
}

/// Deploys them as a user would, and waits until all are READY.
fn store_functions(server: &Server) -> Result<(), Trouble> {
    let mut wire = server.wire()?;
    make_python3(&mut wire)?;
    let begun = Instant::now();
    for number in 0..FUNCTIONS {
        let name = format!("hello-{number}");
        let hello = function(&name, "python3", &[(HELLO_FILE, HELLO)], HELLO_HANDLER, &[])?;
        wire.call("POST", "/v1/function", Some(&hello))?;
    }
    loop {
        let ready = ready(&mut wire)?;
        if ready == FUNCTIONS {
            let took = begun.elapsed().as_secs_f64();
            note(&format!("  {FUNCTIONS} functions were READY after {took:.0} s"));
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(Trouble::wrong(format!("{FUNCTIONS} functions were to be READY"), ready));
        }
        pause(Duration::from_millis(500));
    }
}

fn ready(wire: &mut Wire) -> Result<usize, Trouble> {
    let list = wire.call("GET", "/v1/function", None)?;
    let status =
        |function: &Value| function.get("status").and_then(Value::as_str).map(str::to_owned);
    let all: Vec<_> = list.as_array().into_iter().flatten().map(status).collect();
    if all.iter().any(|status| status.as_deref() == Some("ERROR")) {
        return Err(Trouble::wrong("a function is in ERROR", list));
    }
    Ok(all.iter().filter(|status| status.as_deref() == Some("READY")).count())
}

/// A server that has started again has lost nothing.
fn check(wire: &mut Wire) -> Result<(), Trouble> {
    let found = ready(wire)?;
    if found != FUNCTIONS {
        return Err(Trouble::wrong("functions after the second start", found));
    }
    let name = format!("/v1/runs?functionName=hello-{}", FUNCTIONS / 2);
    let request = wire.request("POST", &name, Some(&a_run(&hello_input())));
    let found = output(&wire.send(&request)?.body)?;
    match found == hello_output() {
        true => Ok(()),
        false => Err(Trouble::wrong("a call after the second start", found)),
    }
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
