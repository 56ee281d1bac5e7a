//! Who is blamed: what each target may say at each time, by the faults that are or were.

use crate::faults::{Fault, Place};
use crate::setting::{Kind, Subject};
use spokeprobe::domain::observation::Door;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::recording::{Counts, TargetStatus};
use std::collections::HashMap;
use std::time::Duration;

/// A fault that is or was.
#[derive(Debug, Clone, Copy)]
struct Played {
    fault: Fault,
    from: Duration,
    until: Option<Duration>,
    /// For a moment in which time was skipped: how much of it.
    skipped: Duration,
}

impl Played {
    fn is_felt(&self, from: Duration, to: Duration, more: Duration) -> bool {
        self.from <= to && self.until.is_none_or(|until| until + self.fault.lingers() + more >= from)
    }
}

/// What was known of a target at the last look.
struct Known {
    counts: Counts,
    door: Option<Door>,
    at: Duration,
}

/// The faults so far, and what targets had said by then.
#[derive(Default)]
pub(crate) struct Attribution {
    played: Vec<Played>,
    known: HashMap<String, Known>,
    /// Since when each target asks what it asks now.
    since: HashMap<String, Duration>,
}

/// What the first session of a role takes at most, while STS is well.
const FIRST_SESSION: Duration = Duration::from_secs(60);
/// Longer than anything lingers, with the slowest target's interval.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(4 * 3_600);

impl Attribution {
    pub(crate) fn begins(&mut self, fault: Fault, at: Duration) {
        self.played.retain(|played| played.until.is_none_or(|until| until + FORGOTTEN_AFTER > at));
        let skipped = match fault {
            Fault::Frozen(span) => span,
            _ => Duration::ZERO,
        };
        // What lingers waits for the agent to act, which it does not while it stands still.
        for played in &mut self.played {
            let lingers = played.fault.lingers();
            if let Some(until) = played.until.as_mut().filter(|until| **until + lingers >= at) {
                *until += skipped;
            }
        }
        let until = fault.is_a_moment().then_some(at + skipped);
        self.played.push(Played { fault, from: at, until, skipped });
    }

    /// The fault at this place ends.
    pub(crate) fn ends(&mut self, place: Place, at: Duration) {
        for played in self.played.iter_mut().filter(|played| played.fault.place() == place) {
            played.until.get_or_insert(at);
        }
    }

    /// Targets come and go: of those that are new nothing is known, of those that ask something else no door.
    pub(crate) fn targets_changed(
        &mut self,
        gone: &[String],
        changed: &[String],
        new: &[String],
        now: Duration,
    ) {
        for id in gone.iter().chain(new) {
            self.known.remove(id);
            self.since.remove(id);
        }
        for id in changed.iter().chain(new) {
            self.since.insert(id.clone(), now);
        }
        for id in changed {
            if let Some(known) = self.known.get_mut(id) {
                known.door = None;
            }
        }
    }

    /// Since when a target asks what it asks now.
    fn since(&self, id: &str) -> Duration {
        self.since.get(id).copied().unwrap_or_default()
    }

    /// The reasons that faults give a target within a time, its peaceful ones left out.
    fn blamed(&self, subject: &Subject, from: Duration, to: Duration) -> Vec<Reason> {
        // An attempt that was due before may end after.
        let more = subject.timeout + Duration::from_secs(12);
        let felt: Vec<Fault> = self
            .played
            .iter()
            .filter(|played| played.is_felt(from, to, more))
            .map(|played| played.fault)
            .collect();
        let is_open = felt.contains(&Fault::EndpointPolicyOpen);
        let reasons = |fault: &Fault| {
            if is_open { fault.reasons_where_open(subject) } else { fault.reasons(subject) }
        };
        let mut blamed: Vec<Reason> = felt.iter().flat_map(reasons).copied().collect();
        // To a clock that is behind the gateway's, by however little, a session lives on for so long after its end; it
        // is used then when nothing has renewed it.
        let is_behind = felt.iter().any(|fault| match fault {
            Fault::AgentClock(seconds) => *seconds < 0,
            Fault::GatewayClock(seconds) => *seconds > 0,
            _ => false,
        });
        if is_behind && felt.iter().any(|fault| fault.keeps_sessions_from(subject)) {
            blamed.push(Reason::TokenExpired);
        }
        blamed
    }

    /// Looks at a target now: everything that was said since the last look must have been allowed.
    pub(crate) fn look(
        &mut self,
        subject: &Subject,
        status: &TargetStatus,
        now: Duration,
        broken: &mut Vec<String>,
    ) {
        let from = self.known.get(&subject.id).map_or_else(|| self.since(&subject.id), |known| known.at);
        let blamed = self.blamed(subject, from, now);
        let before = self.known.get(&subject.id);
        let (mut opened, mut closed) = (0, 0);
        for result in &status.counts.results {
            let same = |each: &&spokeprobe::recording::ResultCount| {
                (each.code, each.reason) == (result.code, result.reason)
            };
            let known = before
                .and_then(|known| known.counts.results.iter().find(same))
                .map_or(0, |known| known.count);
            let new = result.count.saturating_sub(known);
            if result.count < known {
                broken.push(format!(
                    "{}: {} was counted {known} times and then {}",
                    subject.id, result.reason, result.count
                ));
            }
            if new == 0 {
                continue;
            }
            if !blamed.contains(&result.reason) && !subject.in_peace().contains(&result.reason) {
                broken.push(format!(
                    "{}: {new} times {}, which no fault gives it; allowed were {:?} and {blamed:?}",
                    subject.id,
                    result.reason,
                    subject.in_peace()
                ));
            }
            opened += if result.reason == Reason::None { new } else { 0 };
            let closes = result.reason.is_policy() || result.reason == Reason::MissingAuthenticationToken;
            closed += if closes { new } else { 0 };
        }
        // A door changes its state by evidence only.
        let was = before.and_then(|known| known.door);
        let evidence = match status.door {
            door if door == was => true,
            // A changed target forgets its door until the next evidence.
            None if self.is_new(subject, now) => true,
            Some(Door::Open) => opened > 0,
            Some(Door::Closed) => closed > 0,
            None => false,
        };
        if !evidence {
            broken.push(format!(
                "{}: the door was {was:?} and is {:?} without evidence",
                subject.id, status.door
            ));
        }
        let known = Known { counts: status.counts.clone(), door: status.door, at: now };
        self.known.insert(subject.id.clone(), known);
    }

