//! The sink: the only prometheus and hdrhistogram user, and the only place that names a metric.
//!
//! `families` holds every metric in one struct; `target_recorder` is what attempts write to; `windows` keeps
//! recent latencies, `hour` the last hour of each spoke, `board` what people are shown, `diagnosis` what was
//! found out; `sessions` has what STS said, `members` who shares the targets; `collector` writes a target's series at scrape time; `load` is all of load
//! runs, which no health series ever shows; `counts` states the conservation law; `reference` tells people of all of them. `Recorder` joins them; `web` only
//! reads.

mod agent;
mod board;
pub mod build;
mod collector;
mod conditions;
mod counts;
mod diagnosis;
mod durations;
mod endpoint;
mod families;
mod faults;
mod hour;
mod isolation;
mod load;
mod members;
mod reference;
mod reload;
mod series_count;
mod sessions;
mod spoke_recorder;
mod status;
mod target_recorder;
mod windows;

pub use agent::AgentPlace;
pub use board::{CredentialsState, Failure, KEPT_FAILURES, KEPT_FAILURES_PER_TARGET, Last, Refusal};
pub use conditions::{Conditions, SpokeCondition, TargetCondition};
pub use counts::{Counts, Imbalance, ResultCount};
pub use diagnosis::{KnownDiagnosis, TwinCounts, TwinEnd};
pub use endpoint::{
    AddressSeen, CertificateSeen, EndpointRecorder, EndpointStatus, PlaceSeen, Shaken, Trouble, WatchedPlace,
};
pub use faults::{FaultPlace, FaultScope, KnownFault};
pub use hour::{Hour, MINUTES, Minute};
pub use isolation::{
    InconclusivePair, IsolationAttempts, IsolationCheck, IsolationCounts, IsolationRecorder, IsolationStatus,
    KEPT_INCONCLUSIVE, LISTED_OPEN_PAIRS, OpenPair, PairName, PairState,
};
pub use load::{
    Distribution, HistogramLog, LONGEST_WINDOW, LoadEnd, LoadInfo, LoadInterval, LoadIntervals,
    LoadPercentiles, LoadRecord, LoadRecorder, LoadResult, LoadRun, LoadSecond, LoadStatus, LoadWindow,
    TIMELINE_ENTRIES,
};
pub use members::{MembersState, MembersStatus};
pub use reference::{LabelReference, LabelValues, MetricReference, label_reference, metric_reference};
pub use reload::{ConfigurationStatus, ConfigurationTrouble};
pub use series_count::Recorded;
pub use sessions::AssumeRoleResult;
pub use status::{IncludeStatus, Snapshot, SpokeStatus, TargetStatus};
pub use target_recorder::{RESULTS_PER_TARGET, TargetRecorder};
pub use windows::{Percentiles, RING_SAMPLES};

use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::target::{SpokeInfo, Target, TargetId};
use board::Board;
use collector::StateCollector;
use families::{Families, without_empty_labels};
use load::Load;
use prometheus::{Registry, TextEncoder};
use spoke_recorder::SpokeRecorder;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime};

/// The problems kept of each included file, and of a configuration that is refused; the log has all.
const KEPT_PROBLEMS: usize = 20;

/// What recording needs to know.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Upper bounds of the latency histograms in seconds, ascending.
    pub buckets: Vec<f64>,
}

/// Everything that is counted, timed and kept. Share it as `Arc<Recorder>`.
pub struct Recorder {
    registry: Registry,
    shared: Arc<Shared>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.shared.members();
        f.debug_struct("Recorder")
            .field("targets", &members.targets.len())
            .field("spokes", &members.spokes.len())
            .finish_non_exhaustive()
    }
}

/// What the recorder and the collector in its registry both see.
struct Shared {
    families: Arc<Families>,
    board: Arc<Board>,
    members: RwLock<Members>,
    includes: Mutex<Arc<[IncludeStatus]>>,
    reload: Mutex<ConfigurationStatus>,
    agent: Mutex<AgentPlace>,
    /// While several agents share the targets.
    sharing: Mutex<Option<MembersStatus>>,
    /// While the plan asks for isolation.
    isolation: Mutex<Option<Arc<IsolationRecorder>>>,
    loads: Mutex<BTreeMap<Name, Load>>,
    /// While the endpoint is watched.
    endpoint: Mutex<Option<Arc<EndpointRecorder>>>,
}

