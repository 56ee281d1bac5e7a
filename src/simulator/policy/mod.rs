//! Evaluation of IAM policies, as far as private REST APIs and `AssumeRole` need it.
//!
//! Text becomes a `Policy` in `document`; `matching` and `conditions` compare it with a request; `evaluate`
//! decides and says which layer AWS's message would name. The simulator's gateway asks `through_endpoint`
//! first and then one of the `invoke_…` functions; its STS asks `assume_role`.
//!
//! **An account as principal** (`"AWS": "111122223333"` or the root ARN) is read as the IAM user guide
//! describes it. In an endpoint policy it stands for all principals of that account. In a resource or trust
//! policy it hands the decision to the account: a caller of the same account then also needs its identity
//! policy, exactly like a caller of another account, for whom both sides must allow in any case.

mod conditions;
mod document;
mod evaluate;
mod matching;
#[cfg(test)]
mod tests;

pub use document::Policy;

use crate::domain::account::AccountId;
use evaluate::{CallerSide, FarSide, View, alone, together};
use std::collections::BTreeMap;

/// A signed caller: the session of a role (or the hub's own role session).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerSession {
    /// The account of the role.
    pub account: AccountId,
    /// `arn:…:iam::…:role/…`, what `aws:PrincipalArn` holds.
    pub role_arn: String,
    /// `arn:…:sts::…:assumed-role/ROLE/SESSION`.
    pub session_arn: String,
    /// `aws:PrincipalOrgID`, where the account belongs to an organisation.
    pub organization: Option<String>,
    /// `aws:PrincipalTag/*`.
    pub tags: BTreeMap<String, String>,
}

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub enum Caller<'a> {
    /// An unsigned request.
    Anonymous,
    /// A signed one.
    Session(&'a CallerSession),
    /// A signed one by a role that has a permissions boundary, whatever that says: `NotPrincipal` spares no
    /// such caller (IAM user guide, "AWS JSON policy elements: NotPrincipal").
    Bounded(&'a CallerSession),
}

/// The policies on the caller's own side.
#[derive(Debug, Clone, Copy, Default)]
pub struct CallerPolicies<'a> {
    /// The role's identity policies.
    pub identity: &'a [Policy],
    /// The role's permissions boundary.
    pub boundary: Option<&'a Policy>,
    /// The session policy given to `AssumeRole`.
    pub session: Option<&'a Policy>,
    /// The service control policies over the role's account; empty means none apply.
    pub service_control: &'a [Policy],
}

impl CallerPolicies<'_> {
    /// The session as the layers on the far side see it.
    const fn caller<'s>(&self, session: &'s CallerSession) -> Caller<'s> {
        match self.boundary {
            None => Caller::Session(session),
            Some(_) => Caller::Bounded(session),
        }
    }
}

/// What is asked for. The context holds network keys (`aws:SourceVpce`, …, `sts:ExternalId`); keys of the
/// principal are added by the evaluator. Key names compare without case.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// For example `execute-api:Invoke`.
    pub action: &'a str,
    /// The ARN asked for.
    pub resource: &'a str,
    /// Condition keys with their values.
    pub context: BTreeMap<String, Vec<String>>,
}

/// The layer that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layer {
    /// The VPC endpoint's policy.
    VpcEndpoint,
    /// The API's resource policy.
    Resource,
    /// The caller's identity policies.
    Identity,
    /// The session policy.
    Session,
    /// The permissions boundary.
    PermissionsBoundary,
    /// A service control policy.
    ServiceControl,
    /// The role's trust policy.
    Trust,
}

/// The decision; a denial names the one layer that AWS's message would name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Let in.
    Allowed,
    /// Refused.
    Denied {
        /// The layer that is named.
        layer: Layer,
        /// True for an explicit deny, false where no statement allows.
        explicit: bool,
    },
}

/// The endpoint policy alone, which is evaluated before all else. `None` is the default full-access policy.
///
/// Source: API Gateway developer guide, "Use VPC endpoint policies for private APIs". An unsigned caller is
/// anonymous, whatever the method's authorization type.
#[must_use]
pub fn through_endpoint(policy: Option<&Policy>, caller: Caller<'_>, request: &Request<'_>) -> Decision {
    match policy {
        None => Decision::Allowed,
        Some(_) => alone(Layer::VpcEndpoint, View::new(request, caller).named(policy)),
    }
}

/// A method with authorization type `AWS_IAM`: within one account the identity policy or the resource policy
/// must allow, across accounts both (API Gateway developer guide, "How API Gateway resource policies affect
/// authorization workflow").
#[must_use]
pub fn invoke_with_iam(
    caller: &CallerSession,
    policies: CallerPolicies<'_>,
    resource_policy: Option<&Policy>,
    same_account: bool,
    request: &Request<'_>,
) -> Decision {
    let view = View::new(request, policies.caller(caller));
    let side = CallerSide::new(&view, policies);
    together(&side, view.named(resource_policy), FarSide::Resource, same_account)
}

/// A method with authorization type `NONE`: the resource policy alone must allow.
///
/// The caller does not matter, signed or not: on such a method the policy sees nobody, so a statement that
/// names a principal does not apply, and no `aws:Principal…` key is there (API Gateway developer guide, "AWS
/// condition keys that can be used in API Gateway resource policies"). Whether `aws:PrincipalAccount` is
/// `anonymous` there or missing is unconfirmed; it is left out.
#[must_use]
pub fn invoke_without_authorization(
    resource_policy: Option<&Policy>,
    _caller: Caller<'_>,
    request: &Request<'_>,
) -> Decision {
    alone(Layer::Resource, View::without_principal(request).named(resource_policy))
}

/// `sts:AssumeRole` (and `sts:TagSession`): the trust policy must allow; unless it names a caller of its own
/// account, the caller's own policies must allow as well.
///
/// Unlike with resource policies, a caller whose identity policy is silent is told so even where the trust
/// policy allows its whole account (DERIVED; STS often names no policy type at all).
#[must_use]
pub fn assume_role(
    trust: &Policy,
    caller: &CallerSession,
    policies: CallerPolicies<'_>,
    same_account: bool,
    request: &Request<'_>,
) -> Decision {
    let view = View::new(request, policies.caller(caller));
    let side = CallerSide::new(&view, policies);
    together(&side, view.named(Some(trust)), FarSide::Trust, same_account)
}
