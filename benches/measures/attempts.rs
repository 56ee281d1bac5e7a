//! Whole attempts over TLS against the simulated hub in another process.

use crate::Effort;
use crate::clock::StopWatch;
use crate::figure::Figure;
use crate::fleet::{Fleet, Outside};
use crate::process::{Process, SimulatedHub, free_address, get, wait_for};
use crate::usage::own_cpu_seconds;
use spokeprobe::app::Seams;
use spokeprobe::attempt::{Attempter, PreparedTarget};
use spokeprobe::credentials::Store;
use spokeprobe::plan::Plan;
use spokeprobe::recording::{Recorder, TargetRecorder};
use spokeprobe::seams::{self, Clock, Transport};
use spokeprobe::signing::SigningScope;
use spokeprobe::sources;
use spokeprobe::transport::HttpTransport;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const WORKERS: usize = 64;
const MICROSECONDS: f64 = 1e6;

/// Starts a hub for a fleet and writes the agent's configuration.
pub(crate) fn outside_for(name: &str, fleet: Fleet, listen: std::net::SocketAddr) -> (SimulatedHub, PathBuf) {
    let hub = SimulatedHub::start(name, &fleet.world());
    let outside = Outside {
        endpoint_url: hub.url("endpoint_url"),
        ca_file: hub.url("ca_file"),
        sts_url: hub.url("sts_url"),
    };
    let text = fleet.config(Some(&outside), listen);
    let path = hub.write_config(&text);
    (hub, path)
}

/// 64 workers that make one attempt after the other, on one thread.
pub(crate) fn measure_closed_loop(effort: Effort) -> Vec<Figure> {
    let fleet = Fleet::new(4, 4, 4, "every: 30s");
    assert_eq!(fleet.targets(), WORKERS);
    let (hub, path) = outside_for("closed-loop", fleet, ([127, 0, 0, 1], 0).into());
    let environment = hub.environment();
    let loaded = sources::load_plan(path.to_str().expect("text"), &|_| None).expect("a valid configuration");
    let mut plan = loaded.plan;
    plan.settings.credentials.environment = Some(environment);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut figures = Vec::new();
    for (over, signs_each) in
        [(Over::Reqwest, true), (Over::Reqwest, false), (Over::Direct, true), (Over::Direct, false)]
    {
        let batches = runtime.block_on(closed_loop(&plan, &hub.process, (over, signs_each), effort));
        let how = if signs_each { "each signed anew" } else { "signature reused within a second" };
        let how = format!("{how}{}", over.words());
        let busy = |of: fn(&Batch) -> f64| {
            let mut shares: Vec<f64> =
                batches.iter().map(|batch| of(batch) / batch.seconds * 100.0).collect();
            shares.sort_by(f64::total_cmp);
            shares[shares.len() / 2]
        };
        let per_second: Vec<f64> = batches.iter().map(|batch| batch.attempts / batch.seconds).collect();
        let cpu: Vec<f64> = batches.iter().map(|batch| batch.cpu / batch.attempts).collect();
        let of_a_core: Vec<f64> = cpu.iter().map(|seconds| 1.0 / seconds).collect();
        figures.push(Figure::of(
            &format!("attempts per second of a core, {how}"),
            &of_a_core,
            1.0,
            "1/s",
            "what one core makes when nobody takes it away: the inverse of the processor time below",
        ));
        figures.push(Figure::of(
            &format!("attempts per second as measured, {how}"),
            &per_second,
            1.0,
            "1/s",
            &format!(
                "64 workers in a closed loop on one core: session, signature, keep-alive TLS, classification, \
                 recording; the client's core was {:.0} % busy, the simulated hub's {:.0} %",
                busy(|batch| batch.cpu),
                busy(|batch| batch.hub_cpu),
            ),
        ));
        figures.push(Figure::of(
            &format!("processor time per attempt, {how}"),
            &cpu,
            MICROSECONDS,
            "µs",
            "the client's share of the above, system calls included",
        ));
    }
    figures
}

/// The transport that is measured.
#[derive(Clone, Copy)]
enum Over {
    /// That of health probes.
    Reqwest,
    /// That of load.
    Direct,
}

impl Over {
    const fn words(self) -> &'static str {
        match self {
            Self::Reqwest => "",
            Self::Direct => ", load's own connections",
        }
    }
}

/// What happened in about a second.
struct Batch {
    seconds: f64,
    attempts: f64,
    cpu: f64,
    hub_cpu: f64,
}

struct Worker {
    attempter: Arc<Attempter>,
    clock: Arc<dyn Clock>,
    prepared: PreparedTarget,
    recorder: Arc<TargetRecorder>,
    ended: Arc<AtomicU64>,
}

