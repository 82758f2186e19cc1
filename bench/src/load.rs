//! `dispatch-load`: calls one function at a steady rate until it is told to stop, and checks every answer.
//!
//! Open loop: a call is made when its time has come, whether or not earlier ones have been answered, so that a slow
//! server cannot hide behind its own slowness. It ends when its standard input does.

use std::{
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, time::MissedTickBehavior};

#[derive(Debug, Parser)]
struct Args {
    /// Where the control plane is, such as http://127.0.0.1:8080
    #[arg(long)]
    server: String,
    /// File with the key; it is sent as a cookie
    #[arg(long)]
    key_file: std::path::PathBuf,
    #[arg(long, default_value = "dispatch")]
    organization: String,
    #[arg(long)]
    function: String,
    /// The input of every call, JSON
    #[arg(long, default_value = "{}")]
    input: String,
    /// What every call must return, JSON
    #[arg(long)]
    expect: String,
    /// Calls a second
    #[arg(long, default_value_t = 500)]
    rate: u64,
    /// The longest that it runs, in seconds
    #[arg(long, default_value_t = 300)]
    seconds: u64,
}

#[derive(Debug, Default)]
struct Tally {
    sent: AtomicU64,
    right: AtomicU64,
    wrong: AtomicU64,
    /// Microseconds, of right answers.
    latencies: Mutex<Vec<u64>>,
    /// The first wrong answers, for people.
    samples: Mutex<Vec<String>>,
}

struct Target {
    http: reqwest::Client,
    url: String,
    key: String,
    organization: String,
    body: Vec<u8>,
    expect: Value,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its report is its output")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let (target, rate, seconds) = match prepare(&args) {
        Ok(target) => (Arc::new(target), args.rate.max(1), args.seconds),
        Err(why) => {
            println!("{}", json!({ "error": why }));
            return ExitCode::FAILURE;
        }
    };
    let tally = Arc::new(Tally::default());
    let mut tick = tokio::time::interval(Duration::from_micros(1_000_000 / rate));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let begun = tokio::time::Instant::now();
    let over = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(over);
    let asked = told_to_stop();
    tokio::pin!(asked);
    let mut calls = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            _ = tick.tick() => {
                calls.spawn(call(Arc::clone(&target), Arc::clone(&tally)));
                while calls.try_join_next().is_some() {}
            }
            () = &mut asked => break,
            () = &mut over => break,
        }
    }
    let elapsed = begun.elapsed();
    while calls.join_next().await.is_some() {}
    println!("{}", report(&tally, elapsed));
    if tally.wrong.load(Ordering::Relaxed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prepare(args: &Args) -> Result<Target, String> {
    let key = std::fs::read_to_string(&args.key_file).map_err(|error| error.to_string())?;
    let input: Value = serde_json::from_str(&args.input).map_err(|error| error.to_string())?;
    let expect = serde_json::from_str(&args.expect).map_err(|error| error.to_string())?;
    let body = json!({ "blocking": true, "input": input });
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Target {
        http,
        url: format!("{}/v1/runs?functionName={}", args.server, args.function),
        key: key.trim().to_owned(),
        organization: args.organization.clone(),
        body: serde_json::to_vec(&body).map_err(|error| error.to_string())?,
        expect,
    })
}

async fn told_to_stop() {
    let mut rest = Vec::new();
    let mut input = tokio::io::stdin();
    // The end, or an error, is what is waited for.
    let _ = input.read_to_end(&mut rest).await;
}

async fn call(target: Arc<Target>, tally: Arc<Tally>) {
    tally.sent.fetch_add(1, Ordering::Relaxed);
    let begun = tokio::time::Instant::now();
    let outcome = answer(&target).await;
    match outcome {
        Ok(answer) if answer.get("output") == Some(&target.expect) => {
            tally.right.fetch_add(1, Ordering::Relaxed);
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            tally.latencies.lock().unwrap_or_else(PoisonError::into_inner).push(micros);
        }
        Ok(answer) => wrong(&tally, answer.to_string()),
        Err(why) => wrong(&tally, why),
    }
}

async fn answer(target: &Target) -> Result<Value, String> {
    let request = target
        .http
        .post(&target.url)
        .header("Cookie", &target.key)
        .header("X-Dispatch-Org", &target.organization)
        .header("Content-Type", "application/json")
        .body(target.body.clone());
    let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
    let text = answer.text().await.map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"))
}

fn wrong(tally: &Tally, what: String) {
    tally.wrong.fetch_add(1, Ordering::Relaxed);
    let mut samples = tally.samples.lock().unwrap_or_else(PoisonError::into_inner);
    if samples.len() < 5 {
        samples.push(what.chars().take(1_000).collect());
    }
}

fn report(tally: &Tally, elapsed: Duration) -> Value {
    let mut latencies = tally.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone();
    latencies.sort_unstable();
    let at = |share: usize| latencies.get(latencies.len() * share / 100).copied();
    json!({
        "calls": tally.sent.load(Ordering::Relaxed),
        "right": tally.right.load(Ordering::Relaxed),
        "wrong": tally.wrong.load(Ordering::Relaxed),
        "seconds": elapsed.as_secs_f64(),
        "p50_us": at(50),
        "p99_us": at(99),
        "max_us": latencies.last(),
        "samples": *tally.samples.lock().unwrap_or_else(PoisonError::into_inner),
    })
}
