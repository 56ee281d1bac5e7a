//! One member's part: what it holds, and that all parts together are the whole.

use crate::config::{self, Document, Documents};
use crate::domain::target::{Cadence, Target};
use crate::members::Share;
use crate::plan::{Plan, plan, steady_rates};
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// Twelve spokes of two apis, each api with a probe, a guard behind it and a rate; isolation and a load.
fn whole(replicas: u32) -> Plan {
    let mut text = format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d, zones: {{euw1-az1: 10.0.0.1}}}}}}\n\
         limits: {{requests_per_second: 500, requests_per_second_per_account: 50}}\n\
         members: {{dns: spokeprobe.internal, replicas: {replicas}}}\nisolation: {{period: 1h}}\n\
         loads: [{{name: nightly, probe: spoke-3/a/hello, stages: [{{to: 20/s, for: 1m}}], at: '02:00'}}]\nspokes:\n"
    );
    for n in 0..12 {
        text += &format!("- name: spoke-{n}\n  account: '1111222233{n:02}'\n  apis:\n");
        for (api, id) in [("a", "a1b2c3d4e5"), ("b", "f6g7h8i9j0")] {
            text += &format!(
                "  - name: {api}\n    id: {id}\n    stage: s\n    max_rate: 100/s\n    probes:\n    - {{name: hello, \
                 request: GET /, every: 10s}}\n    - {{name: unsigned, request: GET /, as: anonymous, every: 10s, \
                 expect: {{denied: true}}}}\n    - {{name: steady, request: GET /x, rate: 6/s}}\n    - {{name: zonal, \
                 request: GET /, per_zone: true}}\n"
            );
        }
    }
    let documents = Documents::of_main(Document::parse("config.yaml", &text).unwrap());
    plan(&config::read(&documents, &|_| None).unwrap()).unwrap()
}

fn shares(members: usize, replicas: u32) -> Vec<Share> {
    let names: Vec<String> = (0..members).map(|n| format!("10.0.1.{}", 20 + n)).collect();
    let of = |me: &String| {
        Share::of(names.iter().cloned(), std::slice::from_ref(me), NonZeroU32::new(replicas).unwrap())
    };
    names.iter().map(of).collect()
}

fn parts(whole: &Plan, members: usize, replicas: u32) -> Vec<Plan> {
    shares(members, replicas).iter().map(|share| whole.shared(share)).collect()
}

fn by_id(plans: &[Plan]) -> BTreeMap<String, Vec<Arc<Target>>> {
    let mut found: BTreeMap<String, Vec<Arc<Target>>> = BTreeMap::new();
    for target in plans.iter().flat_map(|plan| &plan.targets) {
        found.entry(target.id.to_string()).or_default().push(Arc::clone(target));
    }
    found
}

#[test]
fn all_parts_together_are_the_whole_and_nothing_twice() {
    let whole = whole(1);
    for members in [1, 2, 3, 7] {
        let parts = parts(&whole, members, 1);
        let found = by_id(&parts);
        assert_eq!(found.len(), whole.targets.len());
        for target in &whole.targets {
            assert_eq!(found[&target.id.to_string()], [Arc::clone(target)], "the very same target, once");
        }
        assert!(parts.iter().all(|part| !part.targets.is_empty()), "{members} members all have work");
        let firsts: Vec<bool> = parts.iter().map(|part| part.begins_loads).collect();
        assert_eq!(firsts.iter().filter(|first| **first).count(), 1, "{firsts:?}");
        assert!(firsts[0]);
    }
}

#[test]
fn an_agent_alone_has_the_whole_and_a_stand_in_all_but_loads() {
    let whole = whole(2);
    let alone = whole.shared(&Share::alone());
    assert_eq!((alone.targets.len(), alone.begins_loads), (whole.targets.len(), true));
    assert_eq!(Share::alone().without_loads(), Share::stand_in());
    let stand_in = whole.shared(&Share::stand_in());
    assert_eq!((&stand_in.targets, stand_in.begins_loads), (&whole.targets, false));
    assert_eq!((stand_in.roles.len(), &stand_in.isolation), (whole.roles.len(), &whole.isolation));
}

