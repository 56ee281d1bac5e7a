//! What there is to be measured, for people: every family with its unit, its labels and how many series it can have.
//!
//! `docs/metrics.md` is made from this, and this from the table in `families`; a family that is added there is here at
//! once. What a label means stands here, once for all families that bear it.

use crate::domain::load::Guard;
use crate::domain::observation::{MissCause, Twin};
use crate::domain::outcome::{Outcome, Reason};
use crate::recording::families::{DESCRIBED, Described, LAG_BUCKETS, STS_BUCKETS};
use crate::recording::{AssumeRoleResult, FaultScope, LISTED_OPEN_PAIRS, PairState, RESULTS_PER_TARGET};

/// Past the bound on results a new code counts as the first of its class: five classes, and no code.
const CLASSES_OF_CODES: usize = 6;

/// A family of metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricReference {
    /// With its prefix.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// What it is, as in the `HELP` line of a scrape.
    pub help: &'static str,
    /// What its values are counted in.
    pub unit: &'static str,
    /// The labels that a series may bear. A label without a value is left out.
    pub labels: &'static [&'static str],
    /// How many series there are at most, as a product in words.
    pub most_series: String,
    /// Upper bounds of a histogram's buckets, where they are not `metrics.buckets`.
    pub bounds: Option<&'static [f64]>,
}

/// A label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelReference {
    /// The label.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What it may be.
    pub values: LabelValues,
}

/// What a label may be.
#[derive(Debug, Clone, PartialEq)]
pub enum LabelValues {
    /// One of these words.
    Closed(Vec<&'static str>),
    /// What this says, and nothing that an answer from outside could choose.
    Bounded(&'static str),
}

/// Every family that the agent itself writes, in the order of the code. `process_*` are beside them.
#[must_use]
pub fn metric_reference() -> Vec<MetricReference> {
    DESCRIBED
        .iter()
        .map(|family| MetricReference {
            name: format!("spokeprobe_{}", family.name),
            kind: family.kind,
            help: family.help.trim_ascii(),
            unit: unit(family),
            labels: family.labels,
            most_series: most_series(family),
            bounds: match family.bounds {
                "lag" => Some(&LAG_BUCKETS),
                "sts" => Some(&STS_BUCKETS),
                _ => None,
            },
        })
        .collect()
}

/// Every label that some family bears.
#[must_use]
pub fn label_reference() -> Vec<LabelReference> {
    let bounded =
        |name, meaning, values| LabelReference { name, meaning, values: LabelValues::Bounded(values) };
    let closed = |name, meaning, words: Vec<&'static str>| LabelReference {
        name,
        meaning,
        values: LabelValues::Closed(words),
    };
    vec![
        bounded("spoke", "the spoke whose api is called", "names in the configuration"),
        bounded("api", "the api", "names in the configuration"),
        bounded("probe", "the probe", "names in the configuration"),
        bounded(
            "zone",
            "the zone, by its AZ ID; absent where the endpoint is addressed as a whole",
            "`hub.endpoint.zones`",
        ),
        bounded("code", "the status code, or `none` where there was no answer", "100 to 599, `none`"),
        closed("outcome", "what happened to the attempt", Outcome::ALL.iter().map(|o| o.as_str()).collect()),
        closed("reason", "why", Reason::ALL.iter().map(|reason| reason.as_str()).collect()),
        closed("expected", "whether that is what the configuration asked for", vec!["true", "false"]),
        closed("cause", "why an attempt was not made", MissCause::ALL.iter().map(|c| c.as_str()).collect()),
        closed(
            "as",
            "how a twin differs from the attempt that it explains",
            Twin::ALL.iter().map(|twin| twin.as_str()).collect(),
        ),
        closed(
            "scope",
            "what many spokes share that fails",
            FaultScope::ALL.iter().map(|scope| scope.as_str()).collect(),
        ),
        closed(
            "state",
            "what is known of a pair of a role and a foreign api",
            PairState::ALL.iter().map(|state| state.as_str()).collect(),
        ),
        bounded("from", "the spoke whose role was tried at another's api", "names in the configuration"),
        closed("phase", "a part of reaching the endpoint", vec!["resolve", "connect", "tls"]),
        bounded("version", "of TLS as negotiated, or of the agent in `build_info`", "few, and one at a time"),
        bounded("revision", "the commit that the agent was built from", "one"),
        bounded("cluster", "the ECS cluster that the agent runs in; empty where it is not known", "one"),
        bounded("task", "the id of the agent's ECS task", "one"),
        bounded(
            "availability_zone",
            "the name of the zone that the agent's task runs in, which is no AZ ID",
            "one",
        ),
        closed(
            "result",
            "how a call of AssumeRole ended",
            AssumeRoleResult::ALL.iter().map(|result| result.as_str()).collect(),
        ),
        bounded("account", "the spoke's account", "the configuration"),
        bounded("region", "the region", "the configuration"),
        bounded("role", "the ARN of the role that is assumed", "the configuration"),
        bounded("file", "an included file, as named", "files that `include` names or finds"),
        bounded("load", "the run of load", "names in the configuration, or one by command"),
        closed(
            "guard",
            "what stopped a run of load",
            Guard::ALL.iter().map(|guard| guard.as_str()).collect(),
        ),
    ]
}

fn unit(family: &Described) -> &'static str {
    let name = family.name;
    if name.ends_with("_timestamp_seconds") {
        "seconds since 1970"
    } else if name.ends_with("_seconds") {
        "seconds"
    } else if name.ends_with("_bytes") {
        "bytes"
    } else if name.starts_with("load_rate") {
        "1/s"
    } else if family.kind == "counter"
        || name.ends_with("requests")
        || name.ends_with("pairs")
        || name.ends_with("addresses")
        || name == "members"
    {
        "a count"
    } else if name.ends_with("_info") || name == "last_outcome" || name == "isolation_open" {
        "always 1"
    } else {
        "0 or 1"
    }
}

