//! When targets begin: with their signer, and guards behind the probe that proves their route.

use super::PacedTarget;
use crate::domain::credentials::RoleSession;
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::spread;
use crate::domain::target::TargetId;
use crate::schedule::{Pattern, Timetable};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

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

/// Targets that have not begun, by what they wait for.
#[derive(Default)]
pub(super) struct Beginning {
    hub: Vec<Arc<PacedTarget>>,
    roles: HashMap<Arc<RoleSession>, Vec<Arc<PacedTarget>>>,
    /// Guards, by the control that goes before them.
    behind: HashMap<TargetId, Vec<Arc<PacedTarget>>>,
}

impl Beginning {
    /// Begins what waits for nobody, and keeps the rest.
    pub(super) fn new(targets: Vec<Arc<PacedTarget>>, timetable: &mut Timetable<Paced>, now: Moment) -> Self {
        let mut beginning = Self::default();
        let mut unsigned = Vec::new();
        for target in targets {
            let wanted = target.prepared.target();
            match (&wanted.signer, &wanted.positive_control) {
                (Signer::Anonymous, Some(control)) => {
                    beginning.behind.entry(control.clone()).or_default().push(target);
                }
                (Signer::Anonymous, None) => unsigned.push(target),
                (Signer::Hub, _) => beginning.hub.push(target),
                (Signer::Role(role), _) => beginning.roles.entry(Arc::clone(role)).or_default().push(target),
            }
        }
        for target in unsigned {
            beginning.begin(target, timetable, now);
        }
        beginning
    }

    /// Begins what waited for a signer, which has a session now or its first refusal.
    pub(super) fn signer_known(&mut self, signer: &Signer, timetable: &mut Timetable<Paced>, now: Moment) {
        let targets = match signer {
            Signer::Role(role) => self.roles.remove(role).unwrap_or_default(),
            Signer::Hub => std::mem::take(&mut self.hub),
            Signer::Anonymous => Vec::new(),
        };
        for target in targets {
            self.begin(target, timetable, now);
        }
    }

    fn begin(&mut self, target: Arc<PacedTarget>, timetable: &mut Timetable<Paced>, from: Moment) {
        let id = target.id().clone();
        let pattern = Pattern::from(target.prepared.target().cadence);
        let phase = spread::phase(&id.to_string(), pattern.interval());
        let first = timetable.insert(Paced(target), pattern, phase, from, FIRST_ARRIVAL_WITHIN);
        for guard in self.behind.remove(&id).unwrap_or_default() {
            self.begin(guard, timetable, first + BEHIND_CONTROL);
        }
    }
}
