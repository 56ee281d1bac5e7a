//! Many targets in one agent over real sockets, the simulated hub in another process: what the agent takes in its
//! steady state, whether it keeps its times, what it asks of STS at the start, and whether every attempt is in the
//! books of both sides.
//!
//! Two intervals are watched: in the first the roles are asked for and connections are made; the second is measured,
//! with the scrape that ends it. Then each probe is given an interval of a day by a reload, so that nothing is on its
//! way when the two sides are compared.

use crate::Effort;
use crate::attempts::outside_for;
use crate::clock::StopWatch;
use crate::figure::Figure;
use crate::fleet::{Fleet, Outside};
use crate::memory::thousands;
use crate::process::{Process, SimulatedHub, free_address, post, wait_for};
use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

const MILLISECONDS: f64 = 1e3;
/// What the agent may have open with its usual ceilings: 4,096 idle connections, 1,000 requests on their way, and 200 for
/// all else.
const OPEN_FILES: f64 = 5_296.0;
const PER_MIB: f64 = 1.0 / 1024.0 / 1024.0;
/// A day: so long apart that hardly an attempt falls due while the books are compared.
const AT_REST: &str = "every: 24h";

/// How the agent finds its apis, and what they do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// All share the endpoint's own name.
    Shared,
    /// Each has a host name of its own.
    Names,
    /// The same, and one spoke in ten lets each call hang until a second before the next.
    Hanging,
}

impl Case {
    const fn addressing(self) -> &'static str {
        match self {
            Self::Shared => "endpoint_dns",
            Self::Names | Self::Hanging => "private_dns",
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Shared => "one host name",
            Self::Names => "a host name each",
            Self::Hanging => "10 % of the spokes hang",
        }
    }
}

/// The span of a probe, and the same as the configuration says it.
const fn interval(effort: Effort) -> (Duration, &'static str) {
    match effort {
        Effort::Full => (Duration::from_secs(30), "every: 30s"),
        Effort::Quick => (Duration::from_secs(5), "every: 5s"),
    }
}

pub(crate) fn measure(case: Case, targets: usize, effort: Effort) -> Vec<Figure> {
    let (span, cadence) = interval(effort);
    // Quickly: a tenth as many, six times as often.
    let targets = if effort == Effort::Quick { targets / 10 } else { targets };
    let mut fleet = Fleet::of_apis(targets, cadence, case.addressing());
    if case == Case::Hanging {
        let hang = span.saturating_sub(Duration::from_secs(1)).as_millis();
        fleet.hang_ms = u32::try_from(hang).expect("some seconds");
    }
    assert_eq!(fleet.targets(), targets);
    let listen = free_address();
    let (hub, config) = outside_for(&format!("scale-{case:?}-{targets}"), fleet, listen);
    let agent = hub.start_agent(&config, true);
    let sts = watch_sts(&hub, span);
    let started = Scrape::of(listen);

    let (watch, cpu) = (StopWatch::start(), agent.cpu_seconds());
    thread::sleep(span);
    let ended = Scrape::of(listen);
    let busy = (agent.cpu_seconds() - cpu) / watch.elapsed().as_secs_f64();
    let (resident, files) = (agent.resident_bytes(), agent.open_files());

    let most_in_a_second = sts.iter().copied().fold(0.0, f64::max);
    let asked_later = hub.counted().1 - sts.iter().sum::<f64>();
    let books = at_rest(&hub, &agent, fleet, (listen, &config), span);

    let (count, words) = (thousands(targets), case.words());
    let figure = |what: &str, value: f64, scale: f64, unit: &str, includes: &str| {
        let every = cadence.trim_start_matches("every: ");
        Figure::of(
            &format!("{count} targets every {every}, {words}: {what}"),
            &[value],
            scale,
            unit,
            includes,
        )
    };
    let lost = books.missed_of(fleet) + books.unsent_of(fleet);
    let roles = thousands(fleet.spokes);
    vec![
        figure(
            "processor time",
            busy,
            100.0,
            "% of a core",
            "`spokeprobe run` over TLS in its second interval, a scrape included; on one core",
        ),
        figure(
            "resident memory",
            resident,
            PER_MIB,
            "MiB",
            "the process with its connections, after two scrapes",
        ),
        figure("open files", files, 1.0, "", "connections, listener and all others, after two intervals")
            .at_most(OPEN_FILES),
        figure(
            "lag p99, from due to sent",
            ended.lag_since(&started, 0.99),
            MILLISECONDS,
            "ms",
            &format!(
                "`schedule_lag_seconds` of the second interval; {:.0} attempts",
                ended.sent - started.sent
            ),
        ),
        figure(
            "lag p99 of the first interval",
            started.lag_since(&Scrape::default(), 0.99),
            MILLISECONDS,
            "ms",
            "the same from the start on: connections and handshakes, first answers of STS",
        ),
        figure(
            "missed and unsent",
            lost,
            1.0,
            "",
            if case == Case::Hanging {
                "of the spokes that answer, from start to end"
            } else {
                "from start to end"
            },
        )
        .at_most(0.0),
        figure(
            "calls to STS, most in a second",
            most_in_a_second,
            1.0,
            "1/s",
            &format!("{roles} roles at the start; {asked_later:.0} calls after the first interval"),
        ),
        figure(
            "attempts the two sides do not agree on",
            books.disagreement(),
            1.0,
            "",
            &format!(
                "due {:.0} = ended {:.0} + missed {:.0}; the simulated hub counted {:.0}; {:.0} had no answer",
                books.due, books.ended, books.missed, books.answered_by_hub, books.unanswered
            ),
        )
        .at_most(0.0),
        figure(
            "a reload that changes every target",
            books.reload_seconds,
            MILLISECONDS,
            "ms",
            "from POST to its answer: configuration read, every interval another",
        ),
    ]
}

