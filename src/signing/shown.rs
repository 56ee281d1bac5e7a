//! What was signed, worked out once more so that a person can read it: the signer itself keeps it to itself.
//!
//! A display that is not what was signed would send people the wrong way. So nothing is shown on trust: the
//! signature over the string to sign that is worked out here must be the one that the request carries, or there
//! is nothing to show.
//!
//! Sources: IAM user guide, "Create a signed AWS API request" (canonical request, string to sign); RFC 3986, 2.3.

use crate::domain::credentials::SessionCredentials;
use crate::domain::request::OutgoingRequest;
use crate::signing::{PathEncoding, SigningScope};
use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::HeaderValue;
use http::header::AUTHORIZATION;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// All but the unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What stands in the place of a secret value.
const MASK: &str = "***";

/// What a request's signature covers, without any secret: the session token and header values that came from the
/// environment read `***`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The canonical request.
    pub canonical_request: String,
    /// The string to sign. Its last line is the hash of the canonical request with the secrets in it.
    pub string_to_sign: String,
    /// The names of the signed headers, sorted.
    pub signed_headers: Vec<String>,
}

/// What the signature of `request` covers; `None` for an unsigned request, and where the signature over what is
/// worked out here is not the request's own, so that nothing false is ever shown.
#[must_use]
pub fn signed(
    request: &OutgoingRequest,
    scope: &SigningScope,
    credentials: &SessionCredentials,
) -> Option<Signed> {
    let authorization = request.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let field = |name: &str| {
        let start = authorization.find(name)? + name.len();
        authorization[start..].split([',', ' ']).next()
    };
    let signed_headers: Vec<String> = field("SignedHeaders=")?.split(';').map(str::to_owned).collect();
    let (_, credential_scope) = field("Credential=")?.split_once('/')?;
    let date = request.headers.get("x-amz-date")?.to_str().ok()?;
    let whole = canonical_request(request, scope, &signed_headers, false);
    let string_to_sign =
        format!("AWS4-HMAC-SHA256\n{date}\n{credential_scope}\n{}", hexadecimal(&Sha256::digest(&whole)));
    let key = generate_signing_key(
        credentials.secret_access_key.expose(),
        moment(date)?,
        scope.region.as_str(),
        scope.service,
    );
    let signature = calculate_signature(key, string_to_sign.as_bytes());
    (field("Signature=")? == signature).then(|| Signed {
        canonical_request: canonical_request(request, scope, &signed_headers, true),
        string_to_sign,
        signed_headers,
    })
}

fn canonical_request(
    request: &OutgoingRequest,
    scope: &SigningScope,
    signed_headers: &[String],
    masked: bool,
) -> String {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((&request.path_and_query, ""));
    let path = match scope.path_encoding {
        PathEncoding::Double => twice_encoded(path),
        PathEncoding::Single => path.to_owned(),
    };
    let mut text = format!("{}\n{path}\n{}\n", request.method, sorted_query(query));
    for name in signed_headers {
        let values: Vec<String> = if name == "host" {
            vec![request.host.clone()]
        } else {
            request.headers.get_all(name).iter().map(|value| shown(name, value, masked)).collect()
        };
        // Writing to a String cannot fail.
        let _written = writeln!(text, "{name}:{}", values.join(","));
    }
    let _written =
        write!(text, "\n{}\n{}", signed_headers.join(";"), hexadecimal(&Sha256::digest(&request.body)));
    text
}

/// A header's value as the canonical request has it: trimmed, runs of blanks as one.
fn shown(name: &str, value: &HeaderValue, masked: bool) -> String {
    if masked && value.is_sensitive() && name != "x-amz-date" {
        return MASK.to_owned();
    }
    let text = String::from_utf8_lossy(value.as_bytes());
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The path without dot segments and repeated slashes, each segment encoded once more than on the wire.
fn twice_encoded(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let mut text = String::new();
    for segment in kept {
        text.push('/');
        text.extend(utf8_percent_encode(segment, RESERVED));
    }
    if text.is_empty() || ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) {
        text.push('/');
    }
    text
}

