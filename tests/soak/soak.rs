//! The soak: an agent's days and years in simulated time, with everything that goes wrong in them, by seed.
//!
//! `scenario` makes a seed into faults and times, `setting` into spokes and a world; `run` plays that in memory under
//! a paused clock; `checks` and `attribution` hold the agent to what must be true whatever happens. Everything follows
//! from the seed: a seed that fails is played again by its command.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a soak fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it is a program of its own")]

mod arguments;
mod attribution;
mod checks;
mod faults;
mod outside;
mod random;
mod reloads;
mod run;
mod scenario;
mod scrape;
mod setting;
mod troubles;
mod written;

use arguments::Arguments;
use run::{Play, Played, Sabotage, play};
use setting::Scale;
use spokeprobe::seams::{Clock as _, SystemClock};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("--self-test") {
        return self_test();
    }
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(problem) => {
            eprintln!("{problem}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    let clock = SystemClock::start();
    let next = AtomicU64::new(0);
    let all: Mutex<Vec<Played>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= arguments.seeds {
                        return;
                    }
                    let seed = arguments.seed + number;
                    let begun = clock.now();
                    let of_seed = Play { seed, ..arguments.play };
                    let played = std::panic::catch_unwind(|| play(of_seed)).unwrap_or_else(|_| Played {
                        seed,
                        broken: vec!["the play itself panicked; see above".to_owned()],
                        ..Played::default()
                    });
                    let took = clock.now().since(begun).as_secs_f64();
                    tell(&played, took, &arguments);
                    all.lock().unwrap().push(played);
                }
            });
        }
    });
    let mut all = all.into_inner().unwrap();
    if let Some(seed) = arguments.twice {
        again(seed, &mut all, &arguments);
    }
    sum_up(&all, clock.now().since_origin().as_secs_f64());
    if all.iter().all(|played| played.broken.is_empty()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plays a seed that was played once more: every count must be the same.
fn again(seed: u64, all: &mut [Played], arguments: &Arguments) {
    let Some(first) = all.iter_mut().find(|played| played.seed == seed) else { return };
    let second = play(Play { seed, ..arguments.play });
    if (first.digest, first.requests, first.sts_calls) != (second.digest, second.requests, second.sts_calls) {
        first.broken.push(format!("played again, seed {seed} comes out otherwise"));
        println!("seed {seed} played again: {:016x} and {:016x}", first.digest, second.digest);
    }
}

/// Each lie must be found out, and without one nothing may be found.
fn self_test() -> ExitCode {
    let hours = |hours: u64| Duration::from_secs(hours * 3_600);
    let scale = Scale { spokes: 5, every: Duration::from_secs(30) };
    let honest = Play {
        seed: 7,
        scale,
        lasts: hours(6),
        faults_a_day: 60.0,
        reloads_a_day: 0.0,
        until: None,
        sabotage: None,
    };
    let mut blind = Vec::new();
    for sabotage in std::iter::once(None).chain(Sabotage::ALL.map(Some)) {
        let played = play(Play { sabotage, ..honest });
        let found =
            played.broken.first().map_or("nothing", |broken| broken.lines().next().unwrap_or_default());
        println!("{sabotage:?}: {found}");
        if played.broken.is_empty() != sabotage.is_none() {
            blind.push(sabotage);
        }
    }
    if blind.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("judged wrongly: {blind:?}");
    ExitCode::FAILURE
}

fn tell(played: &Played, took: f64, arguments: &Arguments) {
    let word = if played.broken.is_empty() { "held" } else { "BROKEN" };
    println!(
        "seed {}: {word}, {} simulated in {took:.1} s: {} attempts due, {} requests, {} calls to STS (at most {} at once), \
         {} faults, {} series, digest {:016x}",
        played.seed,
        run::written(played.simulated),
        played.due,
        played.requests,
        played.sts_calls,
        played.sts_at_once,
        played.faults.values().sum::<u64>(),
        played.series,
        played.digest,
    );
    for broken in &played.broken {
        println!("  {broken}");
    }
    if !played.broken.is_empty() {
        println!("  again: {}", arguments.again(played.seed));
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn sum_up(all: &[Played], took: f64) {
    let mut faults: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, count) in all.iter().flat_map(|played| &played.faults) {
        *faults.entry(kind).or_default() += count;
    }
    let sum = |of: &dyn Fn(&Played) -> u64| all.iter().map(of).sum::<u64>();
    let days = all.iter().map(|played| played.simulated.as_secs_f64() / 86_400.0).sum::<f64>();
    println!("faults:");
    for (kind, count) in &faults {
        println!("  {count:>6}  {kind}");
    }
    println!(
        "{} seeds, {days:.0} simulated days in {took:.0} s: {} attempts due ({:.0}/s), {} requests, {} calls to STS, {} faults \
         of {} kinds, {} looks; {} seeds broke a rule",
        all.len(),
        sum(&|played| played.due),
        sum(&|played| played.due) as f64 / took,
        sum(&|played| played.requests),
        sum(&|played| played.sts_calls),
        faults.values().sum::<u64>(),
        faults.len(),
        sum(&|played| played.looks),
        all.iter().filter(|played| !played.broken.is_empty()).count(),
    );
}
