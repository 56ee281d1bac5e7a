//! Small pieces of a world's file: spans of time, policy documents, faults.

use crate::simulator::policy::Policy;
use crate::simulator::reply::WireFault;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// A span of time, written `500ms`, `10s`, `1m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Span(Duration);

impl Span {
    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The span as the standard library has it.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    fn read(text: &str) -> Option<Self> {
        let at = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(at);
        let number: u64 = number.parse().ok()?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return None,
        };
        Some(Self(Duration::from_millis(number.checked_mul(unit_ms)?)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::read(&text).ok_or_else(|| {
            D::Error::custom(format!("\"{text}\" is no span of time, such as 500ms, 10s, 1m or 1h"))
        })
    }
}

/// A policy document, written as YAML in the form of its JSON, or as a text that holds JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(Policy);

impl Document {
    /// The policy.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(text) => text,
            value => value.to_string(),
        };
        Policy::parse(&json).map(Self).map_err(|problem| D::Error::custom(format!("policy: {problem}")))
    }
}

/// What goes wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Broken on the wire.
    Wire(WireFault),
    /// A header of so many bytes.
    HugeHeader(usize),
    /// A body and a header that are not UTF-8.
    NotUtf8,
    /// A page of a proxy with this status, without any mark of AWS.
    Html(u16),
}

/// What is wrong with the names of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsFault {
    /// No such name.
    Gone,
    /// Public addresses only, as when private DNS was switched off and a public zone answers instead.
    Public,
    /// A public address before the private ones.
    Mixed,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum FaultText {
    Word(String),
    HugeBody(HugeBody),
    HugeHeader(HugeHeader),
    Html(Html),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HugeBody {
    huge_body_bytes: u64,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HugeHeader {
    huge_header_bytes: usize,
}
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Html {
    html: u16,
}

const FAULT_WANTED: &str = "a fault is one of reset, close, half_body, chunked_garbage, garbage, not_utf8, hang, \
     {huge_body_bytes: N}, {huge_header_bytes: N}, {html: STATUS}";

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = FaultText::deserialize(deserializer).map_err(|_| D::Error::custom(FAULT_WANTED))?;
        Ok(match text {
            FaultText::HugeBody(HugeBody { huge_body_bytes }) => {
                Self::Wire(WireFault::HugeBody(huge_body_bytes))
            }
            // A header longer than this serves no test and only costs memory.
            FaultText::HugeHeader(HugeHeader { huge_header_bytes }) => {
                Self::HugeHeader(huge_header_bytes.min(16 * 1024 * 1024))
            }
            FaultText::Html(Html { html }) if (100..1000).contains(&html) => Self::Html(html),
            FaultText::Html(_) => return Err(D::Error::custom(FAULT_WANTED)),
            FaultText::Word(word) => match word.as_str() {
                "reset" => Self::Wire(WireFault::Reset),
                "close" => Self::Wire(WireFault::Close),
                "half_body" => Self::Wire(WireFault::HalfBody),
                "chunked_garbage" => Self::Wire(WireFault::ChunkedGarbage),
                "garbage" => Self::Wire(WireFault::Garbage),
                "hang" => Self::Wire(WireFault::Hang),
                "not_utf8" => Self::NotUtf8,
                _ => return Err(D::Error::custom(FAULT_WANTED)),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_their_units_and_nothing_else() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("1m", 60_000), ("2h", 7_200_000)] {
            assert_eq!(Span::read(text).unwrap().get(), Duration::from_millis(ms));
        }
        for bad in ["", "5", "s", "-1s", "1d", "1.5s", "99999999999999999999s", "99999999999999999h"] {
            assert!(Span::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn faults_read_words_and_sizes() {
        let read = |text| crate::yaml::from_str::<Fault>(text);
        assert_eq!(read("hang").unwrap(), Fault::Wire(WireFault::Hang));
        assert_eq!(read("{huge_body_bytes: 7}").unwrap(), Fault::Wire(WireFault::HugeBody(7)));
        assert_eq!(read("{html: 502}").unwrap(), Fault::Html(502));
        for bad in ["explode", "{html: 7}", "{html: 502, x: 1}", "[]"] {
            assert!(read(bad).unwrap_err().message.contains("a fault is one of"), "{bad}");
        }
    }
}
