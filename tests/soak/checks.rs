//! What must hold each simulated hour: books, labels, series, times, pages. Everything is read from what the agent
//! shows to others, and compared with what the simulator and the watch at its door counted.

use crate::attribution::Attribution;
use crate::outside::{Clocks, Watched};
use crate::run::Sabotage;
use crate::scrape::{self, OfTarget, Scrape};
use crate::setting::{Subject, api_id};
use spokeprobe::domain::outcome::{Outcome, Reason};
use spokeprobe::plan::{Plan, estimate};
use spokeprobe::recording::{Recorder, Snapshot, TargetStatus};
use spokeprobe::simulator::Hub;
use spokeprobe::web;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, UNIX_EPOCH};

/// Results per target that `plan` counts with.
const RESULTS_AT_WORST: usize = 8;
/// Attempts of one target that may run at once.
const AT_ONCE: u64 = 64;

/// Everything that is looked at.
pub(crate) struct Looked<'a> {
    pub(crate) recorder: &'a Recorder,
    pub(crate) hub: &'a Hub,
    pub(crate) watched: &'a Watched,
    pub(crate) clocks: &'a Clocks,
    pub(crate) plan: &'a Plan,
    pub(crate) subjects: &'a [Subject],
    pub(crate) attribution: &'a Attribution,
    /// What the simulator read for targets that are gone.
    pub(crate) forgotten: &'a BTreeMap<usize, Read>,
    /// Simulated time since the start.
    pub(crate) now: Duration,
    /// How often plain probes are asked.
    pub(crate) every: Duration,
    /// Whether the configuration was taken when it was read last.
    pub(crate) main_is_read: bool,
    /// The included files, each with whether it can be used.
    pub(crate) included: BTreeMap<String, bool>,
    /// True when the agent has drained.
    pub(crate) is_over: bool,
    /// What is spoilt on purpose.
    pub(crate) sabotage: Option<Sabotage>,
}

