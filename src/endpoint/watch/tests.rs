//! The watch over networks of a few lines, under a paused clock.

use super::*;
use crate::domain::region::ZoneId;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::recording::{PlaceSeen, Settings as RecordingSettings};
use crate::seams::{Handshake, ServicePlace, SystemClock, TokioWait};
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: Duration = Duration::from_secs(1);
const NAME: &str = "vpce.test";

/// How an address behaves.
#[derive(Debug, Clone)]
enum Manner {
    Well(Vec<Vec<u8>>),
    Untrusted(Vec<Vec<u8>>),
    Refuses,
    /// Never answers, and does not keep the bound either.
    Hangs,
    Panics,
}

/// A network: names with addresses, addresses with manners.
#[derive(Default)]
struct Net {
    names: Mutex<Vec<(String, Option<Vec<IpAddr>>)>>,
    manners: Mutex<Vec<(IpAddr, Manner)>>,
    shaken: Mutex<Vec<(SocketAddr, String)>>,
    asked: Mutex<Vec<String>>,
}

impl Net {
    fn name(&self, name: &str, addresses: Option<&[&str]>) {
        let addresses = addresses.map(|all| all.iter().map(|ip| ip.parse().unwrap()).collect());
        let mut names = self.names.lock().unwrap();
        names.retain(|(known, _)| known != name);
        names.push((name.to_owned(), addresses));
    }

    fn manner(&self, address: &str, manner: Manner) {
        let address = address.parse().unwrap();
        let mut manners = self.manners.lock().unwrap();
        manners.retain(|(known, _)| *known != address);
        manners.push((address, manner));
    }

    fn manner_of(&self, address: IpAddr) -> Manner {
        let manners = self.manners.lock().unwrap();
        manners
            .iter()
            .find(|(known, _)| *known == address)
            .map_or(Manner::Refuses, |(_, manner)| manner.clone())
    }

    fn shaken_with(&self, address: &str) -> usize {
        let address: IpAddr = address.parse().unwrap();
        self.shaken.lock().unwrap().iter().filter(|(known, _)| known.ip() == address).count()
    }
}

fn failed<T>(kind: FailureKind, detail: &str) -> Result<T, TransportFailure> {
    Err(TransportFailure { kind, detail: detail.to_owned() })
}

impl Link for Net {
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(3)).await;
            self.asked.lock().unwrap().push(host.clone());
            let found = self.names.lock().unwrap().iter().find(|(name, _)| *name == host).cloned();
            match found {
                Some((_, Some(addresses))) => Ok(addresses),
                Some((_, None)) => std::future::pending().await,
                None => failed(FailureKind::Dns, "no such host"),
            }
        })
    }

    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        _timeout: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>> {
        Box::pin(async move {
            self.shaken.lock().unwrap().push((address, tls_name));
            match self.manner_of(address.ip()) {
                Manner::Well(chain) => Ok(Handshake {
                    connect: Duration::from_millis(u64::from(address.port() == 443)),
                    tls: Duration::from_millis(4),
                    tls_version: "TLSv1.3".into(),
                    chain,
                }),
                Manner::Untrusted(_) => failed(FailureKind::Certificate, "invalid peer certificate"),
                Manner::Refuses => failed(FailureKind::ConnectRefused, "nobody \u{1b}[31mhome"),
                Manner::Hangs => std::future::pending().await,
                Manner::Panics => panic!("a defect"),
            }
        })
    }

    fn presented_chain(
        &self,
        address: SocketAddr,
        _tls_name: String,
        _timeout: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>> {
        Box::pin(async move {
            match self.manner_of(address.ip()) {
                Manner::Untrusted(chain) => Ok(chain),
                _ => failed(FailureKind::Tls, "no certificate"),
            }
        })
    }

    fn services(&self, _name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn is_own(&self, _address: IpAddr) -> bool {
        false
    }
}

/// 1 March 2026.
fn dawn() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_323_200)
}

fn certificate(name: &str, until_year: i32) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until_year, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().to_vec()
}

