//! Every metric of the agent in one struct: name, labels and, as its doc comment, the HELP text.
//!
//! What belongs to the agent or to a spoke lies in prometheus' own vectors. What belongs to a target or a
//! load has no stored series at all: `collector` writes it at scrape time from the target itself. So all of a target's
//! series are of one moment, `last_outcome` is exactly one of them, what is not known yet is simply absent,
//! what is removed is gone, and a target weighs its numbers and not seven times its labels.

use crate::recording::durations::Durations;
use prometheus::core::Desc;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

/// What stands before each name but those of `process_*`, which have a name of their own everywhere.
const PREFIX: &str = "spokeprobe_";

/// Bounds of `schedule_lag_seconds`: a healthy agent is far below a millisecond's multiple, a starving one
/// far above.
pub(super) const LAG_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Bounds of `assume_role_duration_seconds`.
pub(super) const STS_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Bounds of `request_duration_seconds` where the configured ones are unusable; the default of the design.
const REQUEST_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// A family as people are told of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Described {
    /// Without the prefix.
    pub(super) name: &'static str,
    /// The HELP text, with a space at its beginning.
    pub(super) help: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub(super) kind: &'static str,
    /// All that a series of it may bear.
    pub(super) labels: &'static [&'static str],
    /// Which field of `Bounds` a histogram has, else nothing.
    pub(super) bounds: &'static str,
}

