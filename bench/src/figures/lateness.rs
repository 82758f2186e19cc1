//! How long after its end an asynchronous operation is seen to be over.
//!
//! Each operation has a fake broker of its own, which lets it end at a moment that has nothing to do with the polls.
//! All run at once: what they wait for is time.

use std::{
    thread,
    time::{Duration, Instant},
};

use dispatch_osb::fake::{Settings, Work};
use serde_json::json;

use super::Found;
use crate::{
    report::Spread,
    stage::{Stage, Trouble, broker::TimedBroker, note, pause, server::Server, wire::Wire},
};

/// How long the operations take: short ones may be late by a second, long ones by a tenth.
const OPERATIONS_MS: [u64; 8] = [300, 700, 1_900, 3_700, 6_100, 9_300, 12_700, 17_300];

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let server = Server::start(&stage.dispatch, &stage.folder("lateness")?)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Trouble::io("make a runtime"))?;
    let mut prepared = Vec::new();
    for (number, ms) in OPERATIONS_MS.into_iter().enumerate() {
        // Every other one is a binding.
        let settings = match number % 2 {
            0 => Settings { provision: Work::held(), ..Settings::default() },
            _ => Settings { bind: Work::held(), ..Settings::default() },
        };
        let broker = TimedBroker::start(&runtime, settings)?;
        let (name, plan) =
            (format!("late-{number}"), if number % 2 == 0 { "silent" } else { "small" });
        let mut wire = server.wire()?;
        wire.make("/v1/servicebroker", &json!({ "name": name, "url": broker.url() }))?;
        prepared.push((broker, wire, name, plan, Duration::from_millis(ms)));
    }
    let observed: Result<Vec<f64>, Trouble> = thread::scope(|scope| {
        let running: Vec<_> = prepared
            .iter_mut()
            .map(|(broker, wire, name, plan, length)| {
                scope.spawn(|| lateness(broker, wire, name, plan, *length))
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                let ended = thread.join();
                ended.unwrap_or_else(|_| Err(Trouble::Missing("a thread panicked".to_owned())))
            })
            .collect()
    });
    let observed = observed?;
    note(&format!(
        "  asynchronous operations of {OPERATIONS_MS:?} ms were seen over at {observed:.2?} of what is allowed"
    ));
    drop(prepared);
    found.extend(Spread::worst(&observed).map(|spread| ("asynchronous.lateness", spread)));
    server.stop()?;
    Ok(())
}

/// One operation, as a multiple of what is allowed.
fn lateness(
    broker: &TimedBroker,
    wire: &mut Wire,
    name: &str,
    plan: &str,
    length: Duration,
) -> Result<f64, Trouble> {
    let body =
        json!({ "name": name, "serviceClass": "fake-db", "servicePlan": plan, "broker": name });
    let request = wire.request("POST", "/v1/serviceinstance?wait=120", Some(&body));
    thread::scope(|scope| {
        let begun = Instant::now();
        let waiting = scope.spawn(move || wire.send(&request));
        pause(length);
        let ended = Instant::now();
        broker.fake.release();
        let answer = waiting.join();
        let answer = answer.map_err(|_| Trouble::Missing("a thread panicked".to_owned()))??;
        let found: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if found.get("status") != Some(&json!("READY")) || answer.at < ended {
            return Err(Trouble::wrong("an asynchronous operation", found));
        }
        let allowed = ((ended - begun).as_secs_f64() / 10.0).max(1.0);
        Ok((answer.at - ended).as_secs_f64() / allowed)
    })
}
