//! What a connection is doing, and until when it may. No timers here: [`Activity::deadline`] is pure.
//! HTTP/1 sees the head of the next request begin with its first byte; on HTTP/2, where frames come at any time,
//! a slow head between requests is bounded by the idle time instead.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

use super::Limits;

const NEVER: u64 = u64::MAX;

/// What one connection is doing. Times are milliseconds since its start.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Requests whose answer has not been handed over completely.
    calls: AtomicUsize,
    /// Since when the head of a request is being read.
    head_since: AtomicU64,
    /// The last time that an answer ended or bytes of it were taken.
    last: AtomicU64,
    /// Since when the client takes nothing.
    stalled_since: AtomicU64,
    /// HTTP/2.
    multiplexed: AtomicBool,
}

/// Why a connection's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Header,
    Idle,
    Stalled,
}

impl Activity {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            calls: AtomicUsize::new(0),
            head_since: AtomicU64::new(0),
            last: AtomicU64::new(0),
            stalled_since: AtomicU64::new(NEVER),
            multiplexed: AtomicBool::new(false),
        }
    }

    pub(super) fn begin_call(self: &Arc<Self>, multiplexed: bool) -> Call {
        self.calls.fetch_add(1, Relaxed);
        self.head_since.store(NEVER, Relaxed);
        self.multiplexed.store(multiplexed, Relaxed);
        Call(Arc::clone(self))
    }

    /// When the connection's time is over if nothing happens until then, and why. `None` while a call runs.
    pub(super) fn deadline(&self, limits: &Limits) -> Option<(Instant, Expiry)> {
        let at = |since: u64, limit: Duration, expiry| {
            Some((self.start + Duration::from_millis(since) + limit, expiry))
        };
        let stalled_since = self.stalled_since.load(Relaxed);
        if stalled_since != NEVER {
            return at(stalled_since, limits.stall_timeout, Expiry::Stalled);
        }
        if self.calls.load(Relaxed) > 0 {
            return None;
        }
        let head_since = self.head_since.load(Relaxed);
        if head_since != NEVER {
            return at(head_since, limits.header_timeout, Expiry::Header);
        }
        at(self.last.load(Relaxed), limits.idle_timeout, Expiry::Idle)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }

    fn read(&self) {
        if self.calls.load(Relaxed) == 0 && !self.multiplexed.load(Relaxed) {
            let _ = self.head_since.compare_exchange(NEVER, self.now(), Relaxed, Relaxed);
        }
    }

    fn sent<T>(&self, outcome: &Poll<T>) {
        if outcome.is_ready() {
            self.last.store(self.now(), Relaxed);
            self.stalled_since.store(NEVER, Relaxed);
        } else {
            let _ = self.stalled_since.compare_exchange(NEVER, self.now(), Relaxed, Relaxed);
        }
    }
}

/// A request that is being answered; dropped with the last byte of its answer.
#[derive(Debug)]
pub(super) struct Call(Arc<Activity>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.last.store(self.0.now(), Relaxed);
        self.0.calls.fetch_sub(1, Relaxed);
    }
}

/// A stream that tells its [`Activity`] what passes.
#[derive(Debug)]
pub(super) struct Watched<I> {
    pub(super) io: I,
    pub(super) activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.io).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.read();
        }
        outcome
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(cx, buf);
        self.activity.sent(&outcome);
        outcome
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.activity.sent(&outcome);
        outcome
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_flush(cx);
        // A flush that has nothing to do is no sign of life.
        if outcome.is_pending() || self.activity.stalled_since.load(Relaxed) != NEVER {
            self.activity.sent(&outcome);
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            header_timeout: Duration::from_millis(10),
            idle_timeout: Duration::from_millis(75),
            stall_timeout: Duration::from_millis(40),
            ..Limits::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_phase_of_a_connection_has_its_own_deadline() {
        let start = Instant::now();
        let activity = Arc::new(Activity::new(start));
        let check = |expect: Option<(u64, Expiry)>| {
            let expect = expect.map(|(ms, expiry)| (start + Duration::from_millis(ms), expiry));
            assert_eq!(activity.deadline(&limits()), expect);
        };
        let pass = |ms| tokio::time::advance(Duration::from_millis(ms));

        // A new connection has the time of a head, however its bytes drip in.
        check(Some((10, Expiry::Header)));
        pass(5).await;
        activity.read();
        check(Some((10, Expiry::Header)));
        // A call has no limit, and bytes of its body start no head.
        let call = activity.begin_call(false);
        pass(1000).await;
        activity.read();
        check(None);
        // Then it is idle, until the first byte of the next head.
        drop(call);
        check(Some((1005 + 75, Expiry::Idle)));
        pass(50).await;
        activity.read();
        check(Some((1055 + 10, Expiry::Header)));
        pass(5).await;
        activity.read();
        check(Some((1055 + 10, Expiry::Header)));
        // An answer that is not taken stalls, also during a call, until a byte is taken.
        let call = activity.begin_call(false);
        activity.sent::<()>(&Poll::Pending);
        pass(20).await;
        activity.sent::<()>(&Poll::Pending);
        check(Some((1060 + 40, Expiry::Stalled)));
        activity.sent(&Poll::Ready(()));
        check(None);
        drop(call);
        check(Some((1080 + 75, Expiry::Idle)));
    }

    #[tokio::test(start_paused = true)]
    async fn frames_between_the_requests_of_http_2_start_no_head() {
        let start = Instant::now();
        let activity = Arc::new(Activity::new(start));
        drop(activity.begin_call(true));
        activity.read();
        let expect = Some((start + Duration::from_millis(75), Expiry::Idle));
        assert_eq!(activity.deadline(&limits()), expect);
    }
}
