//! As many attempts as some workers can make against a server that others run, each worker one after the other.
//!
//! The product drives load in an open model only: it sends when due. What its attempts cost at full speed, beside
//! `wrk`, `oha` and `hey`, only a closed loop can say, so there is one here and nowhere else. `scripts/bench-peers`
//! runs it; the first probe of the configuration is attempted, over the same code as a load run: session,
//! signature, transport, classification, recording.
//!
//! ```text
//! saturate --config FILE [--workers 64] [--for-seconds 5] [--over direct|reqwest] [--sign-each] [--json]
//! ```
//!
//! `--over reqwest` sends as health probes do instead of over load's own connections, and `--sign-each` reuses no
//! signature: what the two are worth is told beside the figure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that cannot be made should stop with a message, and its result goes to stdout"
)]

use spokeprobe::app::Seams;
use spokeprobe::attempt::{Attempter, PreparedTarget};
use spokeprobe::credentials::Store;
use spokeprobe::domain::identity::Signer;
use spokeprobe::plan::Plan;
use spokeprobe::recording::{LoadRecord, LoadRecorder, Recorder};
use spokeprobe::seams::{self, Clock, Transport};
use spokeprobe::signing::SigningScope;
use spokeprobe::sources;
use spokeprobe::transport::HttpTransport;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What the command line says.
struct Arguments {
    config: String,
    workers: usize,
    lasts: Duration,
    over_reqwest: bool,
    sign_each: bool,
    json: bool,
}

impl Arguments {
    /// `None` when there is no configuration: `cargo test --all-targets` and `cargo bench` come so, with words that
    /// are meant for others.
    fn read(given: &[String]) -> Result<Option<Self>, String> {
        if !given.iter().any(|argument| argument == "--config") {
            return Ok(None);
        }
        let (mut config, mut json, mut over_reqwest, mut sign_each) = (None, false, false, false);
        let (mut workers, mut lasts) = (64, Duration::from_secs(5));
        let mut given = given.iter().cloned();
        while let Some(flag) = given.next() {
            let mut value = || given.next().ok_or(format!("{flag} needs a value"));
            match flag.as_str() {
                "--config" => config = Some(value()?),
                "--workers" => workers = value()?.parse().map_err(|_| "--workers: a number is wanted")?,
                "--for-seconds" => {
                    let seconds: f64 = value()?.parse().map_err(|_| "--for-seconds: a number is wanted")?;
                    lasts = Duration::try_from_secs_f64(seconds).map_err(|problem| problem.to_string())?;
                }
                "--over" => {
                    over_reqwest = match value()?.as_str() {
                        "direct" => false,
                        "reqwest" => true,
                        _ => return Err("--over: direct or reqwest is wanted".to_owned()),
                    }
                }
                "--sign-each" => sign_each = true,
                "--json" => json = true,
                unknown => return Err(format!("unknown argument {unknown}")),
            }
        }
        Ok(config.map(|config| Self { config, workers, lasts, over_reqwest, sign_each, json }))
    }
}

/// What happened.
struct Measured {
    record: LoadRecord,
    seconds: f64,
}

fn main() -> ExitCode {
    let arguments = match Arguments::read(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            eprintln!("saturate: run me by scripts/bench-peers");
            return ExitCode::SUCCESS;
        }
        Err(problem) => {
            eprintln!("saturate: {problem}");
            return ExitCode::from(2);
        }
    };
    let loaded = match sources::load_plan(&arguments.config, &|_| None) {
        Ok(loaded) => loaded,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("saturate: {problem}"));
            return ExitCode::from(2);
        }
    };
    // As the program's own: a thread for each core it may use.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let Measured { record, seconds } = runtime.block_on(closed_loop(&loaded.plan, &arguments));
    let expected: u64 = record.results.iter().map(|result| result.expected).sum();
    if arguments.json {
        let ms = |quantile| record.service.quantile(quantile).as_secs_f64();
        println!(
            "{}",
            serde_json::json!({
                "attempts": record.sent,
                "expected": expected,
                "seconds": seconds,
                "service": {"p50_seconds": ms(0.5), "p99_seconds": ms(0.99)},
            })
        );
    } else {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let per_second = record.sent as f64 / seconds;
        println!("{} attempts in {seconds:.2} s ({per_second:.0}/s), {expected} as expected", record.sent);
    }
    if expected == record.sent { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Worker {
    attempter: Arc<Attempter>,
    clock: Arc<dyn Clock>,
    prepared: Arc<PreparedTarget>,
    recorder: Arc<LoadRecorder>,
}

impl Worker {
    async fn work(self, over: CancellationToken) {
        while !over.is_cancelled() {
            let due = self.clock.now();
            self.recorder.due(1);
            self.recorder.sent();
            let seen = self.attempter.attempt(&self.prepared, due).await;
            self.recorder.ended(&seen);
        }
    }
}

async fn closed_loop(plan: &Plan, arguments: &Arguments) -> Measured {
    let seams = Seams::real(&plan.settings).expect("a trust store");
    let (clock, wait) = (seams.clock, seams.wait);
    let transport: Arc<dyn Transport> = if arguments.over_reqwest {
        seams.transport
    } else {
        let http = HttpTransport::new(&plan.settings.transport, Arc::clone(&clock));
        Arc::new(http.expect("a trust store").direct())
    };
    let target = Arc::clone(plan.targets.first().expect("a probe"));
    let recorder = Arc::new(Recorder::new(&plan.settings.recording));
    let (store, mut known_signers) = Store::new(
        &plan.roles,
        target.signer == Signer::Hub,
        seams.sessions,
        Arc::clone(&clock),
        Arc::clone(&wait),
        Arc::clone(&recorder),
    );
    if let Some(role) = &plan.settings.credentials.hub_role_arn {
        store.set_hub_role(role);
    }
    let over = CancellationToken::new();
    let credentials = seams::spawn("credentials", Arc::clone(&store).run(over.clone()));
    if target.signer != Signer::Anonymous {
        known_signers.recv().await.expect("a session");
    }
    let prepared = PreparedTarget::new(Arc::clone(&target), &plan.settings.endpoint, &store, None);
    let prepared = prepared.expect("an addressed target");
    let prepared = Arc::new(if arguments.sign_each { prepared.signing_each_anew() } else { prepared });
    let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
    let attempter = Arc::new(Attempter::new(transport, Arc::clone(&clock), scope));
    let name = "saturate".parse().expect("a name");
    let began = clock.now();
    let recorder = recorder.begin_load(&name, began);
    let workers: Vec<_> = (0..arguments.workers)
        .map(|_| Worker {
            attempter: Arc::clone(&attempter),
            clock: Arc::clone(&clock),
            prepared: Arc::clone(&prepared),
            recorder: Arc::clone(&recorder),
        })
        .map(|worker| seams::spawn("worker", worker.work(over.clone())))
        .collect();
    wait.until(began + arguments.lasts).await;
    over.cancel();
    for worker in workers {
        worker.await.expect("no worker panicked");
    }
    let seconds = clock.now().since(began).as_secs_f64();
    credentials.await.expect("no panic");
    Measured { record: recorder.record(), seconds }
}
