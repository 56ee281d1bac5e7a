//! When targets begin: with their signer, and guards behind the probe that proves their route. And where they stand
//! in the timetable once they have begun.

use super::target::PacedTarget;
use crate::domain::credentials::RoleSession;
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::spread;
use crate::domain::target::{Target, TargetId};
use crate::schedule::{Arrival, Pattern, Timetable};
use crate::seams::Clock;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A target whose interval is longer than this has a first arrival of its own within it, so that nobody waits
/// a day for the first result of a daily probe. Spread by the same hash, so that there is no burst either.
const FIRST_ARRIVAL_WITHIN: Duration = Duration::from_secs(60);

/// How long after its control a guard begins: long enough for an answer, or the guard would be unexpected at
/// every start until the control has been seen to work.
const BEHIND_CONTROL: Duration = Duration::from_secs(2);

/// The timetable's key: a target, compared by its labels.
#[derive(Clone)]
pub(super) struct Paced(pub(super) Arc<PacedTarget>);

impl PartialEq for Paced {
    fn eq(&self, other: &Self) -> bool {
        self.0.id() == other.0.id()
    }
}

impl Eq for Paced {}

impl Hash for Paced {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id().hash(state);
    }
}

/// A target that has not begun, or that waits for another signer than it had.
struct Waiting {
    target: Arc<PacedTarget>,
    /// It was in the timetable before, and goes back to its place without an arrival ahead of it.
    again: bool,
}

/// Whether a signer has been asked for, with whatever result.
pub(super) type IsKnown<'a> = &'a dyn Fn(&Signer) -> bool;

/// All targets of the agent: those in the timetable, and those that wait to be.
pub(super) struct Course {
    /// The wall clock's time since 1970 at the monotonic clock's origin, as it was when the agent started.
    origin: Duration,
    pub(super) timetable: Timetable<Paced>,
    /// When the first arrival of each target in the timetable was, or will be.
    first: HashMap<TargetId, Moment>,
    hub: Vec<Waiting>,
    roles: HashMap<Arc<RoleSession>, Vec<Waiting>>,
    /// Guards, by the control that goes before them.
    behind: HashMap<TargetId, Vec<Waiting>>,
}

