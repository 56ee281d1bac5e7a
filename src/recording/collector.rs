//! Counters and state of targets and loads, written at scrape time from what targets and spokes know.
//!
//! A stored gauge would have to be removed and set again whenever a target's outcome changes, and a scrape
//! in between would see none or two. Read like this, a scrape sees each target's books as of one moment, and
//! no target carries the text of its series about between scrapes.

use crate::domain::name::Name;
use crate::domain::observation::{Door, MissCause, Twin};
use crate::domain::outcome::Outcome;
use crate::recording::families::{Families, counted, series, timed};
use crate::recording::faults::{FaultPlace, FaultScope, KnownFault};
use crate::recording::isolation::{PairName, PairState};
use crate::recording::load::{LoadBooks, LoadView};
use crate::recording::target_recorder::{StateView, code_text, labels};
use crate::recording::{IncludeStatus, Members, Shared, build, endpoint, locked, members};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Metric, MetricFamily};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Reads targets and spokes when prometheus asks.
pub(super) struct StateCollector {
    shared: Arc<Shared>,
    descriptions: Vec<Desc>,
}

impl StateCollector {
    /// A collector over what `shared` holds.
    pub(super) fn new(shared: &Arc<Shared>) -> prometheus::Result<Self> {
        let f = &shared.families;
        let gauges = [
            &f.up,
            &f.last_outcome,
            &f.last_attempt,
            &f.interval,
            &f.door_open,
            &f.isolation_pairs,
            &f.isolation_open,
            &f.expiry,
            &f.skew,
            &f.header_bytes,
            &f.spoke_info,
            &f.include,
            &f.reload_successful,
            &f.reload_success_at,
            &f.fault,
            &f.spoke_fault,
            &f.load_rate,
            &f.load_running,
            &f.members,
            &f.build_info,
            &f.agent_info,
            &f.endpoint_up,
            &f.endpoint_phase,
            &f.endpoint_expiry,
            &f.endpoint_tls,
            &f.endpoint_addresses,
        ];
        let counters = [
            &f.due,
            &f.requests,
            &f.unexpected,
            &f.missed,
            &f.twins,
            &f.load_requests,
            &f.load_missed,
            &f.load_stopped,
        ];
        let histograms = [&f.duration, &f.load_response, &f.load_service];
        let descriptions = gauges
            .into_iter()
            .map(|gauge| gauge.description())
            .chain(counters.into_iter().map(|counter| counter.description()))
            .chain(histograms.into_iter().map(|histogram| histogram.description()))
            .collect::<Result<_, _>>()?;
        Ok(Self { shared: Arc::clone(shared), descriptions })
    }
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let recorded = self.shared.members();
        let mut families = target_families(&self.shared.families, &recorded);
        families.extend(spoke_families(&self.shared.families, &recorded));
        families.extend(fault_families(&self.shared.families, &recorded, &self.shared.board.faults()));
        drop(recorded);
        let f = &self.shared.families;
        families.push(
            f.skew.family(self.shared.board.skew_seconds().map(|s| series(&[], s)).into_iter().collect()),
        );
        let includes = Arc::clone(&locked(&self.shared.includes));
        let include = |of: &IncludeStatus| series(&[("file", &of.file)], f64::from(of.problems.is_empty()));
        families.push(f.include.family(includes.iter().map(include).collect()));
        families.extend(locked(&self.shared.reload).families(f));
        families.push(members::family(f, locked(&self.shared.sharing).as_ref()));
        families.extend(isolation_families(f, &self.shared));
        families.extend(load_families(f, &self.shared.loads()));
        families.extend(endpoint::families(f, self.shared.endpoint_status().as_ref()));
        families.push(locked(&self.shared.agent).family(f));
        let build = [("version", build::VERSION), ("revision", build::REVISION)];
        families.push(f.build_info.family(vec![series(&build, 1.0)]));
        families
    }
}

