//! Who is next of those that wait, in one line for each function: a function whose runs take long holds up none but
//! its own. Decides; executes nothing.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;
use uuid::Uuid;

/// Turns of whatever waits, for one that gives them.
#[derive(Debug)]
pub(super) struct Turns<T> {
    lines: Mutex<Lines<T>>,
    moved: Notify,
}

/// A place among those of one function that are executed, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn<T> {
    turns: Arc<Turns<T>>,
    function: Uuid,
}

impl<T> Turns<T> {
    /// `at_a_time`: those of one function that are executed.
    pub(super) fn new(at_a_time: usize) -> Self {
        let lines = Lines { at_a_time, lines: HashMap::new(), turns: VecDeque::new() };
        Self { lines: Mutex::new(lines), moved: Notify::new() }
    }

    /// To the end of its function's line.
    pub(super) fn wait(&self, function: Uuid, waiting: T) {
        self.lines().push(function, waiting);
        self.moved.notify_one();
    }

    /// The next one, as soon as there is one.
    pub(super) async fn next(self: &Arc<Self>) -> (T, Turn<T>) {
        loop {
            let next = self.lines().next();
            if let Some((function, waiting)) = next {
                return (waiting, Turn { turns: Arc::clone(self), function });
            }
            self.moved.notified().await;
        }
    }

    fn lines(&self) -> MutexGuard<'_, Lines<T>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        self.turns.lines().ended(self.function);
        self.turns.moved.notify_one();
    }
}

#[derive(Debug)]
struct Lines<T> {
    at_a_time: usize,
    /// Of the functions of which something waits or is executed.
    lines: HashMap<Uuid, Line<T>>,
    /// The functions of which the first may go, each of them once.
    turns: VecDeque<Uuid>,
}

#[derive(Debug)]
struct Line<T> {
    waiting: VecDeque<T>,
    executing: usize,
}

impl<T> Lines<T> {
    fn push(&mut self, function: Uuid, waiting: T) {
        let line = self.lines.entry(function);
        let line = line.or_insert_with(|| Line { waiting: VecDeque::new(), executing: 0 });
        line.waiting.push_back(waiting);
        if line.waiting.len() == 1 && line.executing < self.at_a_time {
            self.turns.push_back(function);
        }
    }

    /// The first of a line, one line after the other; it is executed from now on.
    fn next(&mut self) -> Option<(Uuid, T)> {
        let function = self.turns.pop_front()?;
        let line = self.lines.get_mut(&function)?;
        let next = line.waiting.pop_front()?;
        line.executing += 1;
        if !line.waiting.is_empty() && line.executing < self.at_a_time {
            self.turns.push_back(function);
        }
        Some((function, next))
    }

    /// One of this function's is executed no longer.
    fn ended(&mut self, function: Uuid) {
        let Some(line) = self.lines.get_mut(&function) else { return };
        let was_full = line.executing == self.at_a_time;
        line.executing = line.executing.saturating_sub(1);
        if !line.waiting.is_empty() {
            if was_full {
                self.turns.push_back(function);
            }
        } else if line.executing == 0 {
            self.lines.remove(&function);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a1` waits, `!a` one of a ended; what is executed next.
    fn check(steps: &str, expect: &str) {
        let turns = Turns::new(2);
        let mut lines = turns.lines();
        let id = |name: char| Uuid::from_u128(u128::from(u32::from(name)));
        for step in steps.split_whitespace() {
            let function = step.chars().find(|sign| sign.is_alphabetic()).unwrap();
            match step.strip_prefix('!') {
                Some(_) => lines.ended(id(function)),
                None if step.starts_with('?') => drop(lines.next()),
                None => lines.push(id(function), step),
            }
        }
        let next: Vec<&str> = std::iter::from_fn(|| lines.next()).map(|(_, step)| step).collect();
        assert_eq!(next.join(" "), expect, "{steps}");
    }

    #[test]
    fn lines_take_turns_and_none_has_more_than_its_share() {
        check("", "");
        check("a1", "a1");
        check("a1 a2 a3 a4", "a1 a2");
        check("a1 a2 a3 b1 c1 c2", "a1 b1 c1 a2 c2");
        check("a1 a2 a3 ?a ?a", "");
        check("a1 a2 a3 a4 ?a ?a !a", "a3");
        check("a1 a2 a3 a4 ?a ?a b1 !a !a", "b1 a3 a4");
        check("a1 a2 ?a !a ?a !a a3 a4 a5", "a3 a4");
        check("a1 a2 ?a !a a3", "a2 a3");
    }

    #[test]
    fn nothing_is_kept_of_a_function_that_is_done() {
        let turns = Turns::new(1);
        let mut lines = turns.lines();
        lines.push(Uuid::nil(), ());
        lines.next();
        lines.ended(Uuid::nil());
        assert!(lines.lines.is_empty() && lines.turns.is_empty());
    }
}
