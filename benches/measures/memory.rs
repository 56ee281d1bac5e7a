//! The agent with many targets over the hub in memory: what a target weighs, and what a scrape costs then.
//!
//! The clock is paused, so that an interval of 30 s passes in a moment. Without sockets there are no
//! connections in the figures, which the bound leaves out too.

use crate::Effort;
use crate::clock::{each_call, per_call};
use crate::figure::Figure;
use crate::fleet::Fleet;
use crate::process::get_as;
use crate::usage::own_resident_bytes;
use spokeprobe::app::{App, Seams};
use spokeprobe::recording::Recorder;
use spokeprobe::seams::{self, Clock, SystemClock, TokioWait, Wait};
use spokeprobe::simulator::{Hub, InMemory, World};
use spokeprobe::{plan, sources, web};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

/// The design's bound for an idle target, connections apart.
const BOUND_BYTES: f64 = 16.0 * 1024.0;
const PER_KIB: f64 = 1.0 / 1024.0;
const MILLISECONDS: f64 = 1e3;

pub(crate) fn measure(targets: usize, effort: Effort) -> Vec<Figure> {
    let fleet = Fleet::of_targets(targets, "every: 30s");
    assert_eq!(fleet.targets(), targets);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    // Rings are full after 256 attempts. Ten times as many targets would only take ten times as long.
    let fills_rings = targets == 1_000 && effort == Effort::Full;
    let (recorder, weights, promised) = runtime.expect("a runtime").block_on(run(fleet, fills_rings));
    let count = f64::from(u32::try_from(targets).expect("a number of targets"));
    let shown = thousands(targets);
    let weight = |name: &str, bytes: f64, includes: &str| {
        let name = format!("memory per target, {name}, {shown} targets");
        Figure::of(&name, &[bytes / count], PER_KIB, "KiB", includes).at_most(BOUND_BYTES * PER_KIB)
    };
    let mut figures = Vec::new();
    // What an agent weighs without any target would be most of the share of each of few.
    if targets >= 1_000 {
        figures.push(weight(
            "not yet attempted",
            weights.built,
            "growth of resident memory from before the configuration was read, with what the allocator keeps \
             of reading it; the spoke's and role's share",
        ));
        figures.push(weight(
            "idle after two attempts",
            weights.attempted,
            "the same, with signed request, last outcome, histogram; no connections",
        ));
        figures.extend(weights.filled.map(|bytes| {
            weight("idle after 260 attempts", bytes, "the same, with the full ring of 256 response times")
        }));
    }
    figures.extend(scrape(&recorder, promised, &shown, effort));
    figures
}

/// Growth of resident memory in bytes since before the configuration was read.
struct Weights {
    built: f64,
    attempted: f64,
    filled: Option<f64>,
}

/// Runs the agent to its end: what it recorded, what it weighed, and the series that `plan` promised.
async fn run(fleet: Fleet, fills_rings: bool) -> (Arc<Recorder>, Weights, usize) {
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_789_466_400);
    let clock = SystemClock::simulated(started);
    let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(clock));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let world = World::parse(&fleet.world()).expect("a valid world");
    let hub = Arc::new(Hub::new(world, started));
    let outside = Arc::new(InMemory::new(hub, Arc::clone(&clock), Arc::clone(&wait)));
    let sessions = Arc::clone(&outside) as _;
    let seams = Seams::shared(clock, wait, sessions, Arc::clone(&outside) as _, outside);

    let before = own_resident_bytes();
    let (app, promised) = {
        let text = fleet.config(None, ([127, 0, 0, 1], 0).into());
        let read =
            sources::load_plan_text("generated", &text, &|_| None).expect("a valid configuration").plan;
        (App::build(&read, seams).expect("an agent"), plan::estimate(&read).time_series.expected)
    };
    let built = own_resident_bytes() - before;
    let recorder = Arc::clone(app.recorder());
    let shutdown = CancellationToken::new();
    let agent = seams::spawn("agent", app.run(None, shutdown.clone()));
    tokio::time::sleep(Duration::from_secs(61)).await;
    let attempted = own_resident_bytes() - before;
    assert_eq!(
        recorder.snapshot().targets.iter().filter(|target| target.last.is_some()).count(),
        fleet.targets()
    );
    let filled = if fills_rings {
        tokio::time::sleep(Duration::from_secs(30 * 260)).await;
        Some(own_resident_bytes() - before)
    } else {
        None
    };
    shutdown.cancel();
    agent.await.expect("no panic").expect("a clean end");
    assert!(recorder.imbalances().is_empty());
    (recorder, Weights { built, attempted, filled }, promised)
}

fn scrape(recorder: &Arc<Recorder>, promised: usize, shown: &str, effort: Effort) -> Vec<Figure> {
    let times = effort.batches() * 2;
    let text = String::from_utf8(recorder.encode_text()).expect("text");
    let series = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(series, promised, "the series that `plan` promises");
    let encode = per_call(effort, || drop(recorder.encode_text()));
    let address = serve(Arc::clone(recorder));
    let name = |what: &str| format!("{what}, {shown} targets");
    let number = |number: usize| f64::from(u32::try_from(number).expect("below 4 billion"));
    let over_http = |path: &'static str, coding: &'static str, how: &str| {
        let mut size = 0;
        let seconds = each_call(times, || {
            let (head, body) = get_as(address, path, coding).expect("an answer");
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            assert_eq!(head.contains("content-encoding: gzip"), coding == "gzip", "{head}");
            size = body.len();
        });
        let (took, what) = (name(&format!("GET {path}{how}")), name(&format!("GET {path}{how}: size")));
        [
            Figure::of(&took, &seconds, MILLISECONDS, "ms", "wall time, over a new connection"),
            Figure::of(&what, &[number(size) / 1024.0], 1.0, "KiB", "every target as expected"),
        ]
    };
    let mut figures = vec![
        Figure::of(&name("time series"), &[number(series)], 1.0, "", "as many as `plan` promises"),
        Figure::of(
            &name("a scrape: encoding"),
            &encode,
            MILLISECONDS,
            "ms",
            "processor time, every target as expected",
        ),
    ];
    for path in ["/metrics", "/api/v1/status"] {
        figures.extend(over_http(path, "identity", ""));
        figures.extend(over_http(path, "gzip", " with gzip"));
    }
    figures
}

/// Serves a recorder in a thread that ends with the process.
fn serve(recorder: Arc<Recorder>) -> SocketAddr {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        runtime.expect("a runtime").block_on(async move {
            let listen = ([127, 0, 0, 1], 0).into();
            let settings = web::Settings { listen, status: web::StatusAccess::Auto, config_file: None };
            let listener = web::bind(&settings).await.expect("a free port");
            tell.send(listener.address()).expect("the other thread waits");
            let state = web::State {
                stop_loads: Arc::new(|| 0),
                reload: None,
                explain: spokeprobe::app::explanation,
                recorder,
                readiness: web::Readiness::new(),
                now: Arc::new(|| SystemTime::UNIX_EPOCH),
                started_at: SystemTime::UNIX_EPOCH,
            };
            web::serve(&listener, state, CancellationToken::new()).await;
        });
    });
    told.recv().expect("a listener")
}

/// A number as it is read.
pub(crate) fn thousands(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { format!("{},{:03}", number / 1_000, number % 1_000) }
}
