//! Asynchronous operations of the fake broker: beginning, polling, ending.

use std::time::Duration;

use jiff::Timestamp;

use super::books::{Left, OperationRecord, Standing, Subject, Verb};
use super::settings::{End, OperationName, Pace, Work};
use super::state::State;
use crate::broker::{Failure, PollBinding, PollInstance, Progress};
use crate::types::{LastOperation, OperationState, UpdateBody};

/// Whether work is over at once.
pub(super) enum Begun {
    Over,
    Running { operation: Option<String> },
}

impl State {
    /// Begins work on a subject that has no operation in progress.
    pub(super) fn begin(
        &mut self,
        work: &Work,
        subject: Subject,
        verb: Verb,
        update: Option<UpdateBody>,
    ) -> Result<Begun, Failure> {
        let left = match work.pace {
            Pace::AtOnce => {
                let end = work.end.clone();
                let last = self.finish(&subject, verb, &end, update.as_ref());
                return match end {
                    End::Succeed => Ok(Begun::Over),
                    End::Fail { instance_usable, update_repeatable, .. } => Err(Failure {
                        instance_usable,
                        update_repeatable,
                        ..Failure::internal(last.description.unwrap_or_default())
                    }),
                };
            }
            Pace::Polls(polls) => Left::Polls(polls),
            Pace::UntilReleased => Left::Release,
            Pace::Lasting(lasting) => Left::Time { begun: self.settings.time.now(), lasting },
        };
        let number = self.books.operations.len() + 1;
        let operation = match &work.operation {
            OperationName::Own => Some(format!("operation-{number}")),
            OperationName::Starting(text) => Some(format!("{text}{number}")),
            OperationName::Absent => None,
        };
        self.books.operations.push(OperationRecord {
            operation: operation.clone(),
            subject,
            verb,
            state: OperationState::InProgress,
            polls: 0,
            left,
            end: work.end.clone(),
            progress: work.progress.clone(),
            update,
        });
        Ok(Begun::Running { operation })
    }

    /// Lets the operations that wait for the release end at the next poll.
    pub(super) fn release_operations(&mut self) {
        for operation in &mut self.books.operations {
            if operation.left == Left::Release {
                operation.left = Left::Polls(0);
            }
        }
    }

    pub(super) fn poll_instance(&mut self, request: &PollInstance) -> Result<Progress, Failure> {
        let id = &request.instance_id;
        let known = self.books.instances_ever.contains(id);
        self.poll(Subject::Instance(id.clone()), request.operation.as_deref(), known)
    }

    pub(super) fn poll_binding(&mut self, request: &PollBinding) -> Result<Progress, Failure> {
        let binding = request.binding_id.clone();
        let known = self.books.bindings_ever.contains(&binding);
        let subject = Subject::Binding { instance: request.instance_id.clone(), binding };
        self.poll(subject, request.operation.as_deref(), known)
    }

    fn poll(
        &mut self,
        subject: Subject,
        asked: Option<&str>,
        known: bool,
    ) -> Result<Progress, Failure> {
        let Some(operation) = self.books.last(&subject) else {
            return Err(match known {
                true => Failure::bad_request("there was no asynchronous operation"),
                false => Failure::not_found("there is no such thing"),
            });
        };
        operation.polls += 1;
        if operation.operation.as_deref() != asked {
            let text = format!(
                "OSB-101: polled with the operation {asked:?} instead of {:?}",
                operation.operation
            );
            self.books.violation(text);
        }
        self.step(&subject).map(Progress::from)
    }

    /// One poll of the last operation.
    fn step(&mut self, subject: &Subject) -> Result<LastOperation, Failure> {
        let now = self.settings.time.now();
        let operation = self.books.last(subject).expect("the caller has seen it");
        if operation.state == OperationState::InProgress {
            if let Some(part) = operation.going_on(now) {
                let text = operation.progress.get(part).or(operation.progress.last());
                let last = LastOperation::new(OperationState::InProgress);
                return Ok(LastOperation { description: text.cloned(), ..last });
            }
            let (verb, end) = (operation.verb, operation.end.clone());
            let update = operation.update.clone();
            operation.state = state_of(&end);
            return Ok(self.finish(subject, verb, &end, update.as_ref()));
        }
        let over = last_of(&operation.end);
        match (operation.verb, operation.state) {
            (Verb::Delete, OperationState::Succeeded) => Err(Failure::gone()),
            _ => Ok(over),
        }
    }

    /// Does what the end of an operation does.
    fn finish(
        &mut self,
        subject: &Subject,
        verb: Verb,
        end: &End,
        update: Option<&UpdateBody>,
    ) -> LastOperation {
        let standing = match (verb, end) {
            (Verb::Create, End::Fail { remains: true, .. }) => Some(Standing::CreateFailed),
            (Verb::Create, End::Fail { remains: false, .. }) | (Verb::Delete, End::Succeed) => None,
            _ => Some(Standing::Ready),
        };
        match (subject, standing) {
            (Subject::Instance(id), Some(standing)) => {
                if let Some(instance) = self.books.instances.get_mut(id) {
                    instance.standing = standing;
                    if let (Some(update), End::Succeed) = (update, end) {
                        super::instances::apply(instance, update);
                    }
                }
            }
            (Subject::Instance(id), None) => {
                self.books.instances.remove(id);
            }
            (Subject::Binding { binding, .. }, Some(standing)) => {
                if let Some(binding) = self.books.bindings.get_mut(binding) {
                    binding.standing = standing;
                }
            }
            (Subject::Binding { binding, .. }, None) => {
                self.books.bindings.remove(binding);
            }
        }
        last_of(end)
    }
}

impl OperationRecord {
    /// Which part of its progress it is in; `None` if it is over.
    fn going_on(&mut self, now: Timestamp) -> Option<usize> {
        let nth_poll = (self.polls - 1) as usize;
        match &mut self.left {
            Left::Polls(0) => None,
            Left::Polls(left) => {
                *left -= 1;
                Some(nth_poll)
            }
            Left::Release => Some(nth_poll),
            Left::Time { begun, lasting } => {
                let gone = Duration::try_from(now.duration_since(*begun)).unwrap_or_default();
                let parts = self.progress.len().max(1) as u128;
                let part = gone.as_nanos() * parts / lasting.as_nanos().max(1);
                (gone < *lasting).then(|| usize::try_from(part).unwrap_or(usize::MAX))
            }
        }
    }
}

fn state_of(end: &End) -> OperationState {
    match end {
        End::Succeed => OperationState::Succeeded,
        End::Fail { .. } => OperationState::Failed,
    }
}

fn last_of(end: &End) -> LastOperation {
    let last = LastOperation::new(state_of(end));
    match end.clone() {
        End::Succeed => last,
        End::Fail { description, instance_usable, update_repeatable, .. } => LastOperation {
            description: Some(description),
            instance_usable,
            update_repeatable,
            ..last
        },
    }
}
