//! What somebody else's command line printed, beside what ours prints. A file holds blocks: `$ COMMAND`, `exit N`, the
//! outputs. Below `=== now` is what has become of one, with the rows of docs/compatibility.md that say why. `UPDATE=1`
//! writes these parts again; rows are written by hand.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use super::sources;

const NOW: &str = "=== now\n";

pub struct Recording {
    path: PathBuf,
    before: String,
    after: String,
}

impl Recording {
    /// The file `tests/<name>.txt`.
    pub fn open(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/{name}.txt"));
        let before = fs::read_to_string(&path).unwrap();
        Self { path, before, after: String::new() }
    }

    /// Runs each command in turn.
    pub fn play(&mut self, mut run: impl FnMut(&str) -> Output) {
        for block in blocks(&self.before) {
            let (command, recorded) = block.split_once("\nexit ").unwrap_or((block, ""));
            let output = run(command.trim_start_matches("$ "));
            let now = compared(recorded, &written(&output));
            self.after.push_str(&format!("{command}\nexit {now}\n\n"));
        }
    }

    /// Compares, and makes sure that every row that is named is there.
    pub fn check(self) {
        let Self { path, before, after } = self;
        if std::env::var_os("UPDATE").is_some() {
            fs::write(path, &after).unwrap();
            return;
        }
        let line = before.lines().zip(after.lines()).take_while(|(a, b)| a == b).count() + 1;
        assert!(before == after, "{} differs from line {line} on; now:\n{after}", path.display());
        let rows = fs::read_to_string(sources().join("docs/compatibility.md")).unwrap();
        for reason in after.lines().filter_map(|line| line.strip_prefix("? ")) {
            let row = format!("| {reason} |");
            assert!(rows.contains(&row), "docs/compatibility.md has no row {reason}");
        }
    }
}

/// From one `$ ` at the start of a line to the next.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts = text.match_indices("$ ").map(|(at, _)| at);
    let starts: Vec<usize> = starts.filter(|at| *at == 0 || text[..*at].ends_with('\n')).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end])
}

/// The block as it is to be: what was recorded, what is now if that differs, and the rows that were there.
fn compared(block: &str, now: &str) -> String {
    let (recorded, below) = block.split_once(NOW).unwrap_or((block, ""));
    if same(recorded, now) {
        return recorded.trim_end().to_owned();
    }
    let mut reasons: Vec<&str> = below.lines().filter(|line| line.starts_with("? ")).collect();
    if reasons.is_empty() {
        reasons.push("? why?");
    }
    let now = shape(now).join("\n");
    format!("{}\n{NOW}exit {now}\n{}", recorded.trim_end(), reasons.join("\n"))
}

/// From the exit code on.
fn written(output: &Output) -> String {
    let mut text = format!("{}\n", output.status.code().unwrap_or(-1));
    let stdout = String::from_utf8(output.stdout.clone()).unwrap();
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    let stdout = if stdout.contains("\nUsage:") { "(help)\n".to_owned() } else { stdout };
    let stderr = match stderr.split_once("\nUsage:") {
        Some((said, _)) => format!("{said}\n(usage)\n"),
        None => stderr,
    };
    for (title, content) in [("stdout", stdout), ("stderr", stderr)] {
        if !content.is_empty() {
            text.push_str(&format!("--- {title}\n{content}"));
        }
    }
    text
}

/// Ids, times, the organization and the width of columns differ from run to run. Below an error there may be further
/// lines, which say what to do.
fn same(recorded: &str, now: &str) -> bool {
    let (recorded, now) = (shape(recorded), shape(now));
    let refused = recorded.first().is_some_and(|exit| exit != "0");
    recorded == now || (refused && now.starts_with(&recorded))
}

fn shape(text: &str) -> Vec<String> {
    let word = |word: &str| -> String {
        let plain = word.trim_matches(['"', ',']);
        let is_id = uuid::Uuid::parse_str(plain).is_ok();
        let is_time = plain.len() == 10 && plain.bytes().all(|byte| byte.is_ascii_digit());
        let is_rule = word.len() > 3 && word.bytes().all(|byte| byte == b'-');
        match word {
            _ if is_id || is_time => word.replace(plain, "<>"),
            _ if is_rule => "----".to_owned(),
            _ => word.replace("testorg", "dispatch"),
        }
    };
    let line = |line: &str| {
        let words: Vec<String> = line.split_whitespace().map(word).collect();
        dates(&words).join(" ")
    };
    text.trim_end().lines().map(|text| images(&machine(&line(text)))).collect()
}

/// `Fri Nov 20 07:33:53 UTC 2026` is one word.
fn dates(words: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in words {
        out.push(word.clone());
        if let [.., _, _, _, clock, zone, _] = out.as_slice()
            && zone == "UTC"
            && clock.contains(':')
        {
            out.truncate(out.len() - 6);
            out.push("<date>".to_owned());
        }
    }
    out
}

/// Another machine may hold functions in other ways.
fn machine(line: &str) -> String {
    match line.split_once("\"confinement\": ") {
        Some((before, _)) => format!("{before}\"confinement\": …"),
        None => line.to_owned(),
    }
}

/// The id in the name of an image.
fn images(line: &str) -> String {
    let Some((before, after)) = line.split_once(":latest") else { return line.to_owned() };
    let cut = before.len().saturating_sub(36);
    format!("{}<>:latest{after}", before.get(..cut).unwrap_or(before))
}
