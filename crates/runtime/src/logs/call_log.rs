//! The output of one call, cut at its bounds (decision 34).

use super::Stream;

/// How much output one call keeps, both streams together.
pub const MAX_CALL_BYTES: usize = 256 << 10;
/// How many lines one call keeps, both streams together.
pub const MAX_CALL_LINES: usize = 2000;

/// What one call printed, in the contract's form: lines without their line ends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logs {
    pub stdout: Vec<String>,
    pub stderr: Vec<String>,
}

/// Takes output in pieces. Nothing is allocated before the first byte.
#[derive(Debug, Default)]
pub(crate) struct CallLog {
    stdout: Lines,
    stderr: Lines,
    kept_bytes: usize,
    kept_lines: usize,
    cut_bytes: u64,
    cut_lines: u64,
    /// Where the line goes that says what was cut.
    cut_last: Option<Stream>,
}

#[derive(Debug, Default)]
struct Lines {
    done: Vec<String>,
    open: Vec<u8>,
}

impl CallLog {
    /// Takes the next piece of one stream.
    pub(crate) fn feed(&mut self, stream: Stream, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.is_full() {
                self.cut(stream, piece);
                return;
            }
            let room = MAX_CALL_BYTES - self.kept_bytes;
            let lines = self.lines(stream);
            match piece.iter().position(|byte| *byte == b'\n') {
                Some(end) if end < room => {
                    let (line, rest) = piece.split_at(end);
                    lines.open.extend_from_slice(line);
                    lines.close();
                    self.kept_bytes += end + 1;
                    self.kept_lines += 1;
                    piece = rest.split_first().map_or(&[], |(_, rest)| rest);
                }
                _ => {
                    let (kept, rest) = piece.split_at(piece.len().min(room));
                    lines.open.extend_from_slice(kept);
                    self.kept_bytes += kept.len();
                    piece = rest;
                }
            }
        }
    }

    /// The lines of the call; a last line without its end counts as one.
    pub(crate) fn finish(mut self) -> Logs {
        for lines in [&mut self.stdout, &mut self.stderr] {
            if !lines.open.is_empty() {
                lines.close();
            }
        }
        if let Some(stream) = self.cut_last {
            let line = format!(
                "[dispatch: cut {} bytes with {} line ends; a call keeps {MAX_CALL_BYTES} bytes \
                 and {MAX_CALL_LINES} lines]",
                self.cut_bytes, self.cut_lines
            );
            self.lines(stream).done.push(line);
        }
        Logs { stdout: self.stdout.done, stderr: self.stderr.done }
    }

    /// Whether nothing more is kept.
    pub(crate) fn is_full(&self) -> bool {
        self.kept_bytes >= MAX_CALL_BYTES || self.kept_lines >= MAX_CALL_LINES
    }

    fn cut(&mut self, stream: Stream, piece: &[u8]) {
        self.cut_bytes += piece.len() as u64;
        self.cut_lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.cut_last = Some(stream);
    }

    fn lines(&mut self, stream: Stream) -> &mut Lines {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

impl Lines {
    fn close(&mut self) {
        self.done.push(String::from_utf8_lossy(&self.open).into_owned());
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Stream::{Stderr, Stdout};
    use super::*;

    fn check(pieces: &[(Stream, &str)], stdout: &[&str], stderr: &[&str]) {
        let mut log = CallLog::default();
        for (stream, piece) in pieces {
            log.feed(*stream, piece.as_bytes());
        }
        let expect = Logs {
            stdout: stdout.iter().map(ToString::to_string).collect(),
            stderr: stderr.iter().map(ToString::to_string).collect(),
        };
        assert_eq!(log.finish(), expect, "of {pieces:?}");
    }

    #[test]
    fn lines_are_put_together_from_pieces() {
        check(&[], &[], &[]);
        check(&[(Stdout, "a\nb\n")], &["a", "b"], &[]);
        check(&[(Stdout, "a\n\nb")], &["a", "", "b"], &[]);
        check(&[(Stdout, "he"), (Stderr, "x\n"), (Stdout, "llo\n")], &["hello"], &["x"]);
        check(&[(Stdout, "é")], &["é"], &[]);
        check(&[(Stderr, "no end")], &[], &["no end"]);
    }

    #[test]
    fn bytes_that_are_not_text_are_shown_as_such() {
        let mut log = CallLog::default();
        log.feed(Stdout, b"a\xffb\n");
        assert_eq!(log.finish().stdout, ["a\u{fffd}b"]);
    }

    #[test]
    fn output_at_the_bounds_is_whole() {
        let mut log = CallLog::default();
        log.feed(Stdout, "x\n".repeat(MAX_CALL_LINES).as_bytes());
        let logs = log.finish();
        assert_eq!(logs.stdout.len(), MAX_CALL_LINES);
        assert!(logs.stdout.iter().all(|line| line == "x"));
        let mut log = CallLog::default();
        log.feed(Stderr, &vec![b'y'; MAX_CALL_BYTES]);
        assert_eq!(log.finish().stderr, ["y".repeat(MAX_CALL_BYTES)]);
    }

    #[test]
    fn one_line_says_what_was_cut() {
        let mut log = CallLog::default();
        log.feed(Stdout, "x\n".repeat(MAX_CALL_LINES + 3).as_bytes());
        log.feed(Stderr, b"never\n");
        log.feed(Stdout, b"no");
        let logs = log.finish();
        assert_eq!(logs.stdout.len(), MAX_CALL_LINES + 1);
        assert_eq!(
            logs.stdout.last().unwrap(),
            "[dispatch: cut 14 bytes with 4 line ends; a call keeps 262144 bytes and 2000 lines]"
        );
        assert!(logs.stderr.is_empty());
        let mut log = CallLog::default();
        log.feed(Stderr, &vec![b'y'; MAX_CALL_BYTES + 1]);
        let logs = log.finish();
        assert_eq!(logs.stderr.len(), 2);
        assert_eq!(logs.stderr[0].len(), MAX_CALL_BYTES);
        assert!(logs.stderr[1].starts_with("[dispatch: cut 1 bytes with 0 line ends"));
    }
}
