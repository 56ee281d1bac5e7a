//! Whose recorded state explains whose refusal: the known-good controls, for which no request is made.

use crate::classify::narrowing::Controls;
use crate::domain::credentials::{RoleInUse, RoleSession};
use crate::domain::identity::Signer;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::request::RequestTemplate;
use crate::domain::target::{Target, TargetId};
use crate::recording::TargetRecorder;
use std::collections::HashMap;
use std::sync::Arc;

/// Relatives of one kind that a target keeps: enough that one of them is likely to be well.
const KEPT: usize = 4;

/// The relatives of one target.
#[derive(Default)]
pub struct Relatives {
    /// Signed calls of the same api, method and path that want an answer.
    same_route: Vec<Arc<TargetRecorder>>,
    /// Calls of another path of the same api, by the same signer (for an unsigned target: by the spoke's role).
    same_api: Vec<Arc<TargetRecorder>>,
    /// Calls of another api by the same signer.
    same_signer: Vec<Arc<TargetRecorder>>,
    /// Another configured GET or HEAD of the same api.
    pub(super) other_path: Option<RequestTemplate>,
    /// The session of the target's own spoke, where some target signs with it.
    pub(super) spoke_session: Option<Arc<RoleSession>>,
}

impl Relatives {
    pub(super) fn controls(&self, now: Moment) -> Controls {
        let any = |kin: &[Arc<TargetRecorder>]| kin.iter().any(|each| each.was_ok_recently(now));
        Controls {
            same_route: any(&self.same_route),
            same_api: any(&self.same_api),
            same_signer: any(&self.same_signer),
        }
    }
}

type ApiKey<'a> = (&'a Name, &'a Name);

/// The first few targets in the plan's order that may be relatives of many, each with a trait of which a relative must
/// have another one. So few that looking through them costs nothing, and enough for whoever looks.
struct Others<'a, T> {
    most: usize,
    found: Vec<(T, &'a Arc<Target>)>,
}

impl<'a, T: PartialEq + Copy> Others<'a, T> {
    const fn new(most: usize) -> Self {
        Self { most, found: Vec::new() }
    }

    /// Of one trait nobody needs more than `most`, and of all together nobody looks further than the `most` after
    /// those of its own.
    fn add(&mut self, own: T, target: &'a Arc<Target>) {
        let alike = self.found.iter().filter(|(other, _)| *other == own).count();
        if self.found.len() < 2 * self.most && alike < self.most {
            self.found.push((own, target));
        }
    }

    /// The first ones that have another trait than this.
    fn but(&self, own: T) -> impl Iterator<Item = &'a Arc<Target>> {
        self.found.iter().filter(move |(other, _)| *other != own).map(|(_, target)| *target).take(self.most)
    }
}

/// Everybody who may be somebody's relative, by what relatives have in common. One walk over the targets fills it, and
/// each lookup costs the same however many there are: an api may have ten thousand probes.
#[derive(Default)]
struct Index<'a> {
    /// Signed calls by api, method and path; another target.
    routes: HashMap<(ApiKey<'a>, &'a str, &'a str), Others<'a, &'a TargetId>>,
    /// By api and signer; another path.
    apis: HashMap<(ApiKey<'a>, &'a Signer), Others<'a, &'a str>>,
    /// By signer; another api.
    signers: HashMap<&'a Signer, Others<'a, ApiKey<'a>>>,
    /// GET or HEAD by api; another path.
    safe: HashMap<ApiKey<'a>, Others<'a, &'a str>>,
}

impl<'a> Index<'a> {
    fn add(&mut self, target: &'a Arc<Target>, has_recorder: bool) {
        let (api, path) = (api(target), target.request.path());
        if target.request.is_safe() {
            self.safe.entry(api).or_insert_with(|| Others::new(1)).add(path, target);
        }
        if !has_recorder {
            return;
        }
        self.apis.entry((api, &target.signer)).or_insert_with(|| Others::new(KEPT)).add(path, target);
        if target.signer != Signer::Anonymous {
            let route = (api, target.request.method.as_str(), path);
            self.routes.entry(route).or_insert_with(|| Others::new(KEPT)).add(&target.id, target);
            self.signers.entry(&target.signer).or_insert_with(|| Others::new(KEPT)).add(api, target);
        }
    }
}

/// Finds the relatives of every target among all of them.
#[must_use]
pub fn relatives<S: std::hash::BuildHasher>(
    targets: &[Arc<Target>],
    roles: &[RoleInUse],
    recorders: &HashMap<TargetId, Arc<TargetRecorder>, S>,
) -> HashMap<TargetId, Relatives> {
    let mut index = Index::default();
    for target in targets.iter().filter(|target| wants_an_answer(target)) {
        index.add(target, recorders.contains_key(&target.id));
    }
    let sessions: HashMap<&Name, &Arc<RoleSession>> =
        roles.iter().flat_map(|role| role.spokes.iter().map(|name| (name, &role.session))).collect();
    let recorder = |target: &Arc<Target>| recorders.get(&target.id).cloned();
    let of = |target: &Arc<Target>| {
        let (api, path) = (api(target), target.request.path());
        let spoke_session = sessions.get(&target.id.spoke).map(|session| Arc::clone(session));
        let spokes_own = spoke_session.clone().map(Signer::Role);
        // Whose success counts: an unsigned call proves nothing about a signature.
        let signer =
            if target.signer == Signer::Anonymous { spokes_own.as_ref() } else { Some(&target.signer) };
        let same_route = index.routes.get(&(api, target.request.method.as_str(), path));
        let same_api = signer.and_then(|signer| index.apis.get(&(api, signer)));
        let same_signer = index.signers.get(&target.signer);
        Relatives {
            same_route: same_route
                .into_iter()
                .flat_map(|all| all.but(&target.id))
                .filter_map(recorder)
                .collect(),
            same_api: same_api.into_iter().flat_map(|all| all.but(path)).filter_map(recorder).collect(),
            same_signer: same_signer.into_iter().flat_map(|all| all.but(api)).filter_map(recorder).collect(),
            other_path: index
                .safe
                .get(&api)
                .and_then(|all| all.but(path).next())
                .map(|other| other.request.clone()),
            spoke_session,
        }
    };
    targets.iter().map(|target| (target.id.clone(), of(target))).collect()
}

fn api(target: &Target) -> ApiKey<'_> {
    (&target.id.spoke, &target.id.api)
}

fn wants_an_answer(target: &Target) -> bool {
    let expectation = &target.expectation;
    !expectation.is_guard() && expectation.status.iter().all(|status| (200..300).contains(status))
}

#[cfg(test)]
mod tests;
