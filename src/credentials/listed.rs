//! The hub's credentials from a list of variables instead of the process's environment: what the demo and
//! tests use to run beside whatever the machine's own environment says.
//!
//! The SDK's chain reads the process's environment only, which a program must not change while it runs. So
//! the two sources that a list can stand for are read here: keys, and a container's credentials endpoint.

use crate::domain::credentials::SessionCredentials;
use crate::domain::scrub::scrub;
use crate::domain::secret::Secret;
use crate::seams::{FetchRequest, SessionFailure, SessionFailureKind, Transport};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Uri};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// As the SDK's source of the same kind.
const TIMEOUT: Duration = Duration::from_secs(7);

/// Where the listed variables say that credentials are.
pub(super) enum Listed {
    /// In the list itself.
    Keys(SessionCredentials),
    /// At an endpoint as ECS provides it (ECS developer guide, "Task IAM role").
    Endpoint {
        /// The absolute URL.
        url: String,
        /// The `Authorization` header.
        token: Option<Secret>,
    },
    /// Nowhere, and why.
    Nowhere(&'static str),
}

impl Listed {
    pub(super) fn read(variables: &[(String, String)]) -> Self {
        let value = |name: &str| {
            let found = variables.iter().rev().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        if let (Some(id), Some(secret)) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY")) {
            return Self::Keys(SessionCredentials {
                access_key_id: id.to_owned(),
                secret_access_key: Secret::new(secret),
                session_token: value("AWS_SESSION_TOKEN").map(Secret::new),
                expires_at: None,
            });
        }
        let Some(url) = value("AWS_CONTAINER_CREDENTIALS_FULL_URI") else {
            return Self::Nowhere(
                "the listed variables name neither keys nor AWS_CONTAINER_CREDENTIALS_FULL_URI",
            );
        };
        if !is_permitted(url) {
            return Self::Nowhere("AWS_CONTAINER_CREDENTIALS_FULL_URI must be https or a loopback address");
        }
        let token = value("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(Secret::new);
        Self::Endpoint { url: url.to_owned(), token }
    }

    pub(super) async fn ask(
        &self,
        transport: &Arc<dyn Transport>,
    ) -> Result<SessionCredentials, SessionFailure> {
        match self {
            Self::Keys(credentials) => Ok(credentials.clone()),
            Self::Nowhere(why) => Err(none(why)),
            Self::Endpoint { url, token } => {
                let mut headers = HeaderMap::new();
                if let Some(token) = token {
                    let mut value = HeaderValue::from_str(token.expose())
                        .map_err(|_| none("the authorization token is not fit for a header"))?;
                    value.set_sensitive(true);
                    headers.insert(http::header::AUTHORIZATION, value);
                }
                let request = FetchRequest {
                    method: Method::GET,
                    url: url.clone(),
                    headers,
                    body: Bytes::new(),
                    timeout: TIMEOUT,
                };
                let answer = transport.fetch(request).await.map_err(|failure| {
                    none(&format!("the credentials endpoint does not answer: {}", failure.detail))
                })?;
                if answer.status != 200 {
                    return Err(none(&format!("the credentials endpoint answers status {}", answer.status)));
                }
                parse(&answer.body).ok_or_else(|| none("the credentials endpoint's answer cannot be read"))
            }
        }
    }
}

/// Keys and tokens go over plain http to this machine only.
fn is_permitted(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => {
            host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        _ => false,
    }
}

fn parse(body: &[u8]) -> Option<SessionCredentials> {
    let mut document: serde_json::Value = serde_json::from_slice(body).ok()?;
    // Taken out and not copied, so that the secrets are zeroed in the end, also where the rest is unreadable.
    let mut text = |key: &str| match document.get_mut(key)?.take() {
        serde_json::Value::String(text) if !text.is_empty() => Some(text),
        _ => None,
    };
    let (secret_access_key, token) =
        (text("SecretAccessKey").map(Secret::new), text("Token").map(Secret::new));
    let expiration: jiff::Timestamp = text("Expiration")?.parse().ok()?;
    Some(SessionCredentials {
        access_key_id: text("AccessKeyId")?,
        secret_access_key: secret_access_key?,
        session_token: Some(token?),
        expires_at: Some(SystemTime::from(expiration)),
    })
}

fn none(why: &str) -> SessionFailure {
    SessionFailure { kind: SessionFailureKind::NoHubCredentials, code: None, message: scrub(why) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn plain_http_only_to_this_machine() {
        for good in ["http://127.0.0.1:8/x", "http://[::1]/x", "http://localhost/x", "https://creds.test/x"] {
            assert!(is_permitted(good), "{good}");
        }
        for bad in ["http://10.0.0.1/x", "http://evil.test/", "ftp://127.0.0.1/", "/relative", "", "http://"]
        {
            assert!(!is_permitted(bad), "{bad}");
        }
    }

    #[test]
    fn keys_come_before_the_endpoint() {
        let keys = list(&[
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s"),
            ("AWS_SESSION_TOKEN", ""),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/"),
        ]);
        let Listed::Keys(found) = Listed::read(&keys) else { panic!("not keys") };
        assert!(found.session_token.is_none() && found.expires_at.is_none());
        assert!(matches!(Listed::read(&keys[3..]), Listed::Endpoint { token: None, .. }));
        assert!(matches!(Listed::read(&keys[..1]), Listed::Nowhere(_)));
    }

    #[test]
    fn settings_show_no_value_of_the_list() {
        let settings = crate::credentials::Settings {
            region: "eu-west-1".parse().unwrap(),
            sts_endpoint_url: None,
            hub_role_arn: None,
            environment: Some(list(&[("AWS_SECRET_ACCESS_KEY", "sesame")])),
        };
        let text = format!("{settings:?}");
        assert!(!text.contains("sesame") && text.contains("AWS_SECRET_ACCESS_KEY"), "{text}");
    }

    #[test]
    fn answers_of_the_endpoint() {
        let good =
            br#"{"AccessKeyId":"A","SecretAccessKey":"S","Token":"T","Expiration":"2030-01-01T00:00:00Z"}"#;
        assert!(parse(good).unwrap().expires_at.is_some());
        for bad in [&b"\xff"[..], b"{}", b"[]", br#"{"AccessKeyId":1}"#, &good[..50]] {
            assert!(parse(bad).is_none());
        }
        let bad_time = String::from_utf8(good.to_vec()).unwrap().replace("2030-01", "soon");
        assert!(parse(bad_time.as_bytes()).is_none());
    }
}
