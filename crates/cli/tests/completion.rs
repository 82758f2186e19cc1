//! What a shell gets when it asks for completion, and the manual pages.

use std::fs;

use crate::support::Case;

/// As bash calls it: the last word is the one to complete.
fn asked(case: Case, line: &str) -> Case {
    let index = line.matches(' ').count().to_string();
    let line = line.strip_suffix(' ').map_or(line.to_owned(), |line| format!("{line} ''"));
    let shell = [
        ("DISPATCH_COMPLETE", "bash"),
        ("_CLAP_COMPLETE_INDEX", index.as_str()),
        ("_CLAP_IFS", ","),
    ];
    case.run_with(&format!("-- {line}"), &shell)
}

#[test]
fn commands_flags_values_and_names_are_completed() {
    let names = r#"[{"name":"hello"},{"name":"hello$(id)"},{"name":"hello2"},{"name":"other"}]"#;
    let mut case = Case::new("completion/words");
    for line in
        ["dispatch ge", "dispatch get serv", "dispatch get function --out", "dispatch get run -o "]
    {
        case = asked(case, line);
    }
    for line in [
        "dispatch exec he",
        "dispatch get functions hello",
        "dispatch create api x --cors ot",
        "dispatch create image x --wait o",
        "dispatch create serviceinstance db h",
        "dispatch create function other",
        "dispatch create function hello x.py --image h",
        "dispatch delete serviceinstance o",
    ] {
        case = asked(case.answer(200, names), line);
    }
    let case = asked(case.file("src/hello.py", ""), "dispatch create function i n src/");
    let case = asked(case.answer(401, r#"{"code":401,"message":"no"}"#), "dispatch exec he");
    asked(case, "dispatch create secret ne").check();
}

#[test]
fn shells_are_told_how_to_ask() {
    Case::new("completion/shells")
        .run("completion bash")
        .run("completion zsh")
        .run("completion fish")
        .run("completion")
        .run("completion bsh")
        .check();
}

/// The script, in the shell that it is for.
#[test]
fn bash_completes_with_what_it_was_told() {
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_dispatch")).parent().unwrap();
    let script = "source <(dispatch completion bash)
        COMP_WORDS=(dispatch get servicei); COMP_CWORD=2; COMP_TYPE=9
        _clap_complete_dispatch dispatch servicei get; echo \"${COMPREPLY[@]}\"; complete -p dispatch";
    let output = std::process::Command::new("/bin/bash")
        .args(["--norc", "-c", script])
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", folder.display()))
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("serviceinstance\ncomplete "), "{said}{:?}", output.stderr);
}

#[test]
fn every_command_gets_a_manual_page() {
    let case = Case::new("completion/man").run("man pages").run("man").run("man /dev/null/x");
    let mut pages: Vec<String> = fs::read_dir(case.home().join("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert!(pages.len() > 60 && !pages.contains(&"dispatch-man.1".to_owned()), "{pages:?}");
    case.file("list", &(pages.join("\n") + "\n"))
        .note_file("list")
        .note_file("pages/dispatch.1")
        .note_file("pages/dispatch-create.1")
        .note_file("pages/dispatch-get-run.1")
        .note_file("pages/dispatch-exec.1")
        .check();
}