    /// True when nothing has been felt by a target for so long that its last attempt must be as in peace.
    pub(crate) fn is_at_peace(&self, subject: &Subject, now: Duration) -> bool {
        let begun = subject.every * 2 + subject.timeout;
        // A new target may wait for a session, and a changed one for its new place in the interval.
        now.saturating_sub(self.since(&subject.id)) > begun + FIRST_SESSION
            && self.blamed(subject, now - begun, now).is_empty()
    }

    /// True while a target may not have been attempted since it is what it is.
    pub(crate) fn is_new(&self, subject: &Subject, now: Duration) -> bool {
        now.saturating_sub(self.since(&subject.id)) < subject.every * 2 + subject.timeout + FIRST_SESSION
    }

    /// The fault at a place is about to end: whom it must have been seen at by now has to show it. Only where nothing
    /// else was felt, since of two faults either may be met first.
    pub(crate) fn must_show(
        &self,
        place: Place,
        subject: &Subject,
        now: Duration,
    ) -> Option<&'static [Reason]> {
        let this =
            self.played.iter().find(|played| played.fault.place() == place && played.until.is_none())?;
        let reasons = this.fault.reasons(subject);
        let needed = this.fault.seen_after()? + subject.every * 2 + subject.timeout * 2;
        let from = this.from.max(self.since(&subject.id));
        let alone =
            self.played.iter().filter(|played| played.is_felt(from, now, subject.timeout)).all(|played| {
                played.fault.place() == place && played.until.is_none()
                    || played.fault.reasons_where_open(subject).is_empty()
            });
        // Of a guard whose door opened `none` is what shows it.
        let hides = subject.is_guard() && this.fault.may_hide_behind_a_refusal();
        let shows = !hides && !reasons.is_empty() && (subject.is_guard() || !reasons.contains(&Reason::None));
        (shows && alone && now.saturating_sub(from) > needed).then_some(reasons)
    }

    /// The scopes of shared faults that may be up, where plain probes are asked this often.
    pub(crate) fn may_share(&self, now: Duration, every: Duration) -> Vec<&'static str> {
        // What a spoke said last counts until it is asked again, and some are asked half as often.
        let hold = every * 2 + Duration::from_secs(180);
        let from = now.saturating_sub(hold);
        let is_felt = |played: &&Played| match played.fault {
            // What was answered while a clock was off is believed for ten minutes where nothing else is answered.
            Fault::AgentClock(_) | Fault::GatewayClock(_) => {
                played.is_felt(now, now, Duration::from_secs(600 + 60))
            }
            _ => played.is_felt(from, now, hold),
        };
        let felt = self.played.iter().filter(is_felt).map(|played| played.fault);
        felt.flat_map(|fault| match fault {
            Fault::EndpointPolicyForOthers { .. }
            | Fault::EndpointPolicyOpen
            | Fault::EndpointSpoils(_)
            | Fault::Names(_)
            | Fault::PrivateDnsOff
            | Fault::ZonesDead(_)
            | Fault::CertificateExpired => &["endpoint"][..],
            Fault::Sts(_) => &["sts"],
            // A role that cannot be assumed for want of the hub's own credentials looks like STS at first.
            Fault::HubCredentialsGone => &["agent", "sts"],
            Fault::AgentClock(_) => &["agent", "sts"],
            Fault::GatewayClock(_) => &["agent"],
            Fault::Frozen(_) | Fault::Suspended(_) => &["agent", "sts", "endpoint"],
            _ => &[],
        })
        .copied()
        .collect()
    }

    /// The clocks that were off lately, in seconds by which the agent's was ahead.
    pub(crate) fn time_was_skipped(&self, from: Duration) -> Duration {
        let late = self.played.iter().filter(|played| played.until.is_none_or(|until| until >= from));
        late.map(|played| played.skipped).sum()
    }

    /// What is and lately was, for a report.
    pub(crate) fn history(&self) -> Vec<String> {
        let span = |at: Duration| crate::run::written(at);
        let line = |played: &Played| {
            let until = played.until.map_or("now".to_owned(), span);
            format!("{} to {until}: {}", span(played.from), played.fault)
        };
        self.played.iter().map(line).collect()
    }
}

/// Whether a target's zone is named in its labels.
pub(crate) const fn is_zonal(kind: Kind) -> bool {
    matches!(kind, Kind::Zonal(_))
}
