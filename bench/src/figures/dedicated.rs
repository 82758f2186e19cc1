//! What the broker and Dispatch together add to a PostgreSQL server of one's own, over what an administrator types for
//! one in a hurry: initdb, a sync, a start, createdb. In turns, so that both see the same machine.

use std::time::{Duration, Instant};

use dispatch_broker::testing::by_hand;
use serde_json::json;

use super::Found;
use crate::{
    report::{Spread, percentile},
    stage::{Stage, Trouble, note, postgresql::PostgresBroker, server::Server, wire::Wire},
};

const ROUNDS: usize = 15;
const INSTANCE: &str = "/v1/serviceinstance";

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let folder = stage.folder("dedicated")?;
    let runtime = tokio::runtime::Runtime::new().map_err(Trouble::io("make a runtime"))?;
    let broker = PostgresBroker::start(&runtime, stage, &folder)?;
    let server = Server::start(&stage.dispatch, &folder)?;
    let mut wire = server.wire()?;
    wire.make("/v1/servicebroker", &json!({ "name": "pg", "url": broker.url() }))?;
    // What is read from disk for the first time is nobody's overhead.
    through_dispatch(&mut wire)?;
    typed()?;
    let (mut ratios, mut through, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (whole, hand) = (ms(through_dispatch(&mut wire)?), ms(typed()?));
        ratios.push(whole / hand);
        through.push(whole);
        bare.push(hand);
    }
    let p50 = |observed: &[f64]| percentile(observed, 50).unwrap_or_default();
    note(&format!(
        "  a server of one's own: {:.0} ms through Dispatch, its binding included; {:.0} ms by hand",
        p50(&through),
        p50(&bare),
    ));
    found.extend(Spread::median(&ratios).map(|spread| ("dedicated", spread)));
    server.stop()?;
    broker.stop()
}

/// From the request to the answer that says READY, of the binding too. It is removed outside of the time.
fn through_dispatch(wire: &mut Wire) -> Result<Duration, Trouble> {
    let body = json!({ "name": "db", "serviceClass": "postgresql", "servicePlan": "dedicated" });
    let begun = Instant::now();
    wire.make(INSTANCE, &body)?;
    let took = begun.elapsed();
    wire.call("DELETE", &format!("{INSTANCE}/db?wait=120"), None)?;
    Ok(took)
}

fn typed() -> Result<Duration, Trouble> {
    let begun = Instant::now();
    let made = by_hand().map_err(|error| Trouble::Missing(error.to_string()))?;
    let took = begun.elapsed();
    made.remove().map_err(|error| Trouble::wrong("a server made by hand", error))?;
    Ok(took)
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
