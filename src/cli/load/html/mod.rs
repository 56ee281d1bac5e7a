//! The report as one page that needs nothing else: no script, no font, no picture from anywhere. The page forbids
//! itself all of that by a content security policy that allows its own style only, so that a hostile text that
//! slipped through could still do nothing.
//!
//! ```text
//! page.css  the style, light and dark      plots  what is drawn      chart  how it is drawn, as SVG
//! escaping  texts of others
//! ```

mod chart;
mod escaping;
mod plots;

use super::comparison::Comparison;
use super::document::Document;
use super::figures::{UNKNOWN, code, count, duration, latency_or_unknown, limit, percent, rate};
use super::measured::Times;
use super::text;
use escaping::escape;
use std::fmt::{self, Write as _};

const STYLE: &str = include_str!("page.css");

/// What the page may load: its own style, known by its hash.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-wUEZG9GH6Ah1KsZSFupcj87dtnzbQ/wnEF9TszkgqPc='; base-uri 'none'; form-action 'none'";

/// The page.
pub(in crate::cli) fn render(document: &Document) -> String {
    let mut html = String::with_capacity(256 * 1024);
    // Writing to a String does not fail.
    let _done = write_page(&mut html, document);
    html
}

fn write_page(html: &mut String, document: &Document) -> fmt::Result {
    let load = escape(&document.load);
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{CONTENT_SECURITY_POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"generator\" content=\"spokeprobe {}\">\
         <title>Load {load}: {}</title><style>{STYLE}</style></head><body><main>",
        escape(document.spokeprobe_version),
        verdict(document)
    )?;
    write_header(html, document, &load)?;
    write_notes(html, document)?;
    write_tiles(html, document)?;
    if let Some(comparison) = &document.baseline {
        write_baseline(html, comparison)?;
    }
    write_latency(html, document)?;
    write_results(html, document)?;
    write_timeline(html, document)?;
    write_guards(html, document)?;
    write_settings(html, document)?;
    writeln!(
        html,
        "<footer>Written by spokeprobe {}. This page runs no script and loads nothing.</footer></main></body></html>",
        escape(document.spokeprobe_version)
    )
}

const fn verdict(document: &Document) -> &'static str {
    if document.verdict.expected { "as expected" } else { "not as expected" }
}

fn write_header(html: &mut String, document: &Document, load: &str) -> fmt::Result {
    let request = &document.request;
    let class = if document.verdict.expected { "good" } else { "bad" };
    write!(
        html,
        "<header><h1>Load {load} <span class=\"badge {class}\">{}</span></h1>\
         <p class=\"sub\">{} · {} {} as {}</p><p class=\"sub\">{} · {}</p></header>",
        verdict(document),
        escape(&document.target_path()),
        escape(&request.method),
        escape(&request.path),
        escape(&request.identity),
        escape(document.began_at.as_deref().unwrap_or(UNKNOWN)),
        escape(&text::lasted(document))
    )
}

fn write_notes(html: &mut String, document: &Document) -> fmt::Result {
    if !document.verdict.because.is_empty() {
        html.push_str("<div class=\"note bad\" role=\"note\"><p>Not as expected, because</p><ul>");
        for reason in &document.verdict.because {
            write!(html, "<li>{}</li>", escape(reason))?;
        }
        html.push_str("</ul></div>");
    }
    for (headline, advice) in text::missed(document) {
        write!(
            html,
            "<div class=\"note warn\" role=\"note\"><p><strong>{}.</strong> {}</p></div>",
            escape(&headline),
            escape(&advice)
        )?;
    }
    Ok(())
}

fn write_tiles(html: &mut String, document: &Document) -> fmt::Result {
    let response = &document.latency.response;
    let asked = rate(document.rate.asked_mean_per_second);
    let tiles = [
        ("Rate reached", rate(document.rate.reached_mean_per_second), format!("{asked} asked"), false),
        ("Sent", count(document.sent), format!("{} due", count(document.due)), false),
        ("Missed", count(document.missed), percent(document.missed, document.due), document.missed > 0),
        (
            "Not as expected",
            count(document.unexpected),
            percent(document.unexpected, document.judged()),
            document.unexpected > 0,
        ),
        ("Response p50", latency_or_unknown(response.p50_seconds), "from due".to_owned(), false),
        ("Response p99", latency_or_unknown(response.p99_seconds), "from due".to_owned(), false),
        ("Response p99.9", latency_or_unknown(response.percentiles()[3].2), "from due".to_owned(), false),
        ("Response max", latency_or_unknown(response.max_seconds), "from due".to_owned(), false),
    ];
    html.push_str("<dl class=\"tiles\">");
    for (name, value, more, bad) in tiles {
        let class = if bad { " class=\"bad\"" } else { "" };
        write!(
            html,
            "<div class=\"tile\"><dt>{name}</dt><dd{class}>{}</dd><dd class=\"more\">{}</dd></div>",
            escape(&value),
            escape(&more)
        )?;
    }
    html.push_str("</dl>");
    Ok(())
}

