//! New credentials under load: a real PostgreSQL, the product's own broker, a function that keeps its connection, and
//! 500 calls a second that go on while its binding is rotated three times.
//!
//! PostgreSQL itself is asked whether an old login still works and whether a session of it is open.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use dispatch_broker::testing::PostgresCluster;
use serde_json::{Value, json};
use tokio::{runtime::Runtime, sync::oneshot};
use url::Url;

use super::Found;
use crate::{
    load::{Tally, Target, steady},
    report::Spread,
    stage::{
        Stage, Trouble,
        functions::{function, make_base, output, run as a_run},
        note, pause,
        postgresql::PostgresBroker,
        repository,
        server::Server,
        wire::Wire,
    },
};

const CALLS_PER_SECOND: u64 = 500;
const ROTATIONS: usize = 3;
/// Before the first rotation, between two, and after the last.
const STEADY: Duration = Duration::from_millis(1_500);
/// How much of the load has to have been made for the figure to count.
const LEAST_SHARE: f64 = 0.98;

/// A login as the binding's secret has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
    database: String,
}

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let folder = stage.folder("rotation")?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(Trouble::io("make a runtime"))?;
    let broker = PostgresBroker::start(&runtime, stage, &folder)?;
    let psql = Psql::new(&broker.cluster)?;
    let server = Server::start(&stage.dispatch, &folder)?;
    let mut wire = server.wire()?;
    let outcome = rotate(&runtime, &server, &mut wire, &broker, &psql, found);
    let deleted = wire.call("DELETE", "/v1/serviceinstance/db?wait=120", None);
    outcome?;
    deleted?;
    server.stop()?;
    broker.stop()
}

