//! One call on a worker: begun without waiting, finished by whoever holds the worker.

use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout, timeout_at};

use super::channel::ChannelError;
use super::{CallInput, Finished, Open, Outcome, Worker};
use crate::frame::{CallHead, FrameError, WorkerFrame};
use crate::spawn::Exit;

/// How long the server waits to learn how a process ended once it was killed or hung up.
const EXIT_WAIT: Duration = Duration::from_secs(5);
/// How long a process that has hung up may take to end by itself.
const HANG_UP_WAIT: Duration = Duration::from_secs(1);
/// Results above this are checked on a thread of their own.
const INLINE_CHECK_BYTES: usize = 256 << 10;

/// Why a call was not begun; the function has seen nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BeginError {
    /// The worker has ended, spoken out of turn or printed without end: take another one.
    #[error("the worker is gone")]
    Gone,
    #[error("{0}")]
    TooLarge(FrameError),
}

impl Worker {
    /// Opens a call. Nothing is sent before [`Worker::finish`] is polled.
    pub fn begin(&mut self, call: CallInput) -> Result<(), BeginError> {
        if self.open.is_some() || !self.channel.is_quiet() {
            return Err(BeginError::Gone);
        }
        let timeout_ms = u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX);
        let head = CallHead {
            call: (self.ambient.random)(),
            run: call.run,
            deadline_unix_ms: (self.ambient.unix_ms)().saturating_add(timeout_ms),
            timeout_ms,
        };
        head.write(&mut self.head, call.context.len(), call.payload.len())
            .map_err(BeginError::TooLarge)?;
        if !self.shared.tap.begin_call() {
            return Err(BeginError::Gone);
        }
        self.open = Some(Open {
            call: head.call,
            deadline: Instant::now() + call.timeout,
            context: call.context,
            payload: call.payload,
            written: 0,
            result: None,
        });
        Ok(())
    }

    /// Sends the open call and waits for its end. The future may be dropped at any time and the
    /// method called again: it goes on where it was.
    ///
    /// After an outcome that does not leave the worker, its process has ended or is about to.
    pub async fn finish(&mut self) -> Finished {
        let deadline = self.open.as_ref().map_or_else(Instant::now, |open| open.deadline);
        let outcome = match timeout_at(deadline, self.exchange()).await {
            Ok(outcome) => outcome,
            Err(_) => Outcome::TimedOut,
        };
        let outcome = match outcome {
            Outcome::TimedOut | Outcome::Broke { .. } => {
                self.kill();
                // Output of the last moments is in the pipes once the process is gone.
                let _ = timeout(EXIT_WAIT, self.shared.process.wait()).await;
                outcome
            }
            Outcome::HungUp => self.how_it_ended().await,
            ended => ended,
        };
        let logs = self.shared.tap.end_call();
        self.open = None;
        Finished { outcome, logs }
    }

    async fn exchange(&mut self) -> Outcome {
        let Some(open) = &mut self.open else {
            return Outcome::Broke { reason: "no call is open".to_owned() };
        };
        if open.result.is_none() {
            let parts = [&*self.head, &*open.context, CallHead::AFTER_CONTEXT, &*open.payload];
            // A write that fails means that the process has ended; reading says how.
            let _ = self.channel.write(parts, &mut open.written).await;
            match self.channel.frame().await {
                Ok(WorkerFrame::Result { call, payload }) if call == open.call => {
                    open.result = Some(payload);
                }
                Ok(WorkerFrame::Error { call, failure }) if call == open.call => {
                    return Outcome::Failed(failure);
                }
                Ok(frame) => return Outcome::Broke { reason: foreign(&frame) },
                Err(ChannelError::Frame(error)) => {
                    return Outcome::Broke { reason: error.to_string() };
                }
                Err(ChannelError::Closed) => return Outcome::HungUp,
            }
        }
        let Some(result) = open.result.clone() else { return Outcome::HungUp };
        match check(result.clone()).await {
            Ok(()) => Outcome::Returned(result),
            Err(reason) => Outcome::Broke { reason },
        }
    }

    async fn how_it_ended(&mut self) -> Outcome {
        let process = self.shared.process.clone();
        if let Ok(exit) = timeout(HANG_UP_WAIT, process.wait()).await {
            return Outcome::Died(exit);
        }
        process.kill();
        match timeout(EXIT_WAIT, process.wait()).await {
            // It was killed by others in the meantime, or by the line above.
            Ok(Exit::Signal(libc::SIGKILL)) | Err(_) => Outcome::HungUp,
            Ok(exit) => Outcome::Died(exit),
        }
    }
}

fn foreign(frame: &WorkerFrame) -> String {
    match frame {
        WorkerFrame::Result { .. } | WorkerFrame::Error { .. } => {
            "an answer to a call that is not open"
        }
        WorkerFrame::Hello(_) => "a second hello",
        WorkerFrame::Loaded | WorkerFrame::LoadError(_) => "a load frame during a call",
    }
    .to_owned()
}

/// Whether the text is one JSON value, without building it. A function can write to descriptor 3
/// itself, and what it writes becomes part of answers that the server makes.
async fn check(result: Bytes) -> Result<(), String> {
    if result.len() <= INLINE_CHECK_BYTES {
        return is_json(&result);
    }
    match tokio::task::spawn_blocking(move || is_json(&result)).await {
        Ok(answer) => answer,
        Err(error) => Err(format!("the result could not be checked: {error}")),
    }
}

fn is_json(text: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<&RawValue>(text)
        .map(drop)
        .map_err(|error| format!("a result that is not JSON ({error})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_json_value_is_a_result() {
        for good in ["null", " {\"a\":[1,2.5e3,\"\\u00e9é\"]} ", "42", "\"\""] {
            assert_eq!(is_json(good.as_bytes()), Ok(()), "{good}");
        }
        for bad in ["", "{", "1 2", "NaN", "{\"a\":1},\"status\":\"READY\"", "'x'"] {
            assert!(is_json(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(is_json(b"\"\xff\"").is_err(), "not UTF-8");
    }
}
