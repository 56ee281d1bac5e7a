//! The four plots of a report: percentiles, rate, latency and trouble over time.

use super::chart::{Axis, Chart, Line};
use crate::cli::load::document::Document;
use crate::cli::load::figures::{self, duration, latency_or_unknown, rate};
use crate::cli::load::measured::{Second, Times};

/// Points over time at most; a longer run is drawn in groups of seconds.
const POINTS: usize = 240;

/// An end of a run that is too short for a point of its own.
const SLIVER_SECONDS: f64 = 0.1;

/// The end of the percentile axis, 99.999 %, as a place.
const LAST: f64 = 5.0;

/// Where the highest is this much above the lowest, a linear axis would show the highest only.
const LOG_FROM: f64 = 30.0;

/// Some seconds of the run, as one point.
pub(super) struct Group {
    pub(super) at_seconds: f64,
    pub(super) lasts_seconds: f64,
    /// Means, a second.
    pub(super) asked: f64,
    pub(super) reached: f64,
    pub(super) missed: u64,
    pub(super) unexpected: u64,
    pub(super) throttled: u64,
    /// Of the worst second in it.
    pub(super) p50_seconds: Option<f64>,
    pub(super) p90_seconds: Option<f64>,
    pub(super) p99_seconds: Option<f64>,
    pub(super) max_seconds: Option<f64>,
}

impl Group {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn of(seconds: &[Second]) -> Self {
        let lasts_seconds: f64 = seconds.iter().map(|second| second.lasts_seconds).sum();
        let a_second = |number: f64| if lasts_seconds > 0.0 { number / lasts_seconds } else { 0.0 };
        let sum = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>();
        let worst = |of: fn(&Second) -> Option<f64>| seconds.iter().filter_map(of).reduce(f64::max);
        Self {
            at_seconds: seconds.first().map_or(0.0, |second| second.at_seconds),
            lasts_seconds,
            asked: a_second(
                seconds.iter().map(|second| second.rate_asked_per_second * second.lasts_seconds).sum(),
            ),
            reached: a_second(sum(|second| second.sent) as f64),
            missed: sum(|second| second.missed),
            unexpected: sum(|second| second.unexpected),
            throttled: sum(|second| second.throttled),
            p50_seconds: worst(|second| second.response.p50_seconds),
            p90_seconds: worst(|second| second.response.p90_seconds),
            p99_seconds: worst(|second| second.response.p99_seconds),
            max_seconds: worst(|second| second.response.max_seconds),
        }
    }

    fn middle(&self) -> f64 {
        self.at_seconds + self.lasts_seconds / 2.0
    }

    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    fn a_second(&self, number: u64) -> Option<f64> {
        (self.lasts_seconds > 0.0).then(|| number as f64 / self.lasts_seconds)
    }
}

/// The run in at most [`POINTS`] groups, and how many seconds each has.
pub(super) fn groups(timeline: &[Second]) -> (Vec<Group>, usize) {
    let seconds = timeline.len().div_ceil(POINTS).max(1);
    let mut groups: Vec<Group> = timeline.chunks(seconds).map(Group::of).collect();
    if groups.len() > 1 && groups.last().is_some_and(|last| last.lasts_seconds < SLIVER_SECONDS) {
        // The milliseconds in which the last answers came belong to the point before: by themselves they would draw
        // a fall to zero that nobody asked for.
        groups.truncate(groups.len() - 2);
        groups.push(Group::of(timeline.get(groups.len() * seconds..).unwrap_or_default()));
    }
    (groups, seconds)
}

/// Response and service time by percentile, on an axis where each step is a tenth of what is left.
pub(super) fn percentiles(document: &Document) -> Option<Chart<'static>> {
    let (response, service) = (&document.latency.response, &document.latency.service);
    let from = place(50.0);
    let points = |times: &Times| -> Vec<(f64, Option<f64>)> {
        let curve = times.curve.iter().map(|(percentile, seconds)| (place(*percentile), Some(*seconds)));
        // The steps of the curve do not meet the median.
        let median = times.p50_seconds.map(|seconds| (from, Some(seconds)));
        median.into_iter().chain(curve.filter(|(x, _)| *x > from && *x <= LAST + 1e-9)).collect()
    };
    let (of_response, of_service) = (points(response), points(service));
    let last = of_response.last()?.0;
    let all: Vec<f64> = of_response.iter().chain(&of_service).filter_map(|(_, seconds)| *seconds).collect();
    let ticks = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999];
    let ticks = ticks.map(|percentile| (place(percentile), format!("{percentile}%")));
    let to = last.max(1.0);
    let hits = response
        .curve
        .iter()
        .zip(&service.curve)
        .filter(|((percentile, _), _)| (from..=LAST + 1e-9).contains(&place(*percentile)))
        .map(|((percentile, response), (_, service))| {
            let [response, service] = [response, service].map(|seconds| figures::latency(*seconds));
            (place(*percentile), format!("{percentile:.3}%\nresponse {response}\nservice {service}"))
        })
        .collect();
    Some(Chart {
        id: "percentiles",
        title: "Latency by percentile",
        description: format!(
            "Response time: median {}, 99 % {}, longest {}. Service time: median {}, 99 % {}, longest {}.",
            latency_or_unknown(response.p50_seconds),
            latency_or_unknown(response.p99_seconds),
            latency_or_unknown(response.max_seconds),
            latency_or_unknown(service.p50_seconds),
            latency_or_unknown(service.p99_seconds),
            latency_or_unknown(service.max_seconds),
        ),
        x: Axis {
            label: "percentile of the attempts (each step leaves a tenth)".into(),
            from,
            to,
            log: false,
            ticks: ticks.into_iter().filter(|(x, _)| *x <= to + 1e-9).collect(),
        },
        y: latency_axis(&all),
        lines: vec![
            line("response, from due", 0, false, of_response),
            line("service, from sent", 1, true, of_service),
        ],
        hits,
    })
}

