//! Calls of one function at a steady rate, each answer checked.
//!
//! Open loop: a call is made when its time has come, whether or not earlier ones have been answered, so that a slow
//! server cannot hide behind its own slowness.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

/// Wrong answers that are kept for people, and how much of each.
const SAMPLES: usize = 5;
const SAMPLE_CHARACTERS: usize = 1_000;
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What is called, and what it must return.
#[derive(Debug)]
pub struct Target {
    http: reqwest::Client,
    url: String,
    key: String,
    organization: String,
    body: Vec<u8>,
    expect: Value,
}

/// What came of the calls so far.
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    /// Microseconds, of right answers.
    latencies: Mutex<Vec<u64>>,
    /// The first wrong answers.
    samples: Mutex<Vec<String>>,
}

impl Target {
    /// `server` is a base URL, `key` the administrator's; it is sent as a cookie.
    pub fn new(
        server: &str,
        key: &str,
        organization: &str,
        function: &str,
        input: &Value,
        expect: Value,
    ) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(CALL_TIMEOUT)
            .build()
            .map_err(|error| error.to_string())?;
        let body = json!({ "blocking": true, "input": input });
        Ok(Self {
            http,
            url: format!("{server}/v1/runs?functionName={function}"),
            key: key.to_owned(),
            organization: organization.to_owned(),
            body: serde_json::to_vec(&body).map_err(|error| error.to_string())?,
            expect,
        })
    }

    async fn call(self: Arc<Self>, tally: Arc<Tally>) {
        tally.sent.fetch_add(1, Ordering::Relaxed);
        let begun = tokio::time::Instant::now();
        match self.answer().await {
            Ok(answer) if answer.get("output") == Some(&self.expect) => {
                tally.right(begun.elapsed())
            }
            Ok(answer) => tally.wrong(&answer.to_string()),
            Err(why) => tally.wrong(&why),
        }
    }

    async fn answer(&self) -> Result<Value, String> {
        let request = self
            .http
            .post(&self.url)
            .header("Cookie", &self.key)
            .header("X-Dispatch-Org", &self.organization)
            .header("Content-Type", "application/json")
            .body(self.body.clone());
        let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
    }
}

/// Calls `rate` times a second until `end`, then waits for the answers that are still due. Returns for how long calls
/// were made.
pub async fn steady(
    target: Arc<Target>,
    tally: Arc<Tally>,
    rate: u64,
    end: impl Future<Output = ()>,
) -> Duration {
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / rate.max(1)));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = tokio::time::Instant::now();
    tokio::pin!(end);
    let mut calls = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                calls.spawn(Arc::clone(&target).call(Arc::clone(&tally)));
                while calls.try_join_next().is_some() {}
            }
            () = &mut end => break,
        }
    }
    let elapsed = begun.elapsed();
    while calls.join_next().await.is_some() {}
    elapsed
}

impl Tally {
    /// Calls that were made.
    pub fn sent_calls(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Answers that were wrong, calls without an answer included.
    pub fn wrong_answers(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed)
    }

    /// The first wrong answers.
    pub fn samples(&self) -> Vec<String> {
        self.samples.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything, as `dispatch-load` prints it.
    pub fn report(&self, elapsed: Duration) -> Value {
        let mut latencies = self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        latencies.sort_unstable();
        let at = |share: usize| latencies.get(latencies.len() * share / 100).copied();
        json!({
            "calls": self.sent_calls(),
            "right": self.right.load(Ordering::Relaxed),
            "wrong": self.wrong_answers(),
            "seconds": elapsed.as_secs_f64(),
            "p50_us": at(50),
            "p99_us": at(99),
            "max_us": latencies.last(),
            "samples": self.samples(),
        })
    }

    fn right(&self, took: Duration) {
        self.right.fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
    }

    fn wrong(&self, what: &str) {
        self.wrong.fetch_add(1, Ordering::Relaxed);
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() < SAMPLES {
            samples.push(what.chars().take(SAMPLE_CHARACTERS).collect());
        }
    }
}
