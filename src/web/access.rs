//! Who may read page and status, who may give commands, and the headers that every answer carries. Passwords and
//! certificates are looked at before, in `protection`; here counts that some were shown.

use crate::web::StatusAccess;
use crate::web::bucket::Bucket;
use crate::web::page::content_security_policy;
use crate::web::protection::Protection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What browsers may do with an answer: nothing but to show it; what the page itself needs is in its
/// content security policy.
const HEADERS: [(header::HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Says why the page is closed, and what opens it.
const CLOSED: &str = "Closed: this listener can be reached from outside, and status names accounts, ARNs and \
                      open doors.\nName a web.config_file with passwords, set web.status: open, or listen on a \
                      loopback address such as 127.0.0.1:10403.\n";

/// Says why a foreign name is refused.
const FOREIGN_NAME: &str = "Closed: asked for by a name that is not this machine's own (DNS rebinding works \
                            like that).\nUse localhost or 127.0.0.1, name a web.config_file with passwords, or set \
                            web.status: open.\n";

/// Says why a command is refused, and what is needed.
const NOT_LOCAL: &str = "Refused: without credentials, commands are taken from this machine only.\nUse a shell \
                         there, such as curl -X POST http://127.0.0.1:10403/-/loads/stop, send the process SIGUSR1 \
                         (loads) or SIGHUP (reload), or name a web.config_file with passwords.\n";

/// Says why a browser's command is refused.
const FOREIGN_ORIGIN: &str = "Refused: this command comes from a page of another site.\n";

/// Says why a command was not looked at.
const TOO_OFTEN: &str = "Refused: too many commands; wait a second.\n";

/// Commands in a row, and how long one is held against the next. A reload every second is fine.
const COMMANDS: u32 = 10;
const BETWEEN_COMMANDS: Duration = Duration::from_millis(500);

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer {
    pub(super) ip: IpAddr,
    pub(super) certificate: Certificate,
}

impl Peer {
    /// True for this machine.
    pub(super) fn is_local(self) -> bool {
        self.ip.to_canonical().is_loopback()
    }
}

/// Which certificate a peer has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Certificate {
    /// None.
    Missing,
    /// One that nobody checked.
    Unverified,
    /// One of the authorities that we trust for this.
    Verified,
}

/// The mark of a request that came with a right password or a verified certificate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Credentials;

/// Who may read page and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody who can connect.
    Everybody,
    /// Local peers that ask by a local name: a page on the Internet whose name is made to resolve to
    /// 127.0.0.1 reaches this port from the user's browser, but under its own name.
    LocalNames,
    /// Nobody.
    Nobody,
}

impl Access {
    /// What a listener's address and `web.status` come to.
    pub(super) fn of(listen: SocketAddr, status: StatusAccess) -> Self {
        match status {
            StatusAccess::Open => Self::Everybody,
            StatusAccess::Auto if listen.ip().to_canonical().is_loopback() => Self::LocalNames,
            StatusAccess::Auto => Self::Nobody,
        }
    }
}

/// Answers 403 to reads of `/` and `/api/...` by whom they are closed to. Other methods pass: they get 405.
pub(super) async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let guarded = path == "/" || path == "/api" || path.starts_with("/api/");
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    let known = request.extensions().get::<Credentials>().is_some();
    let refusal = match access {
        _ if known => None,
        Access::Nobody => Some(CLOSED),
        Access::LocalNames if !asked_by_local_name(&request) => Some(FOREIGN_NAME),
        Access::LocalNames | Access::Everybody => None,
    };
    match refusal {
        Some(text) if guarded && reads => (StatusCode::FORBIDDEN, text).into_response(),
        _ => next.run(request).await,
    }
}

