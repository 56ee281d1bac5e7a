//! Faults that many spokes share: said once, so that one person is called and not one for each spoke.
//!
//! [`faults`] is a pure function of how targets, sessions and the agent stand, and of what was said before;
//! [`watch`] evaluates it at a fixed small cadence, away from the path of attempts, and logs changes.
//!
//! Thresholds: at least three spokes, since of two that fail neither is "most"; raised at three fifths of those
//! whose state is known, and held until fewer than two fifths fail for [`CLEAR_AFTER`] looks in a row, so that a
//! fault on the edge does not go to and fro. All causes here are closed words.

use crate::domain::count;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::outcome::{Outcome, Reason};
use crate::recording::{
    AssumeRoleResult, Conditions, FaultPlace, FaultScope, KnownFault, Recorder, SpokeCondition,
};
use crate::seams::{Clock, Wait};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How often everything is looked at: a third of the default interval of probes.
pub const CADENCE: Duration = Duration::from_secs(10);
/// Fewer spokes than this share no fate.
pub const SPOKES_AT_LEAST: usize = 3;
/// The share of spokes at which a fault is raised: a clear majority.
pub const RAISED_AT: f64 = 0.6;
/// The share under which it may be cleared.
pub const CLEARED_UNDER: f64 = 0.4;
/// Looks in a row under that share (or without the cause) before it is cleared: half a minute.
pub const CLEAR_AFTER: u32 = 3;
/// A refusal by the endpoint's policy points at a change of that policy only for so long; one that has stood
/// longer is how the spoke is.
pub const NEW_FOR: Duration = Duration::from_secs(600);
/// Plain probes of a spoke that must fail alike: with one, the probe says it all.
pub const PROBES_AT_LEAST: usize = 2;
/// The skew of clocks that is worth a word: a fifth of the five minutes within which signatures are believed to
/// hold (that window is UNCONFIRMED for execute-api; fifteen minutes is the other candidate).
pub const SKEW_SECONDS: f64 = 60.0;
/// The skew under which it is taken back.
const SKEW_OVER_SECONDS: f64 = 45.0;
/// The share of due attempts without a permit from which the agent counts as overloaded, and the fewest such.
pub const OVERLOADED_AT: f64 = 0.05;
const OVERLOADED_AT_LEAST: u64 = 10;
/// The mean lateness of attempts from which the agent's schedule counts as late, and the fewest to judge by.
pub const LAG_SECONDS: f64 = 1.0;
const LAG_SAMPLES: u64 = 10;

/// What is remembered from one look to the next.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    held: Vec<Held>,
    due: u64,
    overloaded: u64,
    sent: u64,
    lag_seconds: f64,
}

#[derive(Debug, Clone)]
struct Held {
    fault: KnownFault,
    quiet: u32,
}

/// A cause at one place, as it is now.
struct Sign {
    place: FaultPlace,
    cause: &'static str,
    detail: String,
    /// Strong enough to raise a fault; a weaker one only keeps it up.
    raises: bool,
}

/// Looks at everything once. The faults come in the order of their places.
pub fn faults(seen: &Conditions, memory: &mut Memory, now: SystemTime) -> Vec<KnownFault> {
    let mut signs = endpoint(seen, now, memory);
    signs.extend(sts(&seen.spokes));
    signs.extend(agent(seen, memory));
    signs.extend(single_spokes(seen));
    memory.held.iter_mut().for_each(|held| held.quiet += 1);
    for sign in signs {
        let Sign { place, cause, detail, raises } = sign;
        match memory.held.iter_mut().find(|held| held.fault.place == place && held.fault.cause == cause) {
            Some(held) => {
                held.quiet = 0;
                held.fault.detail = detail;
            }
            None if raises => {
                memory.held.push(Held { fault: KnownFault { place, cause, since: now, detail }, quiet: 0 });
            }
            None => {}
        }
    }
    // A spoke's own fault is no estimate over many, so it ends when it ends.
    memory.held.retain(|held| match held.fault.place {
        FaultPlace::Shared(_) => held.quiet < CLEAR_AFTER,
        FaultPlace::Spoke(_) => held.quiet == 0,
    });
    (memory.due, memory.overloaded) = (seen.due, seen.overloaded);
    (memory.sent, memory.lag_seconds) = (seen.sent, seen.lag_seconds);
    let mut faults: Vec<KnownFault> = memory.held.iter().map(|held| held.fault.clone()).collect();
    faults.sort_by(|one, other| (&one.place, one.cause).cmp(&(&other.place, other.cause)));
    faults
}

