//! Ids, keys and tokens computed from a counter, so that the core needs no randomness and a run can be
//! repeated. They are worth nothing as secrets, and guard nothing but a simulation.

use sha2::{Digest as _, Sha256};

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// A source of texts that never repeat.
#[derive(Debug, Default)]
pub(crate) struct Sequence(u64);

impl Sequence {
    fn bytes(&mut self, purpose: &str, length: usize) -> Vec<u8> {
        self.0 += 1;
        let mut bytes = Vec::with_capacity(length + 32);
        let mut block = 0_u64;
        while bytes.len() < length {
            let digest = Sha256::new()
                .chain_update(purpose.as_bytes())
                .chain_update(self.0.to_be_bytes())
                .chain_update(block.to_be_bytes())
                .finalize();
            bytes.extend_from_slice(&digest);
            block += 1;
        }
        bytes.truncate(length);
        bytes
    }

    fn letters(&mut self, purpose: &str, alphabet: &[u8], length: usize) -> String {
        let bytes = self.bytes(purpose, length);
        bytes.iter().map(|&byte| char::from(alphabet[usize::from(byte) % alphabet.len()])).collect()
    }

    /// A request id in the form of a UUID.
    pub(crate) fn request_id(&mut self) -> String {
        let hex = hex(&self.bytes("request", 16));
        let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }

    /// API Gateway's extended request id: 15 characters and an equal sign.
    pub(crate) fn extended_request_id(&mut self) -> String {
        self.letters("apigw", &BASE64[..62], 15) + "="
    }

    /// The access key id of a temporary credential.
    pub(crate) fn access_key_id(&mut self) -> String {
        format!("ASIA{}", self.letters("key", BASE32, 16))
    }

    /// A secret access key.
    pub(crate) fn secret_access_key(&mut self) -> String {
        self.letters("secret", BASE64, 40)
    }

    /// A session token, about as long as the real ones, for it competes with other headers for room.
    pub(crate) fn session_token(&mut self) -> String {
        format!("IQoJb3JpZ2luX2VjE{}==", self.letters("token", BASE64, 600))
    }

    /// The root of an X-Ray trace header.
    pub(crate) fn trace_id(&mut self, epoch_seconds: u64) -> String {
        format!("Root=1-{epoch_seconds:08x}-{}", hex(&self.bytes("trace", 12)))
    }

    /// A role id as `AssumeRole` answers it.
    pub(crate) fn role_id(role_arn: &str) -> String {
        let digest = Sha256::digest(role_arn.as_bytes());
        let letters: String =
            digest.iter().take(17).map(|&byte| char::from(BASE32[usize::from(byte) % 32])).collect();
        format!("AROA{letters}")
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Base64 with padding (RFC 4648, section 4).
pub(crate) fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word =
            group.iter().fold(0_u32, |word, &byte| word << 8 | u32::from(byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let index = (word >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(BASE64[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_their_forms_and_never_repeat() {
        let mut sequence = Sequence::default();
        let (one, two) = (sequence.request_id(), sequence.request_id());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(sequence.extended_request_id().len(), 16);
        assert_eq!(sequence.access_key_id().len(), 20);
        assert_eq!(Sequence::default().request_id(), one);
        assert_eq!(Sequence::role_id("x").len(), 21);
    }

    #[test]
    fn base64_has_the_examples_of_its_specification() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
