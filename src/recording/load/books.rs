//! What is known of a load by its name, over all its runs: its metrics, and what status shows.

use crate::domain::load::Guard;
use crate::domain::name::Name;
use crate::domain::observation::Observation;
use crate::domain::target::TargetId;
use crate::recording::durations::Durations;
use crate::recording::load::results::Results;
use crate::recording::load::{LoadPercentiles, LoadResult};
use crate::recording::locked;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

/// A load that is announced: its name, and the probe that it drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadInfo {
    /// The label `load`.
    pub name: Name,
    /// The probe.
    pub target: TargetId,
}

/// A load as status shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadStatus {
    /// The label `load`.
    pub name: Name,
    /// The probe that it drives; `None` for one that was never announced.
    pub target: Option<TargetId>,
    /// Whether it runs now.
    pub running: bool,
    /// While it runs: since when, if that was told.
    pub since: Option<SystemTime>,
    /// The rate that is asked for now, in arrivals a second; zero while it does not run.
    pub rate_asked: f64,
    /// How the attempts of all its runs ended.
    pub results: Vec<LoadResult>,
    /// Its last run that is over.
    pub last: Option<LoadRun>,
}

/// A run that is over, in few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadRun {
    /// When, if its beginning was told.
    pub ended_at: Option<SystemTime>,
    /// How.
    pub end: LoadEnd,
    /// Arrivals that became due.
    pub due: u64,
    /// Attempts handed to the network.
    pub sent: u64,
    /// Arrivals that were not made.
    pub missed: u64,
    /// Attempts that could not be sent for want of a session.
    pub unsent: u64,
    /// Attempts in flight that were given up.
    pub aborted: u64,
    /// Attempts that were not as expected.
    pub unexpected: u64,
    /// Response times.
    pub response: LoadPercentiles,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadEnd {
    /// All stages were driven.
    Completed,
    /// A guard or a person stopped it.
    Stopped(Guard),
    /// What drove it went away without a word: a defect, or the end of the agent.
    Abandoned,
}

impl LoadEnd {
    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped(guard) => guard.as_str(),
            Self::Abandoned => "abandoned",
        }
    }
}

/// The books of one load. Its runs write to them, scrapes read them.
pub(in crate::recording) struct LoadBooks {
    name: Name,
    state: Mutex<State>,
}

struct State {
    target: Option<TargetId>,
    results: Results,
    response: Durations,
    service: Durations,
    missed: u64,
    stopped: [u64; Guard::ALL.len()],
    /// The runs that are not over; more than one only by a caller's mistake.
    running: u32,
    since: Option<SystemTime>,
    rate_asked: f64,
    last: Option<LoadRun>,
}

/// What a scrape shows of a load.
pub(in crate::recording) struct LoadView<'a> {
    pub(in crate::recording) results: &'a [LoadResult],
    pub(in crate::recording) response: &'a Durations,
    pub(in crate::recording) service: &'a Durations,
    pub(in crate::recording) missed: u64,
    pub(in crate::recording) stopped: [(Guard, u64); Guard::ALL.len()],
    pub(in crate::recording) running: bool,
    pub(in crate::recording) rate_asked: f64,
}

impl LoadBooks {
    /// Nothing counted yet.
    pub(in crate::recording) fn new(name: &Name, bounds: &Arc<[f64]>) -> Self {
        let state = State {
            target: None,
            results: Results::default(),
            response: Durations::new(bounds),
            service: Durations::new(bounds),
            missed: 0,
            stopped: [0; Guard::ALL.len()],
            running: 0,
            since: None,
            rate_asked: 0.0,
            last: None,
        };
        Self { name: name.clone(), state: Mutex::new(state) }
    }

    /// The label `load`.
    pub(in crate::recording) const fn name(&self) -> &Name {
        &self.name
    }

    /// Sets the probe.
    pub(in crate::recording) fn announce(&self, target: &TargetId) {
        locked(&self.state).target = Some(target.clone());
    }

    /// Whether a run is not over.
    pub(in crate::recording) fn is_running(&self) -> bool {
        locked(&self.state).running > 0
    }

    /// Reads all as of one moment.
    pub(in crate::recording) fn read<T>(&self, with: impl FnOnce(&LoadView<'_>) -> T) -> T {
        let state = locked(&self.state);
        let mut counts = state.stopped.iter();
        with(&LoadView {
            results: state.results.all(),
            response: &state.response,
            service: &state.service,
            missed: state.missed,
            stopped: Guard::ALL.map(|guard| (guard, counts.next().copied().unwrap_or(0))),
            running: state.running > 0,
            rate_asked: state.rate_asked,
        })
    }

    /// What status shows.
    pub(in crate::recording) fn status(&self) -> LoadStatus {
        let state = locked(&self.state);
        LoadStatus {
            name: self.name.clone(),
            target: state.target.clone(),
            running: state.running > 0,
            since: state.since,
            rate_asked: state.rate_asked,
            results: state.results.all().to_vec(),
            last: state.last.clone(),
        }
    }

    pub(super) fn begun(&self) {
        locked(&self.state).running += 1;
    }

    pub(super) fn begun_at(&self, at: SystemTime) {
        locked(&self.state).since = Some(at);
    }

    pub(super) fn rate_asked(&self, rate: f64) {
        locked(&self.state).rate_asked = rate;
    }

    pub(super) fn missed(&self, count: u64) {
        locked(&self.state).missed += count;
    }

    pub(super) fn ended(&self, seen: &Observation) {
        let response = seen.response_time().as_secs_f64();
        let service = seen.service_time();
        let mut state = locked(&self.state);
        state.results.count(seen.code, seen.verdict.reason, seen.verdict.expected);
        // An attempt that was never sent took no time that anybody could have measured.
        if let Some(service) = service {
            state.response.observe(response);
            state.service.observe(service.as_secs_f64());
        }
    }

    pub(super) fn stopped(&self, guard: Guard) {
        let mut state = locked(&self.state);
        let counts = Guard::ALL.into_iter().zip(&mut state.stopped);
        counts.filter(|(each, _)| *each == guard).for_each(|(_, count)| *count += 1);
    }

    pub(super) fn over(&self, run: LoadRun) {
        let mut state = locked(&self.state);
        state.running = state.running.saturating_sub(1);
        state.last = Some(run);
        if state.running == 0 {
            state.rate_asked = 0.0;
            state.since = None;
        }
    }
}