macro_rules! families {
    ($($(#[doc = $help:literal])+ $field:ident: $kind:ty = $name:literal [$($label:literal)*] $($bounds:ident)?;)+) => {
        /// Every metric of the agent as people are told of it, in the order of the table.
        pub(super) const DESCRIBED: &[Described] = &[$(Described {
            name: $name,
            help: concat!($($help),+),
            kind: <$kind as Family>::KIND,
            labels: &[$($label),*],
            bounds: stringify!($($bounds)?),
        },)+];

        /// Every metric of the agent.
        #[derive(Debug)]
        pub(super) struct Families { $($(#[doc = $help])+ pub(super) $field: $kind,)+ }

        impl Families {
            fn build(registry: &Registry, bounds: &Bounds) -> prometheus::Result<Self> {
                let Bounds { request: _request, lag: _lag, sts: _sts } = bounds;
                Ok(Self { $($field: {
                    let bounds: &[f64] = families!(@bounds bounds $($bounds)?);
                    let family = <$kind as Family>::make(
                        format!("{PREFIX}{}", $name),
                        concat!($($help),+).trim_ascii().to_owned(),
                        &[$($label),*],
                        bounds,
                    )?;
                    family.register(registry)?;
                    family
                },)+ })
            }
        }
    };
    (@bounds $all:ident $bounds:ident) => { &$all.$bounds };
    (@bounds $all:ident) => { &[] };
}

families! {
    /// Attempts that became due, whatever became of them.
    due: TargetCounter = "due_attempts_total" ["spoke" "api" "probe" "zone"];
    /// Attempts that ended, by status code, outcome and reason; one per attempt, unsent ones included.
    requests: TargetCounter = "requests_total" ["spoke" "api" "probe" "zone" "code" "outcome" "reason"];
    /// Attempts whose outcome was not as expected. Attempts without a permit are not among them.
    unexpected: TargetCounter = "unexpected_results_total" ["spoke" "api" "probe" "zone" "outcome" "reason"];
    /// Due attempts that were never made, by cause.
    missed: TargetCounter = "missed_attempts_total" ["spoke" "api" "probe" "zone" "cause"];
    /// Seconds from due to the last byte of every attempt that was sent, timeouts included.
    duration: TargetHistogram = "request_duration_seconds" ["spoke" "api" "probe" "zone" "outcome"] request;
    /// 1 if the last attempt was as expected, 0 if not.
    up: StateGauge = "up" ["spoke" "api" "probe" "zone"];
    /// Always 1; its labels say how the last attempt ended. Exactly one series per target.
    last_outcome: StateGauge = "last_outcome" ["spoke" "api" "probe" "zone" "outcome" "reason" "expected"];
    /// When the last attempt ended, in seconds since the epoch.
    last_attempt: StateGauge = "last_attempt_timestamp_seconds" ["spoke" "api" "probe" "zone"];
    /// Mean seconds between two attempts, as configured.
    interval: StateGauge = "probe_interval_seconds" ["spoke" "api" "probe" "zone"];
    /// Of a guard: 1 if what must be refused was let in, 0 if it was refused, by the last evidence of any zone.
    door_open: StateGauge = "door_open" ["spoke" "api" "probe"];
    /// Attempts made only to explain a vague refusal, by how they differ from the attempt they explain. They are in no other count.
    twins: TargetCounter = "twin_attempts_total" ["spoke" "api" "probe" "as"];
    /// 1 while many spokes fail alike for one cause: the shared endpoint, STS, or the agent itself.
    fault: StateGauge = "fault" ["scope"];
    /// 1 while all probes of a spoke that want an answer fail alike.
    spoke_fault: StateGauge = "spoke_fault" ["spoke"];
    /// Pairs of a spoke's role and an api of another spoke, by what is known of them.
    isolation_pairs: StateGauge = "isolation_pairs" ["state"];
    /// Always 1; a role was let in at an api of another spoke. Only while it is.
    isolation_open: StateGauge = "isolation_open" ["from" "spoke" "api"];
    /// 1 if the endpoint accepts a TLS handshake; with a zone, that zone alone.
    endpoint_up: StateGauge = "endpoint_up" ["zone"];
    /// Seconds that resolving, connecting and the TLS handshake took when the endpoint was last looked at; the longest where it has several addresses.
    endpoint_phase: StateGauge = "endpoint_phase_duration_seconds" ["phase" "zone"];
    /// When the certificate that the endpoint presents ends, in seconds since the epoch; also when nobody trusts it.
    endpoint_expiry: StateGauge = "endpoint_certificate_expiry_timestamp_seconds" ["zone"];
    /// Always 1; the version of TLS that was negotiated with the endpoint, the oldest where it has several addresses.
    endpoint_tls: StateGauge = "endpoint_tls_info" ["version" "zone"];
    /// Addresses that the endpoint's names resolve to, private and public.
    endpoint_addresses: StateGauge = "endpoint_addresses" [];
    /// Seconds from due to sent, of all attempts that were sent.
    lag: HistogramVec = "schedule_lag_seconds" [] lag;
    /// Attempts that are due and have neither ended nor been missed, those that wait for a permit included.
    in_flight: IntGauge = "in_flight_requests" [];
    /// Quick retries of a GET or HEAD whose reused connection was closed before any byte came back.
    retries: IntCounterVec = "connection_retries_total" ["spoke"];
    /// Tasks of the agent that panicked; each is a defect.
    panics: IntCounter = "task_panics_total" [];
    /// Calls of AssumeRole by how they ended, for each spoke that the role signs for.
    assume_role: IntCounterVec = "assume_role_total" ["spoke" "result"];
    /// Seconds that calls of AssumeRole took.
    assume_role_duration: HistogramVec = "assume_role_duration_seconds" [] sts;
    /// When the session that signs for a spoke ends, in seconds since the epoch.
    expiry: StateGauge = "credentials_expiry_timestamp_seconds" ["spoke"];
    /// The far side's clock minus ours: the median of the last 15 answers that carried a date, of all targets.
    skew: StateGauge = "clock_skew_seconds" [];
    /// Bytes of header values of a signed request: the largest among the last attempts of a spoke's targets. A private API takes 8000.
    header_bytes: StateGauge = "signed_header_bytes" ["spoke"];
    /// Always 1; account, region, role and the configured labels of a spoke.
    spoke_info: StateGauge = "spoke_info" ["spoke" "account" "region" "role"];
    /// 1 if the configuration as it was read last is in use, 0 if it was refused and an older one is.
    reload_successful: StateGauge = "config_last_reload_successful" [];
    /// When the configuration that is in use was read, in seconds since the epoch.
    reload_success_at: StateGauge = "config_last_reload_success_timestamp_seconds" [];
    /// Of an included file of the configuration: 1 if it is in use, 0 if it was left out for its problems or runs on as it was last read.
    include: StateGauge = "config_include_successful" ["file"];
    /// Attempts of a load that ended, by status code, outcome and reason; unsent ones included, those given up in flight not.
    load_requests: TargetCounter = "load_requests_total" ["load" "code" "outcome" "reason"];
    /// Seconds from due to the last byte of every attempt of a load that was sent and ended.
    load_response: TargetHistogram = "load_response_seconds" ["load"] request;
    /// Seconds from sent to the last byte of the same attempts.
    load_service: TargetHistogram = "load_service_seconds" ["load"] request;
    /// Due attempts of a load that were never made.
    load_missed: TargetCounter = "load_missed_total" ["load"];
    /// Arrivals a second that a load asks for now; 0 while it does not run.
    load_rate: StateGauge = "load_rate_asked" ["load"];
    /// 1 while a load runs.
    load_running: StateGauge = "load_running" ["load"];
    /// Runs of a load that were stopped before their planned end, by what stopped them.
    load_stopped: TargetCounter = "load_stopped_total" ["load" "guard"];
    /// Agents that share the targets, as this one sees them; 0 while it knows none and probes everything. Only with `members`.
    members: StateGauge = "members" [];
    /// Always 1; which build of the agent this is.
    build_info: StateGauge = "build_info" ["version" "revision"];
    /// Always 1; the ECS cluster and task that the agent runs in, and the name of its availability zone, where they are known.
    agent_info: StateGauge = "agent_info" ["cluster" "task" "availability_zone"];
}

impl Families {
    /// All families in a registry of their own, the process collector included.
    #[expect(clippy::expect_used, reason = "names and labels are constants, bounds are made fit before")]
    pub(super) fn new(registry: &Registry, request_bounds: &[f64]) -> Self {
        let bounds = Bounds {
            request: usable_bounds(request_bounds),
            lag: LAG_BUCKETS.to_vec(),
            sts: STS_BUCKETS.to_vec(),
        };
        #[cfg(target_os = "linux")]
        registry
            .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
            .expect("an empty registry");
        Self::build(registry, &bounds).expect("constants that every test builds")
    }
}

struct Bounds {
    request: Vec<f64>,
    lag: Vec<f64>,
    sts: Vec<f64>,
}

/// The finite, positive bounds in ascending order, each once: prometheus refuses anything else, and a
/// recorder must come into being whatever the configuration let through.
pub(super) fn usable_bounds(configured: &[f64]) -> Vec<f64> {
    let mut bounds: Vec<f64> = configured.iter().copied().filter(|b| b.is_finite() && *b > 0.0).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    if bounds.is_empty() { REQUEST_BUCKETS.to_vec() } else { bounds }
}

/// How one kind of metric is made and registered.
trait Family: Sized {
    const KIND: &'static str;

    fn make(name: String, help: String, labels: &[&str], bounds: &[f64]) -> prometheus::Result<Self>;
    fn register(&self, registry: &Registry) -> prometheus::Result<()>;
}

macro_rules! stored_family {
    ($kind:ty, $word:literal, |$name:ident, $help:ident, $labels:ident, $bounds:ident| $make:expr) => {
        impl Family for $kind {
            const KIND: &'static str = $word;

            fn make(
                $name: String,
                $help: String,
                $labels: &[&str],
                $bounds: &[f64],
            ) -> prometheus::Result<Self> {
                $make
            }
            fn register(&self, registry: &Registry) -> prometheus::Result<()> {
                registry.register(Box::new(self.clone()))
            }
        }
    };
}

stored_family!(IntCounterVec, "counter", |name, help, labels, _bounds| Self::new(
    Opts::new(name, help),
    labels
));
stored_family!(IntCounter, "counter", |name, help, _labels, _bounds| Self::new(name, help));
stored_family!(IntGauge, "gauge", |name, help, _labels, _bounds| Self::new(name, help));
stored_family!(HistogramVec, "histogram", |name, help, labels, bounds| Self::new(
    HistogramOpts::new(name, help).buckets(bounds.to_vec()),
    labels
));

/// A family without stored series: `collector` asks it to dress up the values it found.
#[derive(Debug, Clone)]
pub(super) struct Written<K> {
    name: String,
    help: String,
    bounds: Arc<[f64]>,
    kind: PhantomData<K>,
}

/// A gauge that says how something is.
pub(super) type StateGauge = Written<OfGauges>;
/// A counter of each target or load.
pub(super) type TargetCounter = Written<OfCounters>;
/// A histogram of each target or load.
pub(super) type TargetHistogram = Written<OfHistograms>;

/// What the series of a written family are.
pub(super) trait Kind {
    const TYPE: MetricType;
    const WORD: &'static str;
}

macro_rules! kinds {
    ($($name:ident = $type:ident, $word:literal;)+) => {
        $(#[derive(Debug, Clone)]
        pub(super) enum $name {}
        impl Kind for $name {
            const TYPE: MetricType = MetricType::$type;
            const WORD: &'static str = $word;
        })+
    };
}

kinds! {
    OfGauges = GAUGE, "gauge";
    OfCounters = COUNTER, "counter";
    OfHistograms = HISTOGRAM, "histogram";
}

impl<K: Kind> Family for Written<K> {
    const KIND: &'static str = K::WORD;

    fn make(name: String, help: String, _labels: &[&str], bounds: &[f64]) -> prometheus::Result<Self> {
        Ok(Self { name, help, bounds: bounds.into(), kind: PhantomData })
    }

    fn register(&self, _registry: &Registry) -> prometheus::Result<()> {
        Ok(()) // `collector` registers all written families together
    }
}

impl<K: Kind> Written<K> {
    /// What the registry wants to know of it.
    pub(super) fn description(&self) -> prometheus::Result<Desc> {
        Desc::new(self.name.clone(), self.help.clone(), Vec::new(), HashMap::new())
    }

    /// The family with these series.
    pub(super) fn family(&self, series: Vec<Metric>) -> MetricFamily {
        let mut family = MetricFamily::default();
        family.set_name(self.name.clone());
        family.set_help(self.help.clone());
        family.set_field_type(K::TYPE);
        family.set_metric(series);
        family
    }
}

impl TargetHistogram {
    /// The upper bounds of its buckets.
    pub(super) const fn bounds(&self) -> &Arc<[f64]> {
        &self.bounds
    }
}

/// One series of a gauge.
pub(super) fn series(labels: &[(&str, &str)], value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

/// One series of a counter.
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53, as Prometheus' own numbers are")]
pub(super) fn counted(labels: &[(&str, &str)], count: u64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(count as f64);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

/// One series of a histogram.
pub(super) fn timed(labels: &[(&str, &str)], durations: &Durations) -> Metric {
    let mut metric = labelled(labels);
    metric.set_histogram(durations.value());
    metric
}

/// A series without its value.
fn labelled(labels: &[(&str, &str)]) -> Metric {
    let mut pairs: Vec<LabelPair> = labels
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect();
    pairs.sort_by(|a, b| a.name().cmp(b.name()));
    Metric::from_label(pairs)
}

/// Drops labels without a value. To Prometheus an empty label is an absent one; so `zone` is written for
/// the targets that have one, and nobody reads `zone=""` on all the others.
pub(super) fn without_empty_labels(families: &mut [MetricFamily]) {
    for metric in families.iter_mut().flat_map(MetricFamily::mut_metric) {
        if metric.get_label().iter().any(|pair| pair.value().is_empty()) {
            let labels = metric.take_label().into_iter().filter(|pair| !pair.value().is_empty()).collect();
            metric.set_label(labels);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_configured_bounds_make_a_recorder() {
        for bounds in [&[][..], &[f64::NAN, f64::INFINITY, -1.0], &[3.0, 1.0, 1.0], &[0.5]] {
            let made = usable_bounds(bounds);
            assert!(!made.is_empty() && made.windows(2).all(|pair| pair[0] < pair[1]), "{made:?}");
            let _families = Families::new(&Registry::new(), bounds);
        }
    }
}