/// The place of a percentile: how many tenths of what is left lie below it.
fn place(percentile: f64) -> f64 {
    -(1.0 - percentile / 100.0).max(1e-9).log10()
}

/// The rate asked for and the rate reached.
pub(super) fn rates(groups: &[Group]) -> Chart<'static> {
    let most = groups.iter().map(|group| group.asked.max(group.reached)).fold(0.0, f64::max);
    let points =
        |of: fn(&Group) -> f64| groups.iter().map(|group| (group.middle(), Some(of(group)))).collect();
    Chart {
        id: "rate",
        title: "Rate asked and reached",
        description: format!("At most {} in a point.", rate(most)),
        x: time_axis(groups),
        y: Axis::linear("arrivals a second", most, figures::number),
        lines: vec![
            Line { area: true, ..line("reached", 0, false, points(|group| group.reached)) },
            line("asked", 1, true, points(|group| group.asked)),
        ],
        hits: groups
            .iter()
            .map(|group| {
                let words = format!(
                    "{}\nasked {}\nreached {}",
                    duration(group.at_seconds),
                    rate(group.asked),
                    rate(group.reached)
                );
                (group.middle(), words)
            })
            .collect(),
    }
}

/// Percentiles of the response time.
pub(super) fn latencies(groups: &[Group]) -> Option<Chart<'static>> {
    let points = |of: fn(&Group) -> Option<f64>| {
        groups.iter().map(|group| (group.middle(), of(group))).collect::<Vec<_>>()
    };
    let all: Vec<f64> =
        groups.iter().flat_map(|group| [group.p50_seconds, group.max_seconds]).flatten().collect();
    let highest = all.iter().copied().reduce(f64::max)?;
    Some(Chart {
        id: "latency",
        title: "Response time over the run",
        description: format!("The longest attempt took {}.", figures::latency(highest)),
        x: time_axis(groups),
        y: latency_axis(&all),
        lines: vec![
            line("max", 3, true, points(|group| group.max_seconds)),
            line("p99", 2, false, points(|group| group.p99_seconds)),
            line("p90", 1, false, points(|group| group.p90_seconds)),
            line("p50", 0, false, points(|group| group.p50_seconds)),
        ],
        hits: groups
            .iter()
            .map(|group| {
                let words = format!(
                    "{}\nmax {}\np99 {}\np90 {}\np50 {}",
                    duration(group.at_seconds),
                    latency_or_unknown(group.max_seconds),
                    latency_or_unknown(group.p99_seconds),
                    latency_or_unknown(group.p90_seconds),
                    latency_or_unknown(group.p50_seconds)
                );
                (group.middle(), words)
            })
            .collect(),
    })
}

/// What went wrong; none where nothing did.
pub(super) fn trouble(groups: &[Group]) -> Option<Chart<'static>> {
    let points = |of: fn(&Group) -> u64| {
        groups.iter().map(|group| (group.middle(), group.a_second(of(group)))).collect::<Vec<_>>()
    };
    let lines = [
        line("not as expected", 3, false, points(|group| group.unexpected)),
        line("throttled", 2, true, points(|group| group.throttled)),
        line("missed", 1, false, points(|group| group.missed)),
    ];
    let highest = |line: &Line<'_>| line.points.iter().filter_map(|(_, value)| *value).fold(0.0, f64::max);
    let most = lines.iter().map(highest).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    Some(Chart {
        id: "trouble",
        title: "Missed and not as expected",
        description: format!("At most {} in a point.", rate(most)),
        x: time_axis(groups),
        y: Axis::linear("a second", most, figures::number),
        lines: lines.into_iter().filter(|line| highest(line) > 0.0).collect(),
        hits: groups
            .iter()
            .map(|group| {
                let words = format!(
                    "{}\n{} not as expected\n{} throttled\n{} missed",
                    duration(group.at_seconds),
                    group.unexpected,
                    group.throttled,
                    group.missed
                );
                (group.middle(), words)
            })
            .collect(),
    })
}

const fn line(
    name: &'static str,
    colour: usize,
    dashed: bool,
    points: Vec<(f64, Option<f64>)>,
) -> Line<'static> {
    Line { name, colour, dashed, area: false, points }
}

fn latency_axis(all: &[f64]) -> Axis {
    let most = all.iter().copied().fold(0.0, f64::max);
    let least = all.iter().copied().filter(|seconds| *seconds > 0.0).fold(f64::INFINITY, f64::min);
    let shown: fn(f64) -> String = figures::short_latency;
    if most > least * LOG_FROM {
        Axis::logarithmic("latency", least, most, shown)
    } else {
        Axis::linear("latency", most, shown)
    }
}

fn time_axis(groups: &[Group]) -> Axis {
    /// Steps that clocks have.
    const STEPS: [f64; 14] =
        [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0];
    let to = groups.last().map_or(1.0, |group| group.at_seconds + group.lasts_seconds).max(1.0);
    let step = STEPS.into_iter().find(|step| to / step <= 12.0).unwrap_or(to / 10.0);
    let ticks = (0_u32..=12).map(|at| f64::from(at) * step).filter(|at| *at <= to * 1.000_001);
    Axis {
        label: "time since the beginning".into(),
        from: 0.0,
        to,
        log: false,
        ticks: ticks.map(|at| (at, duration(at))).collect(),
    }
}
