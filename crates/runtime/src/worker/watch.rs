//! The task that every worker has: it reads what the process prints, ends it on request, and says
//! when it has ended. It sleeps while none of these happens.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::Shared;
use crate::logs::MAX_UNASKED_MIB;
use crate::spawn::Exit;

/// Called once, when no process of the worker is left.
pub(super) type OnExit = Box<dyn FnOnce(Exit) + Send>;

/// Runs until the process has ended. `grace` lies between hanging up and SIGKILL.
pub(super) async fn watch(shared: Arc<Shared>, grace: Duration, on_exit: OnExit) {
    let exited = shared.process.wait();
    let pump = shared.tap.pump();
    let ending = shared.ending.notified();
    let flooded = shared.tap.flooded();
    tokio::pin!(exited, pump, ending, flooded);
    let (mut pumping, mut calm) = (true, true);
    let mut kill_at: Option<Instant> = None;
    let exit = loop {
        let patience = async {
            match kill_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = &mut exited => break exit,
            () = &mut pump, if pumping => pumping = false,
            () = &mut flooded, if calm => {
                calm = false;
                shared.process.kill();
            }
            () = &mut ending, if kill_at.is_none() => kill_at = Some(Instant::now() + grace),
            () = patience => {
                shared.process.kill();
                kill_at = Some(Instant::now() + grace.max(Duration::from_secs(1)));
            }
        }
    };
    shared.tap.take_rest();
    if !calm {
        shared.tap.say(format!(
            "[dispatch: ended a worker that printed more than {MAX_UNASKED_MIB} MiB while no call \
             was open]"
        ));
    }
    on_exit(exit);
}
