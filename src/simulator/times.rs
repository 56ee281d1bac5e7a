//! Times as AWS writes them, and clocks that are off.

use std::time::{Duration, SystemTime};

/// A moment by a clock that is ahead by some seconds.
pub(super) fn offset(now: SystemTime, seconds: i64) -> SystemTime {
    let span = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds < 0 { now.checked_sub(span) } else { now.checked_add(span) };
    moved.unwrap_or(now)
}

/// A time in the form of the `Date` header (RFC 9110, section 5.6.7).
pub(super) fn http_date(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| String::new(), |time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A time in the form of RFC 3339, whole seconds.
pub(super) fn iso_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| String::new(), |time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
