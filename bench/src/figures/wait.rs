//! How soon a held `?wait` is answered once the broker has answered, and how many synced commits that takes.
//!
//! The fake broker runs in this process and writes down when the last byte of each answer went. Commits are counted in
//! the log of the server's database, which is read from outside, so nothing is asked of the server.

use std::time::{Duration, Instant};

use dispatch_osb::fake::Settings;
use serde_json::{Value, json};

use super::{Found, Wanted};
use crate::{
    report::Spread,
    stage::{
        Stage, Trouble,
        broker::{Asked, Exchange, TimedBroker},
        cores::{Mode, Side},
        note,
        server::Server,
        wal::{Count, Wal},
        wire::Wire,
    },
};

const ROUNDS: usize = 40;
/// Waits that are not counted.
const WARM_UP: usize = 5;

/// What came of all rounds of one mode.
#[derive(Debug, Default)]
struct Observed {
    instance_ms: Vec<f64>,
    binding_ms: Vec<f64>,
    both_ms: Vec<f64>,
    instance_commits: Vec<f64>,
    binding_commits: Vec<f64>,
}

pub fn run(stage: &Stage, wanted: &Wanted, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let (mut instance_commits, mut binding_commits) = (Vec::new(), Vec::new());
    let names = [
        ["wait.instance.pinned", "wait.binding.pinned", "wait.both.pinned"],
        ["wait.instance.unpinned", "wait.binding.unpinned", "wait.both.unpinned"],
    ];
    let commits = wanted.has("wait.instance.commits") || wanted.has("wait.binding.commits");
    for (mode, [instance, binding, both]) in Mode::BOTH.into_iter().zip(names) {
        let timed = [instance, binding, both].iter().any(|name| wanted.has(name));
        let counted = commits && mode == Mode::Pinned;
        if !timed && !counted {
            continue;
        }
        let observed = measure(stage, mode)?;
        let timed = [
            (instance, &observed.instance_ms),
            (binding, &observed.binding_ms),
            (both, &observed.both_ms),
        ];
        for (name, observed) in timed {
            found.extend(Spread::median(observed).map(|spread| (name, spread)));
        }
        instance_commits.extend(observed.instance_commits);
        binding_commits.extend(observed.binding_commits);
    }
    for (name, observed) in
        [("wait.instance.commits", &instance_commits), ("wait.binding.commits", &binding_commits)]
    {
        found.extend(Spread::worst(observed).map(|spread| (name, spread)));
    }
    Ok(())
}

fn measure(stage: &Stage, mode: Mode) -> Result<Observed, Trouble> {
    let take = |side| stage.cores.take(mode, side).map_err(Trouble::io("choose a core"));
    take(Side::Server)?;
    let folder = stage.folder(&format!("wait-{}", mode.name()))?;
    let server = Server::start(&stage.dispatch, &folder)?;
    take(Side::Client)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Trouble::io("make a runtime"))?;
    let broker = TimedBroker::start(&runtime, Settings::default())?;
    broker.count_commits(Wal::of(&server.database()));
    let mut wire = server.wire()?;
    wire.make("/v1/servicebroker", &json!({ "name": "fake", "url": broker.url() }))?;
    wire.make("/v1/serviceinstance", &instance("base", "small"))?;

    let mut observed = Observed::default();
    for round in 0..WARM_UP + ROUNDS {
        if round == WARM_UP {
            observed = Observed::default();
        }
        let name = format!("n{round}");
        alone(&mut wire, &broker, &name, &mut observed)?;
        with_binding(&mut wire, &broker, &name, &mut observed)?;
        one_more_binding(&mut wire, &broker, &name, &mut observed)?;
    }
    wire.call("DELETE", "/v1/serviceinstance/base?wait=60", None)?;
    let violations = broker.fake.books().violations;
    if !violations.is_empty() {
        return Err(Trouble::wrong("the broker complains", violations.join("; ")));
    }
    note(&format!(
        "  held waits, {}: {} instances, {} with a binding, {} bindings; commits counted {} and {} times",
        mode.name(),
        observed.instance_ms.len(),
        observed.both_ms.len(),
        observed.binding_ms.len(),
        observed.instance_commits.len(),
        observed.binding_commits.len(),
    ));
    server.stop()?;
    Ok(observed)
}

