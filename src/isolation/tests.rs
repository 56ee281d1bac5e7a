//! The driver over seams that answer at once, under a paused clock: bounds, permits, and many pairs.

use super::*;
use crate::domain::credentials::{CallerIdentity, RoleInUse, RoleSession, SessionCredentials};
use crate::domain::request::{ConnectTarget, Exchange, OutgoingRequest, Response, SendOptions};
use crate::domain::secret::Secret;
use crate::recording::examples::{recorder, target};
use crate::recording::{PairName, PairState};
use crate::seams::{
    FetchFailure, FetchRequest, FetchResponse, SessionFailure, Sessions, SystemClock, TokioWait, Transport,
};
use crate::signing::SigningScope;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Answers everything with one status, after a while.
struct Everything {
    clock: SystemClock,
    status: AtomicU16,
    takes: Duration,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Transport for Everything {
    fn send(
        &self,
        _request: OutgoingRequest,
        _to: Arc<ConnectTarget>,
        _options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        async {
            let sent = self.clock.now();
            self.most_at_once.fetch_max(self.at_once.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            if !self.takes.is_zero() {
                tokio::time::sleep(self.takes).await;
            }
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            let mut headers = HeaderMap::new();
            headers.insert("x-amzn-requestid", "1-2-3".parse().unwrap());
            headers.insert("x-amzn-errortype", "AccessDeniedException".parse().unwrap());
            let text = r#"{"Message":"User: arn:aws:sts::111111111111:assumed-role/r/s is not authorized to perform: execute-api:Invoke on resource: arn with an explicit deny in a resource-based policy"}"#;
            let status = self.status.load(Ordering::Relaxed);
            if status < 300 {
                headers.remove("x-amzn-errortype");
            }
            let body = Bytes::from_static(text.as_bytes());
            let response = Response { status, headers, body, truncated: false };
            let done = self.clock.now();
            Exchange { sent, first_byte: Some(done), done, retries: 0, peer: None, result: Ok(response) }
        }
        .boxed()
    }

    fn fetch(&self, _request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        async { Err(FetchFailure { timed_out: false, detail: String::new() }) }.boxed()
    }
}

/// Gives a session of anything for good.
struct AnySession;

impl Sessions for AnySession {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        async { Ok(credentials()) }.boxed()
    }

    fn caller_identity(
        &self,
        _credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        async {
            Ok(CallerIdentity {
                account: "999999999999".into(),
                arn: "arn:aws:iam::999999999999:user/a".into(),
            })
        }
        .boxed()
    }

    fn assume_role(
        &self,
        _role: Arc<RoleSession>,
        _duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        async { Ok(credentials()) }.boxed()
    }
}

fn credentials() -> SessionCredentials {
    SessionCredentials {
        access_key_id: "ASIA".into(),
        secret_access_key: Secret::new("secret"),
        session_token: Some(Secret::new("token")),
        expires_at: None,
    }
}

/// So many spokes with a role and an api each.
fn settings(spokes: usize, period: Duration) -> Settings {
    let role = |spoke: usize| RoleSession {
        role_arn: format!("arn:aws:iam::{:012}:role/spokeprobe", spoke + 1).parse().unwrap(),
        session_name: "spokeprobe".into(),
        external_id: None,
        duration: Duration::from_secs(3_600),
        session_policy: None,
        session_tags: Vec::new(),
    };
    let place = |spoke: usize| u16::try_from(spoke).unwrap();
    let foreign = |caller: usize| (0..spokes).filter(move |api| *api != caller).map(move |api| (caller, api));
    Settings {
        period,
        round: period,
        recheck_pace: SECOND,
        callers: (0..spokes)
            .map(|spoke| Caller {
                spoke: format!("spoke-{spoke}").parse().unwrap(),
                session: Arc::new(role(spoke)),
            })
            .collect(),
        apis: (0..spokes).map(|spoke| Arc::new(target(&format!("spoke-{spoke}/api/hello")))).collect(),
        pairs: (0..spokes)
            .flat_map(foreign)
            .map(|(caller, api)| Pair { caller: place(caller), api: place(api) })
            .collect(),
    }
}

struct Running {
    isolation: Arc<Isolation>,
    recorder: Arc<Recorder>,
    transport: Arc<Everything>,
    shutdown: CancellationToken,
    driver: tokio::task::JoinHandle<()>,
}

fn run(settings: Settings, takes: Duration, permits: Option<usize>) -> Running {
    let clock = SystemClock::simulated(SystemTime::UNIX_EPOCH + DAY * 20_000);
    let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(clock));
    let transport = Arc::new(Everything {
        clock,
        status: AtomicU16::new(403),
        takes,
        at_once: AtomicUsize::new(0),
        most_at_once: AtomicUsize::new(0),
    });
    let recorder = Arc::new(recorder());
    let roles: Vec<RoleInUse> = settings
        .callers
        .iter()
        .map(|caller| RoleInUse { session: Arc::clone(&caller.session), spokes: vec![caller.spoke.clone()] })
        .collect();
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let sessions: Arc<dyn Sessions> = Arc::new(AnySession);
    let (store, _announced) =
        Store::new(&roles, false, sessions, Arc::clone(&clock), Arc::clone(&wait), Arc::clone(&recorder));
    let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
    let all = Arc::new(tokio::sync::Semaphore::new(permits.unwrap_or(10_000)));
    let around = Surroundings {
        attempter: Arc::new(Attempter::new(Arc::<Everything>::clone(&transport), Arc::clone(&clock), scope)),
        store: Arc::clone(&store),
        recorder: Arc::clone(&recorder),
        clock,
        wait,
        spare_of: Box::new(move |_| {
            let all = Arc::clone(&all);
            Box::new(move || Arc::clone(&all).try_acquire_owned().ok().map(|permit| Box::new(permit) as Held))
        }),
    };
    let isolation = Arc::new(Isolation::new(around));
    check(&settings, &endpoint()).unwrap();
    isolation.set(Some(settings), &endpoint());
    let shutdown = CancellationToken::new();
    let asked = store.all_asked();
    crate::seams::spawn("credentials", store.run(shutdown.clone()));
    let driver = {
        let (isolation, shutdown) = (Arc::clone(&isolation), shutdown.clone());
        crate::seams::spawn("isolation", async move { isolation.run(asked, shutdown).await })
    };
    Running { isolation, recorder, transport, shutdown, driver }
}

