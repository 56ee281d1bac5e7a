//! SigV4: the only aws-sigv4 user. Pure: credentials and time are arguments.
//!
//! The whole `sign()` of AWS's own crate is used and nothing of the canonicalisation is written here: it is
//! the part that goes wrong. What makes signing cheap is reuse: a signature covers the time in whole
//! seconds and has no nonce, so a request of one target under the same credentials is signed once a second.

mod reuse;
mod shown;

pub use reuse::SignedRequestSlot;
pub use shown::{Signed, signed};

use crate::domain::credentials::SessionCredentials;
use crate::domain::region::Region;
use crate::domain::request::{HttpRequest, OutgoingRequest};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use http::{HeaderValue, header};
use std::fmt;
use std::time::SystemTime;

/// What a signature is valid for besides the request itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningScope {
    /// The service, `execute-api` for private APIs.
    pub service: &'static str,
    /// The region of the endpoint.
    pub region: Region,
    /// How the path enters the canonical request.
    pub path_encoding: PathEncoding,
}

/// How the path enters the canonical request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEncoding {
    /// Normalised and percent-encoded a second time: every service but S3.
    Double,
    /// As it is: S3, which also wants the hash of the body as a header of its own, `x-amz-content-sha256`, and
    /// that header signed.
    ///
    /// Source: S3 API reference, "Authenticating Requests: Using the Authorization Header".
    Single,
}

impl SigningScope {
    /// The scope for invoking APIs in a region.
    #[must_use]
    pub const fn execute_api(region: Region) -> Self {
        Self { service: "execute-api", region, path_encoding: PathEncoding::Double }
    }

    /// The scope for reading objects in a region.
    #[must_use]
    pub const fn s3(region: Region) -> Self {
        Self { service: "s3", region, path_encoding: PathEncoding::Single }
    }
}

/// Why a request cannot be signed. Requests come from a checked configuration, so this stops one target, is
/// shown as such, and is never a matter of the far side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningProblem(String);

impl fmt::Display for SigningProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request cannot be signed: {}", self.0)
    }
}

impl std::error::Error for SigningProblem {}

/// Signs a request: host, date, token and every header it has, with the hash of the real body.
///
/// `x-amz-content-sha256` is sent to S3 only: execute-api needs no such header, and `UNSIGNED-PAYLOAD` is not
/// accepted there.
///
/// Of the secrets, the credentials given to the signer are zeroed after use, and the token's header when the request is
/// dropped. Copies that the crates keep are not: aws-sigv4's canonical request holds the token, its signing key and
/// the intermediate ones of HMAC stay on the stack and in freed memory until they are overwritten.
///
/// # Errors
/// When a header value is not text, or the parts do not make a URI.
pub fn sign_request(
    request: HttpRequest,
    scope: &SigningScope,
    credentials: &SessionCredentials,
    at: SystemTime,
) -> Result<OutgoingRequest, SigningProblem> {
    let identity = Credentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        credentials.session_token.as_ref().map(|token| token.expose().to_owned()),
        credentials.expires_at,
        "spokeprobe",
    )
    .into();
    let mut settings = SigningSettings::default();
    if scope.path_encoding == PathEncoding::Single {
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(scope.region.as_str())
        .name(scope.service)
        .time(at)
        .settings(settings)
        .build()
        .map_err(|error| SigningProblem(error.to_string()))?
        .into();
    let HttpRequest { method, host, path_and_query, mut headers, body } = request;
    let uri = format!("https://{host}{path_and_query}");
    let mut texts = Vec::with_capacity(headers.len() + 1);
    texts.push(("host", host.as_str()));
    for (name, value) in &headers {
        let value =
            value.to_str().map_err(|_| SigningProblem(format!("the value of header {name} is not text")))?;
        texts.push((name.as_str(), value));
    }
    let signable = SignableRequest::new(method.as_str(), &uri, texts.into_iter(), SignableBody::Bytes(&body))
        .map_err(|error| SigningProblem(error.to_string()))?;
    let (instructions, _signature) =
        sign(signable, &params).map_err(|error| SigningProblem(error.to_string()))?.into_parts();
    for (name, value) in instructions.headers() {
        let value = match &credentials.session_token {
            Some(token) if name == "x-amz-security-token" => HeaderValue::from_maybe_shared(token.to_bytes()),
            _ => HeaderValue::from_str(value),
        };
        let mut value =
            value.map_err(|_| SigningProblem(format!("the value for header {name} is not text")))?;
        // Keeps the signature and the token out of every Debug of a header map.
        value.set_sensitive(true);
        let name = header::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| SigningProblem(format!("{name} is not a header name")))?;
        headers.insert(name, value);
    }
    Ok(OutgoingRequest { method, host, path_and_query, headers, body })
}

#[cfg(test)]
mod tests;
