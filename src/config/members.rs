//! The `members` section: who shares the targets with this agent.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Value, quoted};
use crate::config::shapes;
use crate::members::{DnsName, Settings, Source};
use std::net::IpAddr;
use std::num::NonZeroU32;

/// More replicas than this find nothing that fewer do not.
const MOST_REPLICAS: u64 = 8;
/// RFC 1035, 2.3.4.
const LONGEST_LABEL: usize = 63;
const LONGEST_NAME: usize = 253;

pub(crate) static MEMBERS: Section = Section {
    about: "The agents that share the targets. Without it one agent does all.",
    keys: &[
        Key::optional(
            "dns",
            shapes::MEMBERS_DNS,
            "agent.spokeprobe.internal",
            "A name whose answer names every member: a host name with an address for each, as of AWS Cloud Map or a \
             headless service of Kubernetes, or the name of a service (SRV), which begins with an underscore. Asked \
             every 15 s.",
        ),
        Key::optional(
            "shard",
            shapes::SHARD,
            "1/3",
            "This agent's number and how many there are, instead of `dns`. Nobody takes over for a shard that is gone.",
        ),
        Key::optional(
            "replicas",
            Shape::Integer(1, MOST_REPLICAS),
            "2",
            "How many members probe each target, 1 to 8, default 1. Their attempts are spread over the interval; a \
             rate is divided among them.",
        ),
    ],
};

/// Reads the section.
pub(crate) fn read(value: &Value<'_>) -> Option<Settings> {
    let fields = value.fields(&MEMBERS)?;
    let dns = fields.get("dns");
    let shard = fields.get("shard");
    let replicas = fields.get("replicas").map(|v| v.integer(1, MOST_REPLICAS));
    // Both are read, so that what is wrong with either is told at once.
    let (by_name, by_number) = (dns.as_ref().and_then(name), shard.as_ref().and_then(read_shard));
    let source = match (&dns, &shard) {
        (Some(_), Some(shard)) => shard.problem("both `dns` and `shard`", "one of them", Some("remove one")),
        (None, None) => value.problem(
            "neither `dns` nor `shard`",
            "one of them",
            Some("where one agent does all, remove `members`"),
        ),
        _ => by_name.map(Source::Dns).or(by_number),
    };
    let replicas = replicas.unwrap_or(Some(1)).and_then(|n| NonZeroU32::new(u32::try_from(n).ok()?));
    Some(Settings { source: source?, replicas: replicas? })
}

fn name(value: &Value<'_>) -> Option<DnsName> {
    let wanted = shapes::MEMBERS_DNS.wanted();
    let text = value.text(&wanted)?.text;
    if text.parse::<IpAddr>().is_ok() {
        return value.problem(quoted(&text), wanted, Some("an address names one member only"));
    }
    let without_dot = text.strip_suffix('.').unwrap_or(&text);
    let is_label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if without_dot.len() > LONGEST_NAME || !without_dot.split('.').all(is_label) {
        let hint = text.contains([':', '/']).then_some("give the name alone, without scheme and port");
        return value.problem(quoted(&text), wanted, hint);
    }
    let is_service = text.starts_with('_');
    Some(if is_service { DnsName::Service(text) } else { DnsName::Host(text) })
}

fn read_shard(value: &Value<'_>) -> Option<Source> {
    let wanted = shapes::SHARD.wanted();
    let text = value.text(&wanted)?.text;
    let number = |part: &str| {
        part.parse::<NonZeroU32>()
            .ok()
            .filter(|n| usize::try_from(n.get()).is_ok_and(|n| n <= crate::members::MOST_MEMBERS))
    };
    let parts = text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
    match parts {
        Some((index, of)) if index <= of => Some(Source::Shard { index, of }),
        Some((index, of)) => {
            let hint = format!("the shards of {of} are 1/{of} to {of}/{of}");
            value.problem(format!("shard {index} of {of}"), wanted, Some(&hint))
        }
        None => value.problem(quoted(&text), wanted, None),
    }
}
