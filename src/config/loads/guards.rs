//! The guards of a run: shares in percent, a percentile as a duration, each of them `off` where somebody means it.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::Value;
use crate::load::Guards;
use std::time::Duration;

/// A share in percent.
const SHARE: Shape =
    Shape::form("^[0-9]{1,2}(\\.[0-9]+)?%$", "a share from 0% to below 100%, such as 5% or 0.5%");
/// What turns a guard off.
const OFF: &str = "off";
const OFF_SHAPE: Shape = Shape::Word(&[OFF]);
const SHARE_OR_OFF: Shape = Shape::Either(&SHARE, &OFF_SHAPE);
const P99: Shape = Shape::Duration("1ms", "5m");

pub(crate) static GUARDS: Section = Section {
    about: "What stops a run. `off` turns a guard off; one that is not named has its default.",
    keys: &[
        Key::optional(
            "errors",
            SHARE_OR_OFF,
            "5%",
            "The largest share of attempts that end otherwise than expected, default 10%.",
        ),
        Key::optional(
            "throttled",
            SHARE_OR_OFF,
            "1%",
            "The largest share of attempts that are throttled, default 1%.",
        ),
        Key::optional(
            "p99",
            Shape::Either(&P99, &OFF_SHAPE),
            "2s",
            "The longest 99th percentile of the response time, 1ms to 5m, default off.",
        ),
        Key::optional(
            "missed",
            SHARE_OR_OFF,
            "1%",
            "The largest share of due attempts that could not be sent in time, default 5%.",
        ),
        Key::optional(
            "window",
            Shape::Duration("1s", "1m"),
            "10s",
            "The time that all of them look back, in whole seconds, 1s to 60s, default 10s.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(value: &Value<'_>) -> Option<Guards> {
    let fields = value.fields(&GUARDS)?;
    let built_in = Guards::default();
    let share = |key, default: Option<f64>| fields.get(key).map_or(Some(default), |v| share(&v));
    let errors = share("errors", built_in.errors);
    let throttled = share("throttled", built_in.throttled);
    let missed = share("missed", built_in.missed);
    let p99 = fields.get("p99").map_or(Some(built_in.p99), |v| {
        if is_off(&v) { Some(None) } else { v.duration("1ms", "5m").map(Some) }
    });
    let window = fields.get("window").map_or(Some(built_in.window), |v| window(&v));
    Some(Guards { errors: errors?, throttled: throttled?, p99: p99?, missed: missed?, window: window? })
}

fn is_off(value: &Value<'_>) -> bool {
    // Without a problem for what is no text: the reader of the number has one.
    !value.is_list() && !value.is_map() && value.found() == "`off`"
}

/// A share from 0 to 1, or `None` for `off`.
fn share(value: &Value<'_>) -> Option<Option<f64>> {
    if is_off(value) {
        return Some(None);
    }
    let wanted = SHARE_OR_OFF.wanted();
    let text = value.text(&wanted)?.text;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let whole = digits && text.len() <= 20 && text.starts_with(|c: char| c.is_ascii_digit());
        if whole && !text.ends_with('.') { text.parse::<f64>().ok() } else { None }
    };
    let hint = match text.strip_suffix('%') {
        Some(percent) => match number(percent) {
            Some(percent) if percent < 100.0 => return Some(Some(percent / 100.0)),
            Some(_) => Some("such a guard never stops anything: write `off` if that is meant".to_owned()),
            None => percent.ends_with(' ').then(|| "leave the space out".to_owned()),
        },
        None => match number(&text) {
            Some(share) if share > 0.0 && share < 1.0 => {
                Some(format!("did you mean `{}%`?", (share * 1e8).round() / 1e6))
            }
            Some(_) => Some(format!("did you mean `{text}%`?")),
            None if matches!(text.as_str(), "false" | "no" | "none") => Some("write `off`".to_owned()),
            None => None,
        },
    };
    value.refuse(wanted, hint.as_deref())
}

/// Guards look at whole seconds.
fn window(value: &Value<'_>) -> Option<Duration> {
    let window = value.duration("1s", "1m")?;
    if window.subsec_nanos() == 0 {
        Some(window)
    } else {
        value.refuse("a whole number of seconds from 1s to 60s", None)
    }
}
