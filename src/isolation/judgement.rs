//! What one check says of the door: the table that the whole module rests on.
//!
//! A closed door is claimed only where the *far side* or the endpoint is known to have refused. Everything
//! else would be comfort without evidence, which is worse than none.

use crate::domain::outcome::Reason;

/// What one check taught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// The caller was let in.
    Open,
    /// The endpoint, the api or the organisation that owns the api refused.
    Closed,
    /// A policy refused, but it was the caller's own side, or may have been: the door was not tried.
    NotTried,
    /// Nobody decided about this caller: nothing was sent or answered, or the request itself was broken.
    NoEvidence,
}

/// Judges a check by its reason. Every reason is named, so that a new one asks to be judged.
///
/// The two vague policy reasons are not evidence. `resource_or_identity_policy` is what AWS says when the
/// resource policy is silent, *and* what it says when that policy lets in the caller's whole account and only
/// the caller's identity policy is silent: the door may stand wide open. `unattributed_policy` may be any
/// policy at all. (IAM user guide, "Troubleshoot access denied error messages", and measurements of it.)
#[must_use]
pub const fn judge(reason: Reason) -> Judgement {
    match reason {
        Reason::None => Judgement::Open,
        Reason::VpcEndpointPolicy
        | Reason::ResourcePolicy
        // The policy of the organisation that owns the api.
        | Reason::ResourceControlPolicy
        // The api's own authorizer.
        | Reason::LambdaAuthorizer
        | Reason::Unauthorized => Judgement::Closed,
        Reason::IdentityPolicy
        | Reason::SessionPolicy
        | Reason::PermissionsBoundary
        | Reason::ServiceControlPolicy
        | Reason::ResourceOrIdentityPolicy
        | Reason::UnattributedPolicy => Judgement::NotTried,
        // A missing key, a firewall or a missing route refuse everybody, so they say nothing of this caller.
        Reason::Forbidden
        | Reason::MissingAuthenticationToken
        | Reason::IncompleteSignature
        | Reason::SignatureMismatch
        | Reason::ClockSkew
        | Reason::CredentialScope
        | Reason::TokenInvalid
        | Reason::TokenExpired
        | Reason::Rate
        | Reason::Quota
        // Most of these mean that somebody was let in as far as the backend. But a backend can imitate the
        // gateway and a customised gateway response the backend, so none of them is proof.
        | Reason::IntegrationTimeout
        | Reason::IntegrationNetwork
        | Reason::IntegrationError
        | Reason::AuthorizerError
        | Reason::BadRequest
        | Reason::NotFound
        | Reason::TooLarge
        | Reason::UnsupportedMediaType
        | Reason::BackendStatus
        | Reason::UnexpectedStatus
        | Reason::UnexpectedBody
        | Reason::UnexpectedHeader
        | Reason::TooSlow
        | Reason::ResponseTimeout
        | Reason::NotApiGateway
        | Reason::NotPrivate
        | Reason::Dns
        | Reason::DnsPublicAddress
        | Reason::ConnectTimeout
        | Reason::ConnectRefused
        | Reason::Tls
        | Reason::Certificate
        | Reason::Reset
        | Reason::Protocol
        | Reason::AssumeRoleDenied
        | Reason::AssumeRoleFailed
        | Reason::CredentialsExpired
        | Reason::NoHubCredentials
        | Reason::Overloaded => Judgement::NoEvidence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::Outcome;

    #[test]
    fn a_door_is_closed_only_where_the_far_side_is_known_to_have_refused() {
        let closed: Vec<&str> = Reason::ALL
            .iter()
            .filter(|reason| judge(**reason) == Judgement::Closed)
            .map(|reason| reason.as_str())
            .collect();
        assert_eq!(
            closed,
            [
                "vpc_endpoint_policy",
                "resource_policy",
                "resource_control_policy",
                "lambda_authorizer",
                "unauthorized"
            ]
        );
    }

    #[test]
    fn every_reason_is_judged_in_line_with_its_outcome() {
        for reason in Reason::ALL.iter().copied() {
            match (reason.outcome(), judge(reason)) {
                (Outcome::Ok, judgement) => assert_eq!(judgement, Judgement::Open),
                (Outcome::Denied, judgement) => {
                    assert_eq!(judgement != Judgement::NoEvidence, reason.is_policy(), "{reason}");
                    assert_ne!(judgement, Judgement::Open, "{reason}");
                }
                (_, judgement) => assert_eq!(judgement, Judgement::NoEvidence, "{reason}"),
            }
        }
        for own_side in
            ["identity_policy", "session_policy", "permissions_boundary", "service_control_policy"]
        {
            assert_eq!(judge(own_side.parse().unwrap()), Judgement::NotTried);
        }
    }
}
