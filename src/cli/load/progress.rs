//! The lines of a running load: a pure function from a snapshot to lines, and a thin drawer for stderr.
//!
//! In a terminal the lines are drawn over themselves by two control sequences of ECMA-48, cursor up and erase below;
//! a crate for progress bars would bring a renderer and its own clock for that. Elsewhere one line is printed each ten
//! seconds.

use super::document::{ResultRow, rows};
use super::figures::{UNKNOWN, code, count, duration, latency_or_unknown, limit, rate};
use super::guards::{self, Near};
use super::measured::{self, Recent};
use crate::cli::output::{self, Colour, Paint};
use crate::load::Settings;
use crate::recording::LoadRecorder;
use std::io::IsTerminal as _;
use std::time::Duration;

/// What the recent figures are taken over.
pub(in crate::cli) const RECENT: Duration = Duration::from_secs(10);

/// How often a line is printed where nothing can be drawn over.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Results that are named; the rest is summed up.
const RESULTS: usize = 5;

/// A share of what is allowed from which a guard is shown as near.
const NEAR: f64 = 0.5;

/// A running load at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cli) struct Progress {
    pub(super) load: String,
    pub(super) elapsed: Duration,
    pub(super) planned: Duration,
    /// Rates of the last whole second.
    pub(super) rate_asked: f64,
    pub(super) rate_reached: f64,
    pub(super) in_flight: u64,
    pub(super) in_flight_limit: usize,
    pub(super) sent: u64,
    pub(super) missed: u64,
    /// Of the last seconds; none where nothing ended.
    pub(super) response: Option<Recent>,
    /// Of the run so far; none where nothing ended.
    pub(super) service: Option<Recent>,
    pub(super) results: Vec<ResultRow>,
    pub(super) guards: Vec<Near>,
    /// Why the run is being ended early, once it is.
    pub(super) stopping: Option<String>,
}

impl Progress {
    /// Looks at a running load, `elapsed` after its beginning.
    pub(in crate::cli) fn of(recorder: &LoadRecorder, settings: &Settings, elapsed: Duration) -> Self {
        let record = recorder.record();
        let last = record.timeline.last();
        let a_second = |number: u64| {
            let lasts = last.map_or(0.0, |second| second.lasts.as_secs_f64());
            #[expect(clippy::cast_precision_loss, reason = "counts of a second are far below 2^52")]
            if lasts > 0.0 { number as f64 / lasts } else { 0.0 }
        };
        Self {
            load: settings.name.to_string(),
            elapsed,
            planned: settings.profile.lasts(),
            rate_asked: last.map_or(0.0, |second| second.rate_asked),
            rate_reached: a_second(last.map_or(0, |second| second.sent)),
            in_flight: recorder.in_flight(),
            in_flight_limit: settings.in_flight,
            sent: record.sent,
            missed: record.missed(),
            response: measured::recent(&record.timeline, RECENT, recorder.window(RECENT).p99),
            service: measured::so_far(&record.service),
            results: rows(&record.results),
            guards: guards::near(recorder, &settings.guards),
            stopping: None,
        }
    }

    /// The same with the reason why the run is being ended early.
    pub(in crate::cli) fn stopping(self, why: String) -> Self {
        Self { stopping: Some(why), ..self }
    }
}

/// The lines, to be drawn one under the other.
pub(super) fn lines(progress: &Progress, paint: Paint<'_>) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{} {} of {}  {}",
            paint(Colour::Bold, &format!("load {}:", progress.load)),
            duration(progress.elapsed.as_secs_f64().floor()),
            duration(progress.planned.as_secs_f64()),
            bar(progress.elapsed, progress.planned)
        ),
        format!(
            "  rate      {} asked, {} reached; {} of {} in flight; {} sent, {}",
            rate(progress.rate_asked),
            rate(progress.rate_reached),
            count(progress.in_flight),
            progress.in_flight_limit,
            count(progress.sent),
            if progress.missed > 0 {
                paint(Colour::Red, &format!("{} MISSED", count(progress.missed)))
            } else {
                "0 missed".to_owned()
            }
        ),
    ];
    if let Some(recent) = &progress.response {
        let span = duration(RECENT.as_secs_f64());
        lines.push(format!("  response  {} in the last {span}", figures_of(recent)));
    }
    if let Some(recent) = &progress.service {
        lines.push(format!("  service   {} so far", figures_of(recent)));
    }
    if !progress.results.is_empty() {
        lines.push(format!("  results   {}", results(&progress.results, paint)));
    }
    if !progress.guards.is_empty() {
        let words: Vec<String> = progress.guards.iter().map(|guard| near(guard, paint)).collect();
        lines.push(format!("  guards    {}", words.join(", ")));
    }
    if let Some(why) = &progress.stopping {
        lines.push(format!("  {}", paint(Colour::Red, why)));
    }
    lines
}

