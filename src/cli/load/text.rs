//! The report as text for people: the verdict first, then what was missed, then the numbers.

use super::comparison::Comparison;
use super::document::{Arrivals, Document, End, Stage};
use super::figures::{self, UNKNOWN, code, count, duration, latency, latency_or_unknown, percent, rate};
use super::guards::GuardRow;
use crate::cli::output::{self, Colour, Paint};
use std::fmt::Write as _;

/// The report.
pub(in crate::cli) fn render(document: &Document, paint: Paint<'_>) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let _done = write(&mut text, document, paint);
    text
}

fn write(text: &mut String, document: &Document, paint: Paint<'_>) -> std::fmt::Result {
    let (colour, word) = if document.verdict.expected {
        (Colour::Green, "as expected")
    } else {
        (Colour::Red, "NOT AS EXPECTED")
    };
    writeln!(text, "{} {}", paint(Colour::Bold, &format!("load {}:", document.load)), paint(colour, word))?;
    for reason in &document.verdict.because {
        writeln!(text, "  {}", paint(Colour::Red, reason))?;
    }
    writeln!(text)?;
    write_head(text, document)?;
    write_missed(text, document, paint)?;
    write_results(text, document, paint)?;
    write_latency(text, document, paint)?;
    write_guards(text, document, paint)?;
    if let Some(comparison) = &document.baseline {
        write!(text, "\n{}", comparison_text(comparison, paint))?;
    }
    Ok(())
}

