//! The keeper of one broker: a task that has its process run as wished, starts it again when it dies, less and less
//! often, and tells where it listens.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_lc_rs::rand;
use dispatch_model::{Id, Name, service_broker::ServiceBroker};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};
use zeroize::Zeroizing;

use super::{
    Host, Wish,
    line::{Order, Report},
    process::Process,
};

/// The first pause after it died, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What ran for so long begins again with the first pause.
const WELL: Duration = Duration::from_secs(60);
/// Random bytes of a token.
const TOKEN_BYTES: usize = 32;

/// How a broker is.
#[derive(Debug, Clone)]
pub(super) enum State {
    Starting,
    Up(Up),
    /// With the reason. It is started again.
    Down(String),
}

/// A broker that answers.
#[derive(Debug, Clone)]
pub struct Up {
    pub address: SocketAddr,
    pub token: Token,
    /// Another one after each start.
    pub start: u64,
}

/// What the broker wants to see. Not to be printed.
#[derive(Clone)]
pub struct Token(Arc<Zeroizing<String>>);

/// A broker that is kept, as its user sees it.
#[derive(Debug)]
pub(super) struct Kept {
    wishes: watch::Sender<Option<Arc<Asked>>>,
    seen: watch::Receiver<Seen>,
    /// The last change that somebody was told of.
    told: AtomicU64,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Asked {
    wish: Wish,
    order: Order,
}

#[derive(Debug, Clone)]
struct Seen {
    /// Grows whenever it has come up or gone down.
    changes: u64,
    state: State,
}

impl Kept {
    /// Must be called inside a tokio runtime.
    pub(super) fn start(
        host: Arc<Host>,
        broker: Id<ServiceBroker>,
        name: &Name,
        wish: Wish,
        order: Order,
    ) -> Self {
        let (wishes, asked) = watch::channel(Some(Arc::new(Asked { wish, order })));
        let (tell, seen) = watch::channel(Seen { changes: 0, state: State::Starting });
        let keeper = Keeper { host, broker, name: name.to_string(), asked, tell };
        let task = Mutex::new(Some(tokio::spawn(keeper.keep())));
        Self { wishes, seen, told: AtomicU64::new(0), task }
    }

    pub(super) fn is(&self, wish: &Wish) -> bool {
        self.wishes.borrow().as_ref().is_some_and(|asked| asked.wish == *wish)
    }

    /// Another process takes the place of the present one.
    pub(super) fn change(&self, wish: Wish, order: Order) {
        self.wishes.send_replace(Some(Arc::new(Asked { wish, order })));
    }

    /// How it is when it is not starting any more.
    pub(super) async fn settled(&self) -> State {
        let mut seen = self.seen.clone();
        let settled = seen.wait_for(|seen| !matches!(seen.state, State::Starting)).await;
        settled.map_or(State::Starting, |seen| seen.state.clone())
    }

    /// Whether it has come up or gone down since this was asked last.
    pub(super) fn has_news(&self) -> bool {
        let changes = self.seen.borrow().changes;
        self.told.swap(changes, Ordering::Relaxed) != changes
    }

    /// Ends it.
    pub(super) async fn end(&self) {
        self.wishes.send_replace(None);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ended = task.await;
        }
    }
}

/// Why one process is over.
enum End {
    /// Something else is wished, or nothing.
    Asked,
    Died(String),
}

struct Keeper {
    host: Arc<Host>,
    broker: Id<ServiceBroker>,
    name: String,
    asked: watch::Receiver<Option<Arc<Asked>>>,
    tell: watch::Sender<Seen>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Some(asked) = self.asked.borrow_and_update().clone() else { return };
            self.tell.send_modify(|seen| seen.state = State::Starting);
            let began = Instant::now();
            match self.run(&asked).await {
                End::Asked => pause = FIRST_PAUSE,
                End::Died(why) => {
                    if began.elapsed() > WELL {
                        pause = FIRST_PAUSE;
                    }
                    let pause_ms = pause.as_millis();
                    tracing::error!(
                        broker = self.name,
                        why,
                        pause_ms,
                        "a broker of the server's own has ended"
                    );
                    self.change(State::Down(why));
                    tokio::select! {
                        () = sleep(pause) => {}
                        _ = self.asked.changed() => self.asked.mark_changed(),
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// One process, from its start to its end.
    async fn run(&mut self, asked: &Asked) -> End {
        let Ok(token) = token() else { return End::Died("there is no randomness".to_owned()) };
        let mut order = asked.order.clone();
        order.token.clone_from(&token);
        let (host, kind) = (&self.host, asked.wish.kind);
        let started = Process::start(host, self.broker, &self.name, kind, order).await;
        let (mut process, mut reports) = match started {
            Ok(started) => started,
            Err(why) => return End::Died(why),
        };
        let token = Token(Arc::new(token));
        let mut open = None;
        let end = loop {
            tokio::select! {
                Some(report) = reports.recv() => {
                    if let Report::Listening(address) = report {
                        tracing::info!(broker = self.name, %address, "a broker of the server's own is up");
                        open = Some(self.host.connector.close(address));
                        let start = self.tell.borrow().changes + 1;
                        self.change(State::Up(Up { address, token: token.clone(), start }));
                    }
                }
                ended = process.ended() => {
                    break End::Died(ended.err().unwrap_or_else(|| "it ended by itself".to_owned()));
                }
                _ = self.asked.changed() => break End::Asked,
            }
        };
        if let End::Asked = end {
            self.asked.mark_changed();
            process.stop().await;
        }
        drop(open);
        end
    }

    fn change(&self, state: State) {
        self.tell.send_modify(|seen| *seen = Seen { changes: seen.changes + 1, state });
        self.host.wake(self.broker);
    }
}

fn token() -> Result<Zeroizing<String>, aws_lc_rs::error::Unspecified> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    rand::fill(bytes.as_mut_slice())?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}

impl Token {
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<redacted>")
    }
}
