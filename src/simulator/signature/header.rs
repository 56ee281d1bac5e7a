//! What an `Authorization` header claims.

use super::Rejection;
use crate::simulator::deterministic::base64;
use crate::simulator::wire::RawRequest;
use sha2::{Digest as _, Sha256};

/// What a request says about its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Nothing: an unsigned request.
    Unsigned,
    /// An `Authorization` header that is not AWS's.
    Other(String),
    /// A signature, yet to be checked.
    Signed(SignedClaim),
    /// AWS's algorithm, with parts missing.
    Broken(Rejection),
}

/// The parts of an AWS `Authorization` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedClaim {
    /// The access key id.
    pub access_key_id: String,
    /// The day of the scope.
    pub date: String,
    /// The region of the scope.
    pub region: String,
    /// The service of the scope.
    pub service: String,
    /// The end of the scope, which should be `aws4_request`.
    pub terminator: String,
    /// The names of the signed headers in lower case, in the order given.
    pub signed_headers: Vec<String>,
    /// The signature in hexadecimal.
    pub signature: String,
    /// The whole header, for messages that give its hash.
    pub raw: String,
}

impl Claim {
    /// Reads the claim of a request.
    #[must_use]
    pub fn of(request: &RawRequest) -> Self {
        let Some(header) = request.header("authorization") else { return Self::Unsigned };
        let text = String::from_utf8_lossy(header).into_owned();
        let Some(rest) = text.strip_prefix("AWS4-HMAC-SHA256") else { return Self::Other(text) };
        match parts(rest, &text) {
            Ok(claim) => Self::Signed(claim),
            Err(rejection) => Self::Broken(rejection),
        }
    }
}

/// The refusal of a header that is not AWS's where AWS's is needed.
pub(crate) fn not_key_value(header: &str) -> Rejection {
    Rejection::Incomplete(format!(
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded \
         with Base64): '{}'.",
        base64(&Sha256::digest(header.as_bytes()))
    ))
}

fn parts(rest: &str, raw: &str) -> Result<SignedClaim, Rejection> {
    let (mut credential, mut signed, mut signature) = (None, None, None);
    for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let Some((name, value)) = part.split_once('=') else { return Err(not_key_value(raw)) };
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => signed = Some(value),
            "Signature" => signature = Some(value),
            _ => {}
        }
    }
    let mut missing = String::new();
    for (name, value) in [("Credential", credential), ("Signature", signature), ("SignedHeaders", signed)] {
        if value.is_none_or(str::is_empty) {
            missing += &format!("Authorization header requires '{name}' parameter. ");
        }
    }
    let (Some(credential), Some(signed), Some(signature)) = (credential, signed, signature) else {
        return Err(incomplete(&missing, raw));
    };
    if !missing.is_empty() {
        return Err(incomplete(&missing, raw));
    }
    let scope: Vec<&str> = credential.split('/').collect();
    let [key, date, region, service, terminator] = scope[..] else {
        return Err(Rejection::Incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got \
             '{credential}'"
        )));
    };
    Ok(SignedClaim {
        access_key_id: key.into(),
        date: date.into(),
        region: region.into(),
        service: service.into(),
        terminator: terminator.into(),
        signed_headers: signed.split(';').map(str::to_ascii_lowercase).collect(),
        signature: signature.into(),
        raw: raw.into(),
    })
}

fn incomplete(missing: &str, raw: &str) -> Rejection {
    Rejection::Incomplete(format!(
        "{missing}(Hashed with SHA-256 and encoded with Base64) Authorization={}",
        base64(&Sha256::digest(raw.as_bytes()))
    ))
}
