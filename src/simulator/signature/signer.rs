//! A signer for the simulator's own tests. It shares the canonical form with the verifier, which the
//! published vectors hold; the agent's real signer is tried against the simulator in the integration tests.

use super::{SignedClaim, canonical_request, signature, string_to_sign, write_time};
use crate::simulator::wire::RawRequest;
use std::time::SystemTime;

/// Credentials to sign with.
#[derive(Debug, Clone)]
pub(crate) struct Signer {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) service: &'static str,
}

/// Adds date, token and signature.
pub(crate) fn sign(request: &mut RawRequest, signer: &Signer, now: SystemTime) {
    let time = write_time(now);
    request.headers.push(("x-amz-date".into(), time.clone().into_bytes()));
    if let Some(token) = &signer.token {
        request.headers.push(("x-amz-security-token".into(), token.clone().into_bytes()));
    }
    let mut signed_headers: Vec<String> = request.headers.iter().map(|(name, _)| name.clone()).collect();
    signed_headers.sort_unstable();
    let mut claim = SignedClaim {
        access_key_id: signer.id.clone(),
        date: time[..8].into(),
        region: "eu-west-1".into(),
        service: signer.service.into(),
        terminator: "aws4_request".into(),
        signed_headers,
        signature: String::new(),
        raw: String::new(),
    };
    let canonical = canonical_request(request, &claim.signed_headers);
    claim.signature = signature(&signer.secret, &claim, &string_to_sign(&time, &claim, &canonical));
    let value = format!(
        "AWS4-HMAC-SHA256 Credential={}/{}/eu-west-1/{}/aws4_request, SignedHeaders={}, Signature={}",
        claim.access_key_id,
        claim.date,
        claim.service,
        claim.signed_headers.join(";"),
        claim.signature
    );
    request.headers.push(("authorization".into(), value.into_bytes()));
}
