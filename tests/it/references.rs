//! `docs/configuration.md` and `docs/metrics.md` are what schema and code say, and nothing else; so neither can go
//! stale. Written anew with `UPDATE_GOLDEN=1 cargo test --test it`.

use crate::documents::golden;
use crate::stage::{Stage, demo_plan};
use serde_json::Value;
use spokeprobe::config::json_schema;
use spokeprobe::recording::{LabelValues, label_reference, metric_reference};
use spokeprobe::simulator::World;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A key of the configuration, as the schema tells of it.
struct Key<'a> {
    name: &'a str,
    schema: &'a Value,
    required: bool,
}

/// The map with known keys that a schema is, or that stands in it, and how it is reached.
fn section(schema: &Value) -> Option<(&Value, &'static str)> {
    if schema["properties"].is_object() {
        return Some((schema, ""));
    }
    if let Some((inner, deeper)) = schema.get("items").and_then(section) {
        assert_eq!(deeper, "", "a list of lists of maps");
        return Some((inner, "[]"));
    }
    schema["anyOf"].as_array()?.iter().find_map(section)
}

fn keys(section: &Value) -> Vec<Key<'_>> {
    let required: BTreeSet<&str> =
        section["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = section["properties"].as_object().unwrap().iter();
    properties
        .map(|(name, schema)| Key { name, schema, required: required.contains(name.as_str()) })
        .collect()
}

/// In words: what it holds, and its range.
fn kind(schema: &Value) -> String {
    if schema["$ref"].is_string() {
        return String::new();
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let mut forms: Vec<String> = forms.iter().map(kind).filter(|form| !form.is_empty()).collect();
        forms.dedup();
        return forms.join(", or ");
    }
    if let Some(words) = schema["enum"].as_array() {
        let words: Vec<String> =
            words.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
        return words.join(", ");
    }
    if let Some(comment) = schema["$comment"].as_str() {
        return comment.split(", such as").next().unwrap().to_owned();
    }
    match schema["type"].as_str() {
        None => "any JSON value".to_owned(),
        Some("integer") => format!("a whole number from {} to {}", schema["minimum"], schema["maximum"]),
        Some("number") => {
            format!("a number above {} and up to {}", schema["exclusiveMinimum"], schema["maximum"])
        }
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") => format!("a list: {}", kind(&schema["items"])),
        Some("object") if schema["properties"].is_object() => "a map".to_owned(),
        Some("object") => format!("a map, each value {}", kind(&schema["additionalProperties"])),
        Some("string") => match schema["pattern"].as_str() {
            Some(pattern) => format!("a text like `{}`", pattern.replace('|', "\\|")),
            None => "a text".to_owned(),
        },
        Some(other) => panic!("the reference knows no `{other}`"),
    }
}

/// What `about` says of it: "default X", up to the end of the clause.
fn default(about: &str) -> Option<&str> {
    let from = about.find("efault ").or_else(|| about.find("efault: "))?;
    let rest = about[from..].split_once(' ')?.1;
    let end = [", ", "; ", ". ", ")"].iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches(['.', ':'])).filter(|word| !word.is_empty())
}

fn example(schema: &Value) -> String {
    match &schema["examples"][0] {
        Value::Null => String::new(),
        Value::String(text) => format!("`{}`", text.replace('|', "\\|")),
        other => format!("`{other}`"),
    }
}