fn place(zone: Option<&str>, host: &str) -> WatchedPlace {
    let zone = zone.map(|zone| zone.parse::<ZoneId>().unwrap());
    WatchedPlace { zone, host: host.to_owned(), port: 443, tls_name: NAME.to_owned() }
}

struct Scene {
    net: Arc<Net>,
    recorder: Arc<Recorder>,
}

impl Scene {
    /// Begins to watch; needs a paused runtime.
    fn new(places: Vec<WatchedPlace>, set: impl FnOnce(&Net)) -> Self {
        let net = Arc::new(Net::default());
        set(&net);
        let clock = SystemClock::simulated(dawn());
        let recorder = Arc::new(Recorder::new(&RecordingSettings { buckets: vec![1.0] }));
        let wait = Arc::new(TokioWait::new(clock));
        let link = Arc::clone(&net) as Arc<dyn Link>;
        let watch = Watch::new(places, link, Arc::new(clock), wait, &recorder);
        drop(crate::seams::spawn("watch", async move { watch.run().await }));
        Self { net, recorder }
    }

    async fn after(&self, seconds: u32) {
        tokio::time::sleep(SECOND * seconds).await;
    }

    /// The lines of a scrape that are about the endpoint.
    fn scrape(&self) -> Vec<String> {
        let text = String::from_utf8(self.recorder.encode_text()).unwrap();
        let lines = text.lines().filter_map(|line| line.strip_prefix("spokeprobe_endpoint_"));
        lines.map(str::to_owned).collect()
    }

    fn value(&self, series: &str) -> Option<String> {
        self.scrape().into_iter().find_map(|line| {
            let (name, value) = line.rsplit_once(' ')?;
            (name == series).then(|| value.to_owned())
        })
    }

