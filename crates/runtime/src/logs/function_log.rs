//! What a function's workers print while no call is open: imports, threads, exit handlers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::Stream;

/// How many bytes a function's log keeps; the oldest lines go first.
pub const MAX_FUNCTION_BYTES: usize = 128 << 10;
/// How many lines a function's log keeps.
pub const MAX_FUNCTION_LINES: usize = 1000;

/// One line of a function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the server read it, Unix time in milliseconds.
    pub unix_ms: u64,
    pub stream: Stream,
    pub text: String,
}

/// A bounded ring of lines, shared by all workers of a function.
#[derive(Debug, Default)]
pub struct FunctionLog(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    dropped: u64,
}

impl FunctionLog {
    /// The lines that are kept, oldest first, and how many older ones are gone.
    #[must_use]
    pub fn lines(&self) -> (Vec<LogLine>, u64) {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (ring.lines.iter().cloned().collect(), ring.dropped)
    }

    pub(crate) fn push(&self, line: LogLine) {
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += line.text.len();
        ring.lines.push_back(line);
        while ring.bytes > MAX_FUNCTION_BYTES || ring.lines.len() > MAX_FUNCTION_LINES {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.text.len();
            ring.dropped += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: String) -> LogLine {
        LogLine { unix_ms: 0, stream: Stream::Stdout, text }
    }

    #[test]
    fn the_oldest_lines_go_first() {
        let log = FunctionLog::default();
        for number in 0..MAX_FUNCTION_LINES + 2 {
            log.push(line(number.to_string()));
        }
        let (lines, dropped) = log.lines();
        assert_eq!((lines.len(), dropped), (MAX_FUNCTION_LINES, 2));
        assert_eq!(lines[0].text, "2");
        log.push(line("x".repeat(MAX_FUNCTION_BYTES)));
        let (lines, _) = log.lines();
        assert_eq!(lines.len(), 1, "one line of the whole size leaves no room for others");
    }
}
