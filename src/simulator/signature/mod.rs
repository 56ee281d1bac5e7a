//! Verification of AWS Signature Version 4, written from its specification.
//!
//! It shares no code with the signer: what the agent signs with is checked here by other means, on the
//! bytes that really came. Only the form in the `Authorization` header is known; presigned URLs and the
//! asymmetric variant are left out because nothing in the program makes them.
//!
//! Source: IAM user guide, "Create a signed AWS API request".

mod canonical;
mod header;

pub use canonical::{canonical_query, canonical_request, canonical_uri};
pub(crate) use header::not_key_value;
pub use header::{Claim, SignedClaim};

use super::deterministic::hex;
use super::wire::RawRequest;
use crate::simulator::deterministic;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

/// How far a signature's time may lie from the verifier's. UNCONFIRMED for `execute-api`: captures of other
/// services show 5 and 15 minutes; the narrower one is the stricter test of a client.
pub const WINDOW: Duration = Duration::from_secs(5 * 60);

/// What a verifier knows.
#[derive(Debug, Clone, Copy)]
pub struct Verifier<'a> {
    /// The service that the scope must name.
    pub service: &'a str,
    /// The region that the scope must name.
    pub region: &'a str,
    /// The verifier's time.
    pub now: SystemTime,
}

/// What a key stands for.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The secret access key.
    pub secret: &'a str,
    /// The session token that belongs to it, for temporary keys.
    pub token: Option<&'a str>,
    /// True when its session has ended.
    pub expired: bool,
}

/// Why a signature is refused. The texts are AWS's own; the gateway and STS wrap them differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// The header lacks a part.
    Incomplete(String),
    /// Time or scope are wrong.
    Invalid(String),
    /// The signature is another one; with what would have been signed here.
    Mismatch {
        /// The canonical request.
        canonical: String,
        /// The string to sign.
        string_to_sign: String,
    },
    /// Key or token are not known.
    TokenInvalid,
    /// The session has ended.
    TokenExpired,
}

impl Verifier<'_> {
    /// Checks a signed request; `find` knows keys by their id.
    ///
    /// # Errors
    /// The first thing that is wrong, in the order form, scope, time, key, signature.
    pub fn verify<'k>(
        &self,
        request: &RawRequest,
        claim: &SignedClaim,
        find: impl FnOnce(&str) -> Option<Key<'k>>,
    ) -> Result<(), Rejection> {
        let time = self.time(request, claim)?;
        self.scope(claim, &time)?;
        self.skew(&time)?;
        let key = find(&claim.access_key_id).ok_or(Rejection::TokenInvalid)?;
        let token = request.header_text("x-amz-security-token");
        if token != key.token {
            return Err(Rejection::TokenInvalid);
        }
        required_headers(request, claim)?;
        if key.expired {
            return Err(Rejection::TokenExpired);
        }
        let canonical = canonical_request(request, &claim.signed_headers);
        let string_to_sign = string_to_sign(&time, claim, &canonical);
        let expected = signature(key.secret, claim, &string_to_sign);
        // A declared payload hash that is not the body's, `UNSIGNED-PAYLOAD` included, is a mismatch:
        // API Gateway takes the hash of the real body only.
        let declared = request.header_text("x-amz-content-sha256");
        let honest = declared.is_none_or(|declared| declared == hex(&Sha256::digest(&request.body)));
        if honest && expected == claim.signature {
            Ok(())
        } else {
            Err(Rejection::Mismatch { canonical, string_to_sign })
        }
    }

    fn time(&self, request: &RawRequest, claim: &SignedClaim) -> Result<String, Rejection> {
        let text = request.header_text("x-amz-date").or_else(|| request.header_text("date"));
        let Some(text) = text else {
            return Err(Rejection::Incomplete(format!(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. \
                 (Hashed with SHA-256 and encoded with Base64) Authorization={}",
                deterministic::base64(&Sha256::digest(claim.raw.as_bytes()))
            )));
        };
        if parse_time(text).is_none() {
            return Err(Rejection::Incomplete(format!(
                "Date must be in ISO-8601 'basic format'. Got '{text}'. See http://en.wikipedia.org/wiki/ISO_8601"
            )));
        }
        Ok(text.to_owned())
    }

    /// Several scope errors are joined in one message, as AWS does.
    fn scope(&self, claim: &SignedClaim, time: &str) -> Result<(), Rejection> {
        let mut wrong = Vec::new();
        if claim.region != self.region {
            wrong.push("Credential should be scoped to a valid region. ".to_owned());
        }
        if claim.service != self.service {
            wrong.push(format!("Credential should be scoped to correct service: '{}'. ", self.service));
        }
        if claim.terminator != "aws4_request" {
            wrong.push(format!(
                "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'. ",
                claim.terminator
            ));
        }
        let day = time.get(..8).unwrap_or_default();
        if claim.date != day {
            wrong.push(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: \
                 '{}' != '{day}', from '{time}'.",
                claim.date
            ));
        }
        if wrong.is_empty() { Ok(()) } else { Err(Rejection::Invalid(wrong.concat().trim_end().to_owned())) }
    }

    fn skew(&self, text: &str) -> Result<(), Rejection> {
        let Some(time) = parse_time(text) else {
            return Err(Rejection::Incomplete("Date must be in ISO-8601 'basic format'.".into()));
        };
        let minutes = WINDOW.as_secs() / 60;
        let now = write_time(self.now);
        let (oldest, newest) = (self.now - WINDOW, self.now + WINDOW);
        if time < oldest {
            let oldest = write_time(oldest);
            return Err(Rejection::Invalid(format!(
                "Signature expired: {text} is now earlier than {oldest} ({now} - {minutes} min.)"
            )));
        }
        if time > newest {
            let newest = write_time(newest);
            return Err(Rejection::Invalid(format!(
                "Signature not yet current: {text} is still later than {newest} ({now} + {minutes} min.)"
            )));
        }
        Ok(())
    }
}

/// The headers that must be covered. The text for the host is AWS's; that the token and a declared payload
/// hash must be covered is documented, their texts here are formed after it (UNCONFIRMED).
fn required_headers(request: &RawRequest, claim: &SignedClaim) -> Result<(), Rejection> {
    let covered = |name: &str| claim.signed_headers.iter().any(|signed| signed == name);
    if !covered("host") {
        let text = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
        return Err(Rejection::Invalid(text.into()));
    }
    for name in ["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"] {
        if request.header(name).is_some() && !covered(name) {
            return Err(Rejection::Invalid(format!(
                "'{name}' must be a 'SignedHeader' in the AWS Authorization."
            )));
        }
    }
    Ok(())
}

fn string_to_sign(time: &str, claim: &SignedClaim, canonical: &str) -> String {
    let SignedClaim { date, region, service, terminator, .. } = claim;
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/{terminator}\n{digest}")
}

fn signature(secret: &str, claim: &SignedClaim, string_to_sign: &str) -> String {
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [&claim.date, &claim.region, &claim.service, &claim.terminator] {
        key = hmac(&key, part.as_bytes());
    }
    hex(&hmac(&key, string_to_sign.as_bytes()))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so the error cannot occur; an empty code would match nothing.
    Hmac::<Sha256>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

fn parse_time(text: &str) -> Option<SystemTime> {
    // `strptime` takes shorter forms too; the basic format of ISO 8601 has 16 characters.
    if text.len() != 16 {
        return None;
    }
    let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(time).ok().map(SystemTime::from)
}

fn write_time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| String::new(), |time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
}

#[cfg(test)]
pub(crate) mod signer;
#[cfg(test)]
mod tests;