fn write_baseline(html: &mut String, comparison: &Comparison) -> fmt::Result {
    let class = if comparison.worse { "bad" } else { "good" };
    write!(
        html,
        "<section><h2>Baseline <span class=\"badge {class}\">{}</span></h2>\
         <p class=\"about\">This run is {}.</p>",
        if comparison.worse { "worse" } else { "no worse" },
        escape(&comparison.headline())
    )?;
    for warning in &comparison.warnings {
        write!(html, "<div class=\"note warn\" role=\"note\"><p>{}</p></div>", escape(warning))?;
    }
    html.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>figure<th class=\"n\">earlier<th class=\"n\">now\
         <th class=\"n\">ratio<th></tr></thead><tbody>",
    );
    for row in &comparison.rows {
        let [figure, before, now, ratio, verdict] = row.cells().map(|cell| escape(&cell));
        let class = if row.worse { " class=\"bad\"" } else { "" };
        write!(
            html,
            "<tr{class}><th scope=\"row\">{figure}</th><td class=\"n\">{before}<td class=\"n\">{now}\
             <td class=\"n\">{ratio}<td>{verdict}</tr>"
        )?;
    }
    html.push_str("</tbody></table></div></section>");
    Ok(())
}

fn write_latency(html: &mut String, document: &Document) -> fmt::Result {
    let (response, service, late) =
        (&document.latency.response, &document.latency.service, &document.lateness);
    if response.count == 0 {
        return Ok(());
    }
    html.push_str(
        "<section><h2>Latency by percentile</h2><p class=\"about\">Response time runs from the moment an attempt was \
         due, service time from the moment it was sent: where they part, attempts had to wait. Lateness is sent after \
         due.</p>",
    );
    if let Some(chart) = plots::percentiles(document) {
        chart.write(html)?;
    }
    html.push_str(
        "<div class=\"scroll\"><table><thead><tr><th>of the attempts<th class=\"n\">response<th class=\"n\">service\
         <th class=\"n\">lateness</tr></thead><tbody>",
    );
    let all: [(&Times, _); 3] = [response, service, late].map(|times| (times, times.percentiles()));
    let row = |html: &mut String, name: &str, values: [Option<f64>; 3]| {
        let [response, service, late] = values.map(latency_or_unknown);
        write!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\">{response}<td class=\"n\">{service}<td class=\"n\">{late}</tr>"
        )
    };
    row(html, "min", [response, service, late].map(|times| times.min_seconds))?;
    row(html, "mean", [response, service, late].map(|times| times.mean_seconds))?;
    for (at, (name, _, _)) in all[0].1.iter().enumerate().filter(|(_, (_, _, value))| value.is_some()) {
        row(html, name, [0, 1, 2].map(|of: usize| all[of].1.get(at).and_then(|(_, _, value)| *value)))?;
    }
    row(html, "max", [response, service, late].map(|times| times.max_seconds))?;
    html.push_str("</tbody></table></div></section>");
    Ok(())
}

fn write_results(html: &mut String, document: &Document) -> fmt::Result {
    let judged = document.judged();
    html.push_str(
        "<section><h2>Results</h2><div class=\"scroll\"><table><thead><tr><th class=\"n\">count<th class=\"n\">share\
         <th>code<th>outcome<th>reason<th>expected<th>meaning</tr></thead><tbody>",
    );
    for row in &document.results {
        let class = if row.expected { "" } else { " class=\"bad\"" };
        write!(
            html,
            "<tr{class}><td class=\"n\">{}<td class=\"n\">{}<td>{}<td>{}<td>{}<td>{}<td class=\"words\">{}</tr>",
            count(row.count),
            escape(&percent(row.count, judged)),
            code(row.code),
            escape(row.outcome),
            escape(row.reason),
            if row.expected { "yes" } else { "no" },
            escape(row.meaning)
        )?;
    }
    if document.results.is_empty() {
        html.push_str("<tr><td colspan=\"7\">No attempt ended.</tr>");
    }
    html.push_str("</tbody></table></div></section>");
    Ok(())
}

