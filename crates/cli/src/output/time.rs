//! Times as people read them: points as `date` prints them (contract §3.1), spans in two units at most.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// `Wed Jun 27 14:50:51 AEST 2018`. Empty for the zero time, with which v0.1.22 says "not yet".
pub fn unix_date(seconds: i64, zone: &TimeZone) -> String {
    const ZERO_TIME: i64 = -62_135_596_800;
    if seconds <= ZERO_TIME {
        return String::new();
    }
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%a %b %e %H:%M:%S %Z %Y").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// `2018-06-27 14:50:51`, for lines that are sorted and searched.
pub fn sortable(seconds: i64, zone: &TimeZone) -> String {
    match Timestamp::from_second(seconds) {
        Ok(time) => time.to_zoned(zone.clone()).strftime("%F %T").to_string(),
        Err(_) => seconds.to_string(),
    }
}

/// `43 ms`, `1.3 s`, `2 min 10 s`, `3 h 5 min`.
pub fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{} ms", span.as_millis()),
        1..60 => format!("{:.1} s", span.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `2:10`, for a line that is redrawn every second.
pub fn clock(span: Duration) -> String {
    format!("{}:{:02}", span.as_secs() / 60, span.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_look_as_date_prints_them() {
        let check = |seconds, expect: &str| assert_eq!(unix_date(seconds, &TimeZone::UTC), expect);
        check(1_795_160_033, "Fri Nov 20 07:33:53 UTC 2026");
        check(1_530_075_051, "Wed Jun 27 04:50:51 UTC 2018");
        check(1_793_520_000, "Sun Nov  1 08:00:00 UTC 2026");
        check(-62_135_596_800, "");
        assert_eq!(sortable(1_530_075_051, &TimeZone::UTC), "2018-06-27 04:50:51");
    }

    #[test]
    fn spans_have_two_units_at_most() {
        let check = |millis, expect: &str| assert_eq!(span(Duration::from_millis(millis)), expect);
        check(43, "43 ms");
        check(1_349, "1.3 s");
        check(59_400, "59.4 s");
        check(582_000, "9 min 42 s");
        check(11_100_000, "3 h 5 min");
        assert_eq!(clock(Duration::from_secs(130)), "2:10");
    }
}