/// A product in words. Results of a target are bounded as a whole, not label by label.
fn most_series(family: &Described) -> String {
    let has = |label: &str| family.labels.contains(&label);
    let mut factors: Vec<String> = Vec::new();
    let places = match (has("from"), has("probe"), has("spoke"), has("load"), has("zone")) {
        (true, ..) => return LISTED_OPEN_PAIRS.to_string(),
        (_, true, _, _, true) => "targets",
        (_, true, ..) => "probes",
        (_, _, true, ..) => "spokes",
        (_, _, _, true, _) => "loads",
        (.., true) => "(1 + zones)",
        _ if has("file") => "included files",
        _ => "",
    };
    factors.extend((!places.is_empty()).then(|| places.to_owned()));
    if has("code") {
        factors.push((RESULTS_PER_TARGET + CLASSES_OF_CODES).to_string());
    } else if has("reason") {
        // `last_outcome` is one series at a time.
        factors.extend((!has("expected")).then(|| Reason::ALL.len().to_string()));
    } else if family.kind == "histogram" && has("outcome") {
        let timed = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Unsent);
        factors.push(timed.count().to_string());
    } else {
        let words = |label: &&'static str| {
            let reference = label_reference().into_iter().find(|known| known.name == *label)?;
            match reference.values {
                LabelValues::Closed(words) => Some(words.len().to_string()),
                LabelValues::Bounded(_) => None,
            }
        };
        factors.extend(family.labels.iter().filter_map(words));
    }
    match family.bounds {
        "" => {}
        "lag" => factors.push((LAG_BUCKETS.len() + 3).to_string()),
        "sts" => factors.push((STS_BUCKETS.len() + 3).to_string()),
        _ => factors.push("(buckets + 3)".to_owned()),
    }
    if factors.is_empty() { "1".to_owned() } else { factors.join(" × ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_label_is_explained_and_every_explanation_is_of_a_label() {
        let borne: BTreeSet<&str> = DESCRIBED.iter().flat_map(|family| family.labels).copied().collect();
        let explained: BTreeSet<&str> = label_reference().iter().map(|label| label.name).collect();
        assert_eq!(borne, explained, "label_reference() explains each label once");
    }

    #[test]
    fn series_are_a_product_of_what_bounds_them() {
        let of = |name: &str| {
            let name = format!("spokeprobe_{name}");
            metric_reference().into_iter().find(|family| family.name == name).unwrap().most_series
        };
        assert_eq!(of("up"), "targets");
        assert_eq!(of("last_outcome"), "targets");
        assert_eq!(of("missed_attempts_total"), "targets × 3");
        assert_eq!(of("requests_total"), "targets × 106");
        assert_eq!(of("request_duration_seconds"), "targets × 5 × (buckets + 3)");
        assert_eq!(of("endpoint_phase_duration_seconds"), "(1 + zones) × 3");
        assert_eq!(of("build_info"), "1");
    }
}
