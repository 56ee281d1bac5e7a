//! The words of API Gateway's refusals, with the error type and form each comes in.
//!
//! This is the simulator's own table, written from AWS's documentation and published captures. It must not
//! share a line with the classifier, which reads the same texts from the other side.

use super::policy::Layer;
use super::reply::Reply;
use super::signature::Rejection;

/// A refusal or failure that the gateway itself writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: u16,
    /// `x-amzn-ErrorType`, where there is one.
    pub(crate) error_type: Option<&'static str>,
    /// The message in its form.
    pub(crate) body: Form,
    /// True when an integration was asked, so that a trace id is there.
    pub(crate) traced: bool,
}

/// The forms of a message's body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{"Message":…}`: denials by policies.
    Capital(String),
    /// `{"message":…}`.
    Small(&'static str),
    /// The same for a text that is not fixed.
    SmallText(String),
    /// `{"message": …}` with a space: failures of an integration.
    Spaced(&'static str),
    /// `{"message":null}`.
    Null,
    /// Plain text.
    Plain(&'static str),
}

impl Form {
    /// Content type and body.
    pub(crate) fn write(&self) -> (&'static str, String) {
        const JSON: &str = "application/json";
        let quote = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Capital(text) => (JSON, format!("{{\"Message\":{}}}", quote(text))),
            Self::Small(text) => (JSON, format!("{{\"message\":{}}}", quote(text))),
            Self::SmallText(text) => (JSON, format!("{{\"message\":{}}}", quote(text))),
            Self::Spaced(text) => (JSON, format!("{{\"message\": {}}}", quote(text))),
            Self::Null => (JSON, "{\"message\":null}".into()),
            Self::Plain(text) => ("text/plain", (*text).into()),
        }
    }
}

impl Refusal {
    const fn small(status: u16, error_type: &'static str, text: &'static str) -> Self {
        Self { status, error_type: Some(error_type), body: Form::Small(text), traced: false }
    }

    const fn integration(status: u16, text: &'static str) -> Self {
        let error_type = Some("InternalServerErrorException");
        Self { status, error_type, body: Form::Spaced(text), traced: true }
    }

    fn denied(text: String) -> Self {
        let error_type = Some("AccessDeniedException");
        Self { status: 403, error_type, body: Form::Capital(text), traced: false }
    }

    /// The answer without the headers every answer has.
    pub(crate) fn reply(&self) -> Reply {
        let (content_type, body) = self.body.write();
        let reply = Reply::new(self.status, content_type, body);
        match self.error_type {
            Some(error_type) => reply.with("x-amzn-ErrorType", error_type),
            None => reply,
        }
    }
}

pub(crate) const FORBIDDEN: Refusal = Refusal::small(403, "ForbiddenException", "Forbidden");
pub(crate) const MISSING_TOKEN: Refusal =
    Refusal::small(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
pub(crate) const UNAUTHORIZED: Refusal = Refusal::small(401, "UnauthorizedException", "Unauthorized");
pub(crate) const TOO_MANY_REQUESTS: Refusal =
    Refusal::small(429, "TooManyRequestsException", "Too Many Requests");
pub(crate) const LIMIT_EXCEEDED: Refusal = Refusal::small(429, "LimitExceededException", "Limit Exceeded");
pub(crate) const BAD_BODY: Refusal = Refusal::small(400, "BadRequestException", "Invalid request body");
pub(crate) const MISCONFIGURED: Refusal = Refusal::integration(500, "Internal server error");
pub(crate) const BACKEND_ERROR: Refusal = Refusal::integration(502, "Internal server error");
pub(crate) const TIMED_OUT: Refusal = Refusal::integration(504, "Endpoint request timed out");
pub(crate) const NETWORK_ERROR: Refusal =
    Refusal::integration(504, "Network error communicating with endpoint");
pub(crate) const AUTHORIZER_CONFIGURATION: Refusal = Refusal {
    status: 500,
    error_type: Some("AuthorizerConfigurationException"),
    body: Form::Null,
    traced: false,
};
// The text is UNCONFIRMED; the status is documented.
pub(crate) const AUTHORIZER_FAILURE: Refusal = Refusal {
    status: 500,
    error_type: Some("AuthorizerFailureException"),
    body: Form::Spaced("Internal server error"),
    traced: false,
};
pub(crate) const TOO_LARGE: Refusal = Refusal {
    status: 413,
    error_type: Some("RequestTooLargeException"),
    body: Form::Plain("HTTP content length exceeded 10485760 bytes."),
    traced: false,
};
pub(crate) const URI_TOO_LONG: Refusal =
    Refusal { status: 414, error_type: None, body: Form::Small("Request URI too long"), traced: false };
// The limit of 8,000 bytes is documented; what is answered beyond it is UNCONFIRMED.
pub(crate) const HEADERS_TOO_LARGE: Refusal =
    Refusal { status: 413, error_type: None, body: Form::Plain("Request Too Long"), traced: false };

/// How a policy's layer is called in a message.
const fn layer_words(layer: Layer) -> (&'static str, &'static str) {
    match layer {
        Layer::VpcEndpoint => ("VPC endpoint policy", "a VPC endpoint policy"),
        Layer::Resource => ("resource-based policy", "a resource-based policy"),
        Layer::Identity => ("identity-based policy", "an identity-based policy"),
        Layer::Session => ("session policy", "a session policy"),
        Layer::PermissionsBoundary => ("permissions boundary", "a permissions boundary"),
        Layer::ServiceControl => ("service control policy", "a service control policy"),
        Layer::Trust => ("role trust policy", "the role trust policy"),
    }
}

/// A denial by a policy (IAM user guide, "Troubleshoot access denied error messages").
pub(crate) fn denial_text(who: &str, action: &str, resource: &str, layer: Layer, explicit: bool) -> String {
    let (no, the) = layer_words(layer);
    let begin = format!("User: {who} is not authorized to perform: {action} on resource: {resource}");
    if explicit {
        format!("{begin} with an explicit deny in {the}")
    } else {
        format!("{begin} because no {no} allows the {action} action")
    }
}

/// What a denial says.
pub(crate) struct Denial<'a> {
    /// `anonymous` or the ARN of a session.
    pub(crate) who: &'a str,
    /// The method's ARN, unmasked.
    pub(crate) resource: &'a str,
    /// The layer.
    pub(crate) layer: Layer,
    /// An explicit deny.
    pub(crate) explicit: bool,
    /// The older wording, which names no type of policy.
    pub(crate) old_wording: bool,
}

/// A call that a policy refuses.
pub(crate) fn denied(denial: &Denial<'_>) -> Refusal {
    let Denial { who, resource, layer, explicit, old_wording } = *denial;
    let resource = masked(resource);
    if !old_wording {
        return Refusal::denied(denial_text(who, "execute-api:Invoke", &resource, layer, explicit));
    }
    let tail = if explicit { " with an explicit deny" } else { "" };
    let begin = "is not authorized to perform: execute-api:Invoke on resource";
    Refusal::denied(format!("User: {who} {begin}: {resource}{tail}"))
}

/// A call that a Lambda authorizer refuses.
pub(crate) fn refused_by_authorizer(explicit: bool) -> Refusal {
    let begin = "User is not authorized to access this resource";
    Refusal::denied(if explicit {
        format!("{begin} with an explicit deny in an identity-based policy")
    } else {
        format!("{begin} because no identity-based policy allows the execute-api:Invoke action")
    })
}

/// A signature that is refused. The error types for unknown and expired tokens are UNCONFIRMED on
/// `execute-api`; these are the ones that other services and the gateway's own response types use.
pub(crate) fn bad_signature(rejection: &Rejection) -> Refusal {
    let (error_type, text) = match rejection {
        Rejection::Incomplete(text) => ("IncompleteSignatureException", text.clone()),
        Rejection::Invalid(text) => ("InvalidSignatureException", text.clone()),
        Rejection::Mismatch { canonical, string_to_sign } => (
            "InvalidSignatureException",
            format!(
                "{SIGNATURE_MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical}'\n\n\
                 The String-to-Sign should have been\n'{string_to_sign}'\n"
            ),
        ),
        Rejection::TokenInvalid => {
            ("UnrecognizedClientException", "The security token included in the request is invalid.".into())
        }
        Rejection::TokenExpired => {
            ("ExpiredTokenException", "The security token included in the request is expired".into())
        }
    };
    Refusal { status: 403, error_type: Some(error_type), body: Form::SmallText(text), traced: false }
}

/// The first part of the message for a wrong signature, for which STS uses it alone.
pub(crate) const SIGNATURE_MISMATCH: &str = "The request signature we calculated does not match the signature you \
     provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// A method's ARN with all but the last four digits of the account masked, as messages show it.
fn masked(resource: &str) -> String {
    let mut parts: Vec<String> = resource.split(':').map(str::to_owned).collect();
    if let Some(account) = parts.get_mut(4).filter(|account| account.len() == 12) {
        account.replace_range(..8, "********");
    }
    parts.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESOURCE: &str = "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/api/GET/";
    const SHOWN: &str = "arn:aws:execute-api:eu-west-1:********8901:a1b2c3d4e5/api/GET/";

    #[test]
    fn each_layer_has_its_words() {
        for (layer, explicit, tail) in [
            (
                Layer::VpcEndpoint,
                false,
                "because no VPC endpoint policy allows the execute-api:Invoke action",
            ),
            (Layer::VpcEndpoint, true, "with an explicit deny in a VPC endpoint policy"),
            (Layer::Resource, false, "because no resource-based policy allows the execute-api:Invoke action"),
            (Layer::Resource, true, "with an explicit deny in a resource-based policy"),
            (Layer::Identity, false, "because no identity-based policy allows the execute-api:Invoke action"),
            (Layer::Identity, true, "with an explicit deny in an identity-based policy"),
            (Layer::Session, false, "because no session policy allows the execute-api:Invoke action"),
            (Layer::PermissionsBoundary, true, "with an explicit deny in a permissions boundary"),
            (Layer::ServiceControl, true, "with an explicit deny in a service control policy"),
        ] {
            let denial = Denial { who: "anonymous", resource: RESOURCE, layer, explicit, old_wording: false };
            let begin = "User: anonymous is not authorized to perform: execute-api:Invoke on resource";
            assert_eq!(denied(&denial).body, Form::Capital(format!("{begin}: {SHOWN} {tail}")));
            let old = denied(&Denial { old_wording: true, ..denial });
            let tail = if explicit { " with an explicit deny" } else { "" };
            assert_eq!(old.body, Form::Capital(format!("{begin}: {SHOWN}{tail}")));
        }
    }

    #[test]
    fn forms_differ_in_key_and_space() {
        let body = |refusal: &Refusal| refusal.body.write().1;
        assert_eq!(body(&FORBIDDEN), r#"{"message":"Forbidden"}"#);
        assert_eq!(body(&FORBIDDEN).len(), 23);
        assert_eq!(body(&TOO_MANY_REQUESTS).len(), 31);
        assert_eq!(body(&LIMIT_EXCEEDED).len(), 28);
        assert_eq!(body(&MISCONFIGURED).len(), 36);
        assert_eq!(body(&TIMED_OUT).len(), 41);
        assert_eq!(body(&NETWORK_ERROR).len(), 56);
        assert_eq!(body(&AUTHORIZER_CONFIGURATION), r#"{"message":null}"#);
    }

    #[test]
    fn a_wrong_signature_echoes_what_would_have_been_signed() {
        let rejection =
            Rejection::Mismatch { canonical: "GET\n/".into(), string_to_sign: "AWS4-HMAC-SHA256\n1".into() };
        let (_, body) = bad_signature(&rejection).body.write();
        let value: serde_json::Value = serde_json::from_str(&body).unwrap();
        let text = value["message"].as_str().unwrap();
        assert!(
            text.starts_with(
                "The request signature we calculated does not match the signature you provided."
            )
        );
        assert!(text.contains("The Canonical String for this request should have been\n'GET\n/'\n"));
        assert!(text.contains("The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n1'\n"));
    }
}