impl Worker {
    async fn work(self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let due = self.clock.now();
            self.recorder.due();
            self.recorder.started();
            let seen = self.attempter.attempt(&self.prepared, due).await;
            assert!(seen.verdict.expected, "{:?}", seen.verdict);
            self.recorder.observed(&seen, true);
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn closed_loop(
    plan: &Plan,
    hub: &Process,
    (over, signs_each): (Over, bool),
    effort: Effort,
) -> Vec<Batch> {
    let Seams { clock, wait, sessions, transport, .. } = Seams::real(&plan.settings).expect("a trust store");
    let transport: Arc<dyn Transport> = match over {
        Over::Reqwest => transport,
        Over::Direct => {
            let http = HttpTransport::new(&plan.settings.transport, Arc::clone(&clock));
            Arc::new(http.expect("a trust store").direct())
        }
    };
    let recorder = Arc::new(Recorder::new(&plan.settings.recording));
    let (store, _signers) =
        Store::new(&plan.roles, false, sessions, Arc::clone(&clock), wait, Arc::clone(&recorder));
    let shutdown = CancellationToken::new();
    seams::spawn("credentials", Arc::clone(&store).run(shutdown.clone()));
    store.all_asked().wait_for(|asked| *asked).await.expect("sessions");
    let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
    let attempter = Arc::new(Attempter::new(transport, Arc::clone(&clock), scope));
    let ended = Arc::new(AtomicU64::new(0));
    let mut workers = Vec::new();
    for target in &plan.targets {
        let prepared = PreparedTarget::new(Arc::clone(target), &plan.settings.endpoint, &store, None)
            .expect("an addressed target");
        let worker = Worker {
            attempter: Arc::clone(&attempter),
            clock: Arc::clone(&clock),
            prepared: if signs_each { prepared.signing_each_anew() } else { prepared },
            recorder: recorder.add_target(target),
            ended: Arc::clone(&ended),
        };
        workers.push(seams::spawn("worker", worker.work(shutdown.clone())));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut batches = Vec::new();
    for _ in 0..effort.batches() {
        let (watch, cpu, hub_cpu) = (StopWatch::start(), own_cpu_seconds(), hub.cpu_seconds());
        let before = ended.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(1)).await;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let attempts = (ended.load(Ordering::Relaxed) - before) as f64;
        let (cpu, hub_cpu) = (own_cpu_seconds() - cpu, hub.cpu_seconds() - hub_cpu);
        batches.push(Batch { seconds: watch.elapsed().as_secs_f64(), attempts, cpu, hub_cpu });
    }
    shutdown.cancel();
    for worker in workers {
        worker.await.expect("no worker panicked");
    }
    assert!(recorder.imbalances().is_empty());
    batches
}

/// `spokeprobe run` at 100 attempts a second, most of its time asleep.
pub(crate) fn measure_low_rate(effort: Effort) -> Vec<Figure> {
    let fleet = Fleet::new(10, 2, 5, "every: 1s");
    let listen = free_address();
    let (hub, path) = outside_for("low-rate", fleet, listen);
    let agent = hub.start_agent(&path, true);
    wait_for(listen, "/-/ready", |status, _| status == 200);
    thread::sleep(Duration::from_secs(5));
    let (mut cpu, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..effort.batches() / 2 + 1 {
        // The scrapes lie outside of what is timed.
        let (before, cpu_before, watch) = (attempts_of(listen), agent.cpu_seconds(), StopWatch::start());
        thread::sleep(Duration::from_secs(4));
        let (spent, seconds) = (agent.cpu_seconds() - cpu_before, watch.elapsed().as_secs_f64());
        let attempts = attempts_of(listen) - before;
        cpu.push(spent / attempts);
        rates.push(attempts / seconds);
    }
    let rate = rates.iter().sum::<f64>() / rates.len() as f64;
    vec![
        Figure::of(
            "processor time per attempt, the agent at a low rate",
            &cpu,
            MICROSECONDS,
            "µs",
            &format!(
                "`spokeprobe run` as it is, on one core: 100 targets every 1 s ({rate:.0} attempts/s), with pacing, \
                 timers and waking up; each signed anew"
            ),
        ),
        Figure::of(
            "resident memory of that agent",
            &[agent.resident_bytes()],
            1.0 / 1024.0 / 1024.0,
            "MiB",
            "100 targets, 10 roles, its TLS connections and the program itself",
        ),
    ]
}

fn attempts_of(listen: std::net::SocketAddr) -> f64 {
    let (_, text) = get(listen, "/metrics").expect("a scrape");
    text.lines()
        .filter(|line| line.starts_with("spokeprobe_requests_total{") && line.contains("outcome=\"ok\""))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}
