//! Who must be let in where, and who must not: what all policies of a configuration are about.
//!
//! A probe that expects to pass asks for a grant. A guard never does: a call that must be refused is listed apart, for
//! `permissions --isolation` only.

use super::arns::{API_ID, ApiMethod, Place, STAGE, literal};
use crate::config::{Config, Organization};
use crate::domain::account::AccountId;
use crate::domain::api::{ApiId, ApiName, StageName, VpcEndpointId};
use crate::domain::arn::RoleArn;
use crate::domain::credentials::RoleSession;
use crate::domain::identity::Signer;
use crate::domain::name::Name;
use crate::domain::secret::ConfiguredText;
use crate::domain::target::Target;
use crate::plan::Plan;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Caller {
    /// A role that the agent assumes.
    Role(RoleArn),
    /// The agent itself.
    Hub,
    /// Nobody in particular: unsigned.
    Anyone,
}

/// A role that the agent assumes, once, however many spokes share it.
#[derive(Debug, Clone)]
pub(super) struct Role {
    pub(super) arn: RoleArn,
    /// In the order of the configuration, never empty.
    pub(super) spokes: Vec<Name>,
    /// What is sent as external id, each once; `None` for a session without one.
    pub(super) external_ids: BTreeSet<Option<ConfiguredText>>,
    pub(super) tag_keys: BTreeSet<String>,
}

/// A REST API, once, however many stages and names of it are probed: it has one resource policy.
#[derive(Debug, Clone)]
pub(super) struct Api {
    /// `spoke/api`, never empty.
    pub(super) keys: Vec<String>,
    pub(super) account: AccountId,
    /// `API_ID` where only a custom domain name is known.
    pub(super) id: String,
    /// What must be let in.
    pub(super) calls: BTreeSet<(Caller, ApiMethod)>,
}

/// The api and stage behind a custom domain name, which the configuration does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiBehind {
    /// The spoke.
    pub spoke: Name,
    /// The api in the spoke.
    pub api: Name,
    /// The id of the REST API that the base path is mapped to.
    pub id: ApiId,
    /// The stage that it is mapped to.
    pub stage: StageName,
}

/// All that the policies of a configuration are about.
#[derive(Debug, Clone)]
pub struct Subject {
    pub(super) place: Place,
    pub(super) endpoint: VpcEndpointId,
    pub(super) hub_role: Option<RoleArn>,
    pub(super) organization: Option<Organization>,
    pub(super) roles: Vec<Role>,
    pub(super) apis: Vec<Api>,
    /// What roles must be refused at: by guards, and by isolation.
    pub(super) refused: BTreeSet<(RoleArn, ApiMethod)>,
    /// Spokes whose role nobody uses.
    unused: Vec<Name>,
}

impl Subject {
    /// Reads a plan. `behind` says what stands behind custom domain names.
    #[must_use]
    pub fn new(config: &Config, plan: &Plan, behind: &[ApiBehind]) -> Self {
        let mut reading = Reading { behind, apis: Vec::new(), places: HashMap::new() };
        let mut refused = BTreeSet::new();
        for target in &plan.targets {
            let at = reading.api(target);
            let Some(api) = reading.apis.get_mut(at) else { continue };
            let method = method(target, behind);
            let caller = match &target.signer {
                Signer::Anonymous => Caller::Anyone,
                Signer::Hub => Caller::Hub,
                Signer::Role(session) => Caller::Role(session.role_arn.clone()),
            };
            if must_pass(target) {
                api.calls.insert((caller, method));
            } else if let (Caller::Role(role), true) = (caller, target.expectation.is_guard()) {
                refused.insert((role, method));
            }
        }
        if let Some(isolation) = &plan.isolation {
            for pair in &isolation.pairs {
                let caller = isolation.callers.get(usize::from(pair.caller));
                let api = isolation.apis.get(usize::from(pair.api));
                if let (Some(caller), Some(api)) = (caller, api) {
                    refused.insert((caller.role().clone(), method(api, behind)));
                }
            }
        }
        let roles = roles(plan);
        let used: BTreeSet<&Name> = roles.iter().flat_map(|role| &role.spokes).collect();
        let unused = config.spokes.iter().map(|spoke| &spoke.name).filter(|name| !used.contains(name));
        Self {
            place: Place { partition: config.hub.region.partition(), region: config.hub.region.clone() },
            endpoint: config.hub.endpoint.id.clone(),
            hub_role: config.hub.role_arn.clone(),
            organization: config.hub.organization.clone(),
            unused: unused.cloned().collect(),
            apis: reading.apis,
            roles,
            refused,
        }
    }

