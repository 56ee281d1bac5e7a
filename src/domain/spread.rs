//! A stable place within the interval for each name, so that nothing starts all at once and a restart
//! changes nothing. A hash, not a random number: the same configuration gives the same timetable.

use std::time::Duration;

/// The phase of a name within an interval: evenly spread over names, equal for equal names.
#[must_use]
pub fn phase(name: &str, interval: Duration) -> Duration {
    interval.mul_f64(fraction(name))
}

/// A number in 0 (included) to 1 (excluded) that depends on the name alone.
#[must_use]
pub fn fraction(name: &str) -> f64 {
    // The upper 53 bits fill a double's mantissa.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let upper = (hash(&[name]) >> 11) as f64;
    upper / (1_u64 << 53) as f64
}

/// A 64-bit hash of the parts joined, the same on every machine and in every version: FNV-1a, then the finishing
/// steps of splitmix64, since FNV alone leaves the upper bits of similar names alike. Not for hostile input:
/// who chooses the names can make them collide.
#[must_use]
pub fn hash(parts: &[&str]) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in parts.iter().flat_map(|part| part.bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spread_evenly_and_for_good() {
        let mut tenths = [0_u32; 10];
        for n in 0..10_000 {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 9")]
            let tenth = (fraction(&format!("spoke-{n}/api/hello")) * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(tenths.iter().all(|count| (900..1100).contains(count)), "{tenths:?}");
        assert_eq!(phase("payments/hoot/hello", Duration::from_secs(30)).as_millis(), PINNED_MS);
    }

    /// A changed hash would move every probe of every user at an upgrade.
    const PINNED_MS: u128 = 12_999;
}
