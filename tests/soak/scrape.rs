//! A scrape as numbers: read from the text that Prometheus gets, so that what it gets is what is checked.

use std::collections::{BTreeMap, HashMap};

/// One line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) name: &'a str,
    labels: &'a str,
    pub(crate) value: f64,
}

impl<'a> Series<'a> {
    /// A label's value. The values here hold neither quotes nor commas.
    pub(crate) fn label(&self, name: &str) -> Option<&'a str> {
        self.labels.split(',').find_map(|pair| {
            let (label, value) = pair.split_once('=')?;
            (label == name).then(|| value.trim_matches('"'))
        })
    }

    /// The target as the agent writes it.
    fn target(&self) -> Option<String> {
        let (mut spoke, mut api, mut probe, mut zone) = (None, None, None, None);
        for pair in self.labels.split(',') {
            let Some((label, value)) = pair.split_once('=') else { continue };
            let value = value.trim_matches('"');
            match label {
                "spoke" => spoke = Some(value),
                "api" => api = Some(value),
                "probe" => probe = Some(value),
                "zone" => zone = Some(value).filter(|zone| !zone.is_empty()),
                _ => {}
            }
        }
        let id = format!("{}/{}/{}", spoke?, api?, probe?);
        Some(zone.map_or(id.clone(), |zone| format!("{id}@{zone}")))
    }
}

/// What a scrape says of one target.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OfTarget {
    pub(crate) due: u64,
    pub(crate) ended: u64,
    /// Of those, the ones that were sent.
    pub(crate) sent: u64,
    pub(crate) missed: u64,
    pub(crate) up: Option<f64>,
    /// Outcome, reason and whether expected, of each series of `last_outcome`.
    pub(crate) last: Vec<(String, String, bool)>,
    pub(crate) last_at: Option<f64>,
    pub(crate) results: usize,
}

/// A whole scrape.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    /// All series.
    pub(crate) series: usize,
    pub(crate) targets: BTreeMap<String, OfTarget>,
    /// Twins by probe.
    pub(crate) twins: HashMap<String, u64>,
    pub(crate) task_panics: f64,
    pub(crate) in_flight: f64,
    /// The shared faults that are up.
    pub(crate) faults: Vec<String>,
    pub(crate) door_open: BTreeMap<String, f64>,
    /// By spoke.
    pub(crate) session_ends: BTreeMap<String, f64>,
    pub(crate) certificate_ends: Option<f64>,
    pub(crate) endpoint_up: BTreeMap<String, f64>,
    pub(crate) clock_skew: Option<f64>,
    pub(crate) config_is_read: Option<bool>,
    /// By path, whether an included file was.
    pub(crate) includes: BTreeMap<String, bool>,
    /// The series that stay the same when the same scenario is played again.
    pub(crate) digest: u64,
}

fn parse(line: &str) -> Option<Series<'_>> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) =
        series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
    Some(Series { name, labels, value: value.parse().ok()? })
}

/// Reads the text format of Prometheus.
pub(crate) fn read(text: &str) -> Result<Scrape, String> {
    let mut scrape = Scrape::default();
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = parse(line).ok_or_else(|| format!("no series: {line}"))?;
        scrape.series += 1;
        let Some(name) = series.name.strip_prefix("spokeprobe_") else { continue };
        scrape.take(name, &series);
        // FNV-1a, over what is no property of the process; the folder of the included files has another name each time.
        if name == "config_include_successful" {
            continue;
        }
        for byte in line.bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    scrape.digest = digest;
    Ok(scrape)
}

impl Scrape {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counters")]
    fn take(&mut self, name: &str, series: &Series<'_>) {
        let count = series.value as u64;
        let own = |label: &str| series.label(label).unwrap_or_default().to_owned();
        match name {
            "config_last_reload_successful" => self.config_is_read = Some(series.value > 0.0),
            "config_include_successful" => {
                self.includes.insert(own("file"), series.value > 0.0);
            }
            "task_panics_total" => self.task_panics = series.value,
            "in_flight_requests" => self.in_flight = series.value,
            "fault" if series.value > 0.0 => self.faults.push(own("scope")),
            "credentials_expiry_timestamp_seconds" => {
                self.session_ends.insert(own("spoke"), series.value);
            }
            "clock_skew_seconds" => self.clock_skew = Some(series.value),
            "endpoint_up" => {
                self.endpoint_up.insert(own("zone"), series.value);
            }
            "endpoint_certificate_expiry_timestamp_seconds" => {
                let earlier = self.certificate_ends.map_or(series.value, |known| known.min(series.value));
                self.certificate_ends = Some(earlier);
            }
            "door_open" => {
                self.door_open.insert(series.target().unwrap_or_default(), series.value);
            }
            "twin_attempts_total" => {
                *self.twins.entry(series.target().unwrap_or_default()).or_default() += count;
            }
            "due_attempts_total" => self.of(series).due = count,
            "missed_attempts_total" => self.of(series).missed += count,
            "up" => self.of(series).up = Some(series.value),
            "last_attempt_timestamp_seconds" => self.of(series).last_at = Some(series.value),
            "requests_total" => {
                let unsent = series.label("outcome") == Some("unsent");
                let target = self.of(series);
                target.ended += count;
                target.sent += if unsent { 0 } else { count };
                target.results += 1;
            }
            "last_outcome" => {
                let last = (own("outcome"), own("reason"), series.label("expected") == Some("true"));
                self.of(series).last.push(last);
            }
            _ => {}
        }
    }

    fn of(&mut self, series: &Series<'_>) -> &mut OfTarget {
        self.targets.entry(series.target().unwrap_or_default()).or_default()
    }
}
