//! One entry per reason, in a file per place where things go wrong. The match is what keeps them complete.

mod answers;
mod authentication;
mod connection;
mod gateway;
mod policies;
mod unsent;

use super::Entry;
use crate::domain::outcome::Reason;

/// The entry of a reason.
#[must_use]
pub const fn entry(reason: Reason) -> &'static Entry {
    match reason {
        Reason::None => &answers::NONE,

        Reason::VpcEndpointPolicy => &policies::VPC_ENDPOINT_POLICY,
        Reason::ResourcePolicy => &policies::RESOURCE_POLICY,
        Reason::ResourceOrIdentityPolicy => &policies::RESOURCE_OR_IDENTITY_POLICY,
        Reason::IdentityPolicy => &policies::IDENTITY_POLICY,
        Reason::SessionPolicy => &policies::SESSION_POLICY,
        Reason::PermissionsBoundary => &policies::PERMISSIONS_BOUNDARY,
        Reason::ServiceControlPolicy => &policies::SERVICE_CONTROL_POLICY,
        Reason::ResourceControlPolicy => &policies::RESOURCE_CONTROL_POLICY,
        Reason::UnattributedPolicy => &policies::UNATTRIBUTED_POLICY,
        Reason::LambdaAuthorizer => &authentication::LAMBDA_AUTHORIZER,
        Reason::Unauthorized => &authentication::UNAUTHORIZED,

        Reason::Forbidden => &authentication::FORBIDDEN,
        Reason::MissingAuthenticationToken => &authentication::MISSING_AUTHENTICATION_TOKEN,
        Reason::IncompleteSignature => &authentication::INCOMPLETE_SIGNATURE,
        Reason::SignatureMismatch => &authentication::SIGNATURE_MISMATCH,
        Reason::ClockSkew => &authentication::CLOCK_SKEW,
        Reason::CredentialScope => &authentication::CREDENTIAL_SCOPE,
        Reason::TokenInvalid => &authentication::TOKEN_INVALID,
        Reason::TokenExpired => &authentication::TOKEN_EXPIRED,

        Reason::Rate => &gateway::RATE,
        Reason::Quota => &gateway::QUOTA,

        Reason::IntegrationTimeout => &gateway::INTEGRATION_TIMEOUT,
        Reason::IntegrationNetwork => &gateway::INTEGRATION_NETWORK,
        Reason::IntegrationError => &gateway::INTEGRATION_ERROR,
        Reason::AuthorizerError => &gateway::AUTHORIZER_ERROR,
        Reason::BadRequest => &gateway::BAD_REQUEST,
        Reason::NotFound => &gateway::NOT_FOUND,
        Reason::TooLarge => &gateway::TOO_LARGE,
        Reason::UnsupportedMediaType => &gateway::UNSUPPORTED_MEDIA_TYPE,
        Reason::BackendStatus => &answers::BACKEND_STATUS,
        Reason::UnexpectedStatus => &answers::UNEXPECTED_STATUS,
        Reason::UnexpectedBody => &answers::UNEXPECTED_BODY,
        Reason::UnexpectedHeader => &answers::UNEXPECTED_HEADER,
        Reason::TooSlow => &answers::TOO_SLOW,
        Reason::ResponseTimeout => &answers::RESPONSE_TIMEOUT,
        Reason::NotApiGateway => &answers::NOT_API_GATEWAY,
        Reason::NotPrivate => &answers::NOT_PRIVATE,

        Reason::Dns => &connection::DNS,
        Reason::DnsPublicAddress => &connection::DNS_PUBLIC_ADDRESS,
        Reason::ConnectTimeout => &connection::CONNECT_TIMEOUT,
        Reason::ConnectRefused => &connection::CONNECT_REFUSED,
        Reason::Tls => &connection::TLS,
        Reason::Certificate => &connection::CERTIFICATE,
        Reason::Reset => &connection::RESET,
        Reason::Protocol => &connection::PROTOCOL,

        Reason::AssumeRoleDenied => &unsent::ASSUME_ROLE_DENIED,
        Reason::AssumeRoleFailed => &unsent::ASSUME_ROLE_FAILED,
        Reason::CredentialsExpired => &unsent::CREDENTIALS_EXPIRED,
        Reason::NoHubCredentials => &unsent::NO_HUB_CREDENTIALS,
        Reason::Overloaded => &unsent::OVERLOADED,
    }
}