fn endpoint() -> endpoint::Settings {
    endpoint::Settings {
        region: "eu-west-1".parse().unwrap(),
        id: "vpce-0a1b2c3d".parse().unwrap(),
        dns_name: None,
        zones: std::collections::BTreeMap::default(),
        url: None,
    }
}

impl Running {
    fn states(&self) -> [u64; 4] {
        let counts = self.recorder.snapshot().isolation.unwrap().counts;
        [PairState::Closed, PairState::Open, PairState::Inconclusive, PairState::Due]
            .map(|state| counts.of(state))
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.driver.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_pairs_are_judged_evenly_and_one_after_the_other() {
    let pairs = 40 * 39;
    let running = run(settings(40, DAY), Duration::from_millis(50), None);
    for tenth in 1..=10_u32 {
        tokio::time::sleep(DAY / 10).await;
        let [closed, open, inconclusive, due] = running.states();
        let wanted = pairs * u64::from(tenth) / 10;
        assert!(closed.abs_diff(wanted) <= 2, "{closed} of {wanted}");
        assert_eq!((open, inconclusive, due), (0, 0, pairs - closed));
    }
    assert_eq!(running.transport.most_at_once.load(Ordering::Relaxed), 1);
    assert_eq!(running.recorder.snapshot().task_panics, 0);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn without_permits_nothing_is_sent_and_pairs_stay_due() {
    let running = run(settings(40, DAY / 24), Duration::ZERO, Some(0));
    tokio::time::sleep(DAY / 12).await;
    assert_eq!(running.states(), [0, 0, 0, 40 * 39]);
    assert_eq!(running.transport.most_at_once.load(Ordering::Relaxed), 0);
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_far_side_that_hangs_holds_no_more_than_its_permits_and_makes_no_burst() {
    // Half a check a second, each of which takes a minute, with three permits.
    let running = run(settings(40, SECOND * 3_120), SECOND * 60, Some(3));
    tokio::time::sleep(SECOND * 3_200).await;
    assert_eq!(running.transport.most_at_once.load(Ordering::Relaxed), 3);
    let [closed, _, _, due] = running.states();
    assert!((100..=170).contains(&closed), "{closed} closed, {due} due");
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn when_every_door_opens_the_list_and_the_retries_have_a_bound() {
    let running = run(settings(40, SECOND * 1_560), Duration::ZERO, None);
    running.transport.status.store(200, Ordering::Relaxed);
    tokio::time::sleep(SECOND * 1_600).await;
    assert_eq!(running.states(), [0, 40 * 39, 0, 0]);
    let status = running.recorder.snapshot().isolation.unwrap();
    assert_eq!(status.open.len(), 1_000);
    let begun: u64 = status.attempts.iter().map(|api| api.begun).sum();
    assert!(begun <= 2 * 1_600 + 10, "one turn and one retry a second at most, not {begun} in all");
    running.transport.status.store(403, Ordering::Relaxed);
    tokio::time::sleep(SECOND * 1_600).await;
    assert_eq!(running.states(), [40 * 39, 0, 0, 0]);
    assert!(running.recorder.snapshot().isolation.unwrap().open.is_empty());
    running.end().await;
}

#[tokio::test(start_paused = true)]
async fn pairs_come_and_go_while_checks_are_in_flight() {
    // A check each ten seconds, each of which takes half a minute: some are in flight at every change.
    let of = |spokes: usize| settings(spokes, SECOND * 1_320);
    let running = run(of(12), SECOND * 30, None);
    tokio::time::sleep(SECOND * 665).await;
    let [closed, open, inconclusive, due] = running.states();
    assert!((60..=66).contains(&closed) && closed + due == 132, "{closed} {open} {inconclusive} {due}");
    for spokes in [13_u64, 5, 12] {
        running.isolation.set(Some(of(usize::try_from(spokes).unwrap())), &endpoint());
        assert_eq!(running.states().iter().sum::<u64>(), spokes * (spokes - 1));
        tokio::time::sleep(SECOND * 7).await;
        assert_eq!(running.states().iter().sum::<u64>(), spokes * (spokes - 1));
        if spokes == 13 {
            assert!(running.states()[0] >= closed, "what was known is");
        }
    }
    // What was of pairs that were gone for a moment is not known any more.
    assert!(running.states()[0] < closed);
    running.isolation.set(None, &endpoint());
    tokio::time::sleep(SECOND * 100).await;
    assert!(running.recorder.snapshot().isolation.is_none());
    // A role that nobody has asked for is not tried; its pairs stay due.
    running.isolation.set(Some(of(13)), &endpoint());
    tokio::time::sleep(SECOND * 1_500).await;
    assert_eq!(running.states(), [12 * 12, 0, 0, 12]);
    let recorder = Arc::clone(&running.recorder);
    assert_eq!(recorder.snapshot().task_panics, 0);
    running.end().await;
    for api in recorder.snapshot().isolation.unwrap().attempts {
        assert_eq!(api.begun, api.ended, "{}", api.api.id);
    }
}

#[test]
fn the_order_is_stable_and_one_more_spoke_moves_nobody() {
    let names = |spokes: usize| -> Vec<PairName> {
        let settings = settings(spokes, DAY);
        settings.shuffled().into_iter().filter_map(|pair| settings.name(pair)).collect()
    };
    let few = names(20);
    let newcomer = "spoke-20".parse().unwrap();
    let mut more = names(21);
    assert_eq!((few.len(), more.len()), (20 * 19, 21 * 20));
    more.retain(|name| name.from != newcomer && name.spoke != newcomer);
    assert_eq!(few, more);
    // Neither by caller nor by api.
    let runs =
        few.windows(2).filter(|two| two[0].from == two[1].from || two[0].spoke == two[1].spoke).count();
    assert!(runs < few.len() / 5, "{runs}");
}

/// The size that the bounds are made for; says what it costs. `cargo test --lib isolation -- --ignored
/// --nocapture`
#[tokio::test(start_paused = true)]
#[ignore = "a measure of a minute"]
async fn ninety_thousand_pairs_in_a_day() {
    let cpu = || {
        let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
        let after = stat.rsplit(')').next().unwrap();
        let fields: Vec<u64> = after.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        // utime and stime in hundredths of a second; the state and -1 as the terminal are no numbers of this kind.
        Duration::from_millis((fields[9] + fields[10]) * 10)
    };
    let begun = cpu();
    let settings = settings(300, DAY);
    let pairs = settings.pairs.len();
    let built = cpu();
    let running = run(settings, Duration::from_millis(50), None);
    let shuffled = cpu();
    tokio::time::sleep(DAY + SECOND * 60).await;
    let done = cpu();
    println!(
        "{pairs} pairs: settings {:?}, shuffle {:?}, a day {:?} of processor ({} µs a check), {} bytes",
        built - begun,
        shuffled - built,
        done - shuffled,
        (done - shuffled).as_micros() / pairs as u128,
        pairs * (1 + size_of::<Pair>()),
    );
    assert_eq!(running.states(), [pairs as u64, 0, 0, 0]);
    running.end().await;
}
