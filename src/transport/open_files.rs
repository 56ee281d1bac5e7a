//! How many connections there may be, out of the files that the process may have open.
//!
//! Ten thousand host names asked every 30 s would each hold an idle connection for 45 s: ten thousand sockets, and some
//! hundred megabytes of buffers. So what lies idle is bounded, by name: the first names keep as many connections as
//! they give back, the next ones one each, and the others none: those connect anew for each attempt. Requests on their
//! way are bounded too, so that there is always a file left for whoever asks this agent whether it is healthy.

use crate::domain::moment::Moment;
use crate::domain::request::ConnectTarget;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Files for everything else: the agent's own server, STS, the watch over the endpoint, timers, pollers.
const RESERVE: u64 = 200;
/// Idle connections of health at most, whatever the limit: each holds some 30 KB.
const IDLE: u64 = 4_096;
/// Idle connections of load at most: what a load that may have some hundred requests on their way gives back in a
/// moment.
const IDLE_OF_LOAD: u64 = 512;
/// Idle connections kept for one name of those that keep many; more than that were a burst.
pub(super) const MANY: usize = 64;
/// A name that was not asked for so long has no idle connection any more: those are kept for 45 s, and hyper-util
/// looks after as long for those that are too old.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(90);

/// How a limit of open files is shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Requests on their way at once, health and load together.
    pub in_flight: usize,
    /// Idle connections of health.
    pub idle: usize,
    /// Idle connections of load.
    pub idle_of_load: usize,
}

impl OpenFiles {
    /// The shares of a limit.
    #[must_use]
    pub fn within(limit: u64) -> Self {
        let limit = limit.min(1 << 20);
        let rest = limit - RESERVE.min(limit / 4);
        let (idle, idle_of_load) = ((rest / 4).min(IDLE), (rest / 8).min(IDLE_OF_LOAD));
        let count = |files: u64| usize::try_from(files).unwrap_or(usize::MAX);
        Self {
            in_flight: count(rest - idle - idle_of_load).max(1),
            idle: count(idle),
            idle_of_load: count(idle_of_load),
        }
    }

    /// The names that may keep many connections, and those that may keep one.
    pub(super) const fn names(self) -> (usize, usize) {
        let of_many = self.idle / 4 / MANY;
        let of_many = if of_many == 0 && self.idle >= MANY { 1 } else { of_many };
        (of_many, self.idle - of_many * MANY)
    }

    /// How many names can keep a connection at all, with any limit.
    #[must_use]
    pub fn names_at_most() -> usize {
        let (many, single) = Self::within(1 << 20).names();
        many + single
    }

