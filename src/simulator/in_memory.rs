//! The hub behind the seams, without sockets: a day passes in a moment under a paused clock.
//!
//! A request is written as bytes and read again by the parser the server uses, so nothing that a socket
//! would show can hide here. What the wire would have made of a fault is said as the failure that the real
//! transport reports for it.

mod link;

pub use link::Names;

use super::certificate;
use super::core::Hub;
use super::names::{self, Named};
use super::reply::{Reply, WireFault};
use super::state::{CertificateLife, Connection, Door};
use super::sts::Holder;
use super::sts_answers::element;
use super::wire::{RawRequest, WireError};
use super::world::{DnsFault, World};
use crate::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use crate::domain::moment::Moment;
use crate::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, Response, SendOptions, TransportFailure,
};
use crate::domain::secret::Secret;
use crate::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, SessionFailure, SessionFailureKind, Sessions,
    Transport, Wait,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What the real transport reads of a body.
const READ_LIMIT_BYTES: usize = 1024 * 1024;
/// The longest head the real transport's HTTP library reads.
const HEAD_LIMIT_BYTES: usize = 400 * 1024;
/// What the real client of STS gives one try, and a call with all its tries.
const STS_TRY: Duration = Duration::from_secs(3);
const STS_CALL: Duration = Duration::from_secs(10);
/// What a connection and a handshake take.
const STEP: Duration = Duration::from_millis(1);

/// The hub as `Transport`, `Sessions` and `Link`.
pub struct InMemory {
    hub: Arc<Hub>,
    clock: Arc<dyn Clock>,
    wait: Arc<dyn Wait>,
    /// The certificate that was made last.
    certificate: Mutex<Option<(CertificateLife, Vec<u8>)>>,
    /// What DNS says beside the world, and the addresses that are this machine's.
    names: Arc<Names>,
    own: Vec<IpAddr>,
}

impl std::fmt::Debug for InMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InMemory").finish_non_exhaustive()
    }
}

fn failure(kind: FailureKind, detail: &str) -> TransportFailure {
    TransportFailure { kind, detail: detail.into() }
}

impl InMemory {
    /// Puts a hub behind the seams.
    #[must_use]
    pub fn new(hub: Arc<Hub>, clock: Arc<dyn Clock>, wait: Arc<dyn Wait>) -> Self {
        Self { hub, clock, wait, certificate: Mutex::default(), names: Arc::default(), own: Vec::new() }
    }

    /// The same on a machine of these addresses, where DNS knows these names beside those of the world.
    #[must_use]
    pub fn with_names(mut self, names: Arc<Names>, own: Vec<IpAddr>) -> Self {
        (self.names, self.own) = (names, own);
        self
    }

