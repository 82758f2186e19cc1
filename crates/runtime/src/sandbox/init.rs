//! The first process of a sandbox, once the program runs: reaps, obeys, watches, and ends.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{WaitOptions, wait};

use super::endpoints::Endpoints;
use super::memory;
use super::step::StepError;
use crate::spawn::Limits;
use crate::spawner::message::{Ended, Order, Report, receive, send};
use std::os::fd::AsFd;

/// How often memory is looked at where no cgroup bounds it.
const WATCH_EVERY_MS: i64 = 100;

/// Returns when the program has ended, the server has gone, or memory is over its limit; the end of
/// this process then kills whatever is left in the namespace.
pub(super) fn stay(
    control: &OwnedFd,
    signals: &OwnedFd,
    worker: i32,
    endpoints: &mut Endpoints,
    watched: Option<Limits>,
) {
    let ended = loop {
        if let Some(ended) = reap(worker) {
            break ended;
        }
        if watched.is_some_and(|limits| memory::is_over(limits.memory_bytes)) {
            break Ended::Memory;
        }
        match next(control, signals, watched.is_some()) {
            Next::Look => {}
            Next::Order => match receive::<Order>(control) {
                Ok(Some((Order::Add(list), _))) => add(control, endpoints, &list),
                Ok(None) | Err(_) => break Ended::Signal(libc::SIGKILL),
            },
        }
    };
    let _ = send(control, &Report::Exited(ended), &[]);
}

enum Next {
    Look,
    Order,
}

fn next(control: &OwnedFd, signals: &OwnedFd, watch: bool) -> Next {
    let timeout = Timespec { tv_sec: 0, tv_nsec: WATCH_EVERY_MS * 1_000_000 };
    let mut sources = [PollFd::new(control, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
    let _ = poll(&mut sources, watch.then_some(&timeout));
    let [orders, children] = &sources;
    if !children.revents().is_empty() {
        // Only to empty it: what ended is found by waiting.
        let mut bytes = [0u8; 1024];
        let _ = rustix::io::read(signals, &mut bytes);
    }
    if orders.revents().is_empty() { Next::Look } else { Next::Order }
}

/// Reaps everything that has ended; the end of the worker, if it was among them.
fn reap(worker: i32) -> Option<Ended> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid.as_raw_nonzero().get() == worker {
            found = Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ended::Code(code),
                (None, Some(signal)) => Ended::Signal(signal),
                (None, None) => Ended::Signal(libc::SIGKILL),
            });
        }
    }
    found
}

fn add(control: &OwnedFd, endpoints: &mut Endpoints, list: &[crate::spawn::Endpoint]) {
    let _ = match endpoints.add(list) {
        Ok(made) => {
            let descriptors: Vec<_> = made.iter().map(|(_, fd)| fd.as_fd()).collect();
            let listeners = made.iter().map(|(endpoint, _)| endpoint.clone()).collect();
            send(control, &Report::Added { listeners }, &descriptors)
        }
        Err(StepError { step, errno }) => send(control, &Report::NotAdded { step, errno }, &[]),
    };
}
