//! What a broker writes to stderr, in the server's log, with the broker's name.

use serde_json::Value;
use tracing::Level;

/// A line of a broker.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// One of its log, as `tracing` writes it in JSON.
    Event(Level, String),
    /// Something else: a panic, the words that it ends with.
    Words(String),
}

impl Line {
    pub(super) fn read(text: &str) -> Self {
        event(text).unwrap_or_else(|| Self::Words(text.trim().to_owned()))
    }

    /// Puts it into our own log.
    pub(super) fn log(&self, broker: &str) {
        match self {
            Self::Event(Level::ERROR, text) => tracing::error!(broker, "{text}"),
            Self::Event(Level::WARN, text) | Self::Words(text) => tracing::warn!(broker, "{text}"),
            Self::Event(Level::INFO, text) => tracing::info!(broker, "{text}"),
            Self::Event(Level::DEBUG, text) => tracing::debug!(broker, "{text}"),
            Self::Event(_, text) => tracing::trace!(broker, "{text}"),
        }
    }
}

fn event(text: &str) -> Option<Line> {
    let Value::Object(line) = serde_json::from_str(text).ok()? else { return None };
    let level = line.get("level")?.as_str()?.parse().ok()?;
    let Value::Object(fields) = line.get("fields")? else { return None };
    let mut words = fields.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
        match value {
            Value::String(value) => words.push_str(&format!(" {name}={value}")),
            value => words.push_str(&format!(" {name}={value}")),
        }
    }
    Some(Line::Event(level, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_keeps_its_level_and_fields_and_anything_else_is_words() {
        let line = r#"{"timestamp":"x","level":"WARN","fields":{"message":"slow","ms":7,"to":"db"},"target":"t"}"#;
        assert_eq!(Line::read(line), Line::Event(Level::WARN, "slow ms=7 to=db".to_owned()));
        for words in ["thread panicked", "{}", "[1]", r#"{"level":"LOUD","fields":{}}"#] {
            assert_eq!(Line::read(&format!(" {words}\n")), Line::Words(words.to_owned()));
        }
    }
}