/// The query with every name and value decoded and encoded again, sorted by its encoded form.
fn sorted_query(query: &str) -> String {
    let encoded =
        |text: &str| utf8_percent_encode(&percent_decode_str(text).decode_utf8_lossy(), RESERVED).to_string();
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (encoded(name), encoded(value))
        })
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<String> = pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// Midnight of the day of a `20150830T123600Z`: all of it that the signing key depends on.
fn moment(date: &str) -> Option<SystemTime> {
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<i16>().ok();
    let small = |range| number(range).and_then(|number| i8::try_from(number).ok());
    let day = jiff::civil::Date::new(number(0..4)?, small(4..6)?, small(6..8)?).ok()?;
    let stamp = jiff::tz::Offset::UTC.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).ok()?;
    let seconds = u64::try_from(stamp.as_second()).ok()?;
    Some(UNIX_EPOCH + std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::request::HttpRequest;
    use crate::domain::secret::Secret;
    use crate::signing::sign_request;
    use bytes::Bytes;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use http::{HeaderMap, Method};
    use std::time::Duration;

    fn credentials() -> SessionCredentials {
        SessionCredentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            session_token: Some(Secret::new("the/session+token==")),
            expires_at: None,
        }
    }

    fn request(method: Method, path_and_query: &str, body: &'static [u8]) -> HttpRequest {
        let mut headers = HeaderMap::new();
        headers.insert("x-team", HeaderValue::from_static("  a   b "));
        let mut key = HeaderValue::from_static("from-the-environment");
        key.set_sensitive(true);
        headers.insert("x-api-key", key);
        HttpRequest {
            method,
            host: "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com".into(),
            path_and_query: path_and_query.into(),
            headers,
            body: Bytes::from_static(body),
        }
    }

    fn mac(key: &[u8], text: &str) -> Vec<u8> {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    }

    #[test]
    fn what_is_shown_is_what_was_signed_and_holds_no_secret() {
        let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
        let at = UNIX_EPOCH + Duration::from_secs(1_772_323_200);
        for (method, path, body) in [
            (Method::GET, "/api/", &b""[..]),
            (Method::POST, "/api/greet?b=2&a=1&a=%2F&empty", b"{\"name\":\"buddy\"}"),
            (Method::GET, "/api/a%2Fb//c:d/?x=%7E&y=a%20b", b""),
            (Method::GET, "/api/~user/%C3%A9?q=%27", b""),
        ] {
            let outgoing = sign_request(request(method, path, body), &scope, &credentials(), at).unwrap();
            let shown = signed(&outgoing, &scope, &credentials()).unwrap_or_else(|| panic!("{path}"));
            // Once more by hand, with another library: the string that is shown gives the signature that was sent.
            let secret = format!("AWS4{}", credentials().secret_access_key.expose());
            let mut key = mac(secret.as_bytes(), "20260301");
            for part in ["eu-west-1", "execute-api", "aws4_request"] {
                key = mac(&key, part);
            }
            let signature = hexadecimal(&mac(&key, &shown.string_to_sign));
            let sent = outgoing.headers["authorization"].to_str().unwrap();
            assert!(sent.ends_with(&format!("Signature={signature}")), "{path}");
            // The hash in it is that of the canonical request, with the secrets in their places.
            let whole = shown
                .canonical_request
                .replace("x-amz-security-token:***", "x-amz-security-token:the/session+token==")
                .replace("x-api-key:***", "x-api-key:from-the-environment");
            assert!(shown.string_to_sign.ends_with(&hexadecimal(&Sha256::digest(&whole))), "{path}");
            let text = format!("{shown:?}");
            for secret in ["the/session+token", "from-the-environment", "wJalrX"] {
                assert!(!text.contains(secret), "{text}");
            }
        }
    }

    #[test]
    fn nothing_is_shown_that_does_not_fit_the_signature() {
        let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
        let at = UNIX_EPOCH + Duration::from_secs(1_772_323_200);
        let unsigned = request(Method::GET, "/api/", b"");
        assert_eq!(signed(&OutgoingRequest::unsigned(unsigned.clone()), &scope, &credentials()), None);
        let mut outgoing = sign_request(unsigned, &scope, &credentials(), at).unwrap();
        outgoing.path_and_query = "/api/other".into();
        assert_eq!(signed(&outgoing, &scope, &credentials()), None);
    }
}
