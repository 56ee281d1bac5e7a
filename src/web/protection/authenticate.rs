//! What a request must show before anybody looks at it: a password, a certificate, or nothing.

use super::Protection;
use super::logins::Login;
use crate::domain::secret::Secret;
use crate::web::access::{Certificate, Credentials, Peer};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::SystemTime;

/// What is answered without any credentials, so that whoever restarts containers needs none.
const OPEN: [&str; 2] = ["/-/healthy", "/-/ready"];
/// The longest credentials that are looked at.
const MAX_CREDENTIALS_BYTES: usize = 4 * 1024;

/// The gate of a protected server.
#[derive(Clone)]
pub(in crate::web) struct Gate {
    pub(in crate::web) protection: Arc<Protection>,
    /// The wall clock.
    pub(in crate::web) now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

/// Lets a request through with the mark `Credentials` if it has shown some, without it where none are needed, or
/// refuses it.
pub(in crate::web) async fn authenticate(
    State(gate): State<Gate>,
    mut request: Request,
    next: Next,
) -> Response {
    let rules = gate.protection.rules.load_full();
    let peer = request.extensions().get::<Peer>().copied();
    let open = OPEN.contains(&request.uri().path());
    let local = peer.is_some_and(|peer| peer.is_local());
    // The health check of a container must not fail because somebody else asks too much.
    if let Some((limit, bucket)) = rules.limit.as_ref().filter(|_| !(open && local))
        && !bucket.take((gate.now)(), limit.interval)
    {
        return too_many("too many requests\n", limit.interval.as_secs());
    }
    if !open {
        let shown = peer.map_or(Certificate::Missing, |peer| peer.certificate);
        let needs_certificate = rules.tls.as_ref().is_some_and(|tls| tls.client_auth.is_mandatory());
        let refusal = if needs_certificate && shown == Certificate::Missing {
            Some((StatusCode::FORBIDDEN, "a client certificate is needed\n").into_response())
        } else if rules.users.is_empty() {
            if shown == Certificate::Verified {
                request.extensions_mut().insert(Credentials);
            }
            None
        } else {
            match (basic(request.headers()), peer) {
                (Some((user, password)), Some(peer)) => {
                    let logins = &gate.protection.logins;
                    match logins.login(&rules, user, password, peer.ip, (gate.now)()).await {
                        Login::Passed => {
                            request.extensions_mut().insert(Credentials);
                            None
                        }
                        Login::Refused => Some(unauthorized()),
                        Login::TooMany => Some(too_many("too many wrong passwords: wait a while\n", 10)),
                    }
                }
                _ => Some(unauthorized()),
            }
        };
        if let Some(refusal) = refusal {
            return refusal;
        }
    }
    next.run(request).await
}

/// User and password of RFC 7617. What comes is UTF-8 or nobody's.
fn basic(headers: &HeaderMap) -> Option<(String, Secret)> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next()?;
    // Two of them: who knows which one the next server on the way would take.
    if values.next().is_some() || value.len() > MAX_CREDENTIALS_BYTES {
        return None;
    }
    let (scheme, credentials) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = zeroize::Zeroizing::new(STANDARD.decode(credentials.trim()).ok()?);
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some((user.to_owned(), Secret::new(password)))
}

fn unauthorized() -> Response {
    let realm = HeaderValue::from_static("Basic realm=\"spokeprobe\", charset=\"UTF-8\"");
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, realm)], "a user and its password are needed\n")
        .into_response()
}

fn too_many(text: &'static str, after_seconds: u64) -> Response {
    let after = HeaderValue::from(after_seconds.max(1));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, after)], text).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_read_as_the_rfc_writes_them_and_nothing_else_is() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            basic(&headers).map(|(user, password)| (user, password.expose().to_owned()))
        };
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        // RFC 7617, section 2 and 2.1.
        assert_eq!(read(&["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]), pair("Aladdin", "open sesame"));
        assert_eq!(read(&["basic dGVzdDoxMjPCow=="]), pair("test", "123£"));
        assert_eq!(read(&[&format!("Basic {}", STANDARD.encode("a:b:c"))]), pair("a", "b:c"));
        assert_eq!(read(&[&format!("Basic {}", STANDARD.encode(":"))]), pair("", ""));
        let long = format!("Basic {}", STANDARD.encode("a".repeat(4_000) + ":"));
        for nothing in [
            &[][..],
            &["Basic"],
            &["Basic "],
            &["Basic QWxhZGRpbg=="],
            &["Basic ####"],
            &["Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ=="],
            &["Basic //79OnB3"],
            &[&long],
            &["Basic QTpi", "Basic QTpi"],
        ] {
            assert_eq!(read(nothing), None, "{nothing:?}");
        }
    }
}
