//! How commands end well.

/// How a command ended well.
#[derive(Debug)]
pub enum Outcome {
    Done,
    /// There was nothing to do but to explain, as `dispatch get` does.
    Help,
    /// Another command is to be explained.
    HelpFor(Vec<String>),
    /// A resource type that does not exist prints the help and ends well, as it always did (contract §3.1); now it is
    /// also said, on stderr, with what may have been meant.
    Unknown {
        word: String,
    },
}

/// For words that a verb does not know as its nouns.
pub fn unknown(words: &[String]) -> Outcome {
    match words.first() {
        Some(word) => Outcome::Unknown { word: word.clone() },
        None => Outcome::Help,
    }
}