fn write_section(page: &mut String, path: &str, schema: &Value) {
    let (inner, list) = section(schema).unwrap();
    let about = inner["description"].as_str().unwrap_or_default();
    if path.is_empty() {
        page.push_str("\n## At the top\n\n");
    } else {
        let place = format!("{path}{list}");
        writeln!(page, "\n## `{place}`\n\n{about}\n").unwrap();
    }
    page.push_str("| key | holds | default | meaning | example |\n|---|---|---|---|---|\n");
    for key in keys(inner) {
        let about = key.schema["description"].as_str().unwrap_or_default();
        let place = if path.is_empty() { key.name.to_owned() } else { format!("{path}{list}.{}", key.name) };
        let holds = match section(key.schema) {
            Some((_, inner_list)) => {
                let anchor: String = format!("{place}{inner_list}")
                    .chars()
                    .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                let texts = key.schema["items"]["anyOf"].as_array().into_iter().flatten();
                let others: Vec<String> = texts
                    .filter(|form| section(form).is_none())
                    .map(kind)
                    .filter(|k| !k.is_empty())
                    .collect();
                match (inner_list.is_empty(), others.as_slice()) {
                    (true, _) => format!("[a map](#{anchor})"),
                    (false, []) => format!("[a list of maps](#{anchor})"),
                    (false, others) => {
                        format!("a list, each item {} or [a map](#{anchor})", others.join(" or "))
                    }
                }
            }
            None => kind(key.schema),
        };
        let default = match (key.required, default(about)) {
            (true, _) => "**needed**".to_owned(),
            (false, Some(words)) if words.contains(' ') => words.to_owned(),
            (false, Some(word)) => format!("`{word}`"),
            (false, None) => String::new(),
        };
        writeln!(page, "| `{}` | {holds} | {default} | {about} | {} |", key.name, example(key.schema))
            .unwrap();
    }
    for key in keys(inner) {
        if section(key.schema).is_some() {
            let place =
                if path.is_empty() { key.name.to_owned() } else { format!("{path}{list}.{}", key.name) };
            write_section(page, &place, key.schema);
        }
    }
}

#[test]
fn the_reference_of_the_configuration_is_current() {
    let mut page = String::from(
        "<!-- Made from the schema by the test `references`; do not edit by hand. -->\n\n# Configuration\n\n\
         Every key. `spokeprobe schema` prints the same for editors, [`config.yaml`](../config.yaml) is an example with \
         comments, and the [README](../README.md#configure) explains identities and addressing. Every single value may come \
         from the environment as `${NAME}`, in included files only under names that begin with `SPOKEPROBE_`. Of what comes \
         from there the values of headers, bodies and external ids are secrets and never shown; a path or query is shown as it \
         is. An unknown key, a value of the wrong type or one out of range is an error: all errors are told at once, each with \
         its place.\n",
    );
    write_section(&mut page, "", &json_schema());
    golden("docs/configuration.md", &page);
}

#[test]
fn defaults_are_read_from_what_is_said_of_a_key() {
    for (about, wanted) in [
        ("The interval of probes, 1s to 24h, default 30s.", Some("30s")),
        ("The address, default 0.0.0.0:10403, where page", Some("0.0.0.0:10403")),
        ("The session name. Default: defaults.session_name.", Some("defaults.session_name")),
        ("Default: the smaller of a and b.", Some("the smaller of a and b")),
        ("What nobody says.", None),
    ] {
        assert_eq!(default(about), wanted, "{about}");
    }
}

/// The path of each key with what is said of it, where one word or a flag is chosen.
fn choices<'a>(path: &str, schema: &'a Value, found: &mut Vec<(String, &'a str)>) {
    let Some((inner, _)) = section(schema) else { return };
    for key in keys(inner) {
        let path = format!("{path}.{}", key.name);
        let mut forms = key.schema["anyOf"].as_array().into_iter().flatten();
        let choice = forms.any(|form| form["type"] == "boolean" || form["enum"].is_array());
        if choice && !key.required {
            found.push((path.clone(), key.schema["description"].as_str().unwrap()));
        }
        choices(&path, key.schema, found);
    }
}

#[test]
fn a_choice_says_what_is_chosen_without_it() {
    let (schema, mut found) = (json_schema(), Vec::new());
    choices("", &schema, &mut found);
    assert!(found.len() > 8, "{found:?}");
    // These may only be written to make the probe a guard, or to differ from what is inherited.
    let silent: Vec<&str> =
        found.iter().filter(|(_, about)| default(about).is_none()).map(|(path, _)| path.as_str()).collect();
    assert_eq!(silent, [".spokes.apis.probes.expect.denied"]);
    let buckets = &schema["properties"]["metrics"]["properties"]["buckets"]["description"];
    let said: Vec<f64> =
        default(buckets.as_str().unwrap()).unwrap().split(' ').map(|bound| bound.parse().unwrap()).collect();
    assert_eq!(said, spokeprobe::config::DEFAULT_BUCKETS);
}