fn target_families(f: &Families, members: &Members) -> Vec<MetricFamily> {
    let (mut due, mut requests, mut unexpected, mut missed) = (vec![], vec![], vec![], vec![]);
    let mut duration = vec![];
    let (mut up, mut last_outcome, mut last_attempt, mut interval) = (vec![], vec![], vec![], vec![]);
    let mut doors: BTreeMap<(Name, Name, Name), bool> = BTreeMap::new();
    // The zones of a probe share these.
    let mut twins: BTreeMap<(&Name, &Name, &Name, Twin), u64> = BTreeMap::new();
    let mut header_bytes: BTreeMap<&Name, usize> = BTreeMap::new();
    for recorder in members.targets.values() {
        let id = recorder.id();
        let [spoke, api, probe, zone] = labels(id);
        let target = [("spoke", spoke), ("api", api), ("probe", probe), ("zone", zone)];
        recorder.read(|state: &StateView<'_>| {
            let books = state.books;
            due.push(counted(&target, books.due));
            for (code, reason, count) in &books.results {
                let code = code_text(*code);
                let result =
                    [("code", &*code), ("outcome", reason.outcome().as_str()), ("reason", reason.as_str())];
                requests.push(counted(&with(target, result), *count));
            }
            for (reason, count) in &books.unexpected {
                let result = [("outcome", reason.outcome().as_str()), ("reason", reason.as_str())];
                unexpected.push(counted(&with(target, result), *count));
            }
            for cause in MissCause::ALL {
                missed.push(counted(&with(target, [("cause", cause.as_str())]), books.missed_of(cause)));
            }
            for outcome in Outcome::ALL {
                if let Some(durations) = books.durations_of(outcome) {
                    duration.push(timed(&with(target, [("outcome", outcome.as_str())]), durations));
                }
            }
            for (twin, count) in Twin::ALL.into_iter().zip(books.twins).filter(|(_, count)| *count > 0) {
                *twins.entry((&id.spoke, &id.api, &id.probe, twin)).or_insert(0) += count;
            }
            interval.push(series(&target, state.cadence.interval().as_secs_f64()));
            if let Some(last) = state.last {
                up.push(series(&target, f64::from(last.expected)));
                last_attempt.push(series(&target, epoch_seconds(last.at)));
                let result = [
                    ("outcome", last.reason.outcome().as_str()),
                    ("reason", last.reason.as_str()),
                    ("expected", if last.expected { "true" } else { "false" }),
                ];
                last_outcome.push(series(&with(target, result), 1.0));
            }
            if let Some((door, _)) = state.door {
                let open = doors.entry((id.spoke.clone(), id.api.clone(), id.probe.clone())).or_insert(false);
                *open |= door == Door::Open;
            }
            if let Some(bytes) = state.signed_header_bytes {
                let largest = header_bytes.entry(&id.spoke).or_insert(0);
                *largest = bytes.max(*largest);
            }
        });
    }
    let door = |((spoke, api, probe), open): ((Name, Name, Name), bool)| {
        let labels = [("spoke", spoke.as_str()), ("api", api.as_str()), ("probe", probe.as_str())];
        series(&labels, f64::from(open))
    };
    #[expect(clippy::cast_precision_loss, reason = "a request is far smaller than 2^52 bytes")]
    let bytes = |(spoke, bytes): (&Name, usize)| series(&[("spoke", spoke.as_str())], bytes as f64);
    let twin = |((spoke, api, probe, twin), count): ((&Name, &Name, &Name, Twin), u64)| {
        let labels = [
            ("spoke", spoke.as_str()),
            ("api", api.as_str()),
            ("probe", probe.as_str()),
            ("as", twin.as_str()),
        ];
        counted(&labels, count)
    };
    vec![
        f.due.family(due),
        f.requests.family(requests),
        f.unexpected.family(unexpected),
        f.missed.family(missed),
        f.duration.family(duration),
        f.up.family(up),
        f.last_outcome.family(last_outcome),
        f.last_attempt.family(last_attempt),
        f.interval.family(interval),
        f.twins.family(twins.into_iter().map(twin).collect()),
        f.door_open.family(doors.into_iter().map(door).collect()),
        f.header_bytes.family(header_bytes.into_iter().map(bytes).collect()),
    ]
}

/// A target's labels and those of one of its series.
fn with<'a, const N: usize>(
    target: [(&'a str, &'a str); 4],
    more: [(&'a str, &'a str); N],
) -> Vec<(&'a str, &'a str)> {
    target.into_iter().chain(more).collect()
}

