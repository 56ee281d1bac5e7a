//! Who may read page and status, and the headers that every answer carries.

use crate::web::StatusAccess;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use std::net::{IpAddr, SocketAddr};

/// What browsers may do with an answer: nothing but to show it, with the one style the page has.
const HEADERS: [(header::HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CONTENT_SECURITY_POLICY, crate::web::page::CONTENT_SECURITY_POLICY),
];

/// Says why the page is closed, and what opens it.
const CLOSED: &str = "Closed: this listener can be reached from outside, and status names accounts, ARNs and \
                      open doors.\nSet web.status: open, or listen on a loopback address such as \
                      127.0.0.1:10403.\n";

/// Says why a foreign name is refused.
const FOREIGN_NAME: &str = "Closed: asked for by a name that is not this machine's own (DNS rebinding works \
                            like that).\nUse localhost or 127.0.0.1, or set web.status: open.\n";

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
    let refusal = match access {
        Access::Nobody => Some(CLOSED),
        Access::LocalNames if !asked_by_local_name(&request) => Some(FOREIGN_NAME),
        Access::LocalNames | Access::Everybody => None,
    };
    match refusal {
        Some(text) if guarded && reads => (StatusCode::FORBIDDEN, text).into_response(),
        _ => next.run(request).await,
    }
}

/// Puts the security headers on every answer.
pub(super) async fn harden(mut answer: Response) -> Response {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
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