#[test]
fn two_replicas_fire_at_different_moments_and_divide_a_rate() {
    let whole = whole(2);
    let found = by_id(&parts(&whole, 3, 2));
    for target in &whole.targets {
        let mut replicas: Vec<&Arc<Target>> = found[&target.id.to_string()].iter().collect();
        replicas.sort_by_key(|target| target.replica.index);
        let indexes: Vec<(u32, u32)> =
            replicas.iter().map(|target| (target.replica.index, target.replica.of)).collect();
        assert_eq!(indexes, [(0, 2), (1, 2)], "{}", target.id);
        let interval = target.cadence.interval();
        match target.cadence {
            Cadence::Every(_) => {
                assert_eq!(replicas[1].cadence, target.cadence);
                assert_eq!(replicas[1].replica.offset(interval), interval / 2);
                assert_eq!(replicas[0].replica.offset(interval), Duration::ZERO);
            }
            Cadence::PerSecond(rate) => {
                assert!(replicas.iter().all(|target| target.cadence == Cadence::PerSecond(rate / 2.0)));
            }
        }
    }
    // One member left of three: one replica of each, and the rates are whole again.
    let one = parts(&whole, 1, 2).remove(0);
    assert_eq!(one.targets, whole.targets);
}

#[test]
fn what_targets_need_comes_with_them() {
    let whole = whole(1);
    for part in parts(&whole, 5, 1) {
        let ids: BTreeSet<String> = part.targets.iter().map(|target| target.id.to_string()).collect();
        let roles: BTreeSet<&str> =
            part.roles.iter().flat_map(|role| &role.spokes).map(|name| name.as_str()).collect();
        for target in &part.targets {
            if let Some(control) = &target.positive_control {
                assert!(ids.contains(&control.to_string()), "{} without {control}", target.id);
            }
            assert!(roles.contains(target.id.spoke.as_str()), "{}", target.id);
        }
        let called: BTreeSet<&str> = part.targets.iter().map(|target| target.id.spoke.as_str()).collect();
        let announced: BTreeSet<&str> = part.spokes.iter().map(|spoke| spoke.name.as_str()).collect();
        let callers = part.isolation.iter().flat_map(|isolation| &isolation.callers);
        let callers: BTreeSet<&str> = callers.map(|caller| caller.spoke.as_str()).collect();
        let of_load = BTreeSet::from(["spoke-3"]);
        let needed: BTreeSet<&str> = called.iter().chain(&callers).chain(&of_load).copied().collect();
        assert_eq!(roles, needed, "and no session more");
        assert_eq!(announced, needed, "whose session is here, of that is told here");
    }
}

#[test]
fn isolation_is_divided_by_callers_and_asks_in_sum_what_it_asked() {
    let whole = whole(2);
    let isolation = whole.isolation.as_ref().unwrap();
    let named = |settings: &crate::isolation::Settings| -> BTreeSet<String> {
        let name = |pair: &crate::isolation::Pair| {
            let caller = &settings.callers[usize::from(pair.caller)];
            format!("{}>{}", caller.spoke, settings.apis[usize::from(pair.api)].id)
        };
        settings.pairs.iter().map(name).collect()
    };
    let parts = parts(&whole, 4, 2);
    let mut all = BTreeSet::new();
    for part in parts.iter().filter_map(|part| part.isolation.as_ref()) {
        assert_eq!((part.round, part.period), (isolation.round, isolation.period));
        assert_eq!(part.recheck_pace, isolation.recheck_pace * 4);
        let before = all.len();
        all.extend(named(part));
        assert_eq!(all.len(), before + part.pairs.len(), "no pair twice");
    }
    assert_eq!(all, named(isolation));
}

#[test]
fn every_member_knows_what_all_of_them_ask_of_an_account() {
    for replicas in [1, 2] {
        let whole = whole(replicas);
        let wanted = steady_rates(&whole);
        for part in parts(&whole, 3, replicas) {
            let found = steady_rates(&part);
            assert_eq!(found.len(), wanted.len());
            for (account, rate) in &wanted {
                assert!((found[account] - rate).abs() < 1e-6, "{account}: {} for {rate}", found[account]);
            }
        }
        // Fewer members than replicas: then there is less to count.
        let one = &parts(&whole, 1, replicas)[0];
        assert!(one.elsewhere.is_empty(), "{:?}", one.elsewhere);
    }
}

#[test]
fn replicas_count_against_the_ceilings() {
    let one = steady_rates(&whole(1));
    let two = steady_rates(&whole(2));
    let account = one.keys().next().unwrap();
    // Two apis: hello, unsigned every 10 s and zonal every 30 s double; steady at 6/s does not.
    let doubled = 2.0 * (0.1 + 0.1 + 1.0 / 30.0);
    assert!((two[account] - one[account] - doubled).abs() < 1e-6, "{} {}", one[account], two[account]);
}
