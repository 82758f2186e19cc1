//! How long the walkthrough takes, which tells it itself.

use std::{fs, process::Command};

use serde_json::Value;

use super::Found;
use crate::{
    report::Spread,
    stage::{Stage, Trouble, repository},
};

const REPORT: &str = "DISPATCH_DEMO_REPORT";

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let report = stage.folder("demo")?.join("report.json");
    let binaries = stage.dispatch.parent().unwrap_or(&stage.dispatch);
    let mut command = Command::new(repository().join("scripts/python"));
    command.arg(repository().join("demo/walkthrough.py")).arg(binaries).env(REPORT, &report);
    // What it shows belongs to people: stdout is for the table.
    command.stdout(std::io::stderr());
    let status = command.status().map_err(Trouble::io("start the walkthrough"))?;
    if !status.success() {
        return Err(Trouble::wrong("the walkthrough", status));
    }
    let text = fs::read_to_string(&report).map_err(Trouble::io("read the walkthrough's report"))?;
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    let seconds = told.get("seconds").and_then(Value::as_f64);
    let seconds = seconds.ok_or_else(|| Trouble::wrong("the walkthrough's report", text))?;
    found.extend(Spread::median(&[seconds]).map(|spread| ("demo", spread)));
    Ok(())
}