fn rotate(
    runtime: &Runtime,
    server: &Server,
    wire: &mut Wire,
    broker: &PostgresBroker,
    psql: &Psql,
    found: &mut Vec<Found>,
) -> Result<(), Trouble> {
    let rows = deploy(wire, broker)?;
    let base = format!("http://{}", server.address());
    let target = Target::new(&base, &server.key, "dispatch", "rows", &json!({}), rows);
    let target = Arc::new(target.map_err(Trouble::Missing)?);
    let tally = Arc::new(Tally::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let load = runtime.spawn(steady(target, Arc::clone(&tally), CALLS_PER_SECOND, async {
        let _ = stopped.await;
    }));
    let rotations = rotations(wire, psql, &tally);
    let _ = stop.send(());
    let elapsed = runtime.block_on(load);
    let elapsed = elapsed.map_err(|error| Trouble::wrong("the load", error))?;
    let report = tally.report(elapsed);
    let (wrong, old) = rotations?;
    let total = f64::from(u32::try_from(tally.wrong_answers()).unwrap_or(u32::MAX));
    note(&format!("  rotations under load: {report}"));
    let share = count(tally.sent_calls()) / elapsed.as_secs_f64() / count(CALLS_PER_SECOND);
    if share < LEAST_SHARE {
        let found = format!("{:.0} a second", share * count(CALLS_PER_SECOND));
        return Err(Trouble::wrong(format!("{CALLS_PER_SECOND} calls a second"), found));
    }
    let accepted: Vec<f64> = old.iter().map(|old| f64::from(u8::from(old.accepted))).collect();
    let sessions: Vec<f64> = old.iter().map(|old| count(old.sessions)).collect();
    let wrong = Spread::worst(&wrong).map(|spread| Spread { value: total, ..spread });
    let figures = [
        ("rotation.wrong", wrong),
        ("rotation.old-logins", sum(&accepted)),
        ("rotation.old-sessions", sum(&sessions)),
    ];
    found.extend(figures.into_iter().filter_map(|(name, spread)| Some((name, spread?))));
    Ok(())
}

/// Broker, database, image and functions; the rows that every call must return.
fn deploy(wire: &mut Wire, broker: &PostgresBroker) -> Result<Value, Trouble> {
    let read = |path: &str| {
        fs::read_to_string(repository().join(path)).map_err(Trouble::io("read an example"))
    };
    let example = read("examples/python3/postgres/postgres.py")?;
    let source = [("postgres.py", example.as_str()), ("rows.py", &read("demo/rows.py")?)];
    wire.make("/v1/servicebroker", &json!({ "name": "pg", "url": broker.url() }))?;
    let instance =
        json!({ "name": "db", "serviceClass": "postgresql", "servicePlan": "shared-small" });
    wire.make("/v1/serviceinstance", &instance)?;
    make_base(wire)?;
    let manifest = read("examples/python3/postgres/requirements.txt")?;
    let image = json!({
        "name": "python3-pg", "baseImageName": "python3-base",
        "runtimeDependencies": { "manifest": manifest },
    });
    wire.make("/v1/image", &image)?;
    for (name, handler) in [("write", "postgres.handle"), ("rows", "rows.handle")] {
        let function = function(name, "python3-pg", &source, handler, &["db"])?;
        wire.make("/v1/function", &function)?;
    }
    let mut rows = Value::Null;
    for (num, data) in [(1, "hello everyone"), (2, "hello everyone again")] {
        rows = call(wire, "write", &json!({ "num": num, "data": data }))?;
    }
    let found = call(wire, "rows", &json!({}))?;
    match found == rows && rows.as_array().is_some_and(|rows| rows.len() == 2) {
        true => Ok(rows),
        false => Err(Trouble::wrong("the rows", found)),
    }
}

fn call(wire: &mut Wire, function: &str, input: &Value) -> Result<Value, Trouble> {
    let path = format!("/v1/runs?functionName={function}");
    let request = wire.request("POST", &path, Some(&a_run(input)));
    output(&wire.send(&request)?.body)
}

/// What is left of a login after its rotation.
struct Old {
    accepted: bool,
    sessions: u64,
}

/// Wrong answers and what is left of the login, of each rotation.
fn rotations(wire: &mut Wire, psql: &Psql, tally: &Tally) -> Result<(Vec<f64>, Vec<Old>), Trouble> {
    let (mut wrong, mut old) = (Vec::new(), Vec::new());
    pause(STEADY);
    for number in 1..=ROTATIONS {
        let before = login(wire)?;
        if !psql.accepts(&before)? {
            return Err(Trouble::wrong("the present login", "PostgreSQL refuses it"));
        }
        let wrong_before = tally.wrong_answers();
        let begun = Instant::now();
        let rotated = wire.call("POST", "/v1/servicebinding/db/rotate?wait=120", None)?;
        let took = begun.elapsed();
        let after = login(wire)?;
        let ready = rotated.get("status").and_then(Value::as_str) == Some("READY");
        if !ready || after.user == before.user {
            return Err(Trouble::wrong("a rotation", rotated));
        }
        old.push(Old { accepted: psql.accepts(&before)?, sessions: psql.sessions(&before)? });
        pause(STEADY);
        wrong.push(count(tally.wrong_answers() - wrong_before));
        note(&format!("  rotation {number}: {:.0} ms", took.as_secs_f64() * 1e3));
    }
    Ok((wrong, old))
}

fn login(wire: &mut Wire) -> Result<Login, Trouble> {
    let instance = wire.call("GET", "/v1/serviceinstance/db", None)?;
    let secret = instance.pointer("/binding/secret").and_then(Value::as_str).unwrap_or_default();
    let secret = wire.call("GET", &format!("/v1/secret/{secret}"), None)?;
    let value = |key: &str| {
        let found = secret.get("secrets").and_then(|values| values.get(key)?.as_str());
        found.map(str::to_owned).ok_or_else(|| Trouble::Missing(format!("the secret has no {key}")))
    };
    Ok(Login {
        user: value("username")?,
        password: value("password")?,
        database: value("database")?,
    })
}

/// PostgreSQL's own client. Passwords go through its environment, never through arguments.
#[derive(Debug)]
struct Psql {
    program: PathBuf,
    ca_file: PathBuf,
    host: String,
    port: String,
    admin: Login,
}

impl Psql {
    fn new(cluster: &PostgresCluster) -> Result<Self, Trouble> {
        let url = Url::parse(&cluster.admin_url());
        let url = url.map_err(|error| Trouble::wrong("the administrator's URL", error))?;
        let part = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Ok(Self {
            program: "psql".into(),
            ca_file: cluster.ca_file(),
            host: part(url.host_str()),
            port: cluster.port().to_string(),
            admin: Login {
                user: url.username().to_owned(),
                password: part(url.password()),
                database: url.path().trim_start_matches('/').to_owned(),
            },
        })
    }

    /// The output of a statement, or what PostgreSQL said against it.
    fn ask(&self, login: &Login, statement: &str) -> Result<Result<String, String>, Trouble> {
        let output = Command::new(&self.program)
            .args(["-X", "-A", "-t", "-w", "-c", statement])
            .env("PGHOST", &self.host)
            .env("PGPORT", &self.port)
            .env("PGUSER", &login.user)
            .env("PGPASSWORD", &login.password)
            .env("PGDATABASE", &login.database)
            .env("PGSSLMODE", "verify-full")
            .env("PGSSLROOTCERT", &self.ca_file)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("LC_ALL", "C.UTF-8")
            .output()
            .map_err(Trouble::io("run psql"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        Ok(match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        })
    }

    /// Whether a login works. Anything but PostgreSQL's own refusal is trouble, or a broken check would pass.
    fn accepts(&self, login: &Login) -> Result<bool, Trouble> {
        match self.ask(login, "SELECT 1")? {
            Ok(_) => Ok(true),
            Err(said) if said.contains("password authentication failed") => Ok(false),
            Err(said) => Err(Trouble::wrong("an attempt to log in", said)),
        }
    }

    /// Open sessions of a login, as the administrator sees them.
    fn sessions(&self, login: &Login) -> Result<u64, Trouble> {
        let user = login.user.replace('\'', "''");
        let statement = format!("SELECT count(*) FROM pg_stat_activity WHERE usename = '{user}'");
        let said = self.ask(&self.admin, &statement)?;
        let said = said.map_err(|said| Trouble::wrong("pg_stat_activity", said))?;
        said.parse().map_err(|_| Trouble::wrong("pg_stat_activity", said))
    }
}

fn sum(observed: &[f64]) -> Option<Spread> {
    let spread = Spread::worst(observed)?;
    Some(Spread { value: observed.iter().sum(), ..spread })
}

fn count(number: u64) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
