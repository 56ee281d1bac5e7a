//! A spoke's targets taken together: one state, one reason, since when.

use crate::web::status::{SpokeView, StatusView, TargetView};
use std::collections::BTreeMap;

/// How a spoke stands. The order is that of concern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Health {
    /// The last attempt of some target was not as expected.
    Unexpected,
    /// Nothing can be sent to what is not as expected, mostly for want of a session.
    Unsent,
    /// Some target has no result yet, and nothing else is wrong.
    Waiting,
    /// The last attempt of each target was as expected.
    Expected,
}

impl Health {
    /// Every state, the worst first.
    pub(super) const ALL: [Self; 4] = [Self::Unexpected, Self::Unsent, Self::Waiting, Self::Expected];

    /// The word in addresses and classes.
    pub(super) const fn key(self) -> &'static str {
        match self {
            Self::Unexpected => "bad",
            Self::Unsent => "unsent",
            Self::Waiting => "waiting",
            Self::Expected => "ok",
        }
    }

    /// In words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Unexpected => "not as expected",
            Self::Unsent => "nothing sent",
            Self::Waiting => "no result yet",
            Self::Expected => "as expected",
        }
    }

    /// A sign for it, since colour alone tells not everybody.
    pub(super) const fn sign(self) -> &'static str {
        match self {
            Self::Unexpected => "\u{2715}",
            Self::Unsent => "\u{2013}",
            Self::Waiting => "\u{2026}",
            Self::Expected => "\u{2713}",
        }
    }

    /// How one target stands.
    pub(super) fn of_target(target: &TargetView) -> Self {
        match target.up {
            None => Self::Waiting,
            Some(true) => Self::Expected,
            Some(false) if target.outcome == Some("unsent") => Self::Unsent,
            Some(false) => Self::Unexpected,
        }
    }
}

/// A spoke and its targets.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    /// The spoke.
    pub(super) view: &'a SpokeView,
    /// Its targets.
    pub(super) targets: Vec<&'a TargetView>,
    /// How it stands.
    pub(super) health: Health,
    /// Since when that is so: of what is wrong the longest, otherwise the latest change.
    pub(super) since: Option<&'a str>,
    /// The targets whose last attempt was as expected.
    pub(super) expected: usize,
    /// Why targets are not as expected, the most frequent first, and how many of them.
    pub(super) reasons: Vec<(&'static str, &'static str, usize)>,
}

/// Every spoke, in the order of names.
pub(super) fn of(status: &StatusView) -> Vec<Summary<'_>> {
    let mut targets: BTreeMap<&str, Vec<&TargetView>> = BTreeMap::new();
    for target in &status.targets {
        targets.entry(&target.spoke).or_default().push(target);
    }
    let of = |view| summarised(view, targets.remove(view.name.as_str()).unwrap_or_default());
    status.spokes.iter().map(of).collect()
}

/// How many spokes stand like this.
pub(super) fn number_of(spokes: &[Summary<'_>], health: Health) -> usize {
    spokes.iter().filter(|spoke| spoke.health == health).count()
}

fn summarised<'a>(view: &'a SpokeView, targets: Vec<&'a TargetView>) -> Summary<'a> {
    let states = || targets.iter().map(|target| Health::of_target(target));
    let health = states().min().unwrap_or(Health::Waiting);
    let wrong = || targets.iter().filter(|target| target.up == Some(false));
    let mut reasons: Vec<(&str, &str, usize)> = Vec::new();
    for target in wrong() {
        let (outcome, reason) = (target.outcome.unwrap_or_default(), target.reason.unwrap_or_default());
        match reasons.iter_mut().find(|(o, r, _)| (*o, *r) == (outcome, reason)) {
            Some((_, _, number)) => *number += 1,
            None => reasons.push((outcome, reason, 1)),
        }
    }
    reasons.sort_by_key(|(_, _, number)| std::cmp::Reverse(*number));
    Summary {
        view,
        health,
        // RFC 3339 in UTC sorts as text.
        since: match health {
            Health::Unexpected | Health::Unsent => wrong().filter_map(|target| target.since.as_deref()).min(),
            Health::Waiting | Health::Expected => {
                targets.iter().filter_map(|target| target.since.as_deref()).max()
            }
        },
        expected: states().filter(|state| *state == Health::Expected).count(),
        reasons,
        targets,
    }
}
