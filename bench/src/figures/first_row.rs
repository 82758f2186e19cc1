//! From the tarball to the first row in a database of one's own: the commands that the README gives, typed in an empty
//! HOME by somebody who does not stop to read.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::Found;
use crate::{
    report::Spread,
    stage::{
        Stage, Trouble,
        daemon::{Daemon, HOME},
        note, repository,
    },
};

const ROUNDS: usize = 3;
const HEADING: &str = "## On a machine of your own";
const SERVER: &str = "dispatch server &";
const ROW: &str = r#""data": "hello""#;
/// The server's PostgreSQL outlives it, and goes with its broker.
const AWAY: &str = "dispatch delete -f examples/first-row.yaml --wait --yes";

pub fn run(stage: &Stage, found: &mut Vec<Found>) -> Result<(), Trouble> {
    let readme = fs::read_to_string(repository().join("README.md"));
    let (typed, commands) = commands(&readme.map_err(Trouble::io("read the README"))?)?;
    // PostgreSQL's user has to reach what is made in it.
    let place = dispatch_broker::testing::directory().map_err(Trouble::io("make a directory"))?;
    let tarball = pack(&stage.dispatch, place.path())?;
    let mut seconds = Vec::new();
    for number in 0..ROUNDS {
        let folder = place.path().join(format!("round-{number}"));
        seconds.push(to_first_row(&tarball, &folder, &commands)?);
    }
    note(&format!("  from the tarball, after {SERVER}: {}", commands.join("; ")));
    let typed = f64::from(u32::try_from(typed).unwrap_or(u32::MAX));
    found.extend(Spread::median(&seconds).map(|spread| ("first-row.tarball", spread)));
    found.extend(Spread::worst(&[typed]).map(|spread| ("first-row.commands", spread)));
    Ok(())
}

/// How many there are in the first block under the heading, and those after the server's, up to the first row. What is
/// before it unpacks.
fn commands(readme: &str) -> Result<(usize, Vec<String>), Trouble> {
    let missing = || Trouble::Missing(format!("the README has no commands under {HEADING:?}"));
    let (_, part) = readme.split_once(HEADING).ok_or_else(missing)?;
    let block = part.split("```").nth(1).ok_or_else(missing)?;
    let all: Vec<_> = block.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    let mut rest = all.iter().skip_while(|command| **command != SERVER);
    rest.next().ok_or_else(missing)?;
    let rest: Vec<String> = rest.map(|&command| command.to_owned()).collect();
    match rest.last() {
        Some(last) if last.starts_with("dispatch exec") => Ok((all.len(), rest)),
        _ => Err(missing()),
    }
}

fn pack(dispatch: &Path, place: &Path) -> Result<PathBuf, Trouble> {
    let mut command = Command::new(repository().join("scripts/python"));
    command.arg(repository().join("packaging/pack.py")).arg("--quick").arg(dispatch).arg(place);
    let packed = command.stdout(Stdio::null()).status().map_err(Trouble::io("pack the tarball"))?;
    let made = fs::read_dir(place).map_err(Trouble::io("find the tarball"))?;
    let mut made = made.filter_map(|entry| Some(entry.ok()?.path()));
    let tarball = made.find(|path| path.to_string_lossy().ends_with(".tar.gz"));
    tarball.filter(|_| packed.success()).ok_or_else(|| Trouble::wrong("packing", packed))
}

/// Seconds. Everything is removed outside of the time.
fn to_first_row(tarball: &Path, folder: &Path, commands: &[String]) -> Result<f64, Trouble> {
    fs::create_dir(folder).map_err(Trouble::io("make a directory"))?;
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder, open).map_err(Trouble::io("open a directory"))?;
    let begun = Instant::now();
    let unpacked = folder.join("unpacked");
    fs::create_dir(&unpacked).map_err(Trouble::io("make a directory"))?;
    let mut tar = Command::new("tar");
    tar.arg("xzf").arg(tarball).arg("--strip-components=1").arg("-C").arg(&unpacked);
    let status = tar.status().map_err(Trouble::io("unpack the tarball"))?;
    if !status.success() {
        return Err(Trouble::wrong("unpacking", status));
    }
    // The usual ports may be somebody's.
    let free = ["server", "--port", "0", "--gateway-port", "0", "--gateway-tls-port", "0"];
    let server = Daemon::start(&unpacked.join("dispatch"), folder, &free)?;
    let typed = commands.iter().try_fold(String::new(), |_, command| typed(&unpacked, command));
    let took = begun.elapsed().as_secs_f64();
    let away = self::typed(&unpacked, AWAY);
    let typed = typed?;
    if !typed.contains(ROW) {
        return Err(Trouble::wrong("the first row", typed));
    }
    away?;
    server.stop()?;
    Ok(took)
}

/// What a command says, of which the server's home is beside the directory.
fn typed(unpacked: &Path, command: &str) -> Result<String, Trouble> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(unpacked)
        .env("HOME", unpacked.with_file_name(HOME))
        .env("PATH", format!("{}:{path}", unpacked.display()))
        .stdin(Stdio::null());
    let output = shell.output().map_err(Trouble::io("start a shell"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Trouble::wrong(command, String::from_utf8_lossy(&output.stderr))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_says_what_to_type() {
        let readme = fs::read_to_string(repository().join("README.md")).unwrap();
        let (typed, found) = commands(&readme).unwrap();
        assert!(typed <= 5, "{typed}");
        assert!(found.last().unwrap().contains(r#"{"num": 1, "data": "hello"}"#), "{found:?}");
        assert!(commands(&readme.replace(SERVER, "dispatch serve &")).is_err());
        assert!(commands("").is_err());
    }
}