    fn seen(&self, number: usize) -> PlaceSeen {
        let status = self.recorder.snapshot().endpoint.unwrap();
        (*status.places[number].1.clone().unwrap()).clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_zone_is_seen_while_the_name_still_works() {
    let good = certificate(NAME, 2026 + 1);
    let places =
        vec![place(None, NAME), place(Some("euw1-az1"), "10.0.1.17"), place(Some("euw1-az2"), "zone-b.test")];
    let scene = Scene::new(places, |net| {
        net.name(NAME, Some(&["10.0.2.23", "10.0.1.17"]));
        net.name("zone-b.test", Some(&["10.0.2.23"]));
        net.manner("10.0.1.17", Manner::Well(vec![good.clone()]));
        net.manner("10.0.2.23", Manner::Well(vec![good.clone()]));
    });
    assert_eq!(scene.scrape(), Vec::<String>::new(), "nothing is known before the first look");
    scene.after(1).await;
    let expected = "\
        addresses 2\n\
        certificate_expiry_timestamp_seconds 1798761600\n\
        certificate_expiry_timestamp_seconds{zone=\"euw1-az1\"} 1798761600\n\
        certificate_expiry_timestamp_seconds{zone=\"euw1-az2\"} 1798761600\n\
        phase_duration_seconds{phase=\"resolve\"} 0.003\n\
        phase_duration_seconds{phase=\"connect\"} 0.001\n\
        phase_duration_seconds{phase=\"tls\"} 0.004\n\
        phase_duration_seconds{phase=\"connect\",zone=\"euw1-az1\"} 0.001\n\
        phase_duration_seconds{phase=\"tls\",zone=\"euw1-az1\"} 0.004\n\
        phase_duration_seconds{phase=\"resolve\",zone=\"euw1-az2\"} 0.003\n\
        phase_duration_seconds{phase=\"connect\",zone=\"euw1-az2\"} 0.001\n\
        phase_duration_seconds{phase=\"tls\",zone=\"euw1-az2\"} 0.004\n\
        tls_info{version=\"TLSv1.3\"} 1\n\
        tls_info{version=\"TLSv1.3\",zone=\"euw1-az1\"} 1\n\
        tls_info{version=\"TLSv1.3\",zone=\"euw1-az2\"} 1\n\
        up 1\n\
        up{zone=\"euw1-az1\"} 1\n\
        up{zone=\"euw1-az2\"} 1";
    let mut found = scene.scrape();
    let mut expected: Vec<&str> = expected.split('\n').collect();
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);

    scene.net.manner("10.0.2.23", Manner::Hangs);
    scene.after(20).await;
    let up = |scene: &Scene| {
        ["up", "up{zone=\"euw1-az1\"}", "up{zone=\"euw1-az2\"}"].map(|series| scene.value(series).unwrap())
    };
    assert_eq!(up(&scene), ["1", "1", "0"]);
    assert_eq!(scene.value("tls_info{version=\"TLSv1.3\",zone=\"euw1-az2\"}"), None);
    assert_eq!(scene.value("phase_duration_seconds{phase=\"tls\",zone=\"euw1-az2\"}"), None);
    assert_eq!(scene.value("addresses").as_deref(), Some("2"));
    let zone = scene.seen(2);
    assert_eq!(zone.trouble().unwrap().reason.as_str(), "connect_timeout");
    assert!(zone.since > dawn() && zone.since <= zone.at);
    // The whole answers as since the beginning; the dead address is among its addresses.
    let name = scene.seen(0);
    assert_eq!(name.since, dawn());
    assert_eq!(name.addresses.iter().filter(|address| address.shaken.is_err()).count(), 1);

    scene.net.manner("10.0.2.23", Manner::Well(vec![good]));
    scene.after(20).await;
    assert_eq!(up(&scene), ["1", "1", "1"]);
    assert!(scene.seen(2).since > zone.since);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_delays_no_other_and_nothing_is_cached() {
    let good = certificate(NAME, 2027);
    let places = vec![place(None, NAME), place(Some("euw1-az1"), "10.0.1.17")];
    let scene = Scene::new(places, |net| {
        net.name(NAME, None);
        net.manner("10.0.1.17", Manner::Well(vec![good.clone()]));
    });
    scene.after(1).await;
    assert_eq!(scene.value("up{zone=\"euw1-az1\"}").as_deref(), Some("1"));
    assert_eq!(scene.value("up"), None, "not known while the resolver is asked");
    assert_eq!(scene.net.shaken_with("10.0.1.17"), 1, "the first look is at once");
    scene.after(99).await;
    // One at once, and one in each interval.
    assert_eq!(scene.net.shaken_with("10.0.1.17"), 11);
    assert_eq!(scene.value("up").as_deref(), Some("0"));
    assert_eq!(scene.value("addresses").as_deref(), Some("0"));
    assert_eq!(scene.seen(0).trouble().unwrap().reason.as_str(), "dns");

    let before = scene.net.asked.lock().unwrap().len();
    scene.net.name(NAME, Some(&["10.0.9.9"]));
    scene.net.manner("10.0.9.9", Manner::Well(vec![good]));
    scene.after(100).await;
    assert_eq!(scene.value("up").as_deref(), Some("1"));
    let asked = scene.net.asked.lock().unwrap().len() - before;
    assert!((10..=11).contains(&asked), "each look asks anew: {asked}");
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_kept_whatever_is_wrong_with_it() {
    let (expired, strange) = (certificate(NAME, 2026), certificate(NAME, 2030));
    let of_another = certificate("other.test", 2030);
    let scene = Scene::new(vec![place(None, "10.0.0.1")], |net| {
        net.manner("10.0.0.1", Manner::Untrusted(vec![expired.clone()]));
    });
    let told = |scene: &Scene| {
        let seen = scene.seen(0);
        (scene.value("certificate_expiry_timestamp_seconds"), seen.trouble().unwrap().clone())
    };
    scene.after(1).await;
    let (end, trouble) = told(&scene);
    assert_eq!(end.as_deref(), Some("1767225600"), "1 January 2026");
    assert_eq!(trouble.reason.as_str(), "certificate");
    assert_eq!(trouble.message, "the certificate expired 2026-01-01T00:00:00Z");
    assert_eq!(scene.value("up").as_deref(), Some("0"));
    assert_eq!(scene.value("phase_duration_seconds{phase=\"resolve\"}"), None, "an address is not asked for");

    for (chain, text) in [
        (vec![strange.clone()], "no authority that this machine trusts has issued it"),
        (vec![of_another], "and vpce.test was asked for"),
        (vec![strange.clone(), expired], "1 above (vpce.test): the certificate expired"),
        (vec![strange.clone(), vec![0x30; 40]], "1 above: not a certificate"),
    ] {
        scene.net.manner("10.0.0.1", Manner::Untrusted(chain));
        scene.after(10).await;
        let (end, trouble) = told(&scene);
        assert_eq!(end.as_deref(), Some("1893456000"), "1 January 2030");
        assert!(trouble.message.contains(text), "{text}: {}", trouble.message);
    }
    scene.net.manner("10.0.0.1", Manner::Untrusted(vec![b"no certificate".to_vec()]));
    scene.after(10).await;
    assert_eq!(scene.value("certificate_expiry_timestamp_seconds"), None);
    assert_eq!(scene.seen(0).trouble().unwrap().message, "invalid peer certificate");
    // A fault above a certificate that is trusted all the same is shown and does no harm.
    scene.net.manner("10.0.0.1", Manner::Well(vec![strange.clone(), certificate("old.test", 2021)]));
    scene.after(10).await;
    assert_eq!(scene.value("up").as_deref(), Some("1"));
    let issues = scene.seen(0).addresses[0].certificate.clone().unwrap().issues;
    assert_eq!(issues, ["1 above (old.test): the certificate expired 2021-01-01T00:00:00Z"]);
}

#[tokio::test(start_paused = true)]
async fn a_greedy_answer_and_a_defect_have_bounds() {
    let good = certificate(NAME, 2027);
    let many: Vec<String> = (0..200).map(|n| format!("10.1.0.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let scene = Scene::new(vec![place(None, NAME)], |net| {
        net.name(NAME, Some(&many));
        net.manner("10.1.0.3", Manner::Well(vec![good.clone()]));
    });
    scene.after(1).await;
    let seen = scene.seen(0);
    assert_eq!((seen.found.len(), seen.addresses.len()), (64, ADDRESSES_MAX));
    assert!(seen.is_up());
    let message = &seen.addresses[0].shaken.as_ref().unwrap_err().message;
    assert!(!message.contains('\u{1b}'), "{message:?}");
    assert_eq!(scene.net.shaken.lock().unwrap().len(), ADDRESSES_MAX);

    scene.net.name(NAME, Some(&["10.1.0.3"]));
    scene.net.manner("10.1.0.3", Manner::Panics);
    scene.after(10).await;
    assert_eq!(scene.value("up"), None, "what is not known is not shown");
    scene.net.manner("10.1.0.3", Manner::Well(vec![good]));
    scene.after(10).await;
    assert_eq!(scene.value("up").as_deref(), Some("1"), "the watch goes on");
}

#[tokio::test(start_paused = true)]
async fn zones_that_are_gone_leave_no_series() {
    let good = certificate(NAME, 2027);
    let scene = Scene::new(vec![place(None, "10.0.1.17"), place(Some("euw1-az1"), "10.0.1.17")], |net| {
        net.manner("10.0.1.17", Manner::Well(vec![good.clone()]));
    });
    scene.after(1).await;
    assert!(scene.value("up{zone=\"euw1-az1\"}").is_some());
    let later = scene.recorder.begin_endpoint(INTERVAL, vec![place(Some("euw1-az2"), "10.0.2.23")]);
    scene.after(30).await;
    assert_eq!(scene.scrape(), Vec::<String>::new());
    let seen = scene.recorder.snapshot().endpoint.unwrap();
    assert_eq!(seen.places.len(), 1);
    later.saw(7, None);
}

#[test]
fn the_rhythm_keeps_its_phase() {
    let at = |seconds| Moment::from_origin(Duration::from_secs(seconds));
    for (now, then) in [(0, 7), (6, 7), (7, 17), (16, 17), (17, 27), (40, 47)] {
        assert_eq!(next(at(7), at(now)), at(then), "{now}");
    }
}