impl Shared {
    fn members(&self) -> RwLockReadGuard<'_, Members> {
        self.members.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn members_mut(&self) -> RwLockWriteGuard<'_, Members> {
        self.members.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn endpoint_status(&self) -> Option<EndpointStatus> {
        locked(&self.endpoint).as_ref().map(|endpoint| endpoint.status())
    }
}

/// Who is recorded. Locked for writing only when the configuration changes.
#[derive(Default)]
struct Members {
    targets: BTreeMap<TargetId, Arc<TargetRecorder>>,
    spokes: BTreeMap<Name, Spoke>,
}

struct Spoke {
    recorder: Arc<SpokeRecorder>,
    /// The targets it has now.
    targets: usize,
    /// Set while the spoke is announced.
    info: Option<SpokeInfo>,
}

impl Spoke {
    fn new() -> Self {
        Self { recorder: Arc::new(SpokeRecorder::new()), targets: 0, info: None }
    }
}

impl Recorder {
    /// A recorder without targets.
    #[must_use]
    #[expect(clippy::expect_used, reason = "names are constants that every test registers")]
    pub fn new(settings: &Settings) -> Self {
        let registry = Registry::new();
        let shared = Arc::new(Shared {
            families: Arc::new(Families::new(&registry, &settings.buckets)),
            board: Arc::default(),
            members: RwLock::default(),
            includes: Mutex::default(),
            reload: Mutex::default(),
            sharing: Mutex::default(),
            agent: Mutex::default(),
            isolation: Mutex::default(),
            loads: Mutex::default(),
            endpoint: Mutex::default(),
        });
        // Both are there from the start: they have no labels whose values could be unknown.
        let _lag = shared.families.lag.with_label_values::<&str>(&[]);
        let _sts = shared.families.assume_role_duration.with_label_values::<&str>(&[]);
        let collector = StateCollector::new(&shared).expect("constants");
        registry.register(Box::new(collector)).expect("each name once");
        Self { registry, shared }
    }

    /// Sets `spoke_info` and the set of known spokes; a spoke that is neither in it nor has a target is
    /// forgotten with its series.
    pub fn set_spokes(&self, spokes: &[SpokeInfo]) {
        let mut members = self.shared.members_mut();
        for spoke in members.spokes.values_mut() {
            spoke.info = None;
        }
        for info in spokes {
            members.spokes.entry(info.name.clone()).or_insert_with(Spoke::new).info = Some(info.clone());
        }
        self.forget_strangers(&mut members);
    }

    /// Sets the included files of the configuration, each named once.
    pub fn set_includes(&self, mut includes: Vec<IncludeStatus>) {
        for include in &mut includes {
            include.problems.truncate(KEPT_PROBLEMS);
        }
        *locked(&self.shared.includes) = includes.into();
    }

    /// Sets how this agent stands to the others that share the targets; `None` where one agent does all.
    pub fn set_members(&self, members: Option<MembersStatus>) {
        *locked(&self.shared.sharing) = members;
    }

    /// Begins to record a target; its known label sets appear at zero.
    ///
    /// For a target that is there already (the same labels) the counters go on; last outcome, streak, door
    /// and window fall if the request, the identity, the addressing or the expectation is another now.
    pub fn add_target(&self, target: &Arc<Target>) -> Arc<TargetRecorder> {
        self.add_target_at(target, true)
    }

