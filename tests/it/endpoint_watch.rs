//! The endpoint watched zone by zone: in memory beside the probes, and over real TLS with certificates of every kind.

use crate::sockets::{Agent, hub_on_sockets, plan_against};
use crate::stage::{Stage, metric_in, plan_of_documents, quiet_world};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use spokeprobe::endpoint::Watch;
use spokeprobe::recording::{PlaceSeen, Recorder, Settings, WatchedPlace};
use spokeprobe::seams::{Clock, SystemClock, TokioWait};
use spokeprobe::simulator::{ServerOptions, World};
use spokeprobe::transport::{self, HttpTransport};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

const UP: &str = "spokeprobe_endpoint_up";

/// The endpoint as a whole: the series without a zone.
fn whole(scrape: &str) -> Option<f64> {
    let line = scrape.lines().find_map(|line| line.strip_prefix(UP)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

const SPOKE: &str = "
defaults: {every: 1s, timeout: 3s}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, connection: fresh}
          - {name: zonal, request: GET /, per_zone: true, connection: fresh}
";

#[tokio::test(start_paused = true)]
async fn a_dead_zone_is_one_series_beside_a_name_that_works() {
    let head = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint:
    id: vpce-0123456789abcdef0
    zones: {euw1-az1: 10.0.1.17, euw1-az2: 10.0.2.23}
";
    let plan = plan_of_documents(&format!("{head}{SPOKE}"), &[], &|_| None);
    let mut world: World = quiet_world();
    world.timeline = serde_json::from_value(serde_json::json!([
        {"after": "1m", "change": {"zone": {"zone": "euw1-az2", "dead": true}}},
        {"after": "2m", "change": {"zone": {"zone": "euw1-az2", "dead": false}}},
    ]))
    .unwrap();
    let stage = Stage::start(world, &plan);
    let up = |stage: &Stage| {
        let scrape = stage.scrape();
        let zone = |zone| metric_in(&scrape, UP, &[("zone", zone)]).unwrap();
        (whole(&scrape).unwrap(), zone("euw1-az1"), zone("euw1-az2"))
    };
    let zonal = "payments/hoot/zonal@euw1-az2";
    stage.after_seconds(30).await;
    assert_eq!(up(&stage), (1.0, 1.0, 1.0));
    assert_eq!(stage.metric("spokeprobe_endpoint_addresses", &[]), Some(2.0));
    let end =
        stage.metric("spokeprobe_endpoint_certificate_expiry_timestamp_seconds", &[("zone", "euw1-az1")]);
    assert!(end.unwrap() > 1_772_323_200.0);
    stage.after_seconds(60).await;
    assert_eq!(up(&stage), (1.0, 1.0, 0.0));
    assert_eq!(stage.last(zonal), "unreachable/connect_timeout, unexpected");
    assert_eq!(stage.last("payments/hoot/zonal@euw1-az1"), "ok/none, expected");
    assert_eq!(stage.last("payments/hoot/hello"), "ok/none, expected");
    stage.after_seconds(60).await;
    assert_eq!(up(&stage), (1.0, 1.0, 1.0));
    assert_eq!(stage.last(zonal), "ok/none, expected");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_ends_and_is_renewed_is_seen_in_memory() {
    let head = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint: {id: vpce-0123456789abcdef0}
";
    let spokes = SPOKE.lines().filter(|line| !line.contains("per_zone")).collect::<Vec<_>>().join("\n");
    let plan = plan_of_documents(&format!("{head}{spokes}"), &[], &|_| None);
    let mut world = quiet_world();
    world.timeline = serde_json::from_value(serde_json::json!([
        {"after": "1m", "change": {"certificate_days": 5}},
        {"after": "2m", "change": {"certificate_days": -3}},
        {"after": "3m", "change": {"certificate_days": 60}},
    ]))
    .unwrap();
    let stage = Stage::start(world, &plan);
    let expiry = "spokeprobe_endpoint_certificate_expiry_timestamp_seconds";
    let day = |stage: &Stage| ((stage.metric(expiry, &[]).unwrap() - 1_772_323_200.0) / 86_400.0).round();
    for (days, up) in [(90.0, 1.0), (5.0, 1.0), (-3.0, 0.0), (60.0, 1.0)] {
        stage.after_seconds(59).await;
        assert_eq!((day(&stage), whole(&stage.scrape())), (days, Some(up)));
        let last = stage.last("payments/hoot/hello");
        let expected = if up > 0.0 { "ok/none, expected" } else { "unreachable/certificate, unexpected" };
        assert_eq!(last, expected);
    }
    let place = stage.recorder.snapshot().endpoint.unwrap().places.remove(0).1.unwrap();
    assert_eq!(place.addresses[0].certificate.as_ref().unwrap().issues, Vec::<String>::new());
    stage.end().await;
}

#[tokio::test]
async fn over_sockets_requests_and_handshakes_go_through_each_zone_on_its_own() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let options = ServerOptions { zones: vec![any, any], ..ServerOptions::default() };
    let mut world = quiet_world();
    world.endpoint.dead_zones.insert("euw1-az2".into());
    let simulator = hub_on_sockets(world, options).await;
    let [one, two] = [simulator.zone_addrs[0], simulator.zone_addrs[1]];
    let head = format!(
        "
hub:
  region: eu-west-1
  endpoint:
    id: vpce-0123456789abcdef0
    url: '${{SPOKEPROBE_DEMO_URL}}'
    ca_file: '${{SPOKEPROBE_DEMO_CA}}'
    zones: {{euw1-az1: '{one}', euw1-az2: '{two}'}}
  sts: {{endpoint_url: '${{SPOKEPROBE_DEMO_STS}}'}}
"
    );
    let plan = plan_against(&simulator, &format!("{head}{SPOKE}"), &[]);
    let agent = Agent::start(simulator, &plan, |seams| seams).await;
    agent.until_all_ended(2).await;
    let last = |id: &str| crate::stage::status_of(&agent.recorder, id).last.unwrap();
    assert!(last("payments/hoot/hello").expected && last("payments/hoot/zonal@euw1-az1").expected);
    let dead = last("payments/hoot/zonal@euw1-az2");
    assert_eq!(dead.reason.outcome().as_str(), "unreachable", "{dead:?}");
    let scrape = String::from_utf8(agent.recorder.encode_text()).unwrap();
    let zone = |zone| metric_in(&scrape, UP, &[("zone", zone)]);
    assert_eq!((whole(&scrape), zone("euw1-az1"), zone("euw1-az2")), (Some(1.0), Some(1.0), Some(0.0)));
    let status = agent.get("/api/v1/status").await;
    let json: serde_json::Value = serde_json::from_str(status.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(json["endpoint"]["up"], true);
    assert_eq!(json["endpoint"]["zones"][1]["up"], false);
    assert_eq!(json["endpoint"]["zones"][0]["addresses"][0]["tls_version"], "TLSv1.3");
    let (_, counts) = agent.end().await;
    assert!(counts.total() > 0);
}

/// A server that shakes hands with one certificate and then waits; its port.
async fn server(chain: Vec<CertificateDer<'static>>, key: &KeyPair, tls12_only: bool) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    let versions: &[_] = if tls12_only { &[&rustls::version::TLS12] } else { rustls::ALL_VERSIONS };
    let config = builder
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())))
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(spokeprobe::seams::spawn("server", async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(acceptor.accept(stream).await);
        }
    }));
    port
}

