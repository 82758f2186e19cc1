//! A body that comes: read to its end within its size, the room that all bodies have, and the time it may take. Whoever
//! sends it slowly holds his share of the room for no longer than an honest slow line would.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use dispatch_model::ErrorCode;
use http_body_util::BodyExt;
use hyper::body::Body;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use super::ApiError;

/// A body, and its place among those that are held.
pub(super) type Placed = (Bytes, Option<OwnedSemaphorePermit>);

/// How slowly a body may come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The longest without a byte.
    pub(super) silence: Duration,
    /// In each of these, one after the other, come so many bytes, or the end.
    pub(super) span: Duration,
    pub(super) span_bytes: usize,
}

impl Pace {
    /// A line of 256 kbit/s keeps it, also for the largest body.
    pub(super) const SLOWEST: Self = Self {
        silence: Duration::from_secs(30),
        span: Duration::from_secs(60),
        span_bytes: 60 * (256_000 / 8),
    };
}

/// A body to its end. Its bytes take room as they come, so that a length which is only claimed holds nothing.
pub(super) async fn whole<B>(
    mut body: B,
    max: usize,
    room: &Arc<Semaphore>,
    pace: Pace,
) -> Result<Placed, ApiError>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut place: Option<OwnedSemaphorePermit> = None;
    let mut progress = Progress::begin(pace, Instant::now());
    loop {
        let frame = match timeout_at(progress.look_at(), body.frame()).await {
            Ok(None) => break,
            Ok(Some(frame)) => Some(frame),
            Err(_) => None,
        };
        let early = |_| ApiError::new(ErrorCode::MalformedBody, "the body ended too early");
        let frame = frame.transpose().map_err(early)?;
        let data = frame.and_then(|frame| frame.into_data().ok()).unwrap_or_default();
        progress.check(data.len(), Instant::now())?;
        if data.is_empty() {
            continue;
        }
        let so_far = first.len() + all.len();
        let bytes = u32::try_from(data.len()).ok().filter(|_| data.len() <= max - so_far);
        let bytes = bytes.ok_or_else(|| {
            let message = format!("the body is larger than {max} bytes");
            ApiError::new(ErrorCode::PayloadTooLarge, message)
        })?;
        let more = Arc::clone(room).try_acquire_many_owned(bytes).map_err(|_| {
            let message = "the bodies of other requests take all the room there is";
            ApiError::new(ErrorCode::Unavailable, message)
        })?;
        match &mut place {
            None => place = Some(more),
            Some(place) => place.merge(more),
        }
        // Most bodies come in one piece, which is passed on as it is.
        if so_far == 0 {
            first = data;
        } else {
            all.extend_from_slice(&std::mem::take(&mut first));
            all.extend_from_slice(&data);
        }
    }
    Ok((if all.is_empty() { first } else { all.freeze() }, place))
}

/// What has come, and when.
#[derive(Debug)]
struct Progress {
    pace: Pace,
    last: Instant,
    span_begun: Instant,
    /// Bytes in the present span.
    came: usize,
}

impl Progress {
    const fn begin(pace: Pace, now: Instant) -> Self {
        Self { pace, last: now, span_begun: now, came: 0 }
    }

    /// When to look whether it goes on, if nothing comes before.
    fn look_at(&self) -> Instant {
        (self.last + self.pace.silence).min(self.span_begun + self.pace.span)
    }

    /// Counts what has come now, and refuses what comes too slowly.
    fn check(&mut self, bytes: usize, now: Instant) -> Result<(), ApiError> {
        let Pace { silence, span, span_bytes } = self.pace;
        self.came += bytes;
        if bytes > 0 {
            self.last = now;
        } else if now >= self.last + silence {
            return Err(too_slow(format!("nothing for {silence:?}")));
        }
        if now < self.span_begun + span {
            return Ok(());
        }
        if self.came < span_bytes {
            return Err(too_slow(format!("{} bytes in {span:?}", self.came)));
        }
        (self.span_begun, self.came) = (now, 0);
        Ok(())
    }
}

fn too_slow(how: String) -> ApiError {
    ApiError::new(ErrorCode::RequestTimeout, format!("the body came too slowly: {how}"))
}

