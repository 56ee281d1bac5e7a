//! How late the pacer is, beside a bare thread that sleeps until each moment, and what it costs.
//!
//! Nothing is sent: what is told is the time from when an arrival was due to when its driver had it in hand. The
//! drivers take turns, a second each, so that all see the same machine and none is in another's way.

use crate::Effort;
use crate::figure::Figure;
use crate::usage::{own_thread_cpu_seconds, own_thread_wakeups};
use spokeprobe::pacing;
use spokeprobe::schedule::{Arrivals, Profile, Stage, Timetable};
use spokeprobe::seams::{Clock, PreciseWait, SystemClock, TokioWait, Wait, on_own_thread};
use std::thread;
use std::time::Duration;

const RATE: f64 = 5_000.0;
const ROUND: Duration = Duration::from_secs(1);
const MILLISECONDS: f64 = 1e3;

/// How much later than the bare thread the pacer may be, in milliseconds.
const P50_BEHIND_BARE: f64 = 0.1;
const P99_BEHIND_BARE: f64 = 0.4;

/// The most wake-ups a second at 100/s, with those of the answers, which are not among these.
const WAKEUPS_AT_MOST: f64 = 250.0;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    let (mut bare, mut paced, mut coarse) = (Vec::new(), Vec::new(), Vec::new());
    let (mut low, mut high) = (Vec::new(), Vec::new());
    for _ in 0..effort.batches() {
        bare.push(bare_thread(RATE));
        paced.push(pacer(RATE, precise));
        coarse.push(pacer(RATE, tokio_timer));
        low.push(pacer(100.0, precise));
        high.push(pacer(10_000.0, precise));
    }
    let mut figures = Vec::new();
    for (share, name, behind) in [(0.5, "p50", P50_BEHIND_BARE), (0.99, "p99", P99_BEHIND_BARE)] {
        let late = |rounds: &[Round]| rounds.iter().map(|round| round.late(share)).collect::<Vec<f64>>();
        let row = |who: &str, values: &[f64], includes: &str| {
            Figure::of(&format!("lateness at 5,000/s, {name}, {who}"), values, MILLISECONDS, "ms", includes)
        };
        let (bare, paced) = (late(&bare), late(&paced));
        let beyond: Vec<f64> = paced.iter().zip(&bare).map(|(paced, bare)| paced - bare).collect();
        figures.push(row("a bare thread", &bare, "sleeps until each moment and does nothing else"));
        figures.push(row("the pacer", &paced, "timetable and timer on a thread with a runtime of its own"));
        figures.push(
            row("the pacer beyond the bare thread", &beyond, "the same, round by round").at_most(behind),
        );
        figures.push(row("tokio's timer", &late(&coarse), "the pacer with a timer of 1 ms, for comparison"));
    }
    let wakeups = |rounds: &[Round]| rounds.iter().map(|round| round.wakeups).collect::<Vec<f64>>();
    let cpu = |rounds: &[Round]| rounds.iter().map(|round| round.cpu).collect::<Vec<f64>>();
    let thread = "of the pacer's thread, the only one that works; without attempts";
    figures.push(
        Figure::of("wake-ups of the pacer at 100/s", &wakeups(&low), 1.0, "1/s", thread)
            .at_most(WAKEUPS_AT_MOST),
    );
    figures.push(Figure::of("wake-ups of the pacer at 10,000/s", &wakeups(&high), 1.0, "1/s", thread));
    for (rate, rounds) in [("100/s", &low), ("5,000/s", &paced), ("10,000/s", &high)] {
        let name = format!("processor time of the pacer at {rate}");
        figures.push(Figure::of(&name, &cpu(rounds), 100.0, "% of a core", "without attempts"));
    }
    figures
}

/// What a second of a driver showed.
struct Round {
    /// Of each arrival, in seconds, sorted.
    lateness: Vec<f64>,
    /// Per second.
    wakeups: f64,
    /// The share of a core.
    cpu: f64,
}

impl Round {
    /// Makes a round; called on the thread that is measured.
    async fn of(drive: impl Future<Output = Vec<Duration>>) -> Self {
        let (switches, cpu) = (own_thread_wakeups(), own_thread_cpu_seconds());
        let late = drive.await;
        let seconds = ROUND.as_secs_f64();
        let (switches, cpu) = (own_thread_wakeups() - switches, own_thread_cpu_seconds() - cpu);
        let mut lateness: Vec<f64> = late.iter().map(Duration::as_secs_f64).collect();
        lateness.sort_by(f64::total_cmp);
        Self { lateness, wakeups: switches / seconds, cpu: cpu / seconds }
    }

    fn late(&self, share: f64) -> f64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
        let index = (self.lateness.len() as f64 * share) as usize;
        self.lateness[index]
    }
}

/// Sleeps until each moment on a thread of its own.
fn bare_thread(rate: f64) -> Round {
    let clock = SystemClock::start();
    on_a_thread(move || async move {
        let start = clock.now();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
        let count = (rate * ROUND.as_secs_f64()) as u32;
        let mut late = Vec::new();
        for n in 0..count {
            let due = start + Duration::from_secs_f64(f64::from(n) / rate);
            thread::sleep(due.since(clock.now()));
            late.push(clock.now().since(due));
        }
        late
    })
}

/// What a load run does, but for the attempts.
fn pacer(rate: f64, make_wait: fn(SystemClock) -> Box<dyn Wait>) -> Round {
    let clock = SystemClock::start();
    on_a_thread(move || async move {
        let wait = make_wait(clock);
        let stages = vec![Stage::Hold { rate, lasts: ROUND }];
        let mut timetable = Timetable::new();
        timetable.begin("load", &Profile { stages, arrivals: Arrivals::Even }, clock.now());
        let (mut arrivals, mut late) = (Vec::new(), Vec::new());
        while !timetable.is_empty() {
            pacing::drive(&mut timetable, &clock, &*wait, &mut arrivals).await;
            let now = clock.now();
            late.extend(arrivals.drain(..).map(|arrival| now.since(arrival.due)));
        }
        late
    })
}

fn on_a_thread<F>(make: impl FnOnce() -> F + Send + 'static) -> Round
where
    F: Future<Output = Vec<Duration>>,
{
    let round = on_own_thread("pacer", move || Round::of(make()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(round).expect("it ends")
}

fn precise(clock: SystemClock) -> Box<dyn Wait> {
    Box::new(PreciseWait::new(clock).expect("a timer"))
}

fn tokio_timer(clock: SystemClock) -> Box<dyn Wait> {
    Box::new(TokioWait::new(clock))
}