impl Course {
    /// Without targets. Both clocks are asked here and never again: a step of the wall clock moves no target.
    pub(super) fn new(clock: &dyn Clock) -> Self {
        let wall = clock.wall().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            origin: wall.saturating_sub(clock.now().since_origin()),
            timetable: Timetable::new(),
            first: HashMap::new(),
            hub: Vec::new(),
            roles: HashMap::new(),
            behind: HashMap::new(),
        }
    }

    /// Begins what waits for nobody, and keeps the rest.
    pub(super) fn add(&mut self, targets: Vec<Arc<PacedTarget>>, is_known: IsKnown<'_>, now: Moment) {
        self.place(targets.into_iter().map(|target| Waiting { target, again: false }), is_known, now);
    }

    /// Takes targets out, wherever they are.
    pub(super) fn remove(&mut self, targets: &[Arc<PacedTarget>]) {
        for target in targets {
            self.timetable.remove(&Paced(Arc::clone(target)));
            self.first.remove(target.id());
        }
        self.stop_waiting(targets.iter());
    }

    /// Targets whose signer or control is another one now, or (true) also their place in the timetable.
    pub(super) fn shift(
        &mut self,
        targets: Vec<(Arc<PacedTarget>, bool)>,
        is_known: IsKnown<'_>,
        now: Moment,
    ) {
        self.stop_waiting(targets.iter().map(|(target, _)| target));
        let mut to_place = Vec::new();
        for (target, other_place) in targets {
            let again = self.first.contains_key(target.id());
            if again && is_known(&target.form().target().signer) {
                if other_place {
                    self.reschedule(target, now);
                }
            } else {
                // With a signer that nobody knows yet each attempt would be `unsent`, and a target down.
                self.timetable.remove(&Paced(Arc::clone(&target)));
                self.first.remove(target.id());
                to_place.push(Waiting { target, again });
            }
        }
        self.place(to_place.into_iter(), is_known, now);
    }

    /// Begins what waited for a signer, which has a session now or its first refusal.
    pub(super) fn signer_known(&mut self, signer: &Signer, now: Moment) {
        let waiting = match signer {
            Signer::Role(role) => self.roles.remove(role).unwrap_or_default(),
            Signer::Hub => std::mem::take(&mut self.hub),
            Signer::Anonymous => Vec::new(),
        };
        for waiting in waiting {
            self.begin(waiting, now);
        }
    }

    /// The next of what the timetable gave out.
    pub(super) fn arrivals(due: &mut Vec<Arrival<Paced>>) -> Option<Arrival<Arc<PacedTarget>>> {
        due.pop().map(|Arrival { key: Paced(key), due, skipped }| Arrival { key, due, skipped })
    }

    fn place(&mut self, targets: impl Iterator<Item = Waiting>, is_known: IsKnown<'_>, now: Moment) {
        let (mut guards, mut known) = (Vec::new(), Vec::new());
        for waiting in targets {
            let form = waiting.target.form();
            match &form.target().signer {
                Signer::Anonymous if form.target().positive_control.is_some() => guards.push(waiting),
                signer if is_known(signer) => known.push(waiting),
                Signer::Role(role) => self.roles.entry(Arc::clone(role)).or_default().push(waiting),
                Signer::Hub | Signer::Anonymous => self.hub.push(waiting),
            }
        }
        let controls = if guards.is_empty() { HashSet::new() } else { self.controls_to_come(&known) };
        for guard in guards {
            let control = guard.target.form().target().positive_control.clone();
            match control {
                Some(control) if controls.contains(&control) => {
                    self.behind.entry(control).or_default().push(guard);
                }
                // Its control has begun, or is nobody's of this agent.
                control => {
                    let first = control.and_then(|control| self.first.get(&control));
                    let from = first.map_or(now, |first| now.max(*first + BEHIND_CONTROL));
                    self.begin(guard, from);
                }
            }
        }
        for waiting in known {
            self.begin(waiting, now);
        }
    }

    /// All that may be a control and has not begun yet.
    fn controls_to_come(&self, about_to_begin: &[Waiting]) -> HashSet<TargetId> {
        let waiting = self.hub.iter().chain(self.roles.values().flatten()).chain(about_to_begin);
        waiting.map(|waiting| waiting.target.id().clone()).collect()
    }

    fn begin(&mut self, Waiting { target, again }: Waiting, from: Moment) {
        let id = target.id().clone();
        let first = if again {
            self.reschedule(target, from)
        } else {
            self.schedule(target, from, FIRST_ARRIVAL_WITHIN)
        };
        for guard in self.behind.remove(&id).unwrap_or_default() {
            self.begin(guard, first + BEHIND_CONTROL);
        }
    }

    /// Puts a target that had its first arrival at its place of each interval again: what follows from labels and
    /// interval alone, and so the one that it had if neither has changed. Not at this very moment: that arrival may have
    /// been made.
    fn reschedule(&mut self, target: Arc<PacedTarget>, now: Moment) -> Moment {
        self.schedule(target, now + Duration::from_nanos(1), Duration::MAX)
    }

    fn schedule(&mut self, target: Arc<PacedTarget>, from: Moment, first_within: Duration) -> Moment {
        let form = target.form();
        let pattern = Pattern::from(form.target().cadence);
        let phase = self.phase(form.target(), pattern.interval());
        let id = target.id().clone();
        let first = self.timetable.insert(Paced(target), pattern, phase, from, first_within);
        self.first.insert(id, first);
        first
    }

    fn stop_waiting<'a>(&mut self, targets: impl Iterator<Item = &'a Arc<PacedTarget>>) {
        if self.hub.is_empty() && self.roles.is_empty() && self.behind.is_empty() {
            return;
        }
        let ids: HashSet<&TargetId> = targets.map(|target| target.id()).collect();
        let stays = |waiting: &Waiting| !ids.contains(waiting.target.id());
        self.hub.retain(stays);
        for lists in [self.roles.values_mut().collect::<Vec<_>>(), self.behind.values_mut().collect()] {
            lists.into_iter().for_each(|list| list.retain(stays));
        }
        self.roles.retain(|_, list| !list.is_empty());
        self.behind.retain(|_, list| !list.is_empty());
    }
    /// The place of a target within its interval, from its labels and its place among replicas. Intervals are counted
    /// from 1970 by the wall clock, so replicas lie apart although their agents started at different moments, and a
    /// restart moves nothing.
    fn phase(&self, target: &Target, interval: Duration) -> Duration {
        let place = spread::phase(&target.id.to_string(), interval) + target.replica.offset(interval);
        let every = interval.as_nanos().max(1);
        let behind = self.origin.as_nanos() % every;
        let phase = (place.as_nanos() + every - behind) % every;
        Duration::from_nanos(u64::try_from(phase).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::target::Replica;
    use crate::recording::examples::target;
    use crate::seams::SystemClock;
    use std::time::SystemTime;

    #[tokio::test(start_paused = true)]
    async fn replicas_lie_apart_by_the_wall_clock_whenever_their_agents_started() {
        let interval = Duration::from_secs(7);
        let places = |replica: Replica, started: Duration| {
            let clock = SystemClock::simulated(SystemTime::UNIX_EPOCH + started);
            let target = Target { replica, ..target("payments/hoot/hello") };
            (Course::new(&clock).phase(&target, interval) + started).as_nanos() % interval.as_nanos()
        };
        let first = places(Replica { index: 0, of: 2 }, Duration::from_secs(1_772_323_200));
        for seconds in [0, 1, 6, 1_772_323_205] {
            let started = Duration::new(seconds, 123_456_789);
            assert_eq!(
                places(Replica::ONLY, started),
                first,
                "one place for one agent and the first replica"
            );
            let second = places(Replica { index: 1, of: 2 }, started);
            assert_eq!(second.abs_diff(first), (interval / 2).as_nanos(), "{seconds}");
        }
        // An agent that runs for long already has the same origin.
        let clock = SystemClock::simulated(SystemTime::UNIX_EPOCH + Duration::from_secs(99));
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(Course::new(&clock).origin, Duration::from_secs(99));
    }
}
