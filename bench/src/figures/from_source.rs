//! From `git clone` to the first row, with nothing built and no package fetched: `make demo` in a fresh clone, with an
//! empty cache of cargo's.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, process::Command, time::Instant};

use super::{Found, demo};
use crate::{
    report::Spread,
    stage::{Stage, Trouble, note, repository},
};

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let folder = stage.folder("from-source")?;
    // The walkthrough's PostgreSQL is another user's.
    for path in [&stage.directory, &folder] {
        let open = fs::Permissions::from_mode(0o711);
        fs::set_permissions(path, open).map_err(Trouble::io("open a directory"))?;
    }
    let (clone, home, report) =
        (folder.join("dispatch"), folder.join("cargo"), folder.join("report.json"));
    keep_registry(&home)?;
    let begun = Instant::now();
    let mut git = Command::new("git");
    git.args(["clone", "--quiet", "--no-local"]).arg(repository()).arg(&clone);
    finish(git)?;
    let mut make = Command::new("make");
    make.arg("demo")
        .current_dir(&clone)
        .env("CARGO_HOME", &home)
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_INCREMENTAL")
        .env_remove("RUSTC_WRAPPER")
        .env(demo::REPORT, &report)
        .stdout(std::io::stderr());
    finish(make)?;
    let whole = begun.elapsed().as_secs_f64();
    let told = demo::Told::read(&report)?;
    let minutes = (whole - told.seconds + told.first_row) / 60.0;
    note(&format!(
        "  from git clone: {whole:.0} s, of which the walkthrough {:.0} s",
        told.seconds
    ));
    found.extend(Spread::median(&[minutes]).map(|spread| ("first-row.source", spread)));
    Ok(())
}

/// Where packages come from is a matter of the machine; what was fetched is not taken along.
fn keep_registry(home: &PathBuf) -> Result<(), Trouble> {
    fs::create_dir(home).map_err(Trouble::io("make a directory"))?;
    let own = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let own = own.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    for name in ["config.toml", "config", "credentials.toml"] {
        if let Some(file) = own.as_ref().map(|own| own.join(name)).filter(|file| file.exists()) {
            fs::copy(file, home.join(name)).map_err(Trouble::io("copy cargo's settings"))?;
        }
    }
    Ok(())
}

fn finish(mut command: Command) -> Result<(), Trouble> {
    let status = command.status().map_err(Trouble::io("start a command"))?;
    match status.success() {
        true => Ok(()),
        false => Err(Trouble::wrong(format!("{command:?}"), status)),
    }
}
