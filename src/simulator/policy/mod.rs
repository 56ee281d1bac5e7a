//! Evaluation of IAM policies, as far as private REST APIs and `AssumeRole` need it.

use crate::domain::account::AccountId;
use std::collections::BTreeMap;

/// A parsed policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {}

impl Policy {
    /// Reads a policy document from JSON text.
    ///
    /// # Errors
    /// When it is not JSON, or has elements this evaluator does not know: never silently ignored.
    pub fn parse(_json: &str) -> Result<Self, String> {
        Ok(Self {})
    }
}

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
#[must_use]
pub fn through_endpoint(_policy: Option<&Policy>, _caller: Caller<'_>, _request: &Request<'_>) -> Decision {
    Decision::Allowed
}

/// A method with authorization type `AWS_IAM` (API Gateway developer guide, "authorization flow").
#[must_use]
pub fn invoke_with_iam(
    _caller: &CallerSession,
    _policies: CallerPolicies<'_>,
    _resource_policy: Option<&Policy>,
    _same_account: bool,
    _request: &Request<'_>,
) -> Decision {
    Decision::Allowed
}

/// A method with authorization type `NONE`: the resource policy alone must allow.
#[must_use]
pub fn invoke_without_authorization(
    _resource_policy: Option<&Policy>,
    _caller: Caller<'_>,
    _request: &Request<'_>,
) -> Decision {
    Decision::Allowed
}

/// `sts:AssumeRole`: trust policy and the caller's own policies.
#[must_use]
pub fn assume_role(
    _trust: &Policy,
    _caller: &CallerSession,
    _policies: CallerPolicies<'_>,
    _same_account: bool,
    _request: &Request<'_>,
) -> Decision {
    Decision::Allowed
}
