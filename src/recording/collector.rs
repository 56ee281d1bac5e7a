//! The gauges of state, written at scrape time from what targets and spokes know.
//!
//! A stored gauge would have to be removed and set again whenever a target's outcome changes, and a scrape
//! in between would see none or two. Read like this, a scrape sees each target's state as one.

use crate::domain::name::Name;
use crate::domain::observation::Door;
use crate::recording::diagnosis::{FaultPlace, FaultScope, KnownFault};
use crate::recording::families::{Families, series};
use crate::recording::target_recorder::{StateView, labels};
use crate::recording::{IncludeStatus, Members, Shared, build, locked};
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
            &f.expiry,
            &f.skew,
            &f.header_bytes,
            &f.spoke_info,
            &f.include,
            &f.fault,
            &f.spoke_fault,
            &f.build_info,
        ];
        let descriptions = gauges.into_iter().map(|gauge| gauge.description()).collect::<Result<_, _>>()?;
        Ok(Self { shared: Arc::clone(shared), descriptions })
    }
}

impl Collector for StateCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let members = self.shared.members();
        let mut families = target_families(&self.shared.families, &members);
        families.extend(spoke_families(&self.shared.families, &members));
        families.extend(fault_families(&self.shared.families, &members, &self.shared.board.faults()));
        drop(members);
        let f = &self.shared.families;
        families.push(
            f.skew.family(self.shared.board.skew_seconds().map(|s| series(&[], s)).into_iter().collect()),
        );
        let includes = Arc::clone(&locked(&self.shared.includes));
        let include = |of: &IncludeStatus| series(&[("file", &of.file)], f64::from(of.problems.is_empty()));
        families.push(f.include.family(includes.iter().map(include).collect()));
        let build = [("version", build::VERSION), ("revision", build::REVISION)];
        families.push(f.build_info.family(vec![series(&build, 1.0)]));
        families
    }
}

fn target_families(f: &Families, members: &Members) -> Vec<MetricFamily> {
    let (mut up, mut last_outcome, mut last_attempt, mut interval) = (vec![], vec![], vec![], vec![]);
    let mut doors: BTreeMap<(Name, Name, Name), bool> = BTreeMap::new();
    let mut header_bytes: BTreeMap<&Name, usize> = BTreeMap::new();
    for recorder in members.targets.values() {
        let id = recorder.id();
        let [spoke, api, probe, zone] = labels(id);
        let target = [("spoke", spoke), ("api", api), ("probe", probe), ("zone", zone)];
        recorder.read(|state: &StateView<'_>| {
            interval.push(series(&target, state.cadence.interval().as_secs_f64()));
            if let Some(last) = state.last {
                up.push(series(&target, f64::from(last.expected)));
                last_attempt.push(series(&target, epoch_seconds(last.at)));
                let result = [
                    ("outcome", last.reason.outcome().as_str()),
                    ("reason", last.reason.as_str()),
                    ("expected", if last.expected { "true" } else { "false" }),
                ];
                let all: Vec<_> = target.into_iter().chain(result).collect();
                last_outcome.push(series(&all, 1.0));
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
    vec![
        f.up.family(up),
        f.last_outcome.family(last_outcome),
        f.last_attempt.family(last_attempt),
        f.interval.family(interval),
        f.door_open.family(doors.into_iter().map(door).collect()),
        f.header_bytes.family(header_bytes.into_iter().map(bytes).collect()),
    ]
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

fn epoch_seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}
