//! The seams over a hub in memory, under a paused clock.

use super::*;
use crate::domain::request::HttpRequest;
use crate::seams::{Link as _, SystemClock, TokioWait};
use crate::simulator::world::Fault;
use std::time::SystemTime;

const HOST: &str = "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com";

fn in_memory() -> InMemory {
    let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let clock = SystemClock::simulated(wall);
    let hub = Arc::new(Hub::new(World::default_world().unwrap(), wall));
    InMemory::new(hub, Arc::new(clock), Arc::new(TokioWait::new(clock)))
}

fn role(account: &str, external_id: &str) -> Arc<RoleSession> {
    Arc::new(RoleSession {
        role_arn: format!("arn:aws:iam::{account}:role/spokeprobe").parse().unwrap(),
        session_name: "probe".into(),
        external_id: Some(crate::domain::secret::ConfiguredText::Plain(external_id.into())),
        duration: Duration::from_secs(3600),
        session_policy: None,
        session_tags: vec![("team".into(), "platform".into())],
    })
}

fn get(path: &str) -> OutgoingRequest {
    OutgoingRequest::unsigned(HttpRequest {
        method: Method::GET,
        host: HOST.into(),
        path_and_query: path.into(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    })
}

fn target(host: &str, tls_name: &str) -> Arc<ConnectTarget> {
    Arc::new(ConnectTarget { tls: true, tls_name: tls_name.into(), host: host.into(), port: 443 })
}

async fn send(memory: &InMemory, to: Arc<ConnectTarget>) -> Exchange {
    let options = SendOptions { timeout: Duration::from_secs(5), fresh_connection: false };
    memory.send(get("/api/"), to, options).await
}

#[tokio::test(start_paused = true)]
async fn sessions_are_the_hubs_own_and_the_roles() {
    let memory = in_memory();
    let hub = memory.hub_credentials().await.unwrap();
    assert_eq!(memory.hub_credentials().await.unwrap(), hub);
    let identity = memory.caller_identity(hub).await.unwrap();
    assert_eq!((identity.account.as_str(), identity.is_role_session()), ("111122223333", true));

    let hour = Duration::from_secs(3600);
    let session = memory.assume_role(role("012345678901", "spokeprobe-payments"), hour).await.unwrap();
    assert_eq!(session.expires_at.unwrap(), memory.clock.wall() + hour);
    assert!(memory.caller_identity(session).await.unwrap().arn.ends_with(":assumed-role/spokeprobe/probe"));
    for (account, id, seconds, kind) in [
        ("012345678901", "wrong", 3600, SessionFailureKind::Denied),
        ("012345678901", "spokeprobe-payments", 7200, SessionFailureKind::DurationRefused),
        ("012345678901", "spokeprobe-payments", 60, SessionFailureKind::Failed),
    ] {
        let error = memory.assume_role(role(account, id), Duration::from_secs(seconds)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
    }
    memory.hub.change(|world| world.sts.throttled = true);
    let error = memory.assume_role(role("012345678901", "x"), hour).await.unwrap_err();
    assert_eq!(error.kind, SessionFailureKind::Throttled);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_reached_has_its_kind() {
    let memory = in_memory();
    for (host, name, kind) in [
        ("nowhere.example.com", HOST, FailureKind::Dns),
        ("10.9.9.9", HOST, FailureKind::ConnectTimeout),
        (HOST, "nowhere.example.com", FailureKind::Certificate),
    ] {
        let exchange = send(&memory, target(host, name)).await;
        assert_eq!(exchange.result.unwrap_err().kind, kind);
    }
    assert_eq!(memory.hub.counts().total(), 0);
    memory.hub.change(|world| world.endpoint.private_dns = false);
    assert_eq!(send(&memory, target(HOST, HOST)).await.result.unwrap_err().kind, FailureKind::Dns);
    assert_eq!(send(&memory, target("127.0.0.1", HOST)).await.result.unwrap().status, 403);
}

#[tokio::test(start_paused = true)]
async fn faults_become_the_failures_the_real_transport_reports() {
    let memory = in_memory();
    for (fault, expected) in [
        (WireFault::Reset, Err(FailureKind::Reset)),
        (WireFault::Close, Err(FailureKind::Reset)),
        (WireFault::HalfBody, Err(FailureKind::Protocol)),
        (WireFault::ChunkedGarbage, Err(FailureKind::Protocol)),
        (WireFault::Garbage, Err(FailureKind::Protocol)),
        (WireFault::Hang, Err(FailureKind::ResponseTimeout)),
        (WireFault::HugeBody(100_000_000), Ok((true, READ_LIMIT_BYTES))),
        (WireFault::HugeBody(10), Ok((false, 10))),
    ] {
        memory.hub.change(|world| world.endpoint.fault = Some(Fault::Wire(fault)));
        let exchange = send(&memory, target(HOST, HOST)).await;
        let took = exchange.done.since(exchange.sent);
        assert_eq!(took >= Duration::from_secs(5), fault == WireFault::Hang, "{fault:?} took {took:?}");
        let result = exchange.result.map(|response| (response.truncated, response.body.len()));
        assert_eq!(result.map_err(|error| error.kind), expected, "{fault:?}");
    }
    memory.hub.change(|world| world.endpoint.fault = Some(Fault::HugeHeader(1_000_000)));
    assert_eq!(send(&memory, target(HOST, HOST)).await.result.unwrap_err().kind, FailureKind::Protocol);
    assert_eq!(memory.hub.counts().of_api("a1b2c3d4e5"), 9);
}

#[tokio::test(start_paused = true)]
async fn names_resolve_to_the_zones_and_handshakes_show_the_certificate() {
    let memory = in_memory();
    let zones = memory.resolve(HOST.into()).await.unwrap();
    assert_eq!(zones.len(), 2);
    let zonal = "vpce-0123456789abcdef0-abcdefgh-euw1-az2.execute-api.eu-west-1.vpce.amazonaws.com";
    assert_eq!(memory.resolve(zonal.into()).await.unwrap(), [zones[1]]);
    let address = SocketAddr::new(zones[0], 443);
    let shown = memory.handshake(address, HOST.into(), Duration::from_secs(1)).await.unwrap();
    assert!(!shown.chain[0].is_empty());
    let nowhere = SocketAddr::from(([10, 9, 9, 9], 443));
    let error = memory.handshake(nowhere, HOST.into(), Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind, FailureKind::ConnectTimeout);
}

#[tokio::test(start_paused = true)]
async fn plain_fetches_reach_sts_and_the_credentials_endpoint_only() {
    let memory = in_memory();
    let fetch = |url: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", memory.hub.credentials_token().parse().unwrap());
        FetchRequest {
            method: Method::GET,
            url: url.into(),
            headers,
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
        }
    };
    let path = memory.hub.credentials_path();
    let url = format!("http://169.254.170.2{path}");
    assert_eq!(memory.fetch(fetch(&url)).await.map(|response| response.status), Ok(200));
    let sts = memory.fetch(fetch("https://sts.eu-west-1.amazonaws.com/")).await;
    assert_eq!(sts.map(|response| response.status), Ok(400));
    assert!(memory.fetch(fetch("https://example.com/")).await.is_err());
}
