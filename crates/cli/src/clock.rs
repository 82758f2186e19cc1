//! The one place that looks at the wall clock. Everything else takes times as arguments.

use jiff::{Timestamp, tz::TimeZone};

#[expect(clippy::disallowed_methods, reason = "the command line owns the real clock")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// The person's time zone (TZ, else the machine's).
pub fn zone() -> TimeZone {
    TimeZone::system()
}