impl Looked<'_> {
    /// Everything that is not as it must be.
    pub(crate) fn broken(&self) -> Vec<String> {
        let mut text = String::from_utf8(self.recorder.encode_text()).unwrap_or_default();
        if let Some(sabotage) = self.sabotage {
            text = spoilt(&text, sabotage);
        }
        let snapshot = self.recorder.snapshot();
        let scrape = match scrape::read(&text) {
            Ok(scrape) => scrape,
            Err(problem) => return vec![problem],
        };
        let mut broken = Vec::new();
        self.targets(&scrape, &snapshot, &mut broken);
        self.agent(&scrape, &snapshot, &mut broken);
        self.both_counted_the_same(&snapshot, &mut broken);
        self.times(&scrape, &mut broken);
        self.configuration(&scrape, &mut broken);
        broken
    }

    fn configuration(&self, scrape: &Scrape, broken: &mut Vec<String>) {
        if scrape.config_is_read != Some(self.main_is_read) {
            let (said, is) = (scrape.config_is_read, self.main_is_read);
            broken.push(format!("config_last_reload_successful says {said:?}, and it is {is}"));
        }
        // A configuration that is refused leaves what was said of files before.
        if self.main_is_read && scrape.includes != self.included {
            broken
                .push(format!("includes are said to be {:?}, and are {:?}", scrape.includes, self.included));
        }
    }

    fn targets(&self, scrape: &Scrape, snapshot: &Snapshot, broken: &mut Vec<String>) {
        let statuses: BTreeMap<String, &TargetStatus> =
            snapshot.targets.iter().map(|status| (status.target.id.to_string(), status)).collect();
        let known: BTreeSet<&str> = self.subjects.iter().map(|subject| subject.id.as_str()).collect();
        for id in scrape.targets.keys().filter(|id| !known.contains(id.as_str())) {
            broken.push(format!("{id} has series and is no target"));
        }
        for subject in self.subjects {
            let (Some(shown), Some(status)) = (scrape.targets.get(&subject.id), statuses.get(&subject.id))
            else {
                broken.push(format!("{} has no series", subject.id));
                continue;
            };
            self.target(subject, shown, status, scrape, broken);
        }
    }

    fn target(
        &self,
        subject: &Subject,
        shown: &OfTarget,
        status: &TargetStatus,
        scrape: &Scrape,
        broken: &mut Vec<String>,
    ) {
        let id = &subject.id;
        let mut say = |what: String| broken.push(format!("{id}: {what}"));
        let open = u64::try_from(status.counts.in_flight + status.counts.waiting).unwrap_or(u64::MAX);
        if open > AT_ONCE || shown.due != shown.ended + shown.missed + open {
            say(format!(
                "{} due, and {} ended + {} missed + {open} in flight or waiting",
                shown.due, shown.ended, shown.missed
            ));
        }
        let attempted = shown.ended > 0;
        // A target that was changed has no last outcome until its next attempt.
        let may_be_without = self.attribution.is_new(subject, self.now);
        if shown.last.len() != usize::from(attempted) && !(shown.last.is_empty() && may_be_without) {
            say(format!("{} series of last_outcome after {} attempts", shown.last.len(), shown.ended));
        }
        let Some((outcome, reason, expected)) = shown.last.first() else { return };
        let overloaded = reason == "overloaded";
        if shown.up != Some(f64::from(*expected)) && !overloaded {
            say(format!("up is {:?} and the last outcome was expected: {expected}", shown.up));
        }
        let known: Option<Reason> = reason.parse().ok();
        if known.is_none_or(|reason| reason.outcome().as_str() != outcome) {
            say(format!("outcome {outcome} of reason {reason}"));
        }
        if self.attribution.is_at_peace(subject, self.now) {
            let fine = known.is_some_and(|reason| subject.in_peace().contains(&reason)) && *expected;
            if !fine {
                say(format!(
                    "nothing is wrong with it, and its last outcome is {outcome}/{reason}, expected: {expected}"
                ));
            }
        }
        if let Some(latency) = status.latency.as_ref().filter(|latency| latency.samples > 256) {
            say(format!("a window of {} samples", latency.samples));
        }
        self.requests(subject, shown, status, scrape, broken);
    }

    /// What went out in a target's name, by who signed it.
    fn requests(
        &self,
        subject: &Subject,
        shown: &OfTarget,
        status: &TargetStatus,
        scrape: &Scrape,
        broken: &mut Vec<String>,
    ) {
        let sent = self.watched.sent_of(&subject.id);
        let open = u64::try_from(status.counts.in_flight).unwrap_or_default();
        // Of a probe in several zones the twins are counted together.
        if crate::attribution::is_zonal(subject.kind) {
            return;
        }
        let twins = scrape.twins.get(&subject.id).copied().unwrap_or_default();
        let counted = shown.sent + status.counts.retries + twins;
        let seen = sent.own + sent.twins;
        // One twin may be on its way.
        if seen < counted || seen > counted + open + 1 || sent.twins > twins + 1 || sent.own < shown.sent {
            broken.push(format!(
                "{}: {sent:?} went out; {} attempts, {} retries and {twins} twins are counted, {open} in flight",
                subject.id, shown.sent, status.counts.retries
            ));
        }
    }

    fn agent(&self, scrape: &Scrape, snapshot: &Snapshot, broken: &mut Vec<String>) {
        if scrape.task_panics > 0.0 {
            broken.push(format!("{} tasks panicked", scrape.task_panics));
        }
        // Those that wait for a permit among them.
        let in_flight: i64 =
            snapshot.targets.iter().map(|status| status.counts.in_flight + status.counts.waiting).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few")]
        if (scrape.in_flight - in_flight as f64).abs() > 0.0 {
            broken.push(format!("in_flight_requests is {} and {in_flight} are", scrape.in_flight));
        }
        let beyond: usize =
            scrape.targets.values().map(|target| target.results.saturating_sub(RESULTS_AT_WORST)).sum();
        // Each further result is a series of requests_total and one of unexpected_results_total.
        let worst = estimate(self.plan).time_series.worst + 2 * beyond;
        if scrape.series > worst {
            broken.push(format!("{} series, and at worst there are to be {worst}", scrape.series));
        }
        let may_share = self.attribution.may_share(self.now, self.every);
        for scope in scrape.faults.iter().filter(|scope| !may_share.contains(&scope.as_str())) {
            let said: Vec<String> =
                snapshot.faults.iter().map(|fault| format!("{}: {}", fault.cause, fault.detail)).collect();
            broken.push(format!("a fault of the {scope} is said to be shared, and there is none: {said:?}"));
        }
        let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let open: i64 =
            snapshot.targets.iter().map(|status| status.counts.in_flight + status.counts.waiting).sum();
        // The parts of the agent, one round of twins for each target at most, and what is in flight.
        let most = 24 + usize::try_from(open).unwrap_or_default() + self.subjects.len();
        if tasks > most {
            broken.push(format!("{tasks} tasks are alive, and {open} attempts in flight or waiting"));
        }
    }

    /// The simulator's books and the agent's, by api.
    fn both_counted_the_same(&self, snapshot: &Snapshot, broken: &mut Vec<String>) {
        let counts = self.hub.counts();
        let mut all = Read::default();
        let mut agent = read_by_spoke(snapshot);
        for (spoke, gone) in self.forgotten {
            let of_spoke = agent.entry(*spoke).or_default();
            of_spoke.read += gone.read;
            of_spoke.open += gone.open;
        }
        for (spoke, Read { read, open }) in agent {
            let simulator = counts.of_api(&api_id(spoke));
            if simulator > read + open {
                broken.push(format!(
                    "the simulator read {simulator} requests of spoke {spoke}, the agent counts {read}"
                ));
            }
            all.read += read;
            all.open += open;
        }
        // Where an api's stage is gone, the simulator cannot say whose the request was; all together it can.
        let total = counts.total();
        let exactly = self.is_over && self.forgotten.values().all(|gone| gone.read + gone.open == 0);
        if total < all.read || total > all.read + all.open || exactly && total != all.read {
            broken.push(format!("the simulator read {total} requests, the agent counts {all:?}"));
        }
    }

    fn times(&self, scrape: &Scrape, broken: &mut Vec<String>) {
        let wall = self.clocks.true_wall().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // Stamps are by the agent's own clock, which may have been anywhere that it was put.
        let off = Duration::from_secs(self.clocks.off_at_most_seconds()).as_secs_f64();
        let span = 6.0 * 3_600.0 + off + self.attribution.time_was_skipped(self.now).as_secs_f64();
        for (id, target) in &scrape.targets {
            if let Some(at) =
                target.last_at.filter(|at| *at > wall + off + 1.0 || *at < wall - span - 86_400.0 * 2.0)
            {
                broken.push(format!("{id}: the last attempt was at {at}, and it is {wall}"));
            }
        }
        for (spoke, ends) in &scrape.session_ends {
            if *ends > wall + 3_601.0 + off {
                broken.push(format!("{spoke}: the session ends at {ends}, and it is {wall}"));
            }
        }
        if let Some(ends) = scrape.certificate_ends.filter(|ends| *ends > wall + 396.0 * 86_400.0) {
            broken.push(format!("the certificate ends at {ends}, and it is {wall}"));
        }
    }

    /// Status and page, which must be made without a panic, name every target, and hold no secret.
    pub(crate) fn pages(&self, state: &web::State, scan: bool) -> Vec<String> {
        let mut broken = Vec::new();
        let status = serde_json::to_string(&web::status_of(state)).unwrap_or_default();
        let page = web::page_of(state, "");
        let spoke = self
            .subjects
            .first()
            .map(|subject| crate::setting::spoke_name(subject.spoke))
            .unwrap_or_default();
        let of_spoke = web::page_of(state, &format!("spoke={spoke}"));
        for subject in self.subjects {
            let name = crate::setting::spoke_name(subject.spoke);
            if !status.contains(&format!("\"{name}\"")) {
                broken.push(format!("status does not name {name}"));
            }
        }
        if !page.contains("</html>") || !of_spoke.contains("</html>") {
            broken.push("a page has no end".to_owned());
        }
        if scan {
            let metrics = String::from_utf8(self.recorder.encode_text()).unwrap_or_default();
            let shown = [status, page, of_spoke, metrics];
            if self.watched.secrets().iter().any(|secret| shown.iter().any(|text| text.contains(secret))) {
                broken.push("a secret is shown".to_owned());
            }
        }
        broken
    }
}