    /// The hub behind it.
    #[must_use]
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    fn certificate(&self) -> Vec<u8> {
        let now = self.clock.wall();
        let life = self.hub.certificate(now);
        let mut kept = self.certificate.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, der)) = kept.as_ref().filter(|(known, _)| *known == life) {
            return der.clone();
        }
        let made = certificate::make(&self.hub.world(now), life.made_at);
        let der = made.map(|made| made.der).unwrap_or_default();
        *kept = Some((life, der.clone()));
        der
    }

    async fn pause(&self, span: Duration) {
        if !span.is_zero() {
            self.wait.until(self.clock.now() + span).await;
        }
    }

    /// Where a connection would arrive.
    fn reach(&self, to: &ConnectTarget) -> Result<IpAddr, TransportFailure> {
        let now = self.clock.wall();
        let address = self.hub.look(now, |world| reach(world, to))?;
        if to.tls && self.hub.certificate(now).has_ended(now) {
            return Err(failure(FailureKind::Certificate, "the certificate has expired"));
        }
        Ok(address)
    }

    async fn exchange(
        &self,
        request: &OutgoingRequest,
        to: &ConnectTarget,
        options: &SendOptions,
        first_byte: &mut Option<Moment>,
        peer: &mut Option<SocketAddr>,
    ) -> Result<Response, TransportFailure> {
        match self.reach(to) {
            Ok(address) => *peer = Some(SocketAddr::new(address, to.port)),
            Err(error) => {
                if error.kind == FailureKind::ConnectTimeout {
                    self.pause(options.timeout).await;
                }
                return Err(error);
            }
        }
        let is_head = request.method == Method::HEAD;
        let tls_name = to.tls.then(|| to.tls_name.clone());
        let reply = self.ask(Door::Endpoint, &outgoing_bytes(request), tls_name);
        let delay = if reply.fault == Some(WireFault::Hang) { options.timeout } else { reply.delay };
        if delay >= options.timeout {
            self.pause(options.timeout).await;
            return Err(failure(FailureKind::ResponseTimeout, "no whole answer in time"));
        }
        self.pause(delay).await;
        let response = receive(reply, is_head)?;
        *first_byte = Some(self.clock.now());
        Ok(response)
    }

    fn ask(&self, door: Door, bytes: &[u8], tls_name: Option<String>) -> Reply {
        match RawRequest::parse(bytes) {
            Ok(request) => self.hub.respond(door, &request, &Connection { tls_name }, self.clock.wall()),
            Err(error) => unreadable(&error),
        }
    }

    async fn sts(
        &self,
        credentials: &SessionCredentials,
        form: &[(&str, &str)],
    ) -> Result<String, SessionFailure> {
        let body = form.iter().fold(String::from("Version=2011-06-15"), |mut body, (name, value)| {
            let value = percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC);
            // Writing to a String cannot fail.
            let _written = write!(body, "&{name}={value}");
            body
        });
        let request = RawRequest {
            method: "POST".into(),
            target: "/".into(),
            headers: Vec::new(),
            body: body.into_bytes(),
        };
        let holder = Holder {
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            session_token: credentials.session_token.as_ref().map(Secret::expose),
        };
        let reply = self.hub.respond_to_holder(&holder, &request, self.clock.wall());
        if reply.fault == Some(WireFault::Hang) || reply.delay >= STS_TRY {
            self.pause(STS_CALL).await;
            return Err(failed("STS did not answer in time"));
        }
        self.pause(reply.delay).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        match (reply.fault, reply.status) {
            (None, 200) => Ok(text),
            (None, _) => Err(session_failure(&text)),
            (Some(_), _) => Err(failed("STS gave no whole answer")),
        }
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn reach(world: &World, to: &ConnectTarget) -> Result<IpAddr, TransportFailure> {
    let address = match to.host.parse::<IpAddr>() {
        Ok(address) if address.is_loopback() || is_alive(world, address) => address,
        Ok(_) => return Err(failure(FailureKind::ConnectTimeout, "nothing answers at this address")),
        Err(_) => addresses(world, &to.host)?
            .into_iter()
            .find(|address| address.is_loopback() || is_alive(world, *address))
            .ok_or_else(|| failure(FailureKind::ConnectTimeout, "none of the addresses answers"))?,
    };
    if to.tls && !certificate::is_for(world, &to.tls_name) {
        return Err(failure(FailureKind::Certificate, "the certificate is for another name"));
    }
    Ok(address)
}

/// Whether a zone has this address, and is not dead.
fn is_alive(world: &World, address: IpAddr) -> bool {
    let endpoint = &world.endpoint;
    endpoint.zones.iter().any(|(zone, own)| *own == address && !endpoint.dead_zones.contains(zone))
}

/// The addresses a name of this world has, those that a client must not connect to taken out.
fn addresses(world: &World, host: &str) -> Result<Vec<IpAddr>, TransportFailure> {
    let endpoint = &world.endpoint;
    let gone = || failure(FailureKind::Dns, "no such name");
    let found: Vec<IpAddr> = match names::of(world, host).ok_or_else(gone)? {
        Named::Endpoint if endpoint.zones.is_empty() => vec![LOOPBACK],
        Named::Endpoint => endpoint.zones.values().copied().collect(),
        Named::Zone(address) => vec![address],
    };
    match endpoint.dns {
        // Of a mixed answer only the private addresses are used.
        None | Some(DnsFault::Mixed) => Ok(found),
        Some(DnsFault::Gone) => Err(gone()),
        Some(DnsFault::Public) => {
            let detail = "only public addresses: 198.51.100.7; nothing was sent";
            Err(failure(FailureKind::DnsPublicAddress, detail))
        }
    }
}

