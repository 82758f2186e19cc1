//! How long the walkthrough takes, which tells it itself.

use std::{fs, path::Path, process::Command};

use serde::Deserialize;

use super::Found;
use crate::{
    report::Spread,
    stage::{Stage, Trouble, repository},
};

/// The variable that names the file for [`Told`].
pub const REPORT: &str = "DISPATCH_DEMO_REPORT";

/// What the walkthrough says of itself: seconds after the build.
#[derive(Debug, Deserialize)]
pub struct Told {
    pub seconds: f64,
    pub first_row: f64,
}

impl Told {
    pub fn read(report: &Path) -> Result<Self, Trouble> {
        let text = fs::read_to_string(report);
        let text = text.map_err(Trouble::io("read the walkthrough's report"))?;
        serde_json::from_str(&text)
            .map_err(|error| Trouble::wrong(format!("the walkthrough's report: {error}"), text))
    }
}

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
    let seconds = Told::read(&report)?.seconds;
    found.extend(Spread::median(&[seconds]).map(|spread| ("demo", spread)));
    Ok(())
}