/// A cause that `bad` of `known` spokes share, if that is enough for anything.
fn shared(scope: FaultScope, cause: &'static str, bad: usize, known: usize) -> Option<Sign> {
    if known < SPOKES_AT_LEAST || bad == 0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "numbers of spokes")]
    let share = bad as f64 / known as f64;
    (share >= CLEARED_UNDER).then(|| Sign {
        place: FaultPlace::Shared(scope),
        cause,
        detail: format!("{bad} of {known} spokes"),
        raises: share >= RAISED_AT && bad >= SPOKES_AT_LEAST,
    })
}

type Last = (Reason, bool, SystemTime);

/// The last results of the plain probes by spoke; of spokes with none there is nothing to say.
fn by_spoke(seen: &Conditions) -> BTreeMap<&Name, Vec<Last>> {
    let mut spokes: BTreeMap<&Name, Vec<Last>> = BTreeMap::new();
    for target in seen.targets.iter().filter(|target| target.plain) {
        if let Some(last) = target.last {
            spokes.entry(&target.spoke).or_default().push(last);
        }
    }
    spokes
}

/// Unreachable alike, or newly refused by the endpoint's policy alike.
fn endpoint(seen: &Conditions, now: SystemTime, memory: &Memory) -> Vec<Sign> {
    let spokes = by_spoke(seen);
    let mut unreachable: BTreeMap<&'static str, usize> = BTreeMap::new();
    let mut refused = 0;
    let place = FaultPlace::Shared(FaultScope::Endpoint);
    let refusal = Reason::VpcEndpointPolicy.as_str();
    let raised_at = memory
        .held
        .iter()
        .find(|held| held.fault.place == place && held.fault.cause == refusal)
        .map(|held| held.fault.since);
    for lasts in spokes.values() {
        if let Some((reason, ..)) = lasts.first()
            && lasts.iter().all(|(last, ..)| last.outcome() == Outcome::Unreachable && last == reason)
        {
            *unreachable.entry(reason.as_str()).or_default() += 1;
        }
        // While the fault is up, what was new when it was raised stays so.
        let is_new = |since: SystemTime| {
            now.duration_since(since).is_ok_and(|age| age <= NEW_FOR)
                || raised_at.is_some_and(|raised| since + NEW_FOR >= raised)
        };
        let newly = |(reason, expected, since): &Last| {
            *reason == Reason::VpcEndpointPolicy && !expected && is_new(*since)
        };
        refused += usize::from(lasts.iter().any(newly));
    }
    let known = spokes.len();
    let mut signs: Vec<Sign> = unreachable
        .into_iter()
        .filter_map(|(cause, bad)| shared(FaultScope::Endpoint, cause, bad, known))
        .collect();
    signs.extend(shared(FaultScope::Endpoint, refusal, refused, known));
    signs
}

/// Most roles could not be asked for, or most were refused: then the reason lies with STS, with the way to it,
/// or with what the hub's own role may ask.
fn sts(spokes: &[SpokeCondition]) -> Vec<Sign> {
    let asked: Vec<AssumeRoleResult> = spokes.iter().filter_map(|spoke| spoke.last_assume_role).collect();
    let of = |wanted: AssumeRoleResult| asked.iter().filter(|result| **result == wanted).count();
    [
        ("assume_role_failed", of(AssumeRoleResult::Failed)),
        ("assume_role_throttled", of(AssumeRoleResult::Throttled)),
        ("assume_role_denied", of(AssumeRoleResult::Denied)),
    ]
    .into_iter()
    .filter_map(|(cause, bad)| shared(FaultScope::Sts, cause, bad, asked.len()))
    .collect()
}

