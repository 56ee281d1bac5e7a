//! What STS meant when it gave no session for a role.
//!
//! Sources: STS API reference, "AssumeRole" and its errors; IAM user guide, "Troubleshoot access denied error
//! messages" for the texts that name a type of policy. That a role which does not exist and an external id that
//! does not match are refused in the very same words is observed, so the three are one cause here. The text
//! of a refusal by the STS endpoint's policy is derived from that of other services; so are those of boundary
//! and session policy. A refusal names one blocker only: behind it the next may show.

mod words;

use super::Owner;
use words::{WITH_EXTERNAL_ID, words};

/// Why there is no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AssumeRoleCause {
    /// No statement of the role's trust policy lets the hub in.
    TrustPolicy,
    /// A statement of the role's trust policy forbids it.
    TrustPolicyDeny,
    /// The hub's own policies do not let it assume the role.
    IdentityPolicy,
    /// A service control policy.
    ServiceControlPolicy,
    /// A resource control policy.
    ResourceControlPolicy,
    /// The permissions boundary of the hub's role.
    PermissionsBoundary,
    /// The session policy of the hub's own session.
    SessionPolicy,
    /// The policy of the VPC endpoint for STS.
    StsEndpointPolicy,
    /// The bare text: trust, external id, an absent role, or the hub's own policy.
    TrustExternalIdOrAbsentRole,
    /// Session tags are sent, and `sts:TagSession` is not allowed.
    TagSession,
    /// STS is not active in this region for the spoke's account.
    RegionDisabled,
    /// Longer than the role's maximum session duration.
    DurationOverRoleMaximum,
    /// Longer than the hour that a role's session gets for another role.
    DurationOverChainingMaximum,
    /// Session policy and tags are too large together.
    PackedPolicyTooLarge,
    /// The session policy is no valid policy.
    MalformedSessionPolicy,
    /// STS refused some parameter.
    InvalidParameter,
    /// STS is asked too often.
    Throttled,
    /// STS does not know the hub's own keys or token.
    HubCredentialsInvalid,
    /// The hub's own session has ended.
    HubCredentialsExpired,
    /// The agent's clock is off.
    HubClock,
    /// The call to STS was signed for another region or service than the endpoint's.
    HubScope,
    /// The signature of the call to STS does not match.
    HubSignature,
    /// The agent found no credentials of its own.
    NoHubCredentials,
    /// STS was not reached or did not answer in a way that can be read.
    NoAnswer,
    /// Anything else.
    Other,
}

/// An explanation of what STS said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssumeRoleRefusal {
    /// The cause.
    pub cause: AssumeRoleCause,
    /// True where code or text name this cause alone; false where others would read the same.
    pub sure: bool,
    /// Who can change it; the likelier where there are two.
    pub owner: Owner,
    /// What it means.
    pub meaning: &'static str,
    /// What to do, in this order.
    pub what_to_do: &'static [&'static str],
}

use AssumeRoleCause as Cause;

impl AssumeRoleCause {
    /// Every cause.
    pub const ALL: [Self; 25] = [
        Self::TrustPolicy,
        Self::TrustPolicyDeny,
        Self::IdentityPolicy,
        Self::ServiceControlPolicy,
        Self::ResourceControlPolicy,
        Self::PermissionsBoundary,
        Self::SessionPolicy,
        Self::StsEndpointPolicy,
        Self::TrustExternalIdOrAbsentRole,
        Self::TagSession,
        Self::RegionDisabled,
        Self::DurationOverRoleMaximum,
        Self::DurationOverChainingMaximum,
        Self::PackedPolicyTooLarge,
        Self::MalformedSessionPolicy,
        Self::InvalidParameter,
        Self::Throttled,
        Self::HubCredentialsInvalid,
        Self::HubCredentialsExpired,
        Self::HubClock,
        Self::HubScope,
        Self::HubSignature,
        Self::NoHubCredentials,
        Self::NoAnswer,
        Self::Other,
    ];

    /// The word in logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TrustPolicy => "trust_policy",
            Self::TrustPolicyDeny => "trust_policy_deny",
            Self::IdentityPolicy => "identity_policy",
            Self::ServiceControlPolicy => "service_control_policy",
            Self::ResourceControlPolicy => "resource_control_policy",
            Self::PermissionsBoundary => "permissions_boundary",
            Self::SessionPolicy => "session_policy",
            Self::StsEndpointPolicy => "sts_endpoint_policy",
            Self::TrustExternalIdOrAbsentRole => "trust_external_id_or_absent_role",
            Self::TagSession => "tag_session",
            Self::RegionDisabled => "region_disabled",
            Self::DurationOverRoleMaximum => "duration_over_role_maximum",
            Self::DurationOverChainingMaximum => "duration_over_chaining_maximum",
            Self::PackedPolicyTooLarge => "packed_policy_too_large",
            Self::MalformedSessionPolicy => "malformed_session_policy",
            Self::InvalidParameter => "invalid_parameter",
            Self::Throttled => "throttled",
            Self::HubCredentialsInvalid => "hub_credentials_invalid",
            Self::HubCredentialsExpired => "hub_credentials_expired",
            Self::HubClock => "hub_clock",
            Self::HubScope => "hub_scope",
            Self::HubSignature => "hub_signature",
            Self::NoHubCredentials => "no_hub_credentials",
            Self::NoAnswer => "no_answer",
            Self::Other => "other",
        }
    }
}

