//! The crash matrix: what a broker does × what a user does × where the process ends (design §3, decisions 2 and 40).
//!
//! A server runs in a runtime of its own, and ends by being dropped with it at a named point; another one takes its
//! place on the same directory. Verdicts come from the fake broker's own books against the store.
//!
//! That is the variant in one process, on a clock that is moved. `exits` has processes that really end, for fewer rows.
//!
//! Every row is always tried, and every point of the main rows. Of the combinations of rows, points, actions and ends
//! every so-manieth is; with `DISPATCH_CRASH_MATRIX=1` in the environment all are, which takes an hour.

mod exits;
mod rows;
mod run;
mod script;
mod verdict;

pub use rows::{Behaviour, fetching, making, polling, removing};

use std::{fmt, sync::Arc, time::Duration};

use dispatch_osb::fake::{Books, FakeBroker};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use super::{TestServer, World};
use crate::{
    faults::{Faults, Point},
    platform::Platform,
};
use script::CrashScript;

/// A point is looked at this many times, so that a broker that fails for ever makes no endless list.
const TIMES_MAX: u32 = 2;
/// Of the combinations one in so many is tried. A prime, so that no action is always left out.
const STRIDE: usize = 151;

/// Something a user asks for. `$URL` in a body is the broker's.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    pub method: &'static str,
    pub path: &'static str,
    pub body: fn() -> Value,
}

/// Registers the fake broker.
pub const REGISTER: Request = Request {
    method: "POST",
    path: "/v1/servicebroker",
    body: || json!({"name": "fake", "url": "$URL"}),
};

/// What a user does at a point.
#[derive(Clone, Copy)]
pub struct Action {
    pub name: &'static str,
    pub at_once: &'static [Request],
    /// When that has settled.
    pub then: &'static [Request],
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

const NOTHING: Action = Action { name: "nothing", at_once: &[], then: &[] };

/// What happens to the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Never,
    Once,
    FromThenOn,
}

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    Never,
    /// The so-manieth time that a controller is there.
    At(Point, u32),
    /// While a request hangs at the broker.
    Hanging,
}

/// One run.
#[derive(Debug, Clone)]
struct Cell {
    behaviour: Behaviour,
    moment: Moment,
    action: Action,
    end: End,
}

/// One feature's matrix: what is asked for, one after the other, each when the one before has settled.
#[derive(Debug)]
pub struct Matrix {
    /// Asked for first in each run, while all is well.
    first: &'static [Request],
    /// How often each point is looked at.
    times: u32,
    steps: &'static [Request],
    world: World,
    broker: FakeBroker,
    /// What there was before the first run, and is to be left alone.
    base: Books,
    script: Arc<CrashScript>,
    http: reqwest::Client,
    life: Option<(Runtime, TestServer)>,
    runs: usize,
    crashes: usize,
}

impl Matrix {
    /// `before` is asked for once, before the first run.
    pub async fn start(before: &[Request], steps: &'static [Request]) -> Self {
        let script = Arc::new(CrashScript::default());
        let faults = Faults::scripted(Arc::clone(&script) as _);
        let world = World { faults, broker_timeout: Duration::from_millis(250), ..World::new() };
        let broker = FakeBroker::start().await.unwrap();
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let base = Books::default();
        let (life, runs, crashes) = (None, 0, 0);
        let (first, times): (&[Request], _) = (&[], TIMES_MAX);
        let mut matrix =
            Self { first, times, steps, world, broker, base, script, http, life, runs, crashes };
        matrix.begin_life().await;
        for request in before {
            let made = matrix.send(request).await;
            assert_eq!(
                (made.settled, &made.body["status"]),
                (true, &json!("READY")),
                "{}",
                made.text
            );
        }
        matrix.base = matrix.broker.books();
        matrix
    }

    /// What each run begins with, before anything goes wrong. The rest is short, so that all of it is looked at.
    pub fn after(self, first: &'static [Request]) -> Self {
        Self { first, times: 3 * TIMES_MAX, ..self }
    }

    /// Each row by itself, and with the process ending while a request hangs. In main rows the process ends once at every
    /// point. Besides, a lot of all the combinations of points, actions and ends.
    pub async fn try_rows(&mut self, main: &[Behaviour], others: &[Behaviour], actions: &[Action]) {
        let stride = std::env::var("DISPATCH_CRASH_MATRIX").ok().and_then(|text| text.parse().ok());
        let stride: usize = stride.unwrap_or(STRIDE);
        let mut happenings = vec![(NOTHING, End::Once), (NOTHING, End::FromThenOn)];
        for action in actions {
            happenings.extend([(*action, End::Never), (*action, End::Once)]);
        }
        let mut lot = 0;
        for (row, behaviour) in main.iter().chain(others).enumerate() {
            let plain = Cell {
                behaviour: behaviour.clone(),
                moment: Moment::Never,
                action: NOTHING,
                end: End::Never,
            };
            let points = self.run(plain.clone()).await.into_iter();
            let mut moments: Vec<Moment> =
                points.map(|(point, time)| Moment::At(point, time)).collect();
            if behaviour.hangs {
                moments = vec![Moment::Hanging]; // each run costs a time-out
            }
            for moment in moments {
                for (which, (action, end)) in happenings.iter().enumerate() {
                    lot += 1;
                    let always = row < main.len() && which == 0 || moment == Moment::Hanging;
                    if always || (lot % stride == 0) {
                        let (action, end) = (*action, *end);
                        self.run(Cell { moment, action, end, ..plain.clone() }).await;
                    }
                }
            }
        }
    }

    /// Says how much was tried.
    pub async fn finish(mut self, what: &str) {
        let (runtime, server) = self.life.take().expect("a server runs between two crashes");
        end_life(runtime, server).await;
        eprintln!("crash matrix of {what}: {} runs, {} crashes", self.runs, self.crashes);
    }

    fn server(&self) -> &TestServer {
        &self.life.as_ref().expect("a server runs between two crashes").1
    }

    fn platform(&self) -> Arc<Platform> {
        Arc::clone(self.server().running.platform())
    }

    async fn begin_life(&mut self) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let server = runtime.spawn(TestServer::start_in(self.world.clone())).await.unwrap();
        self.life = Some((runtime, server));
    }

    async fn crash(&mut self) {
        self.crashes += 1;
        let (runtime, server) = self.life.take().expect("a server runs between two crashes");
        end_life(runtime, server).await;
        self.script.resume();
        self.begin_life().await;
    }
}

/// The process ends: everything that it was about to do is not done.
async fn end_life(runtime: Runtime, server: TestServer) {
    let store = server.running.platform().store.clone();
    drop(server);
    tokio::task::spawn_blocking(move || drop(runtime)).await.unwrap();
    store.close().await;
}
