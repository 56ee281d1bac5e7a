//! What can happen to an attempt, in closed words.
//!
//! An outcome is a value, never an error of the agent. Each reason belongs to exactly one outcome, so a
//! reason alone says both; the two are kept as separate labels because people ask for either.

use crate::domain::Invalid;
use std::fmt;
use std::str::FromStr;

/// What happened to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The answer is what the configuration asked for, or the path simply worked.
    Ok,
    /// Somebody on the path refused the caller.
    Denied,
    /// The path works, but not at this rate.
    Throttled,
    /// The request reached somebody, and the answer is wrong or missing.
    Failed,
    /// The request reached nobody.
    Unreachable,
    /// The agent could not send the request.
    Unsent,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::Denied, Self::Throttled, Self::Failed, Self::Unreachable, Self::Unsent];

    /// The word in metrics, JSON and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
            Self::Unreachable => "unreachable",
            Self::Unsent => "unsent",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal => $outcome:ident,)+) => {
        /// The closed word that says why.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $variant,)+ }

        impl Reason {
            /// Every reason, in the order of the design.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in metrics, JSON and logs.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The outcome that this reason belongs to.
            #[must_use]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)+ }
            }

            /// What the word means, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)+ }
            }
        }
    };
}

reasons! {
    /// The call was let in and answered.
    None = "none" => Ok,

    /// The policy of the shared VPC endpoint in the hub refused.
    VpcEndpointPolicy = "vpc_endpoint_policy" => Denied,
    /// The API's resource policy refused.
    ResourcePolicy = "resource_policy" => Denied,
    /// The API's resource policy or the caller's identity policy refused; the text cannot tell which.
    ResourceOrIdentityPolicy = "resource_or_identity_policy" => Denied,
    /// A policy of the caller's role refused.
    IdentityPolicy = "identity_policy" => Denied,
    /// The session policy given to AssumeRole refused.
    SessionPolicy = "session_policy" => Denied,
    /// The permissions boundary of the caller's role refused.
    PermissionsBoundary = "permissions_boundary" => Denied,
    /// A service control policy of the organisation refused.
    ServiceControlPolicy = "service_control_policy" => Denied,
    /// A resource control policy of the organisation refused.
    ResourceControlPolicy = "resource_control_policy" => Denied,
    /// Some policy refused, and the text does not name its type.
    UnattributedPolicy = "unattributed_policy" => Denied,
    /// The API's Lambda authorizer refused.
    LambdaAuthorizer = "lambda_authorizer" => Denied,
    /// An authorizer found no valid identity in the request.
    Unauthorized = "unauthorized" => Denied,

    /// A bare Forbidden: API key, WAF, stage, addressing, or a public API behind the endpoint.
    Forbidden = "forbidden" => Denied,
    /// The call was unsigned where a signature is needed, or no such route exists.
    MissingAuthenticationToken = "missing_authentication_token" => Denied,
    /// The Authorization header is not a complete SigV4 header.
    IncompleteSignature = "incomplete_signature" => Denied,
    /// The signature does not match the request.
    SignatureMismatch = "signature_mismatch" => Denied,
    /// The signature's time is too far from the clock of AWS.
    ClockSkew = "clock_skew" => Denied,
    /// The signature is scoped to another region, service or date.
    CredentialScope = "credential_scope" => Denied,
    /// The access key or the session token is not known.
    TokenInvalid = "token_invalid" => Denied,
    /// The session has ended.
    TokenExpired = "token_expired" => Denied,

    /// A request rate limit was reached.
    Rate = "rate" => Throttled,
    /// The quota of a usage plan is used up.
    Quota = "quota" => Throttled,

    /// The integration did not answer within its timeout.
    IntegrationTimeout = "integration_timeout" => Failed,
    /// The gateway could not connect to the integration.
    IntegrationNetwork = "integration_network" => Failed,
    /// The integration is misconfigured or answered something unusable.
    IntegrationError = "integration_error" => Failed,
    /// The authorizer itself failed.
    AuthorizerError = "authorizer_error" => Failed,
    /// The request validator of the API refused the request.
    BadRequest = "bad_request" => Failed,
    /// The API has no such route.
    NotFound = "not_found" => Failed,
    /// The request is larger than the gateway takes.
    TooLarge = "too_large" => Failed,
    /// The API does not take this content type.
    UnsupportedMediaType = "unsupported_media_type" => Failed,
    /// The backend, or a customised gateway response, answered with an error status.
    BackendStatus = "backend_status" => Failed,
    /// The status is another than expected.
    UnexpectedStatus = "unexpected_status" => Failed,
    /// The body is another than expected.
    UnexpectedBody = "unexpected_body" => Failed,
    /// A header is missing or another than expected.
    UnexpectedHeader = "unexpected_header" => Failed,
    /// The answer came, but later than the configuration allows.
    TooSlow = "too_slow" => Failed,
    /// Connected and written, but no whole answer in time.
    ResponseTimeout = "response_timeout" => Failed,
    /// The answer bears no id of API Gateway.
    NotApiGateway = "not_api_gateway" => Failed,
    /// The answer came through CloudFront, not through the private path.
    NotPrivate = "not_private" => Failed,

    /// The name did not resolve.
    Dns = "dns" => Unreachable,
    /// The name resolved to public addresses only, so nothing was sent.
    DnsPublicAddress = "dns_public_address" => Unreachable,
    /// No connection in time.
    ConnectTimeout = "connect_timeout" => Unreachable,
    /// The connection was refused or the host could not be reached.
    ConnectRefused = "connect_refused" => Unreachable,
    /// The TLS handshake failed.
    Tls = "tls" => Unreachable,
    /// The server's certificate is not valid for the name.
    Certificate = "certificate" => Unreachable,
    /// The connection was closed before any byte of an answer.
    Reset = "reset" => Unreachable,
    /// The answer was not HTTP, or was cut short.
    Protocol = "protocol" => Unreachable,

    /// STS refused the role to the agent.
    AssumeRoleDenied = "assume_role_denied" => Unsent,
    /// STS could not be asked, or failed.
    AssumeRoleFailed = "assume_role_failed" => Unsent,
    /// The session ended and could not be renewed in time.
    CredentialsExpired = "credentials_expired" => Unsent,
    /// The agent itself has no credentials.
    NoHubCredentials = "no_hub_credentials" => Unsent,
    /// The agent had no permit for the attempt within its timeout.
    Overloaded = "overloaded" => Unsent,
}

