//! The server's ends of a worker's two pipes, and where their bytes go at the moment.
//!
//! Two sides read them: [`LogTap::pump`] whenever something arrives, so that a function that stays
//! within its bounds never blocks on a full pipe, and the caller at the edges of a call, so that
//! output lands in the call that printed it. A lock keeps the two from interleaving. Past the bound
//! the pump reads slowly: then the full pipe holds the function up, and not the function the server.

use std::io::{Error, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;

use super::{CallLog, FunctionLog, LogLine, Logs, MAX_FUNCTION_BYTES, MAX_FUNCTION_LINES, Stream};

const READ_BYTES: usize = 64 << 10;
/// After each read of what is not kept any more: 64 MiB/s of a stream at most.
const SLOW_PAUSE: Duration = Duration::from_millis(1);
/// Who prints more than this while no call is open, both streams together, has flooded its tap.
pub(crate) const MAX_UNASKED_MIB: usize = 8;
/// Longer pieces without a line end become lines of the function's log.
const LONG_LINE_BYTES: usize = 8 << 10;

#[derive(Debug)]
pub(crate) struct LogTap {
    stdout: Receiver,
    stderr: Receiver,
    sink: Mutex<Sink>,
    flooded: Notify,
}

#[derive(Debug)]
struct Sink {
    open: Option<CallLog>,
    between: Between,
}

/// Lines of the time between calls, still without their end.
#[derive(Debug)]
struct Between {
    log: Arc<FunctionLog>,
    now: fn() -> u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// Printed since the last call.
    bytes: usize,
    lines: usize,
}

/// What reading once from a pipe gave.
enum Progress {
    Read(usize),
    Empty,
    Closed,
}

impl LogTap {
    /// Takes the reading ends of two pipes. `now` gives Unix milliseconds.
    pub(crate) fn new(
        stdout: OwnedFd,
        stderr: OwnedFd,
        log: Arc<FunctionLog>,
        now: fn() -> u64,
    ) -> Result<Self, Error> {
        let (stdout_line, stderr_line) = (Vec::new(), Vec::new());
        let between =
            Between { log, now, stdout: stdout_line, stderr: stderr_line, bytes: 0, lines: 0 };
        Ok(Self {
            stdout: Receiver::from_owned_fd(stdout)?,
            stderr: Receiver::from_owned_fd(stderr)?,
            sink: Mutex::new(Sink { open: None, between }),
            flooded: Notify::new(),
        })
    }

    /// What was printed until now belongs to no call, what follows to a new one. False if it was
    /// flooded: then no call is opened, so that nobody is ended in the middle of one.
    #[must_use]
    pub(crate) fn begin_call(&self) -> bool {
        let mut sink = self.lock();
        self.drain(&mut sink);
        sink.between.end_lines();
        if sink.between.is_flooded() {
            return false;
        }
        sink.open = Some(CallLog::default());
        true
    }

    /// What was printed until now belongs to the open call, which ends.
    pub(crate) fn end_call(&self) -> Logs {
        let mut sink = self.lock();
        self.drain(&mut sink);
        (sink.between.bytes, sink.between.lines) = (0, 0);
        sink.open.take().map(CallLog::finish).unwrap_or_default()
    }

    /// Waits until more than [`MAX_UNASKED_MIB`] came while no call was open.
    pub(crate) async fn flooded(&self) {
        self.flooded.notified().await;
    }

    /// Adds a line of the server's own to the function's log.
    pub(crate) fn say(&self, text: String) {
        let sink = self.lock();
        let unix_ms = (sink.between.now)();
        sink.between.log.push(LogLine { unix_ms, stream: Stream::Stderr, text });
    }

    /// Takes what an ended process left behind.
    pub(crate) fn take_rest(&self) {
        let mut sink = self.lock();
        self.drain(&mut sink);
        if sink.open.is_none() {
            sink.between.end_lines();
        }
    }

    /// Reads whatever arrives until both pipes are closed. Safe to drop at any await.
    pub(crate) async fn pump(&self) {
        tokio::join!(
            self.pump_one(Stream::Stdout, &self.stdout),
            self.pump_one(Stream::Stderr, &self.stderr)
        );
        self.lock().between.end_lines();
    }

    async fn pump_one(&self, stream: Stream, pipe: &Receiver) {
        while pipe.readable().await.is_ok() {
            let (progress, slowly) = {
                let mut sink = self.lock();
                let mut room = [0; READ_BYTES];
                let read = pipe.try_read(&mut room).map(|n| room.get(..n));
                let progress = progress(&mut sink, stream, read);
                if sink.open.is_none() && sink.between.is_flooded() {
                    self.flooded.notify_one();
                }
                (progress, sink.is_full())
            };
            match progress {
                Progress::Read(_) if slowly => tokio::time::sleep(SLOW_PAUSE).await,
                // A function that prints without end gives the other tasks of the thread a turn.
                Progress::Read(READ_BYTES) => tokio::task::yield_now().await,
                Progress::Read(_) | Progress::Empty => {}
                Progress::Closed => return,
            }
        }
    }

    /// Reads what the pipes hold at this moment: what a call printed is there before its result is
    /// on the channel, and who goes on printing must not hold the result up.
    fn drain(&self, sink: &mut Sink) {
        for (stream, pipe) in [(Stream::Stdout, &self.stdout), (Stream::Stderr, &self.stderr)] {
            let mut left = rustix::io::ioctl_fionread(pipe).unwrap_or(0);
            while left > 0 {
                match read_now(sink, stream, pipe) {
                    Progress::Read(bytes) => left = left.saturating_sub(bytes as u64),
                    Progress::Empty | Progress::Closed => break,
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sink> {
        self.sink.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the kernel, because the event loop may not have heard of the bytes yet.
fn read_now(sink: &mut Sink, stream: Stream, pipe: &Receiver) -> Progress {
    let mut room = [MaybeUninit::<u8>::uninit(); READ_BYTES];
    let read = rustix::io::read(pipe, &mut room);
    progress(sink, stream, read.map(|(piece, _)| Some(&*piece)).map_err(Error::from))
}

fn progress(sink: &mut Sink, stream: Stream, read: Result<Option<&[u8]>, Error>) -> Progress {
    let piece = match read {
        Ok(Some(piece)) if !piece.is_empty() => piece,
        Ok(_) => return Progress::Closed,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Empty,
        Err(error) if error.kind() == ErrorKind::Interrupted => return Progress::Read(0),
        Err(_) => return Progress::Closed,
    };
    match &mut sink.open {
        Some(call) => call.feed(stream, piece),
        None => sink.between.feed(stream, piece),
    }
    Progress::Read(piece.len())
}

impl Sink {
    /// Whether what comes next is not kept, or only instead of what came before.
    fn is_full(&self) -> bool {
        match &self.open {
            Some(call) => call.is_full(),
            None => {
                self.between.bytes >= MAX_FUNCTION_BYTES || self.between.lines >= MAX_FUNCTION_LINES
            }
        }
    }
}

impl Between {
    fn is_flooded(&self) -> bool {
        self.bytes > MAX_UNASKED_MIB << 20
    }

    fn feed(&mut self, stream: Stream, piece: &[u8]) {
        self.bytes = self.bytes.saturating_add(piece.len());
        for part in self.newest(stream, piece).split_inclusive(|byte| *byte == b'\n') {
            let open = self.open(stream);
            let (line, ended) = match part.split_last() {
                Some((b'\n', line)) => (line, true),
                _ => (part, false),
            };
            open.extend_from_slice(line);
            if ended || open.len() >= LONG_LINE_BYTES {
                self.end_line(stream);
            }
        }
    }

    /// The part of a piece that the log can keep: lines that others of the same piece would push
    /// out again are only counted.
    fn newest<'a>(&mut self, stream: Stream, piece: &'a [u8]) -> &'a [u8] {
        let ends = piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n');
        let Some((last_gone, _)) = ends.clone().nth(MAX_FUNCTION_LINES) else { return piece };
        let gone = ends.count() - MAX_FUNCTION_LINES;
        self.open(stream).clear();
        self.lines = self.lines.saturating_add(gone);
        self.log.skip(gone as u64);
        piece.get(last_gone + 1..).unwrap_or_default()
    }

    fn end_lines(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.open(stream).is_empty() {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
        self.lines = self.lines.saturating_add(1);
        let text = String::from_utf8_lossy(self.open(stream)).into_owned();
        self.open(stream).clear();
        self.log.push(LogLine { unix_ms: (self.now)(), stream, text });
    }

    fn open(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{PipeWriter, Write};

    use super::*;
    use crate::logs::MAX_CALL_BYTES;

    /// What a pipe holds unless somebody changes it.
    const PIPE_BYTES: usize = 64 << 10;

    fn tap() -> (LogTap, PipeWriter, Arc<FunctionLog>) {
        let (read, write) = std::io::pipe().unwrap();
        let (other, _closed) = std::io::pipe().unwrap();
        let ends: [OwnedFd; 2] = [read.into(), other.into()];
        let [stdout, stderr] = ends;
        let log = Arc::new(FunctionLog::default());
        (LogTap::new(stdout, stderr, Arc::clone(&log), || 5).unwrap(), write, log)
    }

    fn texts(log: &FunctionLog) -> Vec<String> {
        log.lines().0.into_iter().map(|line| line.text).collect()
    }

    #[tokio::test]
    async fn output_goes_to_the_call_that_was_open_when_it_was_printed() {
        let (tap, mut pipe, log) = tap();
        pipe.write_all(b"imported\nhalf").unwrap();
        assert!(tap.begin_call());
        pipe.write_all(b"in the call\n").unwrap();
        assert_eq!(tap.end_call().stdout, ["in the call"]);
        pipe.write_all(b"after\n").unwrap();
        assert!(tap.begin_call());
        assert_eq!(tap.end_call(), Logs::default());
        assert_eq!(texts(&log), ["imported", "half", "after"]);
    }

    #[tokio::test]
    async fn the_pump_takes_what_nobody_asks_for_until_the_pipe_is_closed() {
        let (tap, mut pipe, log) = tap();
        let writer = std::thread::spawn(move || {
            let line = [b"x".repeat(99), b"\n".to_vec()].concat();
            for _ in 0..20_000 {
                pipe.write_all(&line).unwrap();
            }
            pipe.write_all(b"end").unwrap();
        });
        tap.pump().await;
        writer.join().unwrap();
        let (lines, dropped) = log.lines();
        assert_eq!(lines.last().unwrap().text, "end");
        assert_eq!(lines.len() as u64 + dropped, 20_001);
    }

    #[tokio::test]
    async fn a_piece_with_more_lines_than_are_kept_leaves_its_last_ones() {
        let (tap, mut pipe, log) = tap();
        pipe.write_all(b"first\nhalf").unwrap();
        assert!(tap.begin_call());
        tap.end_call();
        let all: String = (0..MAX_FUNCTION_LINES + 7).map(|n| format!("{n}\n")).collect();
        pipe.write_all(all.as_bytes()).unwrap();
        assert!(tap.begin_call());
        let (lines, dropped) = log.lines();
        assert_eq!((lines.len(), dropped), (MAX_FUNCTION_LINES, 9));
        assert_eq!((lines[0].text.as_str(), lines[999].text.as_str()), ("7", "1006"));
    }

    #[tokio::test]
    async fn past_the_bound_of_a_call_the_pump_reads_slowly() {
        const PRINTED: usize = 4 << 20;
        let (tap, mut pipe, _) = tap();
        assert!(tap.begin_call());
        let writer = std::thread::spawn(move || pipe.write_all(&vec![b'x'; PRINTED]).unwrap());
        let begun = std::time::Instant::now();
        tap.pump().await;
        // At least so long: each read past the bound is followed by a pause.
        let reads = (PRINTED - MAX_CALL_BYTES) / READ_BYTES - 1;
        assert!(begun.elapsed() >= SLOW_PAUSE * u32::try_from(reads).unwrap());
        writer.join().unwrap();
        let cut = tap.end_call().stdout.pop().unwrap();
        assert!(cut.contains(&format!("cut {} bytes", PRINTED - MAX_CALL_BYTES)), "{cut}");
    }

    #[tokio::test]
    async fn a_tap_is_flooded_past_its_bound_and_opens_no_call() {
        let (tap, mut pipe, _) = tap();
        let mut print = |bytes: usize| {
            for at in (0..bytes).step_by(PIPE_BYTES) {
                pipe.write_all(&vec![b'x'; PIPE_BYTES.min(bytes - at)]).unwrap();
                tap.take_rest();
            }
        };
        print(MAX_UNASKED_MIB << 20);
        assert!(tap.begin_call(), "at the bound");
        print((MAX_UNASKED_MIB << 20) + 1);
        tap.end_call();
        print(MAX_UNASKED_MIB << 20);
        assert!(tap.begin_call(), "what was printed in a call does not count");
        tap.end_call();
        print((MAX_UNASKED_MIB << 20) + 1);
        assert!(!tap.begin_call(), "past the bound");
    }

    #[tokio::test]
    async fn who_prints_without_end_holds_no_result_up() {
        // The most that a pipe can hold without privilege.
        const LARGE: usize = 1 << 20;
        let (tap, pipe, _) = tap();
        rustix::pipe::fcntl_setpipe_size(&pipe, LARGE).unwrap();
        assert!(tap.begin_call());
        let writers = [pipe.try_clone().unwrap(), pipe].map(|mut pipe| {
            let block = b"x".repeat(LARGE);
            std::thread::spawn(move || while pipe.write_all(&block).is_ok() {})
        });
        while rustix::io::ioctl_fionread(&tap.stdout).unwrap() < LARGE as u64 {
            tokio::task::yield_now().await;
        }
        let cut = tap.end_call().stdout.pop().unwrap();
        assert!(cut.contains(&format!("cut {} bytes", LARGE - MAX_CALL_BYTES)), "{cut}");
        drop(tap);
        for writer in writers {
            writer.join().unwrap();
        }
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut_into_long_ones() {
        let (tap, mut pipe, log) = tap();
        pipe.write_all(&b"y".repeat(LONG_LINE_BYTES)).unwrap();
        pipe.write_all(b"z").unwrap();
        assert!(tap.begin_call());
        let lengths: Vec<usize> = texts(&log).iter().map(String::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), LONG_LINE_BYTES + 1);
    }
}