#[cfg(test)]
mod tests {
    use futures::{Stream, StreamExt as _, stream};
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    type Piece = Result<Frame<Bytes>, std::convert::Infallible>;

    fn pieces(bytes: &'static [u8]) -> impl Stream<Item = Piece> {
        let piece = |byte| Ok(Frame::data(Bytes::from_static(std::slice::from_ref(byte))));
        stream::iter(bytes.iter().map(piece))
    }

    async fn read(
        body: impl Stream<Item = Piece>,
        pace: Pace,
    ) -> (Result<usize, (u16, String)>, usize) {
        let room = Arc::new(Semaphore::new(1_000_000));
        let body = std::pin::pin!(body);
        let read = whole(StreamBody::new(body), 1_000_000, &room, pace);
        let read = tokio::time::timeout(Duration::from_secs(60), read).await;
        let read = read.expect("it never gave up").map(|(body, _)| body.len());
        (read.map_err(|e| (e.code.http_status(), e.message)), room.available_permits())
    }

    #[tokio::test]
    async fn a_body_is_read_within_its_bound_and_the_room_there_is() {
        let check = async |body: &'static str, max, room, expect| {
            let room = Arc::new(Semaphore::new(room));
            let read = whole(Full::from(body), max, &room, Pace::SLOWEST).await;
            assert_eq!(read.map(|(body, _)| body.len()).map_err(|e| e.code), expect, "{body}");
        };
        check("", 0, 0, Ok(0)).await;
        check("1234", 4, 4, Ok(4)).await;
        check("12345", 4, 9, Err(ErrorCode::PayloadTooLarge)).await;
        check("12345", 9, 4, Err(ErrorCode::Unavailable)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_stops_coming_gives_its_room_back() {
        let pace = Pace { silence: SHORT, span: LONG, span_bytes: 1 };
        let (read, room) = read(pieces(b"12").chain(stream::pending()), pace).await;
        let why = "the body came too slowly: nothing for 20ms".to_owned();
        assert_eq!((read, room), (Err((408, why)), 1_000_000));
    }

    /// A byte now and then is no progress, however regular.
    #[tokio::test(start_paused = true)]
    async fn what_comes_drop_by_drop_is_refused_and_what_keeps_its_pace_is_not() {
        let drops = || {
            stream::repeat(()).then(async |()| {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(Frame::data(Bytes::from_static(b"x")))
            })
        };
        let pace = |span_bytes| Pace { silence: LONG, span: SHORT, span_bytes };
        let (refused, _) = read(drops(), pace(1_000)).await;
        let (status, why) = refused.unwrap_err();
        assert!(status == 408 && why.ends_with(" bytes in 20ms"), "{why}");
        let (whole, _) = read(drops().take(200), pace(1)).await;
        assert_eq!(whole, Ok(200));
    }

    #[test]
    fn each_span_is_held_against_the_pace_by_itself() {
        let begin = Instant::now();
        let at = |second| begin + Duration::from_secs(second);
        let pace = Pace::SLOWEST;
        let enough = 1_920_000;
        let check = |steps: &[(u64, usize)], expect: &[bool]| {
            let mut progress = Progress::begin(pace, begin);
            let fine = |(second, bytes): &(u64, usize)| progress.check(*bytes, at(*second)).is_ok();
            assert_eq!(steps.iter().map(fine).collect::<Vec<_>>(), expect, "{steps:?}");
        };
        check(&[(29, 0), (30, 0)], &[true, false]);
        check(&[(29, 1), (58, 1), (60, enough - 2)], &[true, true, true]);
        check(&[(29, 1), (58, 1), (60, enough - 3)], &[true, true, false]);
        // What came fast at first does not pay for what comes slowly later.
        let slowly = [(1, 100 * enough), (30, 1), (60, 1), (89, 1), (118, 1), (120, 1)];
        check(&slowly, &[true, true, true, true, true, false]);
        let mut progress = Progress::begin(pace, begin);
        assert_eq!(progress.look_at(), at(30));
        progress.check(1, at(29)).unwrap();
        assert_eq!(progress.look_at(), at(59));
        progress.check(1, at(50)).unwrap();
        assert_eq!(progress.look_at(), at(60));
    }
}