    /// The lowest limit with which so many requests can be on their way, and so many names keep a connection, as far
    /// as they can with any.
    #[must_use]
    pub fn limit_for(names: usize, in_flight: usize) -> u64 {
        let names = names.min(Self::names_at_most());
        let enough = |limit: u64| {
            let shares = Self::within(limit);
            let (many, single) = shares.names();
            shares.in_flight >= in_flight && many + single >= names
        };
        let (mut low, mut high) = (1, 1 << 20);
        while low < high {
            let middle = low + (high - low) / 2;
            if enough(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}

/// How many idle connections a name may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// As many as `MANY`.
    Many,
    /// One.
    One,
    /// None.
    Nothing,
}

/// Which names keep connections.
#[derive(Debug)]
pub(super) struct Names {
    /// How many may keep many, and how many one.
    room: (usize, usize),
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    by_name: HashMap<Arc<ConnectTarget>, (Keeps, Moment)>,
    taken: (usize, usize),
    swept: Option<Moment>,
}

impl Names {
    pub(super) fn new(shares: OpenFiles) -> Self {
        Self { room: shares.names(), known: Mutex::default() }
    }

    /// What a name keeps that is asked for now. One that has a place keeps it as long as it is asked for.
    pub(super) fn keeps(&self, name: &Arc<ConnectTarget>, now: Moment) -> Keeps {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((keeps, last)) = known.by_name.get_mut(name) {
            *last = now;
            return *keeps;
        }
        if known.taken == self.room {
            known.forget(now);
        }
        let (many, one) = known.taken;
        let keeps = if many < self.room.0 {
            known.taken.0 += 1;
            Keeps::Many
        } else if one < self.room.1 {
            known.taken.1 += 1;
            Keeps::One
        } else {
            return Keeps::Nothing;
        };
        known.by_name.insert(Arc::clone(name), (keeps, now));
        keeps
    }
}

impl Known {
    /// Gives the places of names away that were not asked for; looks once a second at most.
    fn forget(&mut self, now: Moment) {
        if self.swept.is_some_and(|last| now.since(last) < Duration::from_secs(1)) {
            return;
        }
        self.swept = Some(now);
        let taken = &mut self.taken;
        self.by_name.retain(|_, (keeps, last)| {
            let kept = now.since(*last) < FORGOTTEN_AFTER;
            if !kept {
                match keeps {
                    Keeps::Many => taken.0 -= 1,
                    Keeps::One => taken.1 -= 1,
                    Keeps::Nothing => {}
                }
            }
            kept
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(number: usize) -> Arc<ConnectTarget> {
        let host = format!("a{number}.test");
        Arc::new(ConnectTarget { tls: true, tls_name: host.clone(), host, port: 443 })
    }

    #[test]
    fn the_usual_limits_are_shared_out_so() {
        let shares = |limit| {
            let OpenFiles { in_flight, idle, idle_of_load } = OpenFiles::within(limit);
            (in_flight, idle, idle_of_load)
        };
        assert_eq!(shares(1_024), (515, 206, 103));
        assert_eq!(shares(4_096), (2_435, 974, 487));
        assert_eq!(shares(65_536), (60_728, 4_096, 512));
        assert_eq!(shares(u64::MAX), (1_048_576 - 200 - 4_096 - 512, 4_096, 512));
        assert_eq!(OpenFiles::names_at_most(), 16 + 3_072);
    }

    proptest! {
        #[test]
        fn the_shares_never_exceed_the_limit(limit in 4_u64..100_000) {
            let shares = OpenFiles::within(limit);
            let all = shares.in_flight + shares.idle + shares.idle_of_load;
            prop_assert!(u64::try_from(all).unwrap() <= limit);
            let (many, single) = shares.names();
            prop_assert!(many * MANY + single <= shares.idle);
        }

        #[test]
        fn the_limit_that_is_named_is_the_lowest_that_will_do(names in 0_usize..20_000, in_flight in 1_usize..20_000) {
            let limit = OpenFiles::limit_for(names, in_flight);
            prop_assert!(OpenFiles::within(limit).in_flight >= in_flight);
            prop_assert!(limit < 2 * u64::try_from(in_flight).unwrap() + 20_000);
        }

        /// Whatever is asked for when, no more names keep connections than there is room for.
        #[test]
        fn no_more_names_keep_connections_than_have_room(
            asks in proptest::collection::vec((0_usize..40, 0_u64..60), 1..400)
        ) {
            let names = Names::new(OpenFiles { in_flight: 1, idle: 2 * MANY + 4, idle_of_load: 0 });
            let room = names.room;
            let mut now = Moment::from_origin(Duration::ZERO);
            for (number, pause) in asks {
                now = now + Duration::from_secs(pause);
                names.keeps(&name(number), now);
                let known = names.known.lock().unwrap();
                let count = |wanted| known.by_name.values().filter(|(keeps, _)| *keeps == wanted).count();
                prop_assert_eq!((count(Keeps::Many), count(Keeps::One)), known.taken);
                prop_assert!(known.taken.0 <= room.0 && known.taken.1 <= room.1);
            }
        }
    }

    #[test]
    fn a_name_keeps_its_place_while_it_is_asked_for_and_gives_it_up_then() {
        let names = Names::new(OpenFiles { in_flight: 1, idle: MANY + 1, idle_of_load: 0 });
        assert_eq!(names.room, (1, 1));
        let at = |seconds| Moment::from_origin(Duration::from_secs(seconds));
        assert_eq!(names.keeps(&name(1), at(0)), Keeps::Many);
        assert_eq!(names.keeps(&name(2), at(0)), Keeps::One);
        assert_eq!(names.keeps(&name(3), at(0)), Keeps::Nothing);
        for second in [30, 60, 90, 120] {
            assert_eq!(names.keeps(&name(2), at(second)), Keeps::One);
        }
        assert_eq!(names.keeps(&name(3), at(121)), Keeps::Many, "name 1 was not asked for");
        assert_eq!(names.keeps(&name(1), at(122)), Keeps::Nothing);
    }
}
