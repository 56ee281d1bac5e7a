//! Puts a caller and a request into the terms of the policy evaluator.

use super::keys::Issued;
use super::policy::{CallerPolicies, Policy, Request};
use super::world::{Document, World};
use std::collections::BTreeMap;

/// The policies on a caller's side, as they are now: a policy that was changed after the session began
/// counts at once, as it does at AWS.
pub(crate) struct Side {
    identity: Vec<Policy>,
    boundary: Option<Policy>,
    session: Option<Policy>,
    service_control: Vec<Policy>,
}

impl Side {
    pub(crate) fn of(world: &World, issued: &Issued) -> Self {
        let (account, name) = &issued.role;
        let copy = |documents: &[Document]| documents.iter().map(|each| each.policy().clone()).collect();
        let role = world.role(account, name);
        Self {
            identity: role.map(|role| copy(&role.policies)).unwrap_or_default(),
            boundary: role.and_then(|role| role.boundary.as_ref()).map(|each| each.policy().clone()),
            session: issued.session_policy.clone(),
            service_control: world
                .account(account)
                .map(|account| copy(&account.service_control_policies))
                .unwrap_or_default(),
        }
    }

    pub(crate) fn policies(&self) -> CallerPolicies<'_> {
        CallerPolicies {
            identity: &self.identity,
            boundary: self.boundary.as_ref(),
            session: self.session.as_ref(),
            service_control: &self.service_control,
        }
    }
}

/// Whether the caller's role has a permissions boundary now.
pub(crate) fn has_boundary(world: &World, issued: &Issued) -> bool {
    let (account, name) = &issued.role;
    world.role(account, name).is_some_and(|role| role.boundary.is_some())
}

/// A call through the endpoint. `aws:SourceIp` is left out on purpose: for a private API it is not the
/// caller's address in the VPC, and policies that rely on it refuse real callers.
pub(crate) fn invocation<'a>(world: &World, resource: &'a str) -> Request<'a> {
    let context = [
        ("aws:SourceVpce", world.endpoint.id.clone()),
        ("aws:SourceVpc", world.endpoint.vpc.clone()),
        ("aws:VpcSourceIp", world.hub.address.to_string()),
        ("aws:SecureTransport", "true".to_owned()),
        ("aws:RequestedRegion", world.region.clone()),
    ];
    Request { action: "execute-api:Invoke", resource, context: keys(context) }
}

/// Key names with one value each.
pub(crate) fn keys<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, Vec<String>> {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect()
}
