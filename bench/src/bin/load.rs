//! `dispatch-load`: calls one function at a steady rate until it is told to stop, and checks every answer.
//!
//! It ends when its standard input does. Its report is one line of JSON.

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use dispatch_bench::load::{Tally, Target, steady};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

#[derive(Debug, Parser)]
struct Args {
    /// Where the control plane is, such as http://127.0.0.1:8080
    #[arg(long)]
    server: String,
    /// File with the key; it is sent as a cookie
    #[arg(long)]
    key_file: PathBuf,
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

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its report is its output")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let target = match prepare(&args) {
        Ok(target) => Arc::new(target),
        Err(why) => {
            println!("{}", json!({ "error": why }));
            return ExitCode::FAILURE;
        }
    };
    let tally = Arc::new(Tally::default());
    let end = async {
        tokio::select! {
            () = told_to_stop() => {}
            () = tokio::time::sleep(Duration::from_secs(args.seconds)) => {}
        }
    };
    let elapsed = steady(target, Arc::clone(&tally), args.rate, end).await;
    println!("{}", tally.report(elapsed));
    if tally.wrong_answers() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn prepare(args: &Args) -> Result<Target, String> {
    let key = std::fs::read_to_string(&args.key_file).map_err(|error| error.to_string())?;
    let input: Value = serde_json::from_str(&args.input).map_err(|error| error.to_string())?;
    let expect = serde_json::from_str(&args.expect).map_err(|error| error.to_string())?;
    Target::new(&args.server, key.trim(), &args.organization, &args.function, &input, expect)
}

async fn told_to_stop() {
    let mut rest = Vec::new();
    let mut input = tokio::io::stdin();
    // The end, or an error, is what is waited for.
    let _ = input.read_to_end(&mut rest).await;
}