    /// The spokes whose role signs nothing, and so needs no policy.
    #[must_use]
    pub fn unused_spokes(&self) -> &[Name] {
        &self.unused
    }

    /// What a caller must be let in at, each once and in order.
    pub(super) fn calls_of(&self, caller: &Caller) -> BTreeSet<&ApiMethod> {
        let calls = self.apis.iter().flat_map(|api| &api.calls);
        calls.filter(|(by, _)| by == caller).map(|(_, method)| method).collect()
    }

    /// Calls that one probe needs and another expects to be refused, as `role: METHOD ARN`.
    pub(super) fn contradictions(&self) -> Vec<(&RoleArn, String)> {
        let calls: BTreeSet<(&RoleArn, &ApiMethod)> = self
            .apis
            .iter()
            .flat_map(|api| &api.calls)
            .filter_map(|(caller, method)| match caller {
                Caller::Role(role) => Some((role, method)),
                Caller::Hub | Caller::Anyone => None,
            })
            .collect();
        let both = self.refused.iter().filter(|(role, method)| calls.contains(&(role, method)));
        both.map(|(role, method)| (role, self.place.exact(method))).collect()
    }
}

struct Reading<'a> {
    behind: &'a [ApiBehind],
    apis: Vec<Api>,
    /// Where each is: by account and id, or by spoke and api where the id is not known.
    places: HashMap<(String, String), usize>,
}

impl Reading<'_> {
    fn api(&mut self, target: &Target) -> usize {
        let (id, _) = id_and_stage(target, self.behind);
        let (spoke, name) = (&target.id.spoke, &target.id.api);
        let key = match id.as_str() {
            API_ID => (spoke.to_string(), name.to_string()),
            _ => (target.account.to_string(), id.clone()),
        };
        let at = *self.places.entry(key).or_insert(self.apis.len());
        if at == self.apis.len() {
            let account = target.account.clone();
            self.apis.push(Api { keys: Vec::new(), account, id, calls: BTreeSet::new() });
        }
        if let Some(api) = self.apis.get_mut(at) {
            let key = format!("{spoke}/{name}");
            if !api.keys.contains(&key) {
                api.keys.push(key);
            }
        }
        at
    }
}

fn id_and_stage(target: &Target, behind: &[ApiBehind]) -> (String, String) {
    match &target.api {
        ApiName::Id { id, stage } => (id.to_string(), stage.to_string()),
        ApiName::Domain { .. } => behind
            .iter()
            .find(|behind| (&behind.spoke, &behind.api) == (&target.id.spoke, &target.id.api))
            .map_or_else(
                || (API_ID.to_owned(), STAGE.to_owned()),
                |behind| (behind.id.to_string(), behind.stage.to_string()),
            ),
    }
}

fn method(target: &Target, behind: &[ApiBehind]) -> ApiMethod {
    let (api, stage) = id_and_stage(target, behind);
    ApiMethod {
        account: target.account.clone(),
        api,
        stage,
        method: target.request.method.to_string(),
        path: literal(target.request.path()),
    }
}

/// Whether policies must let the probe's request in. One that expects nothing but 401 or 403 is no guard by its word,
/// but neither does it ask for a grant.
fn must_pass(target: &Target) -> bool {
    let expectation = &target.expectation;
    let refusal = |status: &u16| matches!(status, 401 | 403);
    !expectation.is_guard() && (expectation.status.is_empty() || !expectation.status.iter().all(refusal))
}

/// The roles of a plan, each once.
pub(super) fn roles(plan: &Plan) -> Vec<Role> {
    let mut roles: Vec<Role> = Vec::new();
    let mut places: BTreeMap<RoleArn, usize> = BTreeMap::new();
    for in_use in &plan.roles {
        let RoleSession { role_arn, external_id, session_tags, .. } = in_use.session.as_ref();
        let at = *places.entry(role_arn.clone()).or_insert(roles.len());
        if at == roles.len() {
            roles.push(Role {
                arn: role_arn.clone(),
                spokes: Vec::new(),
                external_ids: BTreeSet::new(),
                tag_keys: BTreeSet::new(),
            });
        }
        if let Some(role) = roles.get_mut(at) {
            role.spokes.extend(in_use.spokes.iter().cloned());
            role.external_ids.insert(external_id.clone());
            role.tag_keys.extend(session_tags.iter().map(|(key, _)| key.clone()));
        }
    }
    roles
}