fn outgoing_bytes(request: &OutgoingRequest) -> Vec<u8> {
    let mut head =
        format!("{} {} HTTP/1.1\r\nhost: {}\r\n", request.method, request.path_and_query, request.host);
    if !request.body.is_empty() && !request.headers.contains_key(http::header::CONTENT_LENGTH) {
        head += &format!("content-length: {}\r\n", request.body.len());
    }
    let mut bytes = head.into_bytes();
    for (name, value) in &request.headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&request.body);
    bytes
}

/// What a front door says to bytes that are no request; not an answer of the gateway, so without its ids.
pub(super) fn unreadable(error: &WireError) -> Reply {
    let status = if *error == WireError::TooLarge { 413 } else { 400 };
    Reply::new(status, "text/plain", format!("{error}\n"))
}

/// What the real transport makes of an answer.
fn receive(reply: Reply, is_head: bool) -> Result<Response, TransportFailure> {
    let protocol = |detail| Err(failure(FailureKind::Protocol, detail));
    let head_bytes: usize = reply.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let (mut body, mut truncated) = (reply.body, false);
    match reply.fault {
        Some(WireFault::Reset | WireFault::Close) => {
            return Err(failure(FailureKind::Reset, "the connection ended before an answer"));
        }
        Some(WireFault::HalfBody) => return protocol("the answer was cut short"),
        Some(WireFault::ChunkedGarbage) => return protocol("a chunk size is no number"),
        Some(WireFault::Garbage) => return protocol("the answer is not HTTP"),
        Some(WireFault::Hang) => return Err(failure(FailureKind::ResponseTimeout, "no answer")),
        Some(WireFault::HugeBody(bytes)) => {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            body = vec![b'x'; bytes.min(READ_LIMIT_BYTES)];
            truncated = bytes > READ_LIMIT_BYTES;
        }
        None if head_bytes > HEAD_LIMIT_BYTES => return protocol("the head of the answer is too large"),
        None => {}
    }
    if is_head {
        body.clear();
        truncated = false;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    if body.len() > READ_LIMIT_BYTES {
        body.truncate(READ_LIMIT_BYTES);
        truncated = true;
    }
    Ok(Response { status: reply.status, headers, body: Bytes::from(body), truncated })
}

impl Transport for InMemory {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        Box::pin(async move {
            let sent = self.clock.now();
            let (mut first_byte, mut peer) = (None, None);
            let result = self.exchange(&request, &to, &options, &mut first_byte, &mut peer).await;
            Exchange { sent, first_byte, done: self.clock.now(), retries: 0, peer, result }
        })
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        Box::pin(async move {
            let lost = |timed_out, detail: &str| FetchFailure { timed_out, detail: detail.into() };
            let uri: Uri = request.url.parse().map_err(|_| lost(false, "not a URL"))?;
            let host = uri.host().unwrap_or_default().to_owned();
            let sts = self.hub.look(self.clock.wall(), World::sts_name);
            let door = match host.as_str() {
                "169.254.170.2" => Door::Credentials,
                name if name == sts => Door::Sts,
                _ => return Err(lost(false, "no such name")),
            };
            let FetchRequest { method, headers, body, timeout, .. } = request;
            let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
            // The URL's own host is what goes on the wire unless the caller's headers hold one.
            let mut headers = headers;
            let host = headers
                .remove(http::header::HOST)
                .and_then(|value| value.to_str().ok().map(str::to_owned))
                .unwrap_or(host);
            let outgoing = OutgoingRequest { method, host, path_and_query, headers, body };
            let reply = self.ask(door, &outgoing_bytes(&outgoing), None);
            if reply.fault == Some(WireFault::Hang) || reply.delay >= timeout {
                self.pause(timeout).await;
                return Err(lost(true, "no whole answer in time"));
            }
            self.pause(reply.delay).await;
            let response = receive(reply, false).map_err(|error| lost(false, &error.detail))?;
            Ok(FetchResponse { status: response.status, headers: response.headers, body: response.body })
        })
    }
}

