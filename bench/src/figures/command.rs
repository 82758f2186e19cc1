//! What a command costs as a whole process, from its start to its end, as a script pays it.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use super::Found;
use crate::{
    report::{Spread, percentile},
    stage::{
        Stage, Trouble,
        functions::{HELLO, HELLO_FILE, HELLO_HANDLER, function, make_python3},
        server::Server,
    },
};

const FUNCTIONS: usize = 100;
const ROUNDS: usize = 10;
const COMMANDS: usize = 20;

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let server = Server::start(&stage.dispatch, &stage.folder("command")?)?;
    let mut wire = server.wire()?;
    make_python3(&mut wire)?;
    for number in 0..FUNCTIONS {
        let name = format!("hello-{number}");
        let hello = function(&name, "python3", &[(HELLO_FILE, HELLO)], HELLO_HANDLER, &[])?;
        wire.make("/v1/function", &hello)?;
    }
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut took = Vec::new();
        for _ in 0..COMMANDS {
            took.push(get_functions(&stage.dispatch, &server.home())?);
        }
        rounds.extend(percentile(&took, 50));
    }
    found.extend(Spread::median(&rounds).map(|spread| ("command.get-functions", spread)));
    server.stop().map(drop)
}

/// Milliseconds.
fn get_functions(dispatch: &Path, home: &Path) -> Result<f64, Trouble> {
    let mut command = Command::new(dispatch);
    command.args(["get", "functions"]).env_clear().env("HOME", home);
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().map_err(Trouble::io("start dispatch"))?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    let table = String::from_utf8_lossy(&output.stdout);
    match output.status.success() && table.matches("hello-").count() >= FUNCTIONS {
        true => Ok(took),
        false => Err(Trouble::wrong(
            "dispatch get functions",
            format!("{table}{}", String::from_utf8_lossy(&output.stderr)),
        )),
    }
}