/// What rations commands, with the wall clock.
#[derive(Clone)]
pub(super) struct Commands {
    bucket: Arc<Bucket>,
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Commands {
    pub(super) fn new(now: Arc<dyn Fn() -> SystemTime + Send + Sync>) -> Self {
        Self { bucket: Arc::new(Bucket::new(COMMANDS)), now }
    }
}

/// Lets a command through from this machine or with credentials only, and not from a browser in which some other
/// site's page gave it: such a page can send any form to 127.0.0.1, a browser adds the password it knows, and harm
/// needs no answer.
pub(super) async fn command(State(commands): State<Commands>, request: Request, next: Next) -> Response {
    // Without a peer there is nobody to trust.
    let local = request.extensions().get::<Peer>().is_some_and(|peer| peer.is_local());
    let known = request.extensions().get::<Credentials>().is_some();
    let refusal = if !local && !known {
        NOT_LOCAL
    } else if !known && !asked_by_local_name(&request) {
        FOREIGN_NAME
    } else if is_foreign(request.headers()) {
        FOREIGN_ORIGIN
    } else if !commands.bucket.take((commands.now)(), BETWEEN_COMMANDS) {
        let headers = [(header::RETRY_AFTER, "1")];
        return (StatusCode::TOO_MANY_REQUESTS, headers, TOO_OFTEN).into_response();
    } else {
        return next.run(request).await;
    };
    (StatusCode::FORBIDDEN, refusal).into_response()
}

/// Whether a browser says that a page of elsewhere asks (Fetch standard: `Origin`; Fetch Metadata:
/// `Sec-Fetch-Site`). `same-site` is elsewhere too: another port of localhost is of the same site. `Origin: null`
/// is a sandbox or a file, so nobody that can be named.
fn is_foreign(headers: &HeaderMap) -> bool {
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let of_own = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let host = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        host.is_some_and(|host| !host.is_empty() && host.eq_ignore_ascii_case(own))
    };
    let by_page = headers.get_all(header::ORIGIN).iter().any(|origin| !of_own(origin));
    let sites = headers.get_all("sec-fetch-site").iter();
    let by_site = sites.into_iter().any(|site| site != "same-origin" && site != "none");
    by_page || by_site
}

/// Puts the security headers on every answer, and those of the web configuration file.
pub(super) async fn harden(
    State(protection): State<Option<Arc<Protection>>>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = next.run(request).await;
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer.headers_mut().insert(header::CONTENT_SECURITY_POLICY, content_security_policy());
    if let Some(protection) = protection {
        protection.set_headers(answer.headers_mut());
    }
    answer
}

/// True when every name the request gives for this server is a loopback one. A request without any
/// (HTTP/1.0) passes: browsers always give one.
fn asked_by_local_name(request: &Request) -> bool {
    let hosts = request.headers().get_all(header::HOST).iter().map(|value| value.to_str().unwrap_or("?"));
    hosts.chain(request.uri().authority().map(axum::http::uri::Authority::as_str)).all(is_local_name)
}

fn is_local_name(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _port)) => address,
        None => host.split_once(':').map_or(host, |(name, _port)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in ["localhost", "LOCALHOST:10403", "127.0.0.1", "127.9.9.9:1", "[::1]:10403", "[::1]"] {
            assert!(is_local_name(local), "{local}");
        }
        for foreign in [
            "",
            "evil.example",
            "localhost.evil.example:10403",
            "10.0.0.1",
            "user@localhost",
            "127.0.0.1.x",
            "[::2]",
        ] {
            assert!(!is_local_name(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_page_of_elsewhere_is_foreign_and_so_is_one_of_nowhere() {
        let foreign = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (header::HeaderName::from_static(name), HeaderValue::from_static(value))
            });
            is_foreign(
                &headers.chain([(header::HOST, HeaderValue::from_static("localhost:10403"))]).collect(),
            )
        };
        for own in [
            &[][..],
            &[("origin", "http://localhost:10403")],
            &[("origin", "https://LOCALHOST:10403"), ("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(!foreign(own), "{own:?}");
        }
        for other in [
            &[("origin", "null")][..],
            &[("origin", "")],
            &[("origin", "http://")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:10403.evil.example")],
            &[("origin", "file://localhost:10403")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "")],
            &[("origin", "http://localhost:10403"), ("sec-fetch-site", "cross-site")],
        ] {
            assert!(foreign(other), "{other:?}");
        }
        let mut both = HeaderMap::new();
        both.append(header::HOST, HeaderValue::from_static("localhost"));
        both.append(header::ORIGIN, HeaderValue::from_static("http://localhost"));
        assert!(!is_foreign(&both));
        both.append(header::ORIGIN, HeaderValue::from_static("http://evil.example"));
        assert!(is_foreign(&both), "a second origin counts too");
    }

    #[test]
    fn an_open_listener_is_closed_unless_the_configuration_says_otherwise() {
        let access = |listen: &str, status| Access::of(listen.parse().unwrap(), status);
        for listen in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(access(listen, StatusAccess::Auto), Access::LocalNames, "{listen}");
        }
        for listen in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1"] {
            assert_eq!(access(listen, StatusAccess::Auto), Access::Nobody, "{listen}");
            assert_eq!(access(listen, StatusAccess::Open), Access::Everybody, "{listen}");
        }
    }
}
