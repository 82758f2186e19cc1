//! Golden files: compared, written again when asked, and never left over.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

pub struct Golden {
    path: PathBuf,
}

impl Golden {
    pub fn new(name: &str) -> Self {
        Self { path: folder().join(format!("{name}.txt")) }
    }

    pub fn check(&self, actual: &str) {
        if std::env::var_os("UPDATE").is_some() {
            fs::create_dir_all(self.path.parent().unwrap()).unwrap();
            fs::write(&self.path, actual).unwrap();
            return;
        }
        let expected = fs::read_to_string(&self.path).unwrap_or_default();
        if expected == actual {
            return;
        }
        let line = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
        panic!(
            "{} differs from line {} on (UPDATE=1 writes it again); it is now:\n{actual}",
            self.path.display(),
            line + 1
        );
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Every file is named, in quotes, by some test.
pub fn no_leftovers() {
    let sources = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")).unwrap();
    let sources: String = sources
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    for file in files(&folder()) {
        let name = file.strip_prefix(folder()).unwrap().with_extension("");
        let name = name.display().to_string();
        // These are named after the commands that there are, by a test that looks itself.
        if name.starts_with("help/") {
            continue;
        }
        assert!(sources.contains(&format!("\"{name}\"")), "no test names {name}");
    }
}

/// The commands that outputs name: the words after `dispatch` up to the first that is no command.
pub fn commands() -> BTreeSet<String> {
    let is_word = |word: &&str| {
        !word.starts_with('-') && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    let mut commands = BTreeSet::new();
    // What is printed for a shell is no hint.
    let for_people = |file: &PathBuf| !file.ends_with("completion/shells.txt");
    for file in files(&folder()).into_iter().filter(for_people) {
        let text = fs::read_to_string(file).unwrap();
        let printed =
            text.lines().filter(|line| !line.starts_with("$ ") && !line.contains("unknown"));
        for hint in printed.flat_map(|line| line.split("dispatch ").skip(1)) {
            let mut words: Vec<&str> =
                hint.split([' ', '\'']).take_while(is_word).take(2).collect();
            // A name may follow where a verb has no nouns.
            if matches!(words.first(), Some(&("login" | "server" | "version" | "exec"))) {
                words.truncate(1);
            }
            if words.first().is_some_and(|word| !word.is_empty()) {
                commands.insert(words.join(" "));
            }
        }
    }
    commands
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