/// All of it in one line, for logs of a pipeline.
pub(super) fn one_line(progress: &Progress) -> String {
    let recent = progress.response.as_ref().map(|recent| format!("; response {}", figures_of(recent)));
    let service = progress.service.as_ref().map(|recent| format!("; service {}", figures_of(recent)));
    let unexpected: u64 = progress.results.iter().filter(|row| !row.expected).map(|row| row.count).sum();
    let stopping = progress.stopping.as_ref().map(|why| format!("; {why}"));
    format!(
        "load {}: {} of {}; {} asked, {} reached; {} in flight; {} sent, {} missed, {} not as expected{}{}{}",
        progress.load,
        duration(progress.elapsed.as_secs_f64().floor()),
        duration(progress.planned.as_secs_f64()),
        rate(progress.rate_asked),
        rate(progress.rate_reached),
        count(progress.in_flight),
        count(progress.sent),
        count(progress.missed),
        count(unexpected),
        recent.unwrap_or_default(),
        service.unwrap_or_default(),
        stopping.unwrap_or_default(),
    )
}

fn figures_of(recent: &Recent) -> String {
    format!(
        "p50 {}, p99 {}, max {}",
        latency_or_unknown(recent.p50_seconds),
        latency_or_unknown(recent.p99_seconds),
        latency_or_unknown(recent.max_seconds)
    )
}

fn bar(elapsed: Duration, planned: Duration) -> String {
    const CELLS: usize = 24;
    let share = if planned.is_zero() { 1.0 } else { elapsed.as_secs_f64() / planned.as_secs_f64() };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "between 0 and 24"
    )]
    let full = (share.clamp(0.0, 1.0) * CELLS as f64) as usize;
    format!("{}{}", "█".repeat(full), "░".repeat(CELLS - full))
}

fn results(rows: &[ResultRow], paint: Paint<'_>) -> String {
    let mut words: Vec<String> = rows
        .iter()
        .take(RESULTS)
        .map(|row| {
            let reason = if row.reason == "none" { String::new() } else { format!("/{}", row.reason) };
            let words = format!("{} {}{reason} {}", code(row.code), row.outcome, count(row.count));
            if row.expected { words } else { paint(Colour::Red, &words) }
        })
        .collect();
    let rest: u64 = rows.iter().skip(RESULTS).map(|row| row.count).sum();
    if rest > 0 {
        words.push(format!("others {}", count(rest)));
    }
    words.join(" · ")
}

fn near(guard: &Near, paint: Paint<'_>) -> String {
    let measured = guard.measured.map_or_else(|| UNKNOWN.to_owned(), |measured| limit(guard.guard, measured));
    let words = format!("{} {measured} of {}", guard.guard, limit(guard.guard, guard.allowed));
    if guard.measured.is_some_and(|measured| measured > guard.allowed * NEAR && measured > 0.0) {
        paint(Colour::Red, &words)
    } else {
        words
    }
}

/// Draws progress on stderr.
#[derive(Debug)]
pub(in crate::cli) struct Drawer {
    /// False where lines cannot be drawn over.
    in_place: bool,
    /// Lines on the screen that the next drawing replaces.
    drawn: usize,
    /// When the next plain line is due.
    next_plain: Duration,
}

impl Drawer {
    /// For the process's stderr.
    pub(in crate::cli) fn on_stderr() -> Self {
        // A terminal that calls itself dumb knows no control sequences.
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::new(std::io::stderr().is_terminal() && !dumb)
    }

    fn new(in_place: bool) -> Self {
        Self { in_place, drawn: 0, next_plain: PLAIN_EVERY }
    }