/// The calls to STS in each second of the first interval.
fn watch_sts(hub: &SimulatedHub, span: Duration) -> Vec<f64> {
    let (watch, mut before, mut calls) = (StopWatch::start(), 0.0, Vec::new());
    let mut second = Duration::ZERO;
    while second < span {
        second += Duration::from_secs(1);
        thread::sleep(second.saturating_sub(watch.elapsed()));
        let all = hub.counted().1;
        calls.push(all - before);
        before = all;
    }
    calls
}

/// What both sides counted once nothing was on its way.
struct Books {
    scrape: Scrape,
    due: f64,
    ended: f64,
    missed: f64,
    unsent: f64,
    unanswered: f64,
    answered_by_hub: f64,
    reload_seconds: f64,
}

impl Books {
    /// Attempts that are nowhere in the agent's books, and those of which the hub knows more or less than it can.
    fn disagreement(&self) -> f64 {
        let sent = self.ended - self.unsent;
        let at_hub = self.answered_by_hub;
        let beyond = (at_hub - sent).max(sent - self.unanswered - at_hub).max(0.0);
        (self.due - self.ended - self.missed).abs() + beyond
    }

    fn missed_of(&self, fleet: Fleet) -> f64 {
        self.scrape.sum("missed_attempts_total", |labels| !is_of_a_hanging_spoke(fleet, labels))
    }

    fn unsent_of(&self, fleet: Fleet) -> f64 {
        self.scrape.sum("requests_total", |labels| {
            labels.contains("outcome=\"unsent\"") && !is_of_a_hanging_spoke(fleet, labels)
        })
    }
}

fn is_of_a_hanging_spoke(fleet: Fleet, labels: &str) -> bool {
    let name = labels.split_once("spoke=\"spoke-").and_then(|(_, rest)| rest.split('"').next());
    name.and_then(|number| number.parse().ok()).is_some_and(|spoke| fleet.hangs(spoke))
}

