//! The server's ends of a worker's two pipes, and where their bytes go at the moment.
//!
//! Two sides read them: [`LogTap::pump`] whenever something arrives, so that a function never
//! blocks on a full pipe, and the caller at the edges of a call, so that output lands in the call
//! that printed it. A lock keeps the two from interleaving.

use std::io::{Error, ErrorKind};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::unix::pipe::Receiver;

use super::{CallLog, FunctionLog, LogLine, Logs, Stream};

const READ_BYTES: usize = 64 << 10;
/// The most that a pipe can hold without privilege (`pipe-max-size`). What a call printed is in the
/// pipe before its result is on the channel, so no more than this has to be read at its end.
const PIPE_BYTES: usize = 1 << 20;
/// Longer pieces without a line end become lines of the function's log.
const LONG_LINE_BYTES: usize = 8 << 10;

#[derive(Debug)]
pub(crate) struct LogTap {
    stdout: Receiver,
    stderr: Receiver,
    sink: Mutex<Sink>,
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
        let between = Between { log, now, stdout: Vec::new(), stderr: Vec::new() };
        Ok(Self {
            stdout: Receiver::from_owned_fd(stdout)?,
            stderr: Receiver::from_owned_fd(stderr)?,
            sink: Mutex::new(Sink { open: None, between }),
        })
    }

    /// What was printed until now belongs to no call, what follows to a new one.
    pub(crate) fn begin_call(&self) {
        let mut sink = self.lock();
        self.drain(&mut sink);
        sink.between.end_lines();
        sink.open = Some(CallLog::default());
    }

    /// What was printed until now belongs to the open call, which ends.
    pub(crate) fn end_call(&self) -> Logs {
        let mut sink = self.lock();
        self.drain(&mut sink);
        sink.open.take().map(CallLog::finish).unwrap_or_default()
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
            let progress = {
                let mut sink = self.lock();
                let mut room = [0; READ_BYTES];
                progress(&mut sink, stream, pipe.try_read(&mut room).map(|n| room.get(..n)))
            };
            match progress {
                // A function that prints without end gives the other tasks of the thread a turn.
                Progress::Read(READ_BYTES) => tokio::task::yield_now().await,
                Progress::Read(_) | Progress::Empty => {}
                Progress::Closed => return,
            }
        }
    }

    fn drain(&self, sink: &mut Sink) {
        for (stream, pipe) in [(Stream::Stdout, &self.stdout), (Stream::Stderr, &self.stderr)] {
            let mut left = PIPE_BYTES;
            while let Progress::Read(bytes) = read_now(sink, stream, pipe) {
                left = left.saturating_sub(bytes);
                if left == 0 {
                    break;
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

impl Between {
    fn feed(&mut self, stream: Stream, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
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

    fn end_lines(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.open(stream).is_empty() {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: Stream) {
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
        tap.begin_call();
        pipe.write_all(b"in the call\n").unwrap();
        assert_eq!(tap.end_call().stdout, ["in the call"]);
        pipe.write_all(b"after\n").unwrap();
        tap.begin_call();
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
    async fn a_line_without_end_is_cut_into_long_ones() {
        let (tap, mut pipe, log) = tap();
        pipe.write_all(&b"y".repeat(LONG_LINE_BYTES)).unwrap();
        pipe.write_all(b"z").unwrap();
        tap.begin_call();
        let lengths: Vec<usize> = texts(&log).iter().map(String::len).collect();
        assert_eq!(lengths.iter().sum::<usize>(), LONG_LINE_BYTES + 1);
    }
}