/// Names and values one under the other.
fn write_head(text: &mut String, document: &Document) -> std::fmt::Result {
    let request = &document.request;
    let reached = document.rate.reached_mean_per_second;
    let asked = document.rate.asked_mean_per_second;
    let of_asked = if asked > 0.0 {
        format!(" ({})", figures::share((reached / asked).min(1.0)))
    } else {
        String::new()
    };
    let rows = [
        (
            "target",
            format!(
                "{}  {} {} as {}",
                document.target_path(),
                request.method,
                request.path,
                request.identity
            ),
        ),
        ("began", document.began_at.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
        ("lasted", lasted(document)),
        ("stages", stages(document)),
        ("signatures", document.signatures.as_str().to_owned()),
        (
            "rate",
            format!(
                "{} asked (peak {}), {} reached{of_asked}",
                rate(asked),
                rate(document.rate.asked_peak_per_second),
                rate(reached)
            ),
        ),
        (
            "attempts",
            format!(
                "{} due: {} sent, {} missed, {} unsent; {} ended, {} cut off",
                count(document.due),
                count(document.sent),
                count(document.missed),
                count(document.unsent),
                count(document.ended),
                count(document.aborted)
            ),
        ),
    ];
    for (name, value) in rows {
        writeln!(text, "{name:<11} {value}")?;
    }
    Ok(())
}

/// How long it took of what was planned.
pub(super) fn lasted(document: &Document) -> String {
    let (real, planned) = (duration(document.lasted_seconds), duration(document.planned_seconds));
    match &document.end {
        End::Completed if real == planned => real,
        End::Completed => format!("{real}, {planned} of them planned"),
        End::Stopped { after_seconds, .. } => {
            format!("{real} of {planned} planned, stopped after {}", duration(*after_seconds))
        }
    }
}

/// The stages in words, at most a handful.
pub(super) fn stages(document: &Document) -> String {
    const SHOWN: usize = 6;
    let mut words: Vec<String> = document
        .stages
        .iter()
        .take(SHOWN)
        .map(|stage| match *stage {
            Stage::Hold { rate_per_second, lasts_seconds } => {
                format!("hold {} for {}", rate(rate_per_second), duration(lasts_seconds))
            }
            Stage::Ramp { from_per_second, to_per_second, lasts_seconds } => {
                format!("{} to {} in {}", rate(from_per_second), rate(to_per_second), duration(lasts_seconds))
            }
            Stage::Sine { low_per_second, high_per_second, period_seconds, lasts_seconds } => format!(
                "between {} and {} every {} for {}",
                rate(low_per_second),
                rate(high_per_second),
                duration(period_seconds),
                duration(lasts_seconds)
            ),
        })
        .collect();
    if document.stages.len() > SHOWN {
        words.push(format!("{} more", document.stages.len() - SHOWN));
    }
    let arrivals = match document.arrivals {
        Arrivals::Even => "even arrivals".to_owned(),
        Arrivals::Poisson { seed } => format!("Poisson arrivals, seed {seed}"),
    };
    format!("{}; {arrivals}", words.join(", "))
}

/// What was not sent, and what to do about it; nothing where all was.
fn write_missed(text: &mut String, document: &Document, paint: Paint<'_>) -> std::fmt::Result {
    for (headline, advice) in missed(document) {
        writeln!(text, "\n{}", paint(Colour::Red, &headline))?;
        write_wrapped(text, &advice)?;
    }
    Ok(())
}

/// A paragraph, indented, in lines that are comfortable to read.
fn write_wrapped(text: &mut String, paragraph: &str) -> std::fmt::Result {
    const WIDTH: usize = 98;
    let mut line = String::new();
    for word in paragraph.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(text, "  {line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(text, "  {line}")
}

/// The kinds of missed arrivals, each with advice.
pub(super) fn missed(document: &Document) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let by = &document.missed_by_cause;
    if by.overloaded > 0 {
        lines.push((
            format!("MISSED {} of {} arrivals: too many attempts in flight", count(by.overloaded), count(document.due)),
            format!(
                "The answers came slower than the rate asked for, so the limit of {} attempts in flight was reached and \
                 the numbers below are of a lower rate. Ask for a lower rate, or raise limits.in_flight and \
                 limits.in_flight_per_account if the path can bear it.",
                count(u64::try_from(document.in_flight_limit).unwrap_or(u64::MAX))
            ),
        ));
    }
    if by.paused > 0 {
        lines.push((
            format!("MISSED {} of {} arrivals: the agent itself was held up", count(by.paused), count(document.due)),
            "The machine gave this process no time, or it was suspended. Run on a machine with a free core, and away \
             from what else loads it."
                .to_owned(),
        ));
    }
    lines
}

fn write_results(text: &mut String, document: &Document, paint: Paint<'_>) -> std::fmt::Result {
    if document.results.is_empty() {
        return writeln!(text, "\nNo attempt ended.");
    }
    let judged = document.judged();
    let rows: Vec<Vec<String>> = document
        .results
        .iter()
        .map(|row| {
            vec![
                format!("{:>9}", count(row.count)),
                format!("{:>7}", percent(row.count, judged)),
                code(row.code),
                row.outcome.to_owned(),
                row.reason.to_owned(),
                if row.expected { "yes" } else { "NO" }.to_owned(),
                if row.expected && row.outcome == "ok" { String::new() } else { row.meaning.to_owned() },
            ]
        })
        .collect();
    let header = ["    count", "  share", "code", "outcome", "reason", "expected", "meaning"];
    let table = output::table(&header, &rows);
    writeln!(text)?;
    for (at, line) in table.lines().enumerate() {
        let unexpected = at > 0 && document.results.get(at - 1).is_some_and(|row| !row.expected);
        writeln!(text, "{}", if unexpected { paint(Colour::Red, line) } else { line.to_owned() })?;
    }
    if let Some(worst) = document.results.iter().find(|row| !row.expected && row.reason != "none") {
        writeln!(text, "`spokeprobe explain {}` says who owns it and what to do.", worst.reason)?;
    }
    Ok(())
}

fn write_latency(text: &mut String, document: &Document, paint: Paint<'_>) -> std::fmt::Result {
    let (response, service) = (&document.latency.response, &document.latency.service);
    if response.count == 0 {
        return Ok(());
    }
    let line = |name: &str, response: Option<f64>, service: Option<f64>| {
        format!("{name:<11} {:>10} {:>10}", latency_or_unknown(response), latency_or_unknown(service))
    };
    writeln!(text, "\n{}", paint(Colour::Bold, "latency       response    service"))?;
    writeln!(text, "              from due  from sent")?;
    writeln!(text, "{}", line("min", response.min_seconds, service.min_seconds))?;
    writeln!(text, "{}", line("mean", response.mean_seconds, service.mean_seconds))?;
    let rows = response.percentiles().into_iter().zip(service.percentiles());
    for ((name, _, of_response), (_, _, of_service)) in rows.filter(|(row, _)| row.2.is_some()) {
        writeln!(text, "{}", line(name, of_response, of_service))?;
    }
    writeln!(text, "{}", line("max", response.max_seconds, service.max_seconds))?;
    let late = &document.lateness;
    writeln!(
        text,
        "\nlateness    sent after due: p50 {}, p99 {}, max {}",
        latency_or_unknown(late.p50_seconds),
        latency_or_unknown(late.p99_seconds),
        latency_or_unknown(late.max_seconds)
    )
}

fn write_guards(text: &mut String, document: &Document, paint: Paint<'_>) -> std::fmt::Result {
    let Some(first) = document.guards.first() else {
        return writeln!(text, "guards      none");
    };
    let words: Vec<String> =
        document.guards.iter().map(|guard| guard_words(guard, document, paint)).collect();
    writeln!(text, "guards      {} (the worst of any {})", words.join(", "), duration(first.window_seconds))
}

fn guard_words(guard: &GuardRow, document: &Document, paint: Paint<'_>) -> String {
    let (worst, fired) = worst(guard, document);
    let words = format!("{} {worst} of {}", guard.guard, figures::limit(guard.guard, guard.allowed));
    if fired { paint(Colour::Red, &words) } else { words }
}

/// The worst that a guard saw, and whether it was the one that stopped the run.
pub(super) fn worst(guard: &GuardRow, document: &Document) -> (String, bool) {
    if let End::Stopped { guard: fired, measured, .. } = &document.end
        && *fired == guard.guard
    {
        return (figures::limit(guard.guard, *measured), true);
    }
    (guard.worst.map_or_else(|| UNKNOWN.to_owned(), |worst| figures::limit(guard.guard, worst)), false)
}

/// The comparison with an earlier run.
fn comparison_text(comparison: &Comparison, paint: Paint<'_>) -> String {
    let colour = if comparison.worse { Colour::Red } else { Colour::Green };
    let mut lines =
        vec![format!("{} {}", paint(Colour::Bold, "baseline:"), paint(colour, &comparison.headline()))];
    lines.extend(comparison.warnings.iter().map(|warning| format!("  warning: {warning}")));
    let rows: Vec<Vec<String>> = comparison
        .rows
        .iter()
        .map(|row| {
            let [figure, before, now, ratio, verdict] = row.cells();
            vec![figure, format!("{before:>9}"), format!("{now:>9}"), format!("{ratio:>7}"), verdict]
        })
        .collect();
    let table = output::table(&["", "  earlier", "      now", "  ratio", ""], &rows);
    for (at, line) in table.lines().enumerate() {
        let worse = at > 0 && comparison.rows.get(at - 1).is_some_and(|row| row.worse);
        lines.push(if worse { paint(Colour::Red, line) } else { line.to_owned() });
    }
    lines.join("\n") + "\n"
}

/// One line for a log: the verdict and the numbers people ask for first.
pub(in crate::cli) fn one_line(document: &Document) -> String {
    let response = &document.latency.response;
    format!(
        "load {} of {}: {}; {} sent, {} missed, {} not as expected; response p50 {} p99 {} max {}",
        document.load,
        document.target_path(),
        if document.verdict.expected { "as expected" } else { "not as expected" },
        count(document.sent),
        count(document.missed),
        count(document.unexpected),
        latency_or_unknown(response.p50_seconds),
        latency_or_unknown(response.p99_seconds),
        response.max_seconds.map_or_else(|| UNKNOWN.to_owned(), latency)
    )
}