/// Gives each probe an interval of a day, waits until nothing is on its way, and reads what both sides counted.
fn at_rest(
    hub: &SimulatedHub,
    agent: &Process,
    fleet: Fleet,
    (listen, config): (SocketAddr, &Path),
    span: Duration,
) -> Books {
    let outside = Outside {
        endpoint_url: hub.url("endpoint_url"),
        ca_file: hub.url("ca_file"),
        sts_url: hub.url("sts_url"),
    };
    let resting = Fleet { cadence: AT_REST, ..fleet };
    let _same = hub.write_config(&resting.config(Some(&outside), listen));
    assert!(config.exists() && agent.is_running(), "the agent has ended");
    let watch = StopWatch::start();
    let (status, said) = post(listen, "/-/reload").expect("an answer");
    let reload_seconds = watch.elapsed().as_secs_f64();
    assert_eq!(status, 200, "{said}");
    let watch = StopWatch::start();
    loop {
        // Hanging calls end within an interval.
        thread::sleep(Duration::from_secs(1));
        let (before, (answered_by_hub, _), scrape) = (Scrape::of(listen), hub.counted(), Scrape::of(listen));
        let total = |name| scrape.sum(name, |_| true);
        let (due, ended) = (total("due_attempts_total"), total("requests_total"));
        let missed = total("missed_attempts_total");
        let is_quiet = before.sum("due_attempts_total", |_| true) == due && ended + missed == due;
        if is_quiet || watch.elapsed() > span + Duration::from_secs(30) {
            let unsent = scrape.sum("requests_total", |labels| labels.contains("outcome=\"unsent\""));
            // The hub may have read them or not.
            let unanswered = scrape.sum("requests_total", |labels| {
                labels.contains("outcome=\"unreachable\"") || labels.contains("reason=\"response_timeout\"")
            });
            return Books { scrape, due, ended, missed, unsent, unanswered, answered_by_hub, reload_seconds };
        }
    }
}

/// What the agent said at a moment.
#[derive(Default)]
struct Scrape {
    text: String,
    /// Attempts sent.
    sent: f64,
}

impl Scrape {
    fn of(listen: SocketAddr) -> Self {
        let text = wait_for(listen, "/metrics", |status, _| status == 200);
        let mut scrape = Self { text, sent: 0.0 };
        scrape.sent = scrape.sum("schedule_lag_seconds_count", |_| true);
        scrape
    }

    /// The sum of a family's samples whose labels are wanted.
    fn sum(&self, name: &str, wanted: impl Fn(&str) -> bool) -> f64 {
        let samples =
            self.text.lines().filter_map(|line| line.strip_prefix("spokeprobe_")?.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']) && wanted(rest));
        samples
            .map(|rest| rest.rsplit(' ').next().and_then(|text| text.parse::<f64>().ok()).expect("a number"))
            .fold(0.0, |sum, one| sum + one)
    }

    /// A quantile of the lag since an earlier scrape, in seconds, even within a bucket as Prometheus does it; beyond
    /// the last bound it is that bound.
    fn lag_since(&self, earlier: &Self, quantile: f64) -> f64 {
        let before = earlier.lag_buckets();
        let buckets: Vec<(f64, f64)> = self
            .lag_buckets()
            .into_iter()
            .enumerate()
            .map(|(at, (bound, count))| (bound, count - before.get(at).map_or(0.0, |(_, count)| *count)))
            .collect();
        let wanted = quantile * buckets.last().map_or(0.0, |(_, count)| *count);
        let (mut low, mut below) = (0.0, 0.0);
        for (bound, count) in buckets {
            if count >= wanted && count > below {
                return if bound.is_finite() {
                    low + (bound - low) * (wanted - below) / (count - below)
                } else {
                    low
                };
            }
            (low, below) = (bound, count);
        }
        0.0
    }

    fn lag_buckets(&self) -> Vec<(f64, f64)> {
        let lines = self.text.lines();
        let samples =
            lines.filter_map(|line| line.strip_prefix("spokeprobe_schedule_lag_seconds_bucket{le=\""));
        let bucket = |rest: &str| -> Option<(f64, f64)> {
            let (bound, count) = rest.split_once("\"} ")?;
            Some((bound.replace("+Inf", "inf").parse().ok()?, count.parse().ok()?))
        };
        samples.map(|rest| bucket(rest).expect("a bucket")).collect()
    }
}
