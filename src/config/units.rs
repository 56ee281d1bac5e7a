//! Durations and rates as people write them: `500ms`, `10s`, `1m`, `1h`, `20/s`, `300/m`.

use std::time::Duration;

/// The highest rate that can be asked for, per second; what one agent can do ends long before.
pub const MAX_RATE_PER_SECOND: f64 = 20_000.0;
/// The lowest rate: one a minute; anything slower is a matter of `every`.
pub const MIN_RATE_PER_SECOND: f64 = 1.0 / 60.0;
/// What a rate looks like.
pub const RATE_WANTED: &str = "a rate from 1/m to 20000/s, such as 20/s or 300/m";

/// Reads a duration: digits and one unit of `ms`, `s`, `m`, `h`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// Reads a rate, as attempts per second.
#[must_use]
pub fn rate(text: &str) -> Option<f64> {
    // The smallest rate is a sixtieth, which has no exact form.
    any_rate(text).filter(|rate| *rate > MIN_RATE_PER_SECOND - 1e-9 && *rate <= MAX_RATE_PER_SECOND)
}

/// Reads a rate of any size, zero too.
#[must_use]
pub fn any_rate(text: &str) -> Option<f64> {
    let (number, unit) = text.split_once('/')?;
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.') && !number.is_empty();
    let number: f64 = if plain { number.parse().ok()? } else { return None };
    match unit {
        "s" => Some(number),
        "m" => Some(number / 60.0),
        _ => None,
    }
}

/// A rate for people: whole seconds where they fit, minutes below one a second.
#[must_use]
pub fn rate_text(per_second: f64) -> String {
    if per_second >= 1.0 || per_second == 0.0 {
        format!("{}/s", rounded(per_second))
    } else {
        format!("{}/m", rounded(per_second * 60.0))
    }
}

fn rounded(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A duration as it would be written.
#[must_use]
pub fn duration_text(duration: Duration) -> String {
    let ms = duration.as_millis();
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_and_rates_have_one_form_each() {
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("24h"), Some(Duration::from_secs(86_400)));
        for bad in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            " 1s",
            "1 s",
            "1h30m",
            "1d",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
        assert_eq!(rate("20/s"), Some(20.0));
        assert_eq!(rate("300/m"), Some(5.0));
        assert_eq!(rate("0.5/s"), Some(0.5));
        assert!(rate("1/m").is_some());
        for bad in
            ["", "20", "/s", "20/h", "-1/s", "0/s", "1e9/s", "inf/s", "NaN/s", "20001/s", "0.9/m", "1.2.3/s"]
        {
            assert_eq!(rate(bad), None, "{bad}");
        }
        assert_eq!(rate_text(20.0), "20/s");
        assert_eq!(rate_text(1.0 / 30.0), "2/m");
    }

    proptest! {
        #[test]
        fn a_duration_reads_back(ms in 1_u64..1_000_000_000) {
            let span = Duration::from_millis(ms);
            prop_assert_eq!(duration(&duration_text(span)), Some(span));
        }
    }
}