fn leaf(name: &str, expired: bool) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(if expired { 2021 } else { 2090 }, 1, 1);
    params
}

#[tokio::test]
async fn over_tls_certificates_of_every_kind_are_told_apart() {
    let mut params = CertificateParams::new(vec![]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let signed = |name, expired| leaf(name, expired).signed_by(&key, &authority).unwrap().der().clone();
    let own = leaf("vpce.test", false).self_signed(&key).unwrap().der().clone();
    let old = leaf("old.test", true).self_signed(&key).unwrap().der().clone();
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ports = [
        server(vec![signed("vpce.test", false)], &key, false).await,
        server(vec![signed("vpce.test", false), old], &key, true).await,
        server(vec![signed("vpce.test", true)], &key, false).await,
        server(vec![signed("other.test", false)], &key, false).await,
        server(vec![own], &key, true).await,
        unused,
    ];
    let places = (1..).zip(ports).map(|(number, port)| WatchedPlace {
        zone: Some(format!("euw1-az{number}").parse().unwrap()),
        host: "127.0.0.1".into(),
        port,
        tls_name: "vpce.test".into(),
    });
    let clock = SystemClock::start();
    let any_clock: Arc<dyn Clock> = Arc::new(clock);
    let settings = transport::Settings { extra_roots_pem: Some(authority.pem()), private_ranges: vec![] };
    let link = Arc::new(HttpTransport::new(&settings, Arc::clone(&any_clock)).unwrap());
    let recorder = Recorder::new(&Settings { buckets: vec![1.0] });
    let watch = Watch::new(places.collect(), link, any_clock, Arc::new(TokioWait::new(clock)), &recorder);
    let watching = spokeprobe::seams::spawn("watch", async move { watch.run().await });
    let seen: Vec<Arc<PlaceSeen>> = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let places = recorder.snapshot().endpoint.unwrap().places;
        if let Some(seen) = places.into_iter().map(|(_, seen)| seen).collect() {
            break seen;
        }
    };
    watching.abort();
    let trouble = |number: usize| {
        let trouble = seen[number].trouble().unwrap();
        (trouble.reason.as_str(), trouble.message.clone())
    };
    let certificate = |number: usize| seen[number].addresses[0].certificate.clone().unwrap();
    let version = |number: usize| seen[number].addresses[0].shaken.as_ref().unwrap().tls_version;
    assert!(seen[0].is_up() && seen[1].is_up());
    assert_eq!((version(0), version(1)), ("TLSv1.3", "TLSv1.2"));
    assert_eq!(certificate(0).issues, Vec::<String>::new());
    assert!(certificate(1).issues[0].starts_with("1 above (old.test): the certificate expired 2021-01-01"));
    assert_eq!(trouble(2), ("certificate", "the certificate expired 2021-01-01T00:00:00Z".into()));
    assert_eq!(
        trouble(3),
        ("certificate", "the certificate is for other.test, and vpce.test was asked for".into())
    );
    assert!(
        trouble(4).1.starts_with("no authority that this machine trusts has issued it"),
        "{:?}",
        trouble(4)
    );
    assert_eq!(trouble(5).0, "connect_refused");
    let scrape = String::from_utf8(recorder.encode_text()).unwrap();
    let expiry = "spokeprobe_endpoint_certificate_expiry_timestamp_seconds";
    assert_eq!(metric_in(&scrape, expiry, &[("zone", "euw1-az3")]), Some(1_609_459_200.0));
    assert_eq!(metric_in(&scrape, expiry, &[("zone", "euw1-az6")]), None);
    assert_eq!(whole(&scrape), None, "no name is watched here");
}
