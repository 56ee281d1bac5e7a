//! Which reqwest client serves a connect target.
//!
//! A reqwest client takes TLS name and `Host` from the URL and the address from its resolver. So all targets
//! whose TLS name is also what is resolved share one client; a target that connects elsewhere (`url`, a zone,
//! the endpoint's own name) needs a client whose resolver knows only that place. Each comes in four flavours: three
//! that keep many, one or no connection of a name (`open_files` says which a name may), and fresh, which keeps no TLS
//! session either.

use super::addresses::{CheckedResolver, Lookup, PrivateRanges, literal, permitted};
use super::open_files::{Keeps, MANY};
use super::phase::Watched;
use super::{SetupError, failure};
use crate::domain::request::{ConnectTarget, FailureKind, TransportFailure};
use reqwest::{Client, Url};
use rustls::ClientConfig;
use rustls::client::Resumption;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The longest wait for a connection, TLS included.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Under the 50 s that the design allows, and above the default interval of 30 s, so that interval probes
/// find their connection again.
pub(super) const POOL_IDLE: Duration = Duration::from_secs(45);
/// The most headers of an answer; hyper bounds their bytes itself, at some 400 KiB.
const MAX_HEADERS: usize = 128;
/// The most places beside DNS that clients are kept for.
pub(super) const MAX_PLACES: usize = 256;

/// Where the request has none of its own: credential endpoints. An attempt names its target.
pub(super) const USER_AGENT: &str = concat!("spokeprobe/", env!("CARGO_PKG_VERSION"));

/// The clients for one way to connect.
#[derive(Clone)]
pub(super) struct Route {
    many: Client,
    one: Client,
    nothing: Client,
    pub(super) fresh: Client,
}

impl Route {
    /// The client that keeps this much.
    pub(super) const fn keeping(&self, keeps: Keeps) -> &Client {
        match keeps {
            Keeps::Many => &self.many,
            Keeps::One => &self.one,
            Keeps::Nothing => &self.nothing,
        }
    }
}

/// All clients.
pub(super) struct Clients {
    pooled_tls: ClientConfig,
    fresh_tls: ClientConfig,
    ranges: Arc<PrivateRanges>,
    lookup: Arc<dyn Lookup>,
    /// For names that are resolved as they are.
    by_name: Route,
    /// For plain http to a name that is resolved as it is.
    plain_by_name: Route,
    /// For every other place, first by whether TLS is spoken, then by what is connected to.
    by_place: [Mutex<HashMap<String, Route>>; 2],
}

impl Clients {
    pub(super) fn new(
        tls: &ClientConfig,
        ranges: Arc<PrivateRanges>,
        lookup: Arc<dyn Lookup>,
    ) -> Result<Self, SetupError> {
        let pooled_tls = tls.clone();
        let mut fresh_tls = tls.clone();
        fresh_tls.resumption = Resumption::disabled();
        let build = |loopback_only| {
            route(&pooled_tls, &fresh_tls, &lookup, &ranges, None, loopback_only)
                .map_err(|error| SetupError::new(format!("an HTTP client cannot be built: {error}")))
        };
        let (by_name, plain_by_name) = (build(false)?, build(true)?);
        Ok(Self {
            pooled_tls,
            fresh_tls,
            ranges,
            lookup,
            by_name,
            plain_by_name,
            by_place: Default::default(),
        })
    }

    /// The clients for a target and the URL that makes them ask for the right name.
    pub(super) fn route(
        &self,
        to: &ConnectTarget,
        path_and_query: &str,
    ) -> Result<(Route, Url), TransportFailure> {
        let Located { url, by_name } = locate(to, path_and_query, &self.ranges)?;
        if by_name {
            let route = if to.tls { &self.by_name } else { &self.plain_by_name };
            return Ok((route.clone(), url));
        }
        Ok((self.place(to)?, url))
    }

    /// The TLS configurations, with resumption and without.
    pub(super) fn tls(&self) -> (ClientConfig, ClientConfig) {
        (self.pooled_tls.clone(), self.fresh_tls.clone())
    }

    fn place(&self, to: &ConnectTarget) -> Result<Route, TransportFailure> {
        let mut places = self.by_place[usize::from(to.tls)].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(route) = places.get(&to.host) {
            return Ok(route.clone());
        }
        let pinned = Some(to.host.clone());
        let route = route(&self.pooled_tls, &self.fresh_tls, &self.lookup, &self.ranges, pinned, !to.tls)
            .map_err(|error| failure::failure(FailureKind::Protocol, format!("no HTTP client: {error}")))?;
        if places.len() >= MAX_PLACES {
            // Requests on their way keep their client; the others reconnect once.
            places.clear();
        }
        places.insert(to.host.clone(), route.clone());
        Ok(route)
    }
}

/// Where a target is, as the URL standard reads its name.
pub(super) struct Located {
    pub(super) url: Url,
    /// True when the name in the URL is also what is resolved or connected to; else that is the target's host.
    pub(super) by_name: bool,
}