fn spoke_families(f: &Families, members: &Members) -> Vec<MetricFamily> {
    let infos = || members.spokes.values().filter_map(|spoke| spoke.info.as_ref());
    // Every series of a family has the same label names: the union of what any spoke is labelled with.
    let names: BTreeSet<_> = infos().flat_map(|info| info.labels.keys()).collect();
    let info_series = |info: &crate::domain::target::SpokeInfo| -> Metric {
        let role = info.role.to_string();
        let mut all = vec![
            ("spoke", info.name.as_str()),
            ("account", info.account.as_str()),
            ("region", info.region.as_str()),
            ("role", role.as_str()),
        ];
        all.extend(names.iter().map(|n| (n.as_str(), info.labels.get(*n).map_or("", String::as_str))));
        series(&all, 1.0)
    };
    let expiry = members.spokes.iter().filter_map(|(name, spoke)| {
        let end = spoke.recorder.credentials().expires_at?;
        Some(series(&[("spoke", name.as_str())], epoch_seconds(end)))
    });
    vec![f.spoke_info.family(infos().map(info_series).collect()), f.expiry.family(expiry.collect())]
}

fn isolation_families(f: &Families, shared: &Shared) -> Vec<MetricFamily> {
    let isolation = locked(&shared.isolation).clone();
    let Some((counts, open)) = isolation.map(|isolation| isolation.scraped()) else { return Vec::new() };
    #[expect(clippy::cast_precision_loss, reason = "pairs are far fewer than 2^52")]
    let pairs = PairState::ALL.map(|state| series(&[("state", state.as_str())], counts.of(state) as f64));
    let open = open.iter().map(|PairName { from, spoke, api }| {
        series(&[("from", from.as_str()), ("spoke", spoke.as_str()), ("api", api.as_str())], 1.0)
    });
    vec![f.isolation_pairs.family(pairs.into()), f.isolation_open.family(open.collect())]
}

fn load_families(f: &Families, loads: &[Arc<LoadBooks>]) -> Vec<MetricFamily> {
    let (mut requests, mut missed, mut stopped) = (vec![], vec![], vec![]);
    let (mut response, mut service) = (vec![], vec![]);
    let (mut rate, mut running) = (vec![], vec![]);
    for books in loads {
        let load = ("load", books.name().as_str());
        books.read(|view: &LoadView<'_>| {
            for result in view.results {
                let code = code_text(result.code);
                let (outcome, reason) = (result.reason.outcome().as_str(), result.reason.as_str());
                let labels = [load, ("code", &*code), ("outcome", outcome), ("reason", reason)];
                requests.push(counted(&labels, result.count));
            }
            response.push(timed(&[load], view.response));
            service.push(timed(&[load], view.service));
            missed.push(counted(&[load], view.missed));
            for (guard, count) in view.stopped {
                stopped.push(counted(&[load, ("guard", guard.as_str())], count));
            }
            rate.push(series(&[load], view.rate_asked));
            running.push(series(&[load], f64::from(view.running)));
        });
    }
    vec![
        f.load_requests.family(requests),
        f.load_response.family(response),
        f.load_service.family(service),
        f.load_missed.family(missed),
        f.load_rate.family(rate),
        f.load_running.family(running),
        f.load_stopped.family(stopped),
    ]
}

fn fault_families(f: &Families, members: &Members, faults: &[KnownFault]) -> Vec<MetricFamily> {
    let at = |place: &FaultPlace| f64::from(faults.iter().any(|fault| fault.place == *place));
    let shared = FaultScope::ALL
        .map(|scope| series(&[("scope", scope.as_str())], at(&FaultPlace::Shared(scope))))
        .to_vec();
    let announced = members.spokes.iter().filter(|(_, spoke)| spoke.info.is_some());
    let of_spokes = announced
        .map(|(name, _)| series(&[("spoke", name.as_str())], at(&FaultPlace::Spoke(name.clone()))))
        .collect();
    vec![f.fault.family(shared), f.spoke_fault.family(of_spokes)]
}

/// Seconds since the epoch, as Prometheus wants moments.
pub(super) fn epoch_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
