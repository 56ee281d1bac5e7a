//! Numbers as people read them: durations, counts, shares, rates and ratios, for text, progress and page.

/// Stands for what is not known.
pub(super) const UNKNOWN: &str = "–";

/// A latency at three significant digits: `812 µs`, `12.3 ms`, `2.00 s`, `45.1 s`, `312 s`.
pub(super) fn latency(seconds: f64) -> String {
    let (number, unit) = if seconds < 0.000_999_5 {
        (seconds * 1e6, "µs")
    } else if seconds < 0.999_5 {
        (seconds * 1e3, "ms")
    } else {
        (seconds, "s")
    };
    format!("{} {unit}", three_digits(number))
}

/// The same of what may be unknown.
pub(super) fn latency_or_unknown(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| UNKNOWN.to_owned(), latency)
}

fn three_digits(number: f64) -> String {
    let decimals = if number < 9.995 {
        2
    } else if number < 99.95 {
        1
    } else {
        0
    };
    format!("{number:.decimals$}")
}

/// A latency at an axis: `20 ms`, without digits that say nothing.
pub(super) fn short_latency(seconds: f64) -> String {
    if seconds <= 0.0 {
        return "0".to_owned();
    }
    let text = latency(seconds);
    match text.split_once(' ') {
        Some((number, unit)) if number.contains('.') => {
            format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

/// A time span of a run: `12s`, `6m30s`, `1h02m`, or `2.5s` under ten seconds.
pub(super) fn duration(seconds: f64) -> String {
    if seconds < 9.95 {
        let text = format!("{seconds:.1}");
        return format!("{}s", text.strip_suffix(".0").unwrap_or(&text));
    }
    // A run of a million years does not happen; the cast saturates.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, not negative")]
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3_600, whole / 60 % 60, whole % 60);
    match (hours, minutes, rest) {
        (0, 0, rest) => format!("{rest}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, rest) => format!("{minutes}m{rest:02}s"),
        (hours, 0, 0) => format!("{hours}h"),
        (hours, minutes, 0) => format!("{hours}h{minutes:02}m"),
        (hours, minutes, rest) => format!("{hours}h{minutes:02}m{rest:02}s"),
    }
}

/// A count with its thousands apart: `12,345`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate: `0.5/s`, `18.1/s`, `20/s`, `10,000/s`.
pub(super) fn rate(a_second: f64) -> String {
    if a_second >= 99.95 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "rounded, not negative"
        )]
        return format!("{}/s", count(a_second.round() as u64));
    }
    let text = format!("{a_second:.1}");
    format!("{}/s", text.strip_suffix(".0").unwrap_or(&text))
}

/// A number at an axis: `0.05`, `2.5`, `10,000`.
pub(super) fn number(number: f64) -> String {
    if number >= 99.95 {
        return rate(number).trim_end_matches("/s").to_owned();
    }
    let text = format!("{number:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share: `0%`, `0.05%`, `1.2%`, `100%`. What is not nothing never reads as nothing, nor what is not all as all.
pub(super) fn share(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 {
        return "<0.01%".to_owned();
    }
    if percent < 100.0 && percent > 99.99 {
        return ">99.99%".to_owned();
    }
    let text = format!("{percent:.2}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `part` of `whole` as a share.
pub(super) fn percent(part: u64, whole: u64) -> String {
    super::measured::share(part, whole).map_or_else(|| UNKNOWN.to_owned(), share)
}

/// What a guard measured or allows, in its own unit: seconds for `p99`, shares otherwise.
pub(super) fn limit(guard: &str, number: f64) -> String {
    if guard == "p99" { latency(number) } else { share(number) }
}

/// A status code, or a word for none.
pub(super) fn code(code: Option<u16>) -> String {
    code.map_or_else(|| "none".to_owned(), |code| code.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_their_unit() {
        let cases = [
            (0.0, "0.00 µs"),
            (0.000_001, "1.00 µs"),
            (0.000_812, "812 µs"),
            (0.000_999_6, "1.00 ms"),
            (0.012_34, "12.3 ms"),
            (0.999_6, "1.00 s"),
            (2.0, "2.00 s"),
            (45.06, "45.1 s"),
            (312.4, "312 s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(latency(seconds), text, "{seconds}");
        }
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.5, 18.12, 20.0, 99.96, 10_000.4].map(rate),
            ["0/s", "0.5/s", "18.1/s", "20/s", "100/s", "10,000/s"]
        );
    }

    #[test]
    fn spans_are_written_as_people_say_them() {
        let cases = [
            (0.0, "0s"),
            (2.5, "2.5s"),
            (9.96, "10s"),
            (59.6, "1m"),
            (390.0, "6m30s"),
            (3_600.0, "1h"),
            (3_720.0, "1h02m"),
            (3_661.0, "1h01m01s"),
        ];
        for (seconds, text) in cases {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn a_share_never_hides_something_or_the_lack_of_it() {
        assert_eq!(share(0.0), "0%");
        assert_eq!(share(0.000_01), "<0.01%");
        assert_eq!(share(0.000_5), "0.05%");
        assert_eq!(share(0.1), "10%");
        assert_eq!(share(0.999_99), ">99.99%");
        assert_eq!(share(1.0), "100%");
        assert_eq!(percent(1, 0), UNKNOWN);
    }
}