fn metrics_page() -> String {
    let mut page = String::from(
        "<!-- Made from src/recording by the test `references`; do not edit by hand. -->\n\n# Metrics\n\n\
         Every family of `/metrics`, in the order of the code. What they are for, and queries, are in the \
         [README](../README.md#metrics); [rules, alerts](../deploy/prometheus/README.md) and [dashboards](../dashboards/README.md) \
         use them. A label without a value is left out. On Linux the agent's process adds `process_*`.\n\n\
         The column *series at most* counts lines of a scrape. A target is a probe, or one for each zone with `per_zone`. \
         `spokeprobe plan` prints the sum for a configuration, as expected and at worst.\n\n\
         | name | type | unit | labels | series at most | meaning |\n|---|---|---|---|---|---|\n",
    );
    for family in metric_reference() {
        let labels: Vec<String> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let more = if family.name.ends_with("spoke_info") { " and the configured ones" } else { "" };
        writeln!(
            page,
            "| `{}` | {} | {} | {}{more} | {} | {} |",
            family.name,
            family.kind,
            family.unit,
            labels.join(" "),
            family.most_series,
            family.help
        )
        .unwrap();
    }
    page.push_str(
        "\n## Buckets\n\nUpper bounds in seconds. Histograms that are not listed have those of `metrics.buckets`.\n\n\
         | name | bounds |\n|---|---|\n",
    );
    for family in metric_reference() {
        if let Some(bounds) = family.bounds {
            let bounds: Vec<String> = bounds.iter().map(ToString::to_string).collect();
            writeln!(page, "| `{}` | {} |", family.name, bounds.join(" ")).unwrap();
        }
    }
    page.push_str("\n## Labels\n\n| label | meaning | values |\n|---|---|---|\n");
    for label in label_reference() {
        let values = match &label.values {
            LabelValues::Bounded(by) => (*by).to_owned(),
            LabelValues::Closed(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                words.join(" ")
            }
        };
        writeln!(page, "| `{}` | {} | {values} |", label.name, label.meaning).unwrap();
    }
    page.push_str(
        "\nNo label holds a URL, a message, an address or a policy's ARN; account, region and role stand on \
         `spokeprobe_spoke_info` alone, to be joined by `spoke`. What each reason means is in [reasons](reasons/README.md).\n",
    );
    page
}

#[test]
fn the_reference_of_metrics_is_current() {
    golden("docs/metrics.md", &metrics_page());
}

/// Name and labels of each series of a scrape.
fn series(scrape: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in scrape.lines().filter(|line| line.starts_with("spokeprobe_")) {
        let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name));
        let labels = rest.split("=\"").filter_map(|before| before.rsplit(['{', ',']).next());
        let is_label =
            |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') && !word.is_empty();
        found.entry(name.to_owned()).or_default().extend(labels.filter(is_label).map(str::to_owned));
    }
    found
}

/// The demo has everything: broken spokes, zones, guards, isolation.
#[tokio::test(start_paused = true)]
async fn a_real_scrape_has_no_family_and_no_label_that_the_reference_lacks() {
    let plan = demo_plan();
    let stage = Stage::start(World::default_world().unwrap(), &plan);
    stage.after_seconds(60).await;
    let scrape = stage.scrape();
    stage.stop().await;
    let known: BTreeMap<String, (&str, BTreeSet<&str>)> = metric_reference()
        .into_iter()
        .map(|family| (family.name, (family.kind, family.labels.iter().copied().collect())))
        .collect();
    let found = series(&scrape);
    assert!(found.len() > 30, "{found:?}");
    for (name, labels) in found {
        let (kind, known) = known.get(&name).unwrap_or_else(|| panic!("{name} is not in the reference"));
        let free = if name == "spokeprobe_spoke_info" { ["team", "env", "tier"].as_slice() } else { &["le"] };
        for label in &labels {
            assert!(
                known.contains(label.as_str()) || free.contains(&label.as_str()),
                "{name} bears `{label}`"
            );
        }
        assert!(scrape.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
    }
}
