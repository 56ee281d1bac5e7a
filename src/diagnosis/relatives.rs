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

/// Finds the relatives of every target among all of them.
#[must_use]
pub fn relatives<S: std::hash::BuildHasher>(
    targets: &[Arc<Target>],
    roles: &[RoleInUse],
    recorders: &HashMap<TargetId, Arc<TargetRecorder>, S>,
) -> HashMap<TargetId, Relatives> {
    let mut by_api: HashMap<ApiKey<'_>, Vec<&Arc<Target>>> = HashMap::new();
    let mut by_signer: HashMap<Option<&RoleSession>, Vec<&Arc<Target>>> = HashMap::new();
    for target in targets.iter().filter(|target| wants_an_answer(target)) {
        by_api.entry(api(target)).or_default().push(target);
        match &target.signer {
            Signer::Anonymous => {}
            Signer::Hub => by_signer.entry(None).or_default().push(target),
            Signer::Role(session) => by_signer.entry(Some(session)).or_default().push(target),
        }
    }
    let sessions: HashMap<&Name, &Arc<RoleSession>> =
        roles.iter().flat_map(|role| role.spokes.iter().map(|name| (name, &role.session))).collect();
    let of = |target: &Arc<Target>| {
        let spoke_session = sessions.get(&target.id.spoke).map(|session| Arc::clone(session));
        let spokes_own = spoke_session.clone().map(Signer::Role);
        // Whose success counts: an unsigned call proves nothing about a signature.
        let signer =
            if target.signer == Signer::Anonymous { spokes_own.as_ref() } else { Some(&target.signer) };
        let kin = by_api.get(&api(target)).map(Vec::as_slice).unwrap_or_default();
        let other_path = |other: &Target| other.request.path() != target.request.path();
        let kept = |found: Vec<&Arc<Target>>| {
            found.iter().filter_map(|other| recorders.get(&other.id)).take(KEPT).cloned().collect::<Vec<_>>()
        };
        let same_route = kin.iter().copied().filter(|other| {
            other.id != target.id
                && other.signer != Signer::Anonymous
                && other.request.method == target.request.method
                && !other_path(other)
        });
        let same_api = kin.iter().copied().filter(|other| Some(&other.signer) == signer && other_path(other));
        let elsewhere = match &target.signer {
            Signer::Anonymous => None,
            Signer::Hub => by_signer.get(&None),
            Signer::Role(session) => by_signer.get(&Some(session.as_ref())),
        };
        let elsewhere = elsewhere.map(Vec::as_slice).unwrap_or_default();
        let same_signer = elsewhere.iter().copied().filter(|other| api(other) != api(target)).take(KEPT);
        Relatives {
            same_route: kept(same_route.collect()),
            same_api: kept(same_api.collect()),
            same_signer: kept(same_signer.collect()),
            other_path: kin
                .iter()
                .find(|other| other.request.is_safe() && other_path(other))
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