    /// The same; `same_place` is false where the request goes to another place than before, so that what was learnt
    /// falls in any case.
    pub fn add_target_at(&self, target: &Arc<Target>, same_place: bool) -> Arc<TargetRecorder> {
        let mut members = self.shared.members_mut();
        if let Some(known) = members.targets.get_mut(&target.id) {
            let asks_the_same = same_place && known.target().asks_the_same(target);
            *known = Arc::new(known.reformed(target, asks_the_same));
            return Arc::clone(known);
        }
        let spoke = members.spokes.entry(target.id.spoke.clone()).or_insert_with(Spoke::new);
        spoke.targets += 1;
        let recorder =
            Arc::new(TargetRecorder::new(target, &self.shared.families, &self.shared.board, &spoke.recorder));
        members.targets.insert(target.id.clone(), Arc::clone(&recorder));
        recorder
    }

    /// Forgets a target and its series; with the last target of a spoke also the spoke's counters, and if
    /// the spoke is not announced either, everything of it. Attempts of it that end later are counted nowhere.
    pub fn remove_target(&self, id: &TargetId) {
        self.remove_targets(std::iter::once(id));
    }

    /// The same for many.
    pub fn remove_targets<'a>(&self, ids: impl IntoIterator<Item = &'a TargetId>) {
        let mut members = self.shared.members_mut();
        for id in ids {
            let Some(recorder) = members.targets.remove(id) else { continue };
            recorder.retire();
            if let Some(spoke) = members.spokes.get_mut(&id.spoke) {
                spoke.targets = spoke.targets.saturating_sub(1);
                if spoke.targets == 0 {
                    let _absent = self.shared.families.retries.remove_label_values(&[id.spoke.as_str()]);
                }
            }
        }
        self.forget_strangers(&mut members);
    }

    /// Begins to record the isolation of spokes: so many pairs, all due, of these apis. What was recorded before is
    /// forgotten.
    pub fn begin_isolation(
        &self,
        period: Duration,
        pairs: u64,
        apis: &[Arc<Target>],
    ) -> Arc<IsolationRecorder> {
        self.end_isolation();
        self.change_isolation(period, pairs, apis)
    }

    /// Other pairs from now on. What was kept of the pairs before goes on until the caller says which of them stay.
    pub fn change_isolation(
        &self,
        period: Duration,
        pairs: u64,
        apis: &[Arc<Target>],
    ) -> Arc<IsolationRecorder> {
        let mut isolation = locked(&self.shared.isolation);
        let changed = Arc::new(IsolationRecorder::new(period, pairs, apis, isolation.as_deref()));
        *isolation = Some(Arc::clone(&changed));
        changed
    }

    /// No isolation is recorded any more; its series disappear.
    pub fn end_isolation(&self) {
        *locked(&self.shared.isolation) = None;
    }

    /// Begins to record the watch over the endpoint: these places, the names first. What an earlier watch saw is
    /// forgotten, and the series of its zones with it.
    pub fn begin_endpoint(&self, interval: Duration, places: Vec<WatchedPlace>) -> Arc<EndpointRecorder> {
        let endpoint = Arc::new(EndpointRecorder::new(interval, places));
        *locked(&self.shared.endpoint) = Some(Arc::clone(&endpoint));
        endpoint
    }

    /// Counts a panic of a task.
    pub fn task_panicked(&self) {
        self.shared.families.panics.inc();
    }

    /// The recorder of a target that is known.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<Arc<TargetRecorder>> {
        self.shared.members().targets.get(id).cloned()
    }

    /// Everything in the text format of Prometheus, version 0.0.4. Takes milliseconds for a thousand
    /// targets, so call it where blocking is allowed.
    #[must_use]
    pub fn encode_text(&self) -> Vec<u8> {
        let mut families = self.registry.gather();
        without_empty_labels(&mut families);
        let mut text = Vec::with_capacity(64 * 1024);
        if let Err(error) = prometheus::Encoder::encode(&TextEncoder::new(), &families, &mut text) {
            // Writing to memory does not fail; a scrape that ends early shows in Prometheus as missing series.
            tracing::error!(%error, "a metric could not be encoded");
        }
        text
    }

    /// A picture of everything, for status. Costs as much as a scrape: call it where blocking is allowed.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (targets, spokes) = {
            let members = self.shared.members();
            let spokes: Vec<_> = members
                .spokes
                .iter()
                .map(|(name, spoke)| (name.clone(), spoke.info.clone(), Arc::clone(&spoke.recorder)))
                .collect();
            (members.targets.values().cloned().collect::<Vec<_>>(), spokes)
        };
        Snapshot {
            spokes: spokes
                .into_iter()
                .map(|(name, info, recorder)| SpokeStatus {
                    name,
                    info,
                    credentials: recorder.credentials(),
                    latency: recorder.percentiles(),
                })
                .collect(),
            targets: targets.iter().map(|target| target.status()).collect(),
            includes: Arc::clone(&locked(&self.shared.includes)),
            failures: self.shared.board.failures(),
            in_flight: self.shared.families.in_flight.get(),
            clock_skew_seconds: self.shared.board.skew_seconds(),
            task_panics: self.shared.families.panics.get(),
            faults: self.shared.board.faults(),
            isolation: locked(&self.shared.isolation).as_ref().map(|isolation| isolation.status()),
            members: locked(&self.shared.sharing).clone(),
            loads: self.shared.loads().iter().map(|books| books.status()).collect(),
            endpoint: self.shared.endpoint_status(),
            configuration: self.configuration(),
            agent: self.agent_place(),
        }
    }

    /// The last hour of every spoke, up to `now`. For people, so call it where blocking is allowed.
    #[must_use]
    pub fn hours(&self, now: SystemTime) -> BTreeMap<Name, Hour> {
        let members = self.shared.members();
        let spokes: Vec<_> =
            members.spokes.iter().map(|(name, spoke)| (name.clone(), Arc::clone(&spoke.recorder))).collect();
        drop(members);
        spokes.into_iter().map(|(name, recorder)| (name, recorder.hour(now))).collect()
    }

    /// How targets, spokes and the agent stand: what shared faults are found from. Far cheaper than a
    /// snapshot. Of the clocks only what was answered in the last ten minutes counts.
    #[must_use]
    pub fn conditions(&self, now: Moment) -> Conditions {
        let members = self.shared.members();
        let targets: Vec<_> = members.targets.values().cloned().collect();
        let spokes: Vec<_> =
            members.spokes.iter().map(|(name, spoke)| (name.clone(), Arc::clone(&spoke.recorder))).collect();
        drop(members);
        let lag = self.shared.families.lag.with_label_values::<&str>(&[]);
        let mut conditions = Conditions {
            sent: lag.get_sample_count(),
            lag_seconds: lag.get_sample_sum(),
            clock_skew_seconds: self.shared.board.skew_seconds_at(now),
            ..Conditions::default()
        };
        for target in &targets {
            let counts = target.counts();
            conditions.due += counts.due;
            conditions.overloaded += counts.overloaded();
            conditions.targets.push(target.condition(now));
        }
        conditions.spokes = spokes
            .into_iter()
            .map(|(name, recorder)| SpokeCondition {
                name,
                credentials: recorder.credentials(),
                last_assume_role: recorder.last_assume_role(),
            })
            .collect();
        conditions
    }

    /// Replaces what is known of shared faults, for `fault`, `spoke_fault` and status.
    pub fn set_faults(&self, faults: Vec<KnownFault>) {
        self.shared.board.set_faults(faults);
    }

    /// Checks the conservation law: the targets whose books do not balance, which must be none.
    #[must_use]
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let targets: Vec<_> = self.shared.members().targets.values().cloned().collect();
        targets
            .iter()
            .map(|recorder| Imbalance { target: recorder.id().clone(), counts: recorder.counts() })
            .filter(|books| !books.counts.is_conserved())
            .collect()
    }

    fn forget_strangers(&self, members: &mut Members) {
        members.spokes.retain(|name, spoke| {
            let known = spoke.targets > 0 || spoke.info.is_some();
            if !known {
                for result in AssumeRoleResult::ALL {
                    let labels = [name.as_str(), result.as_str()];
                    let _absent = self.shared.families.assume_role.remove_label_values(&labels);
                }
            }
            known
        });
    }
}

/// Takes a lock whatever became of the last holder: counters are whole after every statement.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
pub(crate) mod examples;
#[cfg(test)]
mod tests;
