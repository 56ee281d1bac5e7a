//! Token buckets, filled by the time that requests carry.

use super::world::Throttle;
use std::collections::BTreeMap;
use std::time::SystemTime;

/// The buckets of all throttled APIs.
#[derive(Debug, Default)]
pub(crate) struct Buckets(BTreeMap<String, Bucket>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: SystemTime,
}

impl Buckets {
    /// Takes a token of an API's bucket; false when there is none.
    pub(crate) fn take(&mut self, api: &str, throttle: Throttle, now: SystemTime) -> bool {
        let bucket =
            self.0.entry(api.to_owned()).or_insert(Bucket { tokens: throttle.burst.max(1.0), filled: now });
        let since = now.duration_since(bucket.filled).unwrap_or_default();
        bucket.filled = bucket.filled.max(now);
        // A bucket holds at least one token, or nothing would ever pass.
        bucket.tokens = (bucket.tokens + since.as_secs_f64() * throttle.rate).min(throttle.burst.max(1.0));
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let mut buckets = Buckets::default();
        let throttle = Throttle { rate: 2.0, burst: 3.0 };
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let mut take = |ms| buckets.take("a", throttle, start + Duration::from_millis(ms));
        assert_eq!([take(0), take(0), take(0), take(0)], [true, true, true, false]);
        assert_eq!([take(499), take(500), take(501)], [false, true, false]);
        // The clock steps back: nothing is given, nothing breaks.
        assert!(!take(0));
        assert_eq!((0..9).filter(|_| take(60_000)).count(), 3);
    }
}