    /// Shows where the load stands. Called once a second or so.
    pub(in crate::cli) fn draw(&mut self, progress: &Progress) {
        let columns = terminal_size::terminal_size_of(std::io::stderr())
            .map_or(80, |(terminal_size::Width(columns), _)| usize::from(columns));
        if let Some(text) = self.next(progress, columns) {
            output::raw_note(&text);
        }
    }

    /// Takes the lines from the screen, so that the report stands alone.
    pub(in crate::cli) fn finish(&mut self) {
        if self.in_place && self.drawn > 0 {
            output::raw_note(&back(self.drawn));
            self.drawn = 0;
        }
    }

    /// What is to be written, if anything.
    fn next(&mut self, progress: &Progress, columns: usize) -> Option<String> {
        if !self.in_place {
            if progress.elapsed < self.next_plain {
                return None;
            }
            self.next_plain = progress.elapsed + PLAIN_EVERY;
            return Some(one_line(progress) + "\n");
        }
        let mut text = back(self.drawn);
        let lines = lines(progress, &output::paint);
        self.drawn = lines.len();
        for line in lines {
            text.push_str(&cut(&line, columns));
            text.push('\n');
        }
        Some(text)
    }
}

/// Up by some lines, and everything below erased.
fn back(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\u{1b}[{lines}A\r\u{1b}[J") }
}

/// A line that does not wrap, since a wrapped one would be two on the screen. Control sequences take no column, and
/// colours end with the line.
fn cut(line: &str, columns: usize) -> String {
    let (mut text, mut width, mut in_sequence, mut coloured) = (String::new(), 0, false, false);
    for c in line.chars() {
        if in_sequence {
            in_sequence = !c.is_ascii_alphabetic();
        } else if c == '\u{1b}' {
            (in_sequence, coloured) = (true, true);
        } else {
            width += 1;
            if width >= columns.max(20) {
                break;
            }
        }
        text.push(c);
    }
    if coloured {
        text.push_str("\u{1b}[0m");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::tests::progress;
    use super::*;

    fn plain(_colour: Colour, text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn lines_tell_where_a_load_stands() {
        let text = lines(&progress(), &plain).join("\n");
        assert_eq!(
            text,
            "\
load nightly: 1m30s of 6m30s  █████░░░░░░░░░░░░░░░░░░░
  rate      20/s asked, 18/s reached; 12 of 400 in flight; 1,500 sent, 20 MISSED
  response  p50 12.0 ms, p99 1.20 s, max 2.00 s in the last 10s
  service   p50 11.0 ms, p99 30.0 ms, max – so far
  results   200 ok 1,400 · 429 throttled/rate 60 · none unreachable/reset 3
  guards    errors 4.2% of 5%, missed 0% of 1%, p99 – of 2.00 s
  stopping on request"
        );
    }

    #[test]
    fn a_pipe_gets_a_line_each_ten_seconds() {
        let mut drawer = Drawer::new(false);
        let at = |seconds| Progress { elapsed: Duration::from_secs(seconds), ..progress() };
        let drawn: Vec<u64> = (1..=30).filter(|second| drawer.next(&at(*second), 80).is_some()).collect();
        assert_eq!(drawn, [10, 20, 30]);
        let line = one_line(&progress());
        assert!(!line.contains(['\n', '\u{1b}']) && line.contains("20 missed, 63 not as expected"), "{line}");
    }

    #[test]
    fn a_terminal_is_drawn_over_and_no_line_wraps() {
        let mut drawer = Drawer::new(true);
        let first = drawer.next(&progress(), 40).unwrap();
        assert!(!first.contains("\u{1b}["), "{first:?}");
        assert!(first.lines().all(|line| line.chars().count() < 40), "{first}");
        let second = drawer.next(&progress(), 40).unwrap();
        assert!(second.starts_with("\u{1b}[7A\r\u{1b}[J"), "{second:?}");
    }

    #[test]
    fn a_cut_line_keeps_its_colours_to_itself() {
        assert_eq!(cut("abc", 80), "abc");
        let red = format!("\u{1b}[31m{}\u{1b}[0m", "x".repeat(50));
        assert_eq!(cut(&red, 21), format!("\u{1b}[31m{}\u{1b}[0m", "x".repeat(20)));
    }
}