fn failed(message: &str) -> SessionFailure {
    SessionFailure { kind: SessionFailureKind::Failed, code: None, message: message.into() }
}

fn session_failure(xml: &str) -> SessionFailure {
    let code = element(xml, "Code").unwrap_or_default();
    let message = element(xml, "Message").unwrap_or_default();
    let kind = match code.as_str() {
        "AccessDenied" => SessionFailureKind::Denied,
        "InvalidClientTokenId" | "ExpiredToken" => SessionFailureKind::NoHubCredentials,
        "Throttling" => SessionFailureKind::Throttled,
        "ValidationError" if message.contains("DurationSeconds exceeds") => {
            SessionFailureKind::DurationRefused
        }
        _ => SessionFailureKind::Failed,
    };
    SessionFailure {
        kind,
        code: Some(code.chars().take(64).collect()),
        message: message.chars().take(300).collect(),
    }
}

fn session(
    id: Option<String>,
    secret: Option<String>,
    token: Option<String>,
    end: Option<String>,
) -> Option<SessionCredentials> {
    Some(SessionCredentials {
        access_key_id: id?,
        secret_access_key: Secret::new(secret?),
        session_token: Some(Secret::new(token?)),
        expires_at: Some(end?.parse::<jiff::Timestamp>().ok()?.into()),
    })
}

impl Sessions for InMemory {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let (path, token) = (self.hub.credentials_path(), self.hub.credentials_token());
            let request =
                format!("GET {path} HTTP/1.1\r\nhost: 169.254.170.2\r\nauthorization: {token}\r\n\r\n");
            let reply = self.ask(Door::Credentials, request.as_bytes(), None);
            let value: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let text = |name: &str| value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned);
            session(text("AccessKeyId"), text("SecretAccessKey"), text("Token"), text("Expiration"))
                .ok_or_else(|| SessionFailure {
                    kind: SessionFailureKind::NoHubCredentials,
                    ..failed("no credentials")
                })
        })
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        Box::pin(async move {
            let xml = self.sts(&credentials, &[("Action", "GetCallerIdentity")]).await?;
            match (element(&xml, "Account"), element(&xml, "Arn")) {
                (Some(account), Some(arn)) => Ok(CallerIdentity { account, arn }),
                _ => Err(failed("the answer could not be read")),
            }
        })
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let hub = self.hub_credentials().await?;
            let (arn, seconds) = (role.role_arn.to_string(), duration.as_secs().to_string());
            let mut form = vec![
                ("Action", "AssumeRole"),
                ("RoleArn", arn.as_str()),
                ("RoleSessionName", role.session_name.as_str()),
                ("DurationSeconds", seconds.as_str()),
            ];
            form.extend(role.external_id.as_ref().map(|id| ("ExternalId", id.expose())));
            form.extend(role.session_policy.as_deref().map(|policy| ("Policy", policy)));
            let tags: Vec<(String, String)> = (1..)
                .zip(&role.session_tags)
                .flat_map(|(index, (key, value))| {
                    [
                        (format!("Tags.member.{index}.Key"), key.clone()),
                        (format!("Tags.member.{index}.Value"), value.clone()),
                    ]
                })
                .collect();
            form.extend(tags.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let xml = self.sts(&hub, &form).await?;
            let part = |name| element(&xml, name);
            session(part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken"), part("Expiration"))
                .ok_or_else(|| failed("the answer could not be read"))
        })
    }
}

#[cfg(test)]
mod tests;
