//! How commands end well.

/// How a command ended well.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// There was nothing to do but to explain, as `dispatch get` does. The note goes to stderr.
    Help {
        note: Option<String>,
    },
}

/// A resource type that does not exist prints the help and ends well, as it always did; now it also says so.
pub fn unknown(words: &[String]) -> Outcome {
    let note = words.first().map(|word| format!("unknown resource type \"{word}\""));
    Outcome::Help { note }
}