impl Reason {
    /// True for the reasons that say a *policy* refused: the only ones that prove a closed door.
    #[must_use]
    pub const fn is_policy(self) -> bool {
        matches!(
            self,
            Self::VpcEndpointPolicy
                | Self::ResourcePolicy
                | Self::ResourceOrIdentityPolicy
                | Self::IdentityPolicy
                | Self::SessionPolicy
                | Self::PermissionsBoundary
                | Self::ServiceControlPolicy
                | Self::ResourceControlPolicy
                | Self::UnattributedPolicy
                | Self::LambdaAuthorizer
                | Self::Unauthorized
        )
    }

    /// True when the text that gave this reason leaves several layers open, `named` among them.
    #[must_use]
    pub const fn is_compatible_with(self, named: Self) -> bool {
        match self {
            Self::UnattributedPolicy => {
                named.is_policy() && !matches!(named, Self::LambdaAuthorizer | Self::Unauthorized)
            }
            // What caps an identity policy (session policy, boundary, SCP) may hide behind the same words: which
            // of them a caller is told of across accounts was never measured for execute-api.
            Self::ResourceOrIdentityPolicy => matches!(
                named,
                Self::ResourcePolicy
                    | Self::IdentityPolicy
                    | Self::SessionPolicy
                    | Self::PermissionsBoundary
                    | Self::ServiceControlPolicy
            ),
            _ => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.as_str() == text)
            .ok_or(Invalid::new("a reason such as vpc_endpoint_policy (see the README's table)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_reads_back_and_has_a_meaning() {
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
            assert!(reason.meaning().ends_with('.'), "{reason}: {:?}", reason.meaning());
            assert!(!reason.is_policy() || reason.outcome() == Outcome::Denied);
        }
    }

    #[test]
    fn vague_reasons_are_compatible_only_with_what_they_leave_open() {
        assert!(Reason::UnattributedPolicy.is_compatible_with(Reason::VpcEndpointPolicy));
        assert!(!Reason::UnattributedPolicy.is_compatible_with(Reason::Forbidden));
        assert!(Reason::ResourceOrIdentityPolicy.is_compatible_with(Reason::ResourcePolicy));
        assert!(!Reason::ResourceOrIdentityPolicy.is_compatible_with(Reason::VpcEndpointPolicy));
        assert!(!Reason::VpcEndpointPolicy.is_compatible_with(Reason::ResourcePolicy));
    }
}