/// Explains what STS said: its error `code` (none where it was not reached), its `message` (scrubbed or not),
/// and whether an external id was sent.
#[must_use]
pub fn assume_role(code: Option<&str>, message: &str, has_external_id: bool) -> AssumeRoleRefusal {
    let (cause, sure) = read(code, message);
    let owner = match cause {
        Cause::TagSession if message.contains("no identity-based policy") => Owner::Hub,
        _ => owner(cause),
    };
    let (meaning, what_to_do) = match cause {
        Cause::TrustExternalIdOrAbsentRole if has_external_id => WITH_EXTERNAL_ID,
        _ => words(cause),
    };
    AssumeRoleRefusal { cause, sure, owner, meaning, what_to_do }
}

/// The explanation where STS was not even asked, since the agent has no credentials of its own.
#[must_use]
pub const fn no_hub_credentials() -> AssumeRoleRefusal {
    let (meaning, what_to_do) = words(Cause::NoHubCredentials);
    AssumeRoleRefusal { cause: Cause::NoHubCredentials, sure: true, owner: Owner::Hub, meaning, what_to_do }
}

fn read(code: Option<&str>, message: &str) -> (Cause, bool) {
    let Some(code) = code else { return (Cause::NoAnswer, true) };
    // Some services of AWS append the word to a code of the same meaning; STS itself uses both styles.
    match code.strip_suffix("Exception").unwrap_or(code) {
        "AccessDenied" => denied(message),
        "RegionDisabled" => (Cause::RegionDisabled, true),
        "PackedPolicyTooLarge" => (Cause::PackedPolicyTooLarge, true),
        "MalformedPolicyDocument" => (Cause::MalformedSessionPolicy, true),
        "Validation" | "ValidationError" => validation(message),
        "Throttling" | "Throttled" | "RequestLimitExceeded" | "TooManyRequests" => (Cause::Throttled, true),
        "ExpiredToken" => (Cause::HubCredentialsExpired, true),
        "InvalidClientTokenId" | "UnrecognizedClient" | "InvalidAccessKeyId" => {
            (Cause::HubCredentialsInvalid, true)
        }
        "RequestExpired" => (Cause::HubClock, true),
        "SignatureDoesNotMatch" | "InvalidSignature" => signature(message),
        "IncompleteSignature" | "MissingAuthenticationToken" => (Cause::HubSignature, true),
        _ => (Cause::Other, false),
    }
}

fn denied(message: &str) -> (Cause, bool) {
    let says = |text: &str| message.contains(text);
    if says("perform: sts:TagSession") {
        return (Cause::TagSession, true);
    }
    if says("security token included in the request is invalid") {
        return (Cause::HubCredentialsInvalid, true);
    }
    // Before the endpoint's own policy: "…in a VPC endpoint policy transitively through a service control policy".
    let cause = if says("service control policy") {
        Cause::ServiceControlPolicy
    } else if says("resource control policy") {
        Cause::ResourceControlPolicy
    } else if says("VPC endpoint policy") {
        Cause::StsEndpointPolicy
    } else if says("permissions boundary") {
        Cause::PermissionsBoundary
    } else if says("session policy") || says("sessions policy") {
        Cause::SessionPolicy
    } else if says("identity-based policy") {
        Cause::IdentityPolicy
    } else if says("explicit deny in the role trust policy") || says("explicit deny in a role trust policy") {
        Cause::TrustPolicyDeny
    } else if says("role trust policy") {
        Cause::TrustPolicy
    } else if says("explicit deny in a resource-based policy") {
        // The trust policy is the role's resource-based policy.
        Cause::TrustPolicyDeny
    } else if says("resource-based policy") {
        // With another service a missing identity policy was seen to read like this across accounts.
        return (Cause::TrustPolicy, false);
    } else {
        return (Cause::TrustExternalIdOrAbsentRole, false);
    };
    (cause, true)
}

fn validation(message: &str) -> (Cause, bool) {
    if message.contains("role chaining") || message.contains("1 hour session limit") {
        (Cause::DurationOverChainingMaximum, true)
    } else if message.contains("MaxSessionDuration") {
        (Cause::DurationOverRoleMaximum, true)
    } else {
        (Cause::InvalidParameter, true)
    }
}

fn signature(message: &str) -> (Cause, bool) {
    if message.contains("Signature expired") || message.contains("Signature not yet current") {
        (Cause::HubClock, true)
    } else if message.contains("Credential should be scoped") || message.contains("Date in Credential scope")
    {
        (Cause::HubScope, true)
    } else {
        (Cause::HubSignature, false)
    }
}

const fn owner(cause: Cause) -> Owner {
    match cause {
        Cause::TrustPolicy
        | Cause::TrustPolicyDeny
        | Cause::TrustExternalIdOrAbsentRole
        | Cause::TagSession
        | Cause::RegionDisabled => Owner::Spoke,
        Cause::ServiceControlPolicy | Cause::ResourceControlPolicy => Owner::Organisation,
        Cause::DurationOverRoleMaximum
        | Cause::DurationOverChainingMaximum
        | Cause::PackedPolicyTooLarge
        | Cause::MalformedSessionPolicy
        | Cause::InvalidParameter
        | Cause::HubScope
        | Cause::HubSignature
        | Cause::HubClock => Owner::Agent,
        Cause::IdentityPolicy
        | Cause::PermissionsBoundary
        | Cause::SessionPolicy
        | Cause::StsEndpointPolicy
        | Cause::Throttled
        | Cause::HubCredentialsInvalid
        | Cause::HubCredentialsExpired
        | Cause::NoHubCredentials
        | Cause::Other => Owner::Hub,
        Cause::NoAnswer => Owner::Network,
    }
}

#[cfg(test)]
mod tests;
