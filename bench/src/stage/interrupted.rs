//! Ctrl-C and SIGTERM: what was started is ended, and what was written is removed, before this program goes.

use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use super::Trouble;

static STARTED: Mutex<Vec<u32>> = Mutex::new(Vec::new());

fn started() -> MutexGuard<'static, Vec<u32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A child of this process that is ended with it.
pub(super) fn remember(pid: u32) {
    started().push(pid);
}

/// It has ended and was waited for: its number may be somebody else's from now on.
pub(super) fn forget(pid: u32) {
    started().retain(|known| *known != pid);
}

/// Begins to listen for signals, on a thread of its own.
pub fn clean_up_when_interrupted(directory: PathBuf) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Trouble::io("listen for signals"))?;
    let wait = async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        Ok::<_, std::io::Error>(async move {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
    };
    let asked = runtime.block_on(wait).map_err(Trouble::io("listen for signals"))?;
    std::thread::spawn(move || {
        runtime.block_on(asked);
        for pid in started().iter().rev() {
            end(*pid, Signal::TERM);
        }
        // Workers end with their server; what is still written is written into nothing.
        let _ = fs::remove_dir_all(&directory);
        std::process::exit(130);
    });
    Ok(())
}

/// Tells a child that it is over. It may have ended already.
pub(super) fn end(pid: u32, how: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, how);
    }
}