fn write_timeline(html: &mut String, document: &Document) -> fmt::Result {
    let (groups, seconds) = plots::groups(&document.timeline);
    if groups.is_empty() {
        return Ok(());
    }
    let each = if seconds > 1 {
        format!(" Each point is {seconds} seconds: the mean of the rates, the worst of the latencies.")
    } else {
        String::new()
    };
    write!(html, "<section><h2>Rate asked and reached</h2><p class=\"about\">Arrivals a second.{each}</p>")?;
    plots::rates(&groups).write(html)?;
    html.push_str("</section>");
    if let Some(chart) = plots::latencies(&groups) {
        html.push_str("<section><h2>Response time over the run</h2><p class=\"about\">Of the attempts that ended in each second, from due.</p>");
        chart.write(html)?;
        html.push_str("</section>");
    }
    html.push_str("<section><h2>Missed and not as expected</h2>");
    match plots::trouble(&groups) {
        Some(chart) => {
            html.push_str("<p class=\"about\">Attempts a second that were not made, were throttled, or did not end as expected.</p>");
            chart.write(html)?;
        }
        None => {
            html.push_str("<p class=\"about\">Nothing was missed, and every attempt ended as expected.</p>");
        }
    }
    html.push_str(
        "<details><summary>The run as a table</summary><div class=\"scroll\"><table><thead><tr><th class=\"n\">from\
         <th class=\"n\">asked<th class=\"n\">reached<th class=\"n\">missed<th class=\"n\">not as expected\
         <th class=\"n\">throttled<th class=\"n\">p50<th class=\"n\">p90<th class=\"n\">p99<th class=\"n\">max</tr></thead><tbody>",
    );
    for group in &groups {
        let cells = [
            duration(group.at_seconds),
            rate(group.asked),
            rate(group.reached),
            count(group.missed),
            count(group.unexpected),
            count(group.throttled),
            latency_or_unknown(group.p50_seconds),
            latency_or_unknown(group.p90_seconds),
            latency_or_unknown(group.p99_seconds),
            latency_or_unknown(group.max_seconds),
        ];
        html.push_str("<tr>");
        for cell in cells {
            write!(html, "<td class=\"n\">{}", escape(&cell))?;
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div></details></section>");
    Ok(())
}

fn write_guards(html: &mut String, document: &Document) -> fmt::Result {
    let Some(first) = document.guards.first() else { return Ok(()) };
    write!(
        html,
        "<section><h2>Guards</h2><p class=\"about\">What stops a run, judged over the last {}.</p>\
         <div class=\"scroll\"><table><thead><tr><th>guard<th class=\"n\">allowed<th class=\"n\">worst<th></tr></thead><tbody>",
        duration(first.window_seconds)
    )?;
    for guard in &document.guards {
        let (worst, fired) = text::worst(guard, document);
        let (class, word) = if fired { (" class=\"bad\"", "stopped the run") } else { ("", "") };
        write!(
            html,
            "<tr{class}><th scope=\"row\">{}</th><td class=\"n\">{}<td class=\"n\">{}<td>{word}</tr>",
            escape(guard.guard),
            escape(&limit(guard.guard, guard.allowed)),
            escape(&worst)
        )?;
    }
    html.push_str("</tbody></table></div></section>");
    Ok(())
}

fn write_settings(html: &mut String, document: &Document) -> fmt::Result {
    let rows = [
        ("target", document.target_path()),
        ("request", format!("{} {}", document.request.method, document.request.path)),
        ("identity", document.request.identity.clone()),
        ("addressing", document.request.addressing.clone()),
        ("stages", text::stages(document)),
        ("peak rate", rate(document.rate.asked_peak_per_second)),
        ("attempts in flight, at most", document.in_flight_limit.to_string()),
        ("signatures", document.signatures.as_str().to_owned()),
        (
            "ended, cut off, unsent",
            format!("{}, {}, {}", count(document.ended), count(document.aborted), count(document.unsent)),
        ),
    ];
    html.push_str("<section><h2>What was asked for</h2><div class=\"scroll\"><table><tbody>");
    for (name, value) in rows {
        write!(html, "<tr><th scope=\"row\">{name}</th><td>{}</tr>", escape(&value))?;
    }
    html.push_str("</tbody></table></div></section>");
    Ok(())
}

#[cfg(test)]
mod tests;
