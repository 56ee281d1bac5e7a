//! The stage of load runs: sessions, a simulated hub in memory and a transport that can stall, without the rest of
//! the agent. Time is paused, so a run of minutes and a keeper's days pass in a moment.

use crate::stage::{dawn, plan_of};
use futures_util::future::BoxFuture;
use spokeprobe::attempt::{Attempter, PreparedTarget};
use spokeprobe::credentials::Store;
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use spokeprobe::load::{self, Ended, Guards, Hands, Report, Settings, Stop};
use spokeprobe::plan::Plan;
use spokeprobe::recording::{LoadRecord, LoadRecorder, Recorder};
use spokeprobe::schedule::{Arrivals, Profile, Stage};
use spokeprobe::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, Sessions, SystemClock, TokioWait, Transport, Wait,
};
use spokeprobe::signing::SigningScope;
use spokeprobe::simulator::{Hub, InMemory, World};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const PAYMENTS: &str = "012345678901";
pub(crate) const ORDERS: &str = "222233334444";

const PROBES: &str = "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - {name: hoot, id: a1b2c3d4e5, stage: api, max_rate: 100/s, probes: [{name: hello, request: GET /, timeout: 5s}]}
  - name: orders
    account: '222233334444'
    external_id: spokeprobe-orders
    apis:
      - {name: orders, id: b2c3d4e5f6, stage: api, max_rate: 100/s, probes: [{name: hello, request: GET /, timeout: 5s}]}
";

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn hold(rate: f64, count: u64) -> Vec<Stage> {
    vec![Stage::Hold { rate, lasts: seconds(count) }]
}

/// A server that serves few connections at once, and may stall: what comes meanwhile is answered afterwards. A
/// request without a connection waits for one before it is sent, as in every pool.
pub(crate) struct Server {
    inner: Arc<InMemory>,
    clock: SystemClock,
    connections: Semaphore,
    stalls: Mutex<(Moment, Moment)>,
    panics: AtomicBool,
}

impl Server {
    /// From `from` to `to` nothing is answered.
    pub(crate) fn stall(&self, from: Moment, to: Moment) {
        *self.stalls.lock().unwrap() = (from, to);
    }

    /// The next request meets a defect of the transport.
    pub(crate) fn panic_once(&self) {
        self.panics.store(true, Ordering::Relaxed);
    }

    pub(crate) fn keep_connections(&self, count: usize) {
        self.connections.forget_permits(self.connections.available_permits() - count);
    }
}

impl Transport for Server {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        Box::pin(async move {
            let _connection = self.connections.acquire().await.unwrap();
            let sent = self.clock.now();
            let (from, until) = *self.stalls.lock().unwrap();
            if sent >= from && sent < until {
                tokio::time::sleep(until.since(sent)).await;
            }
            assert!(!self.panics.swap(false, Ordering::Relaxed), "a defect, for the story");
            Exchange { sent, ..self.inner.send(request, to, options).await }
        })
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        self.inner.fetch(request)
    }
}

pub(crate) struct LoadStage {
    pub(crate) hub: Arc<Hub>,
    pub(crate) server: Arc<Server>,
    pub(crate) plan: Plan,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) store: Arc<Store>,
    pub(crate) hands: Hands,
    shutdown: CancellationToken,
}

/// A run under way.
pub(crate) struct Run {
    pub(crate) recorder: Arc<LoadRecorder>,
    pub(crate) stop: Stop,
    running: JoinHandle<Report>,
}

impl LoadStage {
    /// Raises the curtain, and waits until the roles have sessions.
    pub(crate) async fn start(world: World) -> Self {
        let stage = Self::start_without_sessions(world);
        stage.store.all_asked().wait_for(|asked| *asked).await.unwrap();
        stage
    }

