//! What workers print: bounded per call, bounded per function between calls.
//!
//! It stores nothing on disk and redacts nothing: both are the server's.

mod call_log;
mod function_log;
mod tap;

pub use call_log::{Logs, MAX_CALL_BYTES, MAX_CALL_LINES};
pub use function_log::{FunctionLog, LogLine, MAX_FUNCTION_BYTES, MAX_FUNCTION_LINES};

pub(crate) use call_log::CallLog;
pub(crate) use function_log::last_errors;
pub(crate) use tap::{LogTap, MAX_UNASKED_MIB};

/// Which of a process's two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}
