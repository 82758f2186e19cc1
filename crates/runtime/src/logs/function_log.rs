//! What a function's workers print while no call is open: imports, threads, exit handlers.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::Stream;

/// How many bytes a function's log keeps; the oldest lines go first.
pub const MAX_FUNCTION_BYTES: usize = 128 << 10;
/// How many lines a function's log keeps.
pub const MAX_FUNCTION_LINES: usize = 1000;

/// How many lines of a process that ended too soon are quoted.
const QUOTED_LINES: usize = 5;

/// One line of a function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When the server read it, Unix time in milliseconds.
    pub unix_ms: u64,
    pub stream: Stream,
    pub text: String,
}

/// A bounded ring of lines: of all workers of a function, or of a build.
#[derive(Debug, Default)]
pub struct FunctionLog {
    ring: Mutex<Ring>,
    more: Notify,
}

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
        let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        (ring.lines.iter().cloned().collect(), ring.dropped)
    }

    /// Waits until line number `seen` (from 0, gone ones counted) exists; then gives it and those
    /// after it that are still kept, and the number of the line that comes next.
    pub async fn follow(&self, seen: u64) -> (Vec<LogLine>, u64) {
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            {
                let ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
                let next = ring.dropped + ring.lines.len() as u64;
                if next > seen {
                    let skip = usize::try_from(seen.saturating_sub(ring.dropped));
                    let lines = ring.lines.iter().skip(skip.unwrap_or(usize::MAX)).cloned();
                    return (lines.collect(), next);
                }
            }
            more.await;
        }
    }

    pub(crate) fn push(&self, line: LogLine) {
        self.keep(line);
        self.more.notify_waiters();
    }

    /// Counts so many lines as gone, and all that are kept.
    pub(crate) fn skip(&self, lines: u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.dropped += lines + ring.lines.len() as u64;
        ring.lines.clear();
        ring.bytes = 0;
    }

    fn keep(&self, line: LogLine) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.bytes += line.text.len();
        ring.lines.push_back(line);
        while ring.bytes > MAX_FUNCTION_BYTES || ring.lines.len() > MAX_FUNCTION_LINES {
            let Some(oldest) = ring.lines.pop_front() else { break };
            ring.bytes -= oldest.text.len();
            ring.dropped += 1;
        }
    }
}

/// The last lines on stderr, for an error's text: `: one / two`, or nothing.
pub(crate) fn last_errors(log: &FunctionLog) -> String {
    let (lines, _) = log.lines();
    let errors = lines.iter().filter(|line| line.stream == Stream::Stderr);
    let mut last: Vec<&str> = errors.rev().take(QUOTED_LINES).map(|line| &*line.text).collect();
    last.reverse();
    if last.is_empty() { String::new() } else { format!(": {}", last.join(" / ")) }
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

    #[tokio::test]
    async fn a_follower_gets_every_line_once_and_waits_for_more() {
        let log = FunctionLog::default();
        log.push(line("a".to_owned()));
        let (lines, next) = log.follow(0).await;
        assert_eq!((lines.len(), next), (1, 1));
        let later = async { log.push(line("b".to_owned())) };
        let ((lines, next), ()) = tokio::join!(log.follow(next), later);
        assert_eq!((lines[0].text.as_str(), next), ("b", 2));
        for number in 0..MAX_FUNCTION_LINES {
            log.push(line(number.to_string()));
        }
        let (lines, next) = log.follow(1).await;
        assert_eq!(lines.len(), MAX_FUNCTION_LINES, "what is gone is left out");
        assert_eq!(next, 2 + MAX_FUNCTION_LINES as u64);
    }
}