    pub(crate) fn start_without_sessions(world: World) -> Self {
        let plan = plan_of(PROBES);
        let simulated = SystemClock::simulated(dawn());
        let hub = Arc::new(Hub::new(world, dawn()));
        let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(simulated));
        let clock: Arc<dyn Clock> = Arc::new(simulated);
        let inner = Arc::new(InMemory::new(Arc::clone(&hub), Arc::clone(&clock), Arc::clone(&wait)));
        let server = Arc::new(Server {
            inner: Arc::clone(&inner),
            clock: simulated,
            connections: Semaphore::new(10_000),
            stalls: Mutex::default(),
            panics: AtomicBool::new(false),
        });
        let recorder = Arc::new(Recorder::new(&plan.settings.recording));
        for target in &plan.targets {
            recorder.add_target(target);
        }
        let (store, _announced) = Store::new(
            &plan.roles,
            false,
            inner as Arc<dyn Sessions>,
            Arc::clone(&clock),
            Arc::clone(&wait),
            Arc::clone(&recorder),
        );
        let scope = SigningScope::execute_api("eu-west-1".parse().unwrap());
        let transport: Arc<dyn Transport> = Arc::<Server>::clone(&server);
        let attempter = Arc::new(Attempter::new(transport, Arc::clone(&clock), scope));
        let shutdown = CancellationToken::new();
        spokeprobe::seams::spawn("credentials", Arc::clone(&store).run(shutdown.clone()));
        let hands = Hands { attempter, clock, wait };
        Self { hub, server, plan, recorder, store, hands, shutdown }
    }

    /// A load of `payments/hoot/hello` without guards.
    pub(crate) fn settings(&self, stages: Vec<Stage>) -> Settings {
        Settings {
            name: "nightly".parse().unwrap(),
            target: Arc::clone(&self.plan.targets[0]),
            profile: Profile { stages, arrivals: Arrivals::Even },
            guards: Guards { errors: None, throttled: None, p99: None, missed: None, window: seconds(10) },
            at: None,
            in_flight: 1_000,
            reuse_signatures: true,
            ramp_down: seconds(2),
        }
    }

    pub(crate) fn begin(&self, settings: Settings) -> Run {
        let target = Arc::clone(&settings.target);
        let prepared = PreparedTarget::new(target, &self.plan.settings.endpoint, &self.store, None).unwrap();
        let recorder = self.recorder.begin_load(&settings.name, self.hands.clock.now());
        let stop = Stop::new();
        let run = load::run(
            Arc::new(settings),
            Arc::new(prepared),
            Arc::clone(&recorder),
            self.hands.clone(),
            stop.clone(),
        );
        let running = spokeprobe::seams::spawn("story", run);
        Run { recorder, stop, running }
    }

    pub(crate) async fn run(&self, settings: Settings) -> Report {
        self.begin(settings).report().await
    }

    /// Requests that the hub counted, all together.
    pub(crate) fn counted(&self) -> u64 {
        self.hub.counts().requests.iter().map(|each| each.count).sum()
    }

    /// Checks that no health series knows of any load, and lets the curtain fall.
    pub(crate) fn end(self) {
        assert_eq!(self.recorder.imbalances(), []);
        for status in self.recorder.snapshot().targets {
            assert_eq!((status.counts.due, status.counts.ended()), (0, 0), "{}", status.target.id);
            assert!(status.last.is_none());
        }
        self.shutdown.cancel();
    }
}

impl Run {
    /// The report, once it has ended; the books balance then.
    pub(crate) async fn report(self) -> Report {
        let report = self.running.await.unwrap();
        assert_balanced(&report);
        report
    }

    /// The report of a run that was over before it began.
    pub(crate) async fn at_once(self) -> Report {
        self.running.await.unwrap()
    }

    /// Drops the run as a caller would who has lost interest.
    pub(crate) async fn forget(self) -> LoadRecord {
        self.running.abort();
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.recorder.record()
    }
}

/// due = sent + missed + unsent, and sent = ended + aborted: after every kind of end.
pub(crate) fn assert_balanced(report: &Report) {
    let record = &report.record;
    assert_eq!(record.due, record.sent + record.missed() + record.unsent, "{record:?}");
    assert_eq!(record.sent, record.ended + record.aborted, "{record:?}");
    assert_eq!(record.response.count(), record.ended);
    let results: u64 = record.results.iter().map(|result| result.count).sum();
    assert_eq!(results, record.ended + record.unsent);
    let timeline = |part: fn(&spokeprobe::recording::LoadSecond) -> u64| -> u64 {
        record.timeline.iter().map(part).sum()
    };
    assert_eq!(timeline(|second| second.due), record.due);
    assert_eq!(timeline(|second| second.sent), record.sent);
    assert_eq!(timeline(|second| second.missed), record.missed());
    assert_eq!(timeline(|second| second.ended), record.ended + record.unsent);
    let last = record.timeline.last().unwrap();
    assert_eq!(last.at + last.lasts, report.lasted);
}

/// How a run was stopped: by whom, after how long, measured and allowed.
pub(crate) fn stopped(report: &Report) -> (&'static str, Duration, f64, f64) {
    match report.ended {
        Ended::Stopped { guard, after, measured, allowed } => (guard.as_str(), after, measured, allowed),
        Ended::Completed => panic!("it was not stopped"),
    }
}
