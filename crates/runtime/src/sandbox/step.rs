//! A step of making a sandbox that failed: which one and the error number.

use std::io;

/// Reads after "failed to start a worker: ".
#[derive(Debug)]
pub(crate) struct StepError {
    pub(crate) step: String,
    pub(crate) errno: i32,
}

impl StepError {
    pub(crate) fn new(step: impl Into<String>, error: &io::Error) -> Self {
        Self { step: step.into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }
}

/// Names the step that a result belongs to.
pub(crate) trait Step<T> {
    fn step(self, name: &str) -> Result<T, StepError>;
    fn step_on(self, name: &str, what: &dyn std::fmt::Display) -> Result<T, StepError>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: &str) -> Result<T, StepError> {
        self.map_err(|error| StepError::new(name, &error.into()))
    }

    fn step_on(self, name: &str, what: &dyn std::fmt::Display) -> Result<T, StepError> {
        self.map_err(|error| StepError::new(format!("{name} {what}"), &error.into()))
    }
}
