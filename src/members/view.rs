//! What follows from the answers of DNS, one after the other. Pure: no clock, a refresh is the unit of time.
//!
//! Answers go wrong in ways of their own, and none of them may make all agents probe everything, or nobody a target:
//!
//! - A name is taken on or given up when two answers in a row agree on it. So an answer that differs once moves
//!   nothing, and a member that leaves is replaced within two refreshes.
//! - An agent that is not named goes on with its share besides: others take its targets, so they are probed twice
//!   rather than by nobody.
//! - No answer, or an empty one, changes nothing. An empty answer is what a broken registry looks like, not a group
//!   without members: somebody asked.
//! - An agent that never learnt of the members, or never found itself among them, does everything, and says so.

use super::share::Share;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

/// In so many answers in a row a name is new, or missing, before that counts; and so many times in a row there is no
/// answer before an agent that knows nobody does everything.
const IN_A_ROW: u32 = 2;
/// So many answers in a row may name others and not this agent before it does everything, counted from the start. Those
/// others are at work meanwhile, and a registry takes its time to name an agent that has just started: AWS Cloud Map up
/// to a minute, the time to live included.
const UNNAMED_AT_START: u32 = 4;
/// The first member begins loads when it has been the first for so many answers in a row: until then the one before it
/// may not know yet that it is not.
const FIRST_FOR: u32 = 4;
/// After so many questions in a row without an answer the first member begins no load: the others may have another.
const UNANSWERED_AND_FIRST: u32 = 2;

/// One answer of DNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// There is none, or an empty one.
    Nothing,
    /// The members, and which of these names are this agent's.
    Members {
        /// Never empty.
        names: BTreeSet<String>,
        /// Some of `names`.
        me: BTreeSet<String>,
    },
}

/// What is known of the members.
#[derive(Debug)]
pub(super) struct View {
    replicas: NonZeroU32,
    known: Known,
}

#[derive(Debug)]
enum Known {
    /// Nobody yet: how often in a row there was no answer, and one without this agent.
    Nobody { unanswered: u32, unnamed: u32 },
    /// Given up: this agent does everything.
    StandIn,
    /// The members.
    Members(Group),
}

#[derive(Debug)]
struct Group {
    /// Each with how many answers in a row it has been missing from.
    names: BTreeMap<String, u32>,
    /// Names that are not members yet, and in how many answers in a row they were.
    comers: BTreeMap<String, u32>,
    me: BTreeSet<String>,
    /// In how many answers in a row this agent is not named, and how often in a row there is no answer.
    unnamed: u32,
    unanswered: u32,
    /// For how many answers in a row this agent has been the first.
    first_for: u32,
}

/// How this agent stands to the last answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Named, or nothing is known yet.
    Fine,
    /// No answer for a while, or never.
    Unanswered,
    /// The last answers do not name this agent.
    Unnamed,
}

impl View {
    /// Nothing is known yet.
    pub(super) const fn new(replicas: NonZeroU32) -> Self {
        Self { replicas, known: Known::Nobody { unanswered: 0, unnamed: 0 } }
    }

    /// Takes the next answer.
    pub(super) fn learn(&mut self, answer: &Answer) {
        match (&mut self.known, answer) {
            (Known::Members(group), answer) => group.learn(answer),
            (known, Answer::Members { names, me }) if !me.is_empty() => {
                let names = names.iter().map(|name| (name.clone(), 0)).collect();
                let me = me.clone();
                let comers = BTreeMap::new();
                let group = Group { names, comers, me, unnamed: 0, unanswered: 0, first_for: 0 };
                *known = Known::Members(group);
            }
            (Known::StandIn, _) => {}
            (known @ Known::Nobody { .. }, answer) => {
                let Known::Nobody { unanswered, unnamed } = known else { return };
                match answer {
                    Answer::Nothing => *unanswered += 1,
                    Answer::Members { .. } => (*unanswered, *unnamed) = (0, *unnamed + 1),
                }
                if *unanswered >= IN_A_ROW || *unnamed >= UNNAMED_AT_START {
                    *known = Known::StandIn;
                }
            }
        }
    }

    /// The share that follows; `None` before the first answer.
    pub(super) fn share(&self) -> Option<Share> {
        match &self.known {
            Known::Nobody { .. } => None,
            Known::StandIn => Some(Share::stand_in()),
            Known::Members(group) => {
                let me: Vec<String> = group.me.iter().cloned().collect();
                let share = Share::of(group.names.keys().cloned(), &me, self.replicas);
                Some(if group.may_begin_loads() { share } else { share.without_loads() })
            }
        }
    }

    /// The names that are known to be this agent's.
    pub(super) fn me(&self) -> BTreeSet<String> {
        match &self.known {
            Known::Members(group) => group.me.clone(),
            Known::Nobody { .. } | Known::StandIn => BTreeSet::new(),
        }
    }

    /// How this agent stands to the last answers.
    pub(super) const fn standing(&self) -> Standing {
        match &self.known {
            Known::Nobody { unanswered, unnamed } => match (*unanswered, *unnamed) {
                (1.., _) => Standing::Unanswered,
                (_, 1..) => Standing::Unnamed,
                _ => Standing::Fine,
            },
            Known::StandIn => Standing::Unanswered,
            Known::Members(group) if group.unanswered >= IN_A_ROW => Standing::Unanswered,
            Known::Members(group) if group.unnamed >= IN_A_ROW => Standing::Unnamed,
            Known::Members(_) => Standing::Fine,
        }
    }
}

impl Group {
    fn learn(&mut self, answer: &Answer) {
        let Answer::Members { names: named, me } = answer else {
            self.unanswered += 1;
            return;
        };
        self.unanswered = 0;
        self.unnamed = if me.is_empty() { self.unnamed + 1 } else { 0 };
        for (name, missing) in &mut self.names {
            *missing = if named.contains(name) { 0 } else { *missing + 1 };
        }
        // Another name of this agent is a comer like any: the others see it no sooner.
        let comers = named.iter().filter(|name| !self.names.contains_key(*name));
        self.comers =
            comers.map(|name| (name.clone(), self.comers.get(name).map_or(1, |seen| seen + 1))).collect();
        let come: Vec<String> =
            self.comers.iter().filter(|(_, seen)| **seen >= IN_A_ROW).map(|(name, _)| name.clone()).collect();
        for name in come {
            self.comers.remove(&name);
            if me.contains(&name) {
                self.me.insert(name.clone());
            }
            self.names.insert(name, 0);
        }
        // A name of this agent goes when it has another that is named; the last one stays.
        let mut own = self.me.len();
        let me = &mut self.me;
        self.names.retain(|name, missing| {
            let stays = *missing < IN_A_ROW || (me.contains(name) && own == 1);
            if !stays && me.remove(name) {
                own -= 1;
            }
            stays
        });
        let first = self.names.keys().next().is_some_and(|name| self.me.contains(name));
        self.first_for = if first && self.unnamed == 0 { self.first_for + 1 } else { 0 };
    }

    const fn may_begin_loads(&self) -> bool {
        self.first_for >= FIRST_FOR && self.unnamed == 0 && self.unanswered < UNANSWERED_AND_FIRST
    }
}

#[cfg(test)]
mod tests;