/// A scrape with a lie in it.
fn spoilt(text: &str, sabotage: Sabotage) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let first = |lines: &[String], name: &str| lines.iter().position(|line| line.starts_with(name));
    match sabotage {
        Sabotage::LostSeries => {
            first(&lines, "spokeprobe_last_outcome{").map(|at| lines.remove(at));
        }
        Sabotage::LostAttempt => {
            let at = first(&lines, "spokeprobe_due_attempts_total{");
            if let Some((series, value)) = at.and_then(|at| lines[at].rsplit_once(' ')) {
                let less = value.parse::<u64>().unwrap_or_default().saturating_sub(1);
                lines[at.unwrap_or_default()] = format!("{series} {less}");
            }
        }
        Sabotage::UntoldFaults | Sabotage::OneRequestMore | Sabotage::AnothersKeys => {}
    }
    lines.join("\n")
}

/// Requests of one api as the agent counts them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Read {
    /// Those that the simulator has read.
    pub(crate) read: u64,
    /// Those that it may have read as well.
    pub(crate) open: u64,
}

/// What the simulator must have read, by spoke.
pub(crate) fn read_by_spoke(snapshot: &Snapshot) -> BTreeMap<usize, Read> {
    let mut agent: BTreeMap<usize, Read> = BTreeMap::new();
    for status in &snapshot.targets {
        let Some(spoke) = spoke_number(status.target.id.spoke.as_str()) else { continue };
        let (counts, of_spoke) = (&status.counts, agent.entry(spoke).or_default());
        of_spoke.read +=
            counts.results.iter().filter(|result| was_read(result.reason)).map(|r| r.count).sum::<u64>();
        of_spoke.read += counts.retries + counts.twins.answered + counts.twins.cut_off;
        // A twin of each may be on its way as well.
        of_spoke.open += u64::try_from(counts.in_flight).unwrap_or_default() + 1;
    }
    for check in snapshot.isolation.iter().flat_map(|isolation| &isolation.attempts) {
        let Some(spoke) = spoke_number(check.api.id.spoke.as_str()) else { continue };
        let of_spoke = agent.entry(spoke).or_default();
        of_spoke.read += check.answered + check.cut_off;
        of_spoke.open += check.begun - check.ended;
    }
    agent
}

/// True for the ends of an attempt whose request the simulator read. In memory a reset comes after that.
pub(crate) const fn was_read(reason: Reason) -> bool {
    match reason.outcome() {
        Outcome::Unsent => false,
        Outcome::Unreachable => matches!(reason, Reason::Reset | Reason::Protocol),
        Outcome::Ok | Outcome::Denied | Outcome::Throttled | Outcome::Failed => true,
    }
}

/// The number in a spoke's name.
fn spoke_number(name: &str) -> Option<usize> {
    name.strip_prefix('s')?.parse().ok()
}
