//! The table from `x-amzn-ErrorType` to reasons.
//!
//! The first row that fits wins: rows that look at the message stand before the bare row of their type.
//! `AccessDeniedException` ends in `denials`, which reads its text. Sources: API Gateway developer guide,
//! "Gateway response types", and published captures; what is marked unconfirmed was never seen from
//! `execute-api` itself.

use crate::domain::outcome::Reason;

/// The error type of every policy refusal.
pub(super) const ACCESS_DENIED: &str = "AccessDeniedException";

/// One row of the table.
pub(super) struct Row {
    error_types: &'static [&'static str],
    message: Message,
    status: Option<u16>,
    reason: Reason,
}

/// What a row asks of the message.
#[derive(Clone, Copy)]
enum Message {
    Any,
    Begins(&'static str),
    Contains(&'static str),
}

const fn row(error_type: &'static [&'static str], message: Message, reason: Reason) -> Row {
    Row { error_types: error_type, message, status: None, reason }
}

use Message::{Any, Begins, Contains};

/// The table. Removing a row makes a test fail.
pub(super) const ROWS: &[Row] = &[
    // Which error type comes with an unknown or ended token is unconfirmed for execute-api, so the text
    // decides under each of the candidates.
    row(
        &[ACCESS_DENIED, "InvalidSignatureException"],
        Begins("The security token included in the request is invalid"),
        Reason::TokenInvalid,
    ),
    row(
        &[ACCESS_DENIED, "InvalidSignatureException", "UnrecognizedClientException"],
        Begins("The security token included in the request is expired"),
        Reason::TokenExpired,
    ),
    row(&["UnrecognizedClientException"], Any, Reason::TokenInvalid),
    row(&["ExpiredTokenException"], Any, Reason::TokenExpired),
    row(&["MissingAuthenticationTokenException"], Any, Reason::MissingAuthenticationToken),
    row(&["IncompleteSignatureException"], Any, Reason::IncompleteSignature),
    // Before the rows below, because this message goes on with an echo of the request, which may contain
    // any text.
    row(
        &["InvalidSignatureException"],
        Begins("The request signature we calculated does not match"),
        Reason::SignatureMismatch,
    ),
    row(&["InvalidSignatureException"], Begins("Signature expired"), Reason::ClockSkew),
    row(&["InvalidSignatureException"], Begins("Signature not yet current"), Reason::ClockSkew),
    // Several complaints about the scope may be joined in one message, in any order.
    row(&["InvalidSignatureException"], Contains("Credential should be scoped"), Reason::CredentialScope),
    row(&["InvalidSignatureException"], Contains("Date in Credential scope"), Reason::CredentialScope),
    row(&["InvalidSignatureException"], Any, Reason::SignatureMismatch),
    row(&["UnauthorizedException"], Any, Reason::Unauthorized),
    // API key, WAF, stage, addressing: byte-identical on purpose.
    row(&["ForbiddenException"], Any, Reason::Forbidden),
    // Only an emulator's guess for a block by the WAF (unconfirmed); captures show ForbiddenException.
    row(&["WafFilteredException"], Any, Reason::Forbidden),
    row(&["TooManyRequestsException"], Any, Reason::Rate),
    row(&["LimitExceededException"], Any, Reason::Quota),
    // The error type of a 415 is unconfirmed: two emulators differ.
    Row {
        error_types: &["BadRequestException"],
        message: Any,
        status: Some(415),
        reason: Reason::UnsupportedMediaType,
    },
    row(&["UnsupportedMediaTypeException"], Any, Reason::UnsupportedMediaType),
    row(&["BadRequestException"], Any, Reason::BadRequest),
    // The error type of a 404 is unconfirmed.
    row(&["ResourceNotFoundException"], Any, Reason::NotFound),
    row(&["NotFoundException"], Any, Reason::NotFound),
    row(&["RequestTooLargeException"], Any, Reason::TooLarge),
    row(&["InternalServerErrorException"], Begins("Endpoint request timed out"), Reason::IntegrationTimeout),
    row(
        &["InternalServerErrorException"],
        Begins("Network error communicating with endpoint"),
        Reason::IntegrationNetwork,
    ),
    // Also a 504 whose message is gone (HEAD, or a customised body): timeout and network look the same then,
    // and what the text cannot decide stays vague.
    row(&["InternalServerErrorException"], Any, Reason::IntegrationError),
    row(&["ApiConfigurationException"], Any, Reason::IntegrationError),
    row(&["AuthorizerConfigurationException"], Any, Reason::AuthorizerError),
    row(&["AuthorizerFailureException"], Any, Reason::AuthorizerError),
];

/// The reason that the rows give; `None` for an unknown error type and for access denials whose text is for
/// `denials`.
pub(super) fn reason<'r>(
    rows: impl IntoIterator<Item = &'r Row>,
    error_type: &str,
    message: Option<&str>,
    status: u16,
) -> Option<Reason> {
    rows.into_iter()
        .find(|row| {
            row.error_types.contains(&error_type)
                && row.status.is_none_or(|wanted| wanted == status)
                && match row.message {
                    Any => true,
                    Begins(start) => message.is_some_and(|message| message.starts_with(start)),
                    Contains(part) => message.is_some_and(|message| message.contains(part)),
                }
        })
        .map(|row| row.reason)
}