/// Reads a target's name, and refuses an address that may not be connected to.
pub(super) fn locate(
    to: &ConnectTarget,
    path_and_query: &str,
    ranges: &PrivateRanges,
) -> Result<Located, TransportFailure> {
    // Without TLS the name in the URL is seen by nobody, so that it can always be what is connected to.
    let name = if to.tls { &to.tls_name } else { &to.host };
    let url = url(to.tls, name, to.port, path_and_query)?;
    let named_address = url.host_str().and_then(literal);
    if let Some(address) = named_address {
        // An address in a URL never meets the resolver, so it is checked here.
        permitted(&[address], ranges, !to.tls)
            .map_err(|refusal| failure::failure(failure::of_refusal(&refusal), refusal.to_string()))?;
    }
    let by_name = match named_address {
        Some(address) => literal(&to.host) == Some(address),
        None => to.host.eq_ignore_ascii_case(name),
    };
    if !by_name && named_address.is_some() {
        return Err(failure::failure(
            FailureKind::Tls,
            "a TLS name that is an address must be the address connected to",
        ));
    }
    Ok(Located { url, by_name })
}

fn route(
    pooled_tls: &ClientConfig,
    fresh_tls: &ClientConfig,
    lookup: &Arc<dyn Lookup>,
    ranges: &Arc<PrivateRanges>,
    pinned: Option<String>,
    loopback_only: bool,
) -> reqwest::Result<Route> {
    let resolver = Arc::new(CheckedResolver {
        lookup: Arc::clone(lookup),
        ranges: Arc::clone(ranges),
        pinned,
        loopback_only,
    });
    let keeping = |tls, connections| {
        builder(tls)
            .dns_resolver(Arc::clone(&resolver))
            .connector_layer(Watched)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(connections)
            .build()
    };
    Ok(Route {
        many: keeping(pooled_tls, MANY)?,
        one: keeping(pooled_tls, 1)?,
        nothing: keeping(pooled_tls, 0)?,
        fresh: keeping(fresh_tls, 0)?,
    })
}

/// What every client has in common. reqwest reads proxy variables, follows redirects and retries on its own
/// unless told not to; compression and cookies are left out of the build.
pub(super) fn builder(tls: &ClientConfig) -> reqwest::ClientBuilder {
    Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .user_agent(USER_AGENT)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .http1_max_headers(MAX_HEADERS)
        .pool_idle_timeout(POOL_IDLE)
}

/// The URL of a request, or why path and query would not go out byte for byte.
///
/// The URL standard rewrites more than RFC 3986 asks for: dot segments, a backslash, `'` in a query. What is
/// signed is what is written, so a text that would be changed is refused rather than sent changed.
fn url(tls: bool, host: &str, port: u16, path_and_query: &str) -> Result<Url, TransportFailure> {
    let scheme = if tls { "https" } else { "http" };
    let bare_v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    let (open, close) = if bare_v6 { ("[", "]") } else { ("", "") };
    let text = format!("{scheme}://{open}{host}{close}:{port}{path_and_query}");
    let url = Url::parse(&text)
        .map_err(|error| failure::failure(FailureKind::Protocol, format!("not a URL: {error}")))?;
    let kept = path_and_query.starts_with('/')
        && url.fragment().is_none()
        && url.as_str().ends_with(path_and_query)
        && url.path().len() + url.query().map_or(0, |query| query.len() + 1) == path_and_query.len();
    if kept {
        Ok(url)
    } else {
        Err(failure::failure(
            FailureKind::Protocol,
            "path or query hold characters that must be percent-encoded first; nothing was sent",
        ))
    }
}

/// What `url` refuses, for those who need no URL.
///
/// # Errors
/// When path and query would not go out byte for byte, or are not both.
pub(super) fn is_kept_by_url(path_and_query: &str) -> Result<(), TransportFailure> {
    // Characters that the standard never touches. A dot may be a segment, and so may `%2e`.
    let plain = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'/' | b'-' | b'_' | b'~' | b'?' | b'=' | b'&' | b':' | b',')
    };
    if path_and_query.starts_with('/') && path_and_query.bytes().all(plain) {
        return Ok(());
    }
    url(true, "a.test", 443, path_and_query).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_kept_byte_for_byte_or_refused() {
        for kept in [
            "/",
            "/api/",
            "//",
            "/a//b",
            "/a%2Fb",
            "/a%2fb/%C3%A9",
            "/x?b=2&a=1&a=0",
            "/x?",
            "/x?a=%2B%20&b",
            "/~user/(a);b=1,@:!$&*",
            "/x?q=a/b?c",
            "/?https://h/x",
        ] {
            let url = url(true, "a.test", 443, kept).unwrap();
            assert_eq!(&url.as_str()["https://a.test".len()..], kept);
            assert!(is_kept_by_url(kept).is_ok(), "{kept}");
        }
        for refused in [
            "",
            "x",
            "/a b",
            "/a/../b",
            "/a/./b",
            "/%2e%2e/b",
            "/a\\b",
            "/x#y",
            "/x?a='b'",
            "/é",
            "/\"",
            "/a\tb",
            "@evil.test/",
            "/x?a=b c",
        ] {
            assert!(url(true, "a.test", 443, refused).is_err(), "{refused}");
            assert!(is_kept_by_url(refused).is_err(), "{refused}");
        }
    }
}
