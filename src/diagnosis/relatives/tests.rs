//! The same relatives as by comparing each target with each, and ten thousand of them soon.

use super::*;
use crate::recording::examples::{self, guard, recorder, target};
use http::Method;
use proptest::prelude::*;

fn role(spoke: &str) -> RoleInUse {
    let mut role = examples::role(&[spoke]);
    Arc::make_mut(&mut role.session).session_name = spoke.into();
    role
}

/// One probe: which api, method, path, signer, whether a guard, and whether it has a recorder.
type Drawn = (usize, bool, usize, usize, bool, bool);

fn drawn(n: usize, (api, post, path, signer, is_guard, _): Drawn) -> Arc<Target> {
    let id = format!("{}/p{n}", ["one/api", "one/other", "two/api"][api]);
    let mut target = if is_guard { guard(&id) } else { target(&id) };
    target.signer = match signer {
        0 => Signer::Anonymous,
        1 => Signer::Hub,
        2 => Signer::Role(role("one").session),
        _ => Signer::Role(role("two").session),
    };
    target.request.method = if post { Method::POST } else { Method::GET };
    target.request.path_and_query = ["/", "/a?x=1", "/a", "/b"][path].into();
    Arc::new(target)
}

/// The words of the fields of `Relatives`, for one target among all.
fn naive(one: &Target, all: &[Arc<Target>], known: &dyn Fn(&Target) -> bool) -> [Vec<TargetId>; 4] {
    let well = || all.iter().filter(|other| wants_an_answer(other));
    let ids = |found: Vec<&Arc<Target>>, most| -> Vec<TargetId> {
        found.into_iter().take(most).map(|other| other.id.clone()).collect()
    };
    let own = |name: &Name| Signer::Role(role(name.as_str()).session);
    let signer = if one.signer == Signer::Anonymous { own(&one.id.spoke) } else { one.signer.clone() };
    let path = |other: &Target| other.request.path() == one.request.path();
    let kin = |other: &Target| api(other) == api(one);
    let signed = |other: &Target| other.signer != Signer::Anonymous;
    let method = |other: &Target| other.request.method == one.request.method;
    let known = |other: &&Arc<Target>| known(other);
    [
        ids(
            well()
                .filter(|other| {
                    other.id != one.id && kin(other) && path(other) && method(other) && signed(other)
                })
                .filter(known)
                .collect(),
            KEPT,
        ),
        ids(
            well()
                .filter(|other| kin(other) && !path(other) && other.signer == signer)
                .filter(known)
                .collect(),
            KEPT,
        ),
        ids(
            well()
                .filter(|other| !kin(other) && other.signer == one.signer && signed(other))
                .filter(known)
                .collect(),
            KEPT,
        ),
        ids(well().filter(|other| kin(other) && !path(other) && other.request.is_safe()).collect(), 1),
    ]
}

proptest! {
    #[test]
    fn as_by_comparing_each_with_each(
        all in proptest::collection::vec(
            (0_usize..3, any::<bool>(), 0_usize..4, 0_usize..4, prop::bool::weighted(0.2), prop::bool::weighted(0.9)),
            0..60,
        )
    ) {
        let targets: Vec<_> = all.iter().enumerate().map(|(n, one)| drawn(n, *one)).collect();
        let recorder = recorder();
        let recorders: HashMap<TargetId, Arc<TargetRecorder>> = targets
            .iter()
            .zip(&all)
            .filter(|(_, one)| one.5)
            .map(|(target, _)| (target.id.clone(), recorder.add_target(target)))
            .collect();
        let found = relatives(&targets, &[role("one"), role("two")], &recorders);
        prop_assert_eq!(found.len(), targets.len());
        let ids = |kin: &[Arc<TargetRecorder>]| -> Vec<TargetId> {
            kin.iter().map(|each| each.status().target.id.clone()).collect()
        };
        for target in &targets {
            let found = &found[&target.id];
            let [route, api, signer, path] = naive(target, &targets, &|other| recorders.contains_key(&other.id));
            prop_assert_eq!(ids(&found.same_route), route);
            prop_assert_eq!(ids(&found.same_api), api);
            prop_assert_eq!(ids(&found.same_signer), signer);
            let request = |id: &TargetId| &targets.iter().find(|each| each.id == *id).unwrap().request;
            prop_assert_eq!(found.other_path.as_ref(), path.first().map(request));
        }
    }
}

#[test]
fn ten_thousand_probes_of_one_api_are_no_square() {
    let all: Vec<_> = (0..10_000).map(|n| drawn(n, (0, false, n % 4, 2, n % 10 == 9, true))).collect();
    let recorder = recorder();
    let recorders: HashMap<_, _> =
        all.iter().map(|target| (target.id.clone(), recorder.add_target(target))).collect();
    let found = relatives(&all, &[role("one")], &recorders);
    assert!(found.values().all(|kin| kin.same_route.len() == KEPT && kin.same_api.len() == KEPT));
}