/// What is wrong with the agent itself, by whatever spoke it shows.
fn agent(seen: &Conditions, memory: &Memory) -> Vec<Sign> {
    let sign =
        |cause, detail, raises| Sign { place: FaultPlace::Shared(FaultScope::Agent), cause, detail, raises };
    let with_reason = |wanted: Reason| {
        let mut spokes: Vec<&Name> = seen
            .targets
            .iter()
            .filter(|target| target.recent)
            .filter(|target| target.last.is_some_and(|(reason, ..)| reason == wanted))
            .map(|target| &target.spoke)
            .collect();
        spokes.dedup();
        spokes.len()
    };
    let mut signs = Vec::new();
    // One is enough: the hub's credentials are the same for all. A target that is asked seldom keeps its result long
    // after they are back.
    let without = with_reason(Reason::NoHubCredentials);
    if without > 0 {
        signs.push(sign(Reason::NoHubCredentials.as_str(), count::of(without, "spoke"), true));
    }
    if let Some(skew) = seen.clock_skew_seconds.filter(|skew| skew.abs() > SKEW_OVER_SECONDS) {
        signs.push(sign("clock_skew", format!("{skew:.0} s"), skew.abs() > SKEW_SECONDS));
    } else {
        let skewed = with_reason(Reason::ClockSkew);
        if skewed > 0 {
            let detail = format!("signatures refused at {}", count::of(skewed, "spoke"));
            signs.push(sign("clock_skew", detail, skewed >= SPOKES_AT_LEAST));
        }
    }
    let due = seen.due.saturating_sub(memory.due);
    let overloaded = seen.overloaded.saturating_sub(memory.overloaded);
    #[expect(clippy::cast_precision_loss, reason = "attempts of a few seconds")]
    let share = overloaded as f64 / due.max(1) as f64;
    if overloaded > 0 {
        let raises = overloaded >= OVERLOADED_AT_LEAST && share >= OVERLOADED_AT;
        signs.push(sign("overloaded", format!("{overloaded} of {due} attempts without a permit"), raises));
    }
    let sent = seen.sent.saturating_sub(memory.sent);
    #[expect(clippy::cast_precision_loss, reason = "attempts of a few seconds")]
    let lag = (seen.lag_seconds - memory.lag_seconds) / sent.max(1) as f64;
    if sent >= LAG_SAMPLES && lag > LAG_SECONDS {
        signs.push(sign("schedule_lag", format!("{lag:.1} s late on average"), true));
    }
    signs
}

/// Spokes whose plain probes all fail with one and the same reason.
fn single_spokes(seen: &Conditions) -> Vec<Sign> {
    by_spoke(seen)
        .into_iter()
        .filter_map(|(spoke, lasts)| {
            let (reason, ..) = *lasts.first()?;
            let alike = lasts.iter().all(|(last, expected, _)| *last == reason && !expected);
            (alike && lasts.len() >= PROBES_AT_LEAST).then(|| Sign {
                place: FaultPlace::Spoke(spoke.clone()),
                cause: reason.as_str(),
                detail: format!("all {} probes that want an answer", lasts.len()),
                raises: true,
            })
        })
        .collect()
}

/// Looks at everything every [`CADENCE`], for ever: sets the faults and says in the log what changed.
pub async fn watch(recorder: Arc<Recorder>, clock: Arc<dyn Clock>, wait: Arc<dyn Wait>) {
    let mut memory = Memory::default();
    let mut said: Vec<KnownFault> = Vec::new();
    let mut skew_said = false;
    let mut next: Moment = clock.now();
    loop {
        next = next.max(clock.now()) + CADENCE;
        wait.until(next).await;
        // A defect here costs one look, not the watch.
        let look = AssertUnwindSafe(|| {
            let conditions = recorder.conditions(clock.now());
            skew_said = say_skew(conditions.clock_skew_seconds, skew_said);
            let found = faults(&conditions, &mut memory, clock.wall());
            say(&said, &found);
            recorder.set_faults(found.clone());
            said = found;
        });
        if catch_unwind(look).is_err() {
            recorder.task_panicked();
        }
    }
}

/// Warns once while clocks differ, before signatures are refused for it; gives back whether it has been said.
fn say_skew(skew: Option<f64>, said: bool) -> bool {
    let Some(seconds) = skew else { return said };
    match said {
        false if seconds.abs() > SKEW_SECONDS => {
            tracing::warn!(
                skew_seconds = seconds.round(),
                "this machine's clock differs from that of AWS; signatures are refused from about 300 s on"
            );
            true
        }
        true if seconds.abs() < SKEW_OVER_SECONDS => {
            tracing::info!(
                skew_seconds = seconds.round(),
                "this machine's clock agrees with that of AWS again"
            );
            false
        }
        said => said,
    }
}

fn say(before: &[KnownFault], now: &[KnownFault]) {
    let same = |one: &KnownFault, other: &KnownFault| one.place == other.place && one.cause == other.cause;
    for fault in now.iter().filter(|fault| !before.iter().any(|old| same(old, fault))) {
        let (scope, spoke) = words(&fault.place);
        tracing::warn!(scope, spoke, cause = fault.cause, detail = %fault.detail, "a fault that many share");
    }
    for fault in before.iter().filter(|fault| !now.iter().any(|new| same(new, fault))) {
        let (scope, spoke) = words(&fault.place);
        tracing::info!(scope, spoke, cause = fault.cause, "the shared fault is over");
    }
}

fn words(place: &FaultPlace) -> (&'static str, Option<&str>) {
    match place {
        FaultPlace::Shared(scope) => (scope.as_str(), None),
        FaultPlace::Spoke(name) => ("spoke", Some(name.as_str())),
    }
}

#[cfg(test)]
mod tests;
