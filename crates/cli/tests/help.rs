//! A golden file for every command: its help, and what it says to a flag that does not exist and to too many words.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use crate::support::Case;

#[test]
fn every_command_explains_itself_and_says_what_was_wrong() {
    let mut found = BTreeSet::new();
    explained("", &mut found);
    explained("man", &mut found);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/help");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
    let files: BTreeSet<String> = files.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(files, found, "files and commands");
}

/// The command at this path and those below it.
fn explained(path: &str, found: &mut BTreeSet<String>) {
    let name = if path.is_empty() { "dispatch".to_owned() } else { path.replace(' ', "-") };
    let file = format!("help/{name}");
    found.insert(format!("{name}.txt"));
    let line = |end: &str| format!("{path} {end}").trim_start().to_owned();
    Case::new(&file)
        .run(&line("--help"))
        .run(&line("--nope"))
        .run(&line("one two three four five"))
        .check();
    for below in below(path) {
        explained(&line(&below), found);
    }
}

/// The commands that the help of one lists.
fn below(path: &str) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dispatch"));
    let output = command.args(path.split_whitespace()).arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let listed = help.split_once("Available Commands:\n").map_or("", |(_, rest)| rest);
    let lines = listed.lines().take_while(|line| !line.is_empty());
    lines.map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}
