//! What the included broker needs of this machine.

use std::{path::Path, process::Command};

use dispatch_broker::postgresql;

use super::check::Check;

const NAME: &str = "postgresql";
const REMEDY: &str = "apt-get install postgresql; without it a PostgreSQL of your own: --builtin postgresql --param host=HOST";

pub fn checks() -> Vec<Check> {
    let programs = match postgresql::programs() {
        Ok(programs) => programs,
        Err(error) => {
            let text = error.to_string();
            let what = text.split("; ").next().unwrap_or_default();
            return vec![Check::missing(NAME, what, REMEDY)];
        }
    };
    vec![match version(&programs.join("postgres"))
        .and_then(|said| version(&programs.join("initdb")).map(|_| said))
    {
        Ok(said) => Check::ok(NAME, format!("{said} in {}", programs.display())),
        Err(why) => {
            Check::wrong(NAME, why, "install it again: apt-get install --reinstall postgresql")
        }
    }]
}

/// `postgres (PostgreSQL) 15.10 (Debian …)` → `15.10`.
fn version(program: &Path) -> Result<String, String> {
    let failed = |why: &str| format!("{} does not run: {why}", program.display());
    let output = Command::new(program).arg("--version").env_clear().output();
    let output = output.map_err(|error| failed(&error.to_string()))?;
    if !output.status.success() {
        return Err(failed(&output.status.to_string()));
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(said.split(' ').nth(2).unwrap_or_default().trim().to_owned())
}
