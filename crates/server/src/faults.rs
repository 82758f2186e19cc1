//! Named points around every effect and every commit of the controllers. Nothing happens there, unless a crash test
//! says so: then the process ends at the point, or the store refuses the write (decision 40).

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use dispatch_store::CommitError;

/// A moment in the work of a controller: before or after something that cannot be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Point {
    /// `<feature>/<step>`, such as `service_instance/call`.
    pub name: &'static str,
    pub moment: Moment,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Moment {
    Before,
    After,
}

/// What a test has happen.
#[async_trait]
pub trait Script: Send + Sync + Debug {
    /// Returns at once, or, for a process that ends here, never.
    async fn reach(&self, point: Point);

    /// The error that a write ends with instead of being made.
    fn refuse(&self, point: &'static str) -> Option<CommitError>;
}

/// Empty outside of tests.
#[derive(Debug, Clone, Default)]
pub struct Faults(Option<Arc<dyn Script>>);

impl Faults {
    #[cfg(test)]
    pub fn scripted(script: Arc<dyn Script>) -> Self {
        Self(Some(script))
    }

    /// Does the work, passing the point's two moments on the way.
    pub async fn around<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let Some(script) = &self.0 else { return work.await };
        script.reach(Point { name, moment: Moment::Before }).await;
        let done = work.await;
        script.reach(Point { name, moment: Moment::After }).await;
        done
    }

    pub fn refuse(&self, name: &'static str) -> Option<CommitError> {
        self.0.as_ref().and_then(|script| script.refuse(name))
    }
}