fn instance(name: &str, plan: &str) -> Value {
    json!({ "name": name, "serviceClass": "fake-db", "servicePlan": plan })
}

/// An instance of a plan without bindings.
fn alone(
    wire: &mut Wire,
    broker: &TimedBroker,
    name: &str,
    observed: &mut Observed,
) -> Result<(), Trouble> {
    let made = timed(wire, broker, "/v1/serviceinstance", &instance(name, "silent"))?;
    let provisioned = made.of(Asked::Provision)?;
    observed.instance_ms.push(ms(made.answered - answered(provisioned)?));
    push(&mut observed.instance_commits, provisioned.commits_then, made.commits);
    remove(wire, "serviceinstance", name)
}

/// An instance with its automatic binding: the broker is asked twice.
fn with_binding(
    wire: &mut Wire,
    broker: &TimedBroker,
    name: &str,
    observed: &mut Observed,
) -> Result<(), Trouble> {
    let made = timed(wire, broker, "/v1/serviceinstance", &instance(name, "small"))?;
    let (provisioned, bound) = (made.of(Asked::Provision)?, made.of(Asked::Bind)?);
    let between = bound.came - answered(provisioned)?;
    observed.both_ms.push(ms(between + (made.answered - answered(bound)?)));
    push(&mut observed.instance_commits, provisioned.commits_then, bound.commits_before);
    push(&mut observed.binding_commits, bound.commits_then, made.commits);
    remove(wire, "serviceinstance", name)
}

/// Another binding of an instance that is there.
fn one_more_binding(
    wire: &mut Wire,
    broker: &TimedBroker,
    name: &str,
    observed: &mut Observed,
) -> Result<(), Trouble> {
    let binding = json!({ "name": name, "instance": "base" });
    let made = timed(wire, broker, "/v1/servicebinding", &binding)?;
    let bound = made.of(Asked::Bind)?;
    observed.binding_ms.push(ms(made.answered - answered(bound)?));
    push(&mut observed.binding_commits, bound.commits_then, made.commits);
    remove(wire, "servicebinding", name)
}

/// What happened while something was made.
struct Made {
    exchanges: Vec<Exchange>,
    answered: Instant,
    commits: Option<Count>,
}

impl Made {
    fn of(&self, asked: Asked) -> Result<&Exchange, Trouble> {
        let mut found = self.exchanges.iter().filter(|exchange| exchange.asked == asked);
        match (found.next(), found.next()) {
            (Some(exchange), None) => Ok(exchange),
            _ => Err(Trouble::wrong(format!("one {asked:?}"), format!("{:?}", self.exchanges))),
        }
    }
}

fn timed(wire: &mut Wire, broker: &TimedBroker, path: &str, body: &Value) -> Result<Made, Trouble> {
    let request = wire.request("POST", &format!("{path}?wait=60"), Some(body));
    let mark = broker.mark();
    let answer = wire.send(&request)?;
    let commits = broker.commits();
    let found: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 201 || found.get("status") != Some(&json!("READY")) {
        return Err(Trouble::wrong(format!("POST {path}"), found));
    }
    Ok(Made { exchanges: broker.since(mark), answered: answer.at, commits })
}

fn answered(exchange: &Exchange) -> Result<Instant, Trouble> {
    exchange.answered.ok_or_else(|| Trouble::Missing("the broker has not answered".to_owned()))
}

/// Where the log was begun anew in between, the count is not known and not used.
fn push(counts: &mut Vec<f64>, from: Option<Count>, to: Option<Count>) {
    let since = from.zip(to).and_then(|(from, to)| to.since(from));
    counts.extend(since.and_then(|count| u32::try_from(count).ok()).map(f64::from));
}

fn remove(wire: &mut Wire, noun: &str, name: &str) -> Result<(), Trouble> {
    wire.call("DELETE", &format!("/v1/{noun}/{name}?wait=60"), None).map(drop)
}

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}
