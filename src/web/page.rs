//! The page at `/`: what the status API says, as one plain table, rendered here and without any script.

use crate::web::status::{FaultView, IncludeView, IsolationView, SpokeView, StatusView, TargetView};
use std::fmt::Write as _;

/// What the browser may load: nothing but the page's own style, known by its hash.
pub(super) const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'sha256-tlIb6wYC3McZWBEs8lI80Y9iyEu0BR0X5RC8vKrMrPQ='; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'";

const STYLE: &str = "body{font:15px/1.4 system-ui,sans-serif;margin:2em;color:#222;background:#fff}\
h1{font-size:1.3em}h2{font-size:1.1em}table{border-collapse:collapse}\
th,td{text-align:left;padding:.25em .7em;border-bottom:1px solid #ddd;vertical-align:top}\
.bad{color:#a40000;font-weight:600}.good{color:#1b6e1b}.new{color:#666}";

/// Rows of targets on the page; the API has all of them.
const ROWS: usize = 1_000;

/// The page.
pub(super) fn render(status: &StatusView) -> String {
    let mut html = String::with_capacity(16 * 1024);
    // Writing to a String does not fail.
    let _done = write_page(&mut html, status);
    html
}

fn write_page(html: &mut String, status: &StatusView) -> std::fmt::Result {
    let (agent, totals) = (&status.agent, &status.totals);
    write!(
        html,
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>spokeprobe</title>\
         <style>{STYLE}</style></head><body><h1>spokeprobe {}</h1>\
         <p>{} · started {} · now {}</p>\
         <p><a href=\"/metrics\">metrics</a> · <a href=\"/api/v1/status\">status as JSON</a> · \
         <a href=\"/-/healthy\">healthy</a> · <a href=\"/-/ready\">ready</a></p>\
         <p>{} targets: {} as expected, {} not, {} without a result yet; {} open doors. \
         {} attempts due, {} ended, {} missed, {} waiting, {} in flight.</p>",
        escape(agent.version),
        if agent.ready {
            "ready".to_owned()
        } else {
            escape(&format!("not ready: {}", agent.missing.join("; ")))
        },
        shown(agent.started_at.as_deref()),
        shown(agent.now.as_deref()),
        totals.targets,
        totals.as_expected,
        totals.unexpected,
        totals.unknown,
        totals.doors_open,
        totals.due,
        totals.ended,
        totals.missed,
        totals.waiting,
        totals.in_flight,
    )?;
    write_left_out(html, &status.includes)?;
    write_faults(html, &status.faults)?;
    if let Some(isolation) = &status.isolation {
        write_isolation(html, isolation)?;
    }
    write_targets(html, &status.targets)?;
    write_spokes(html, &status.spokes)?;
    html.write_str("</body></html>\n")
}

/// Included files that are not in use; nothing when all are.
fn write_left_out(html: &mut String, includes: &[IncludeView]) -> std::fmt::Result {
    for include in includes.iter().filter(|include| !include.successful).take(ROWS) {
        write!(html, "<p class=\"bad\">Left out: {}</p><ul>", escape(&include.file))?;
        for problem in &include.problems {
            write!(html, "<li>{}</li>", escape(problem))?;
        }
        html.write_str("</ul>")?;
    }
    Ok(())
}

fn write_isolation(html: &mut String, isolation: &IsolationView) -> std::fmt::Result {
    let pairs = &isolation.pairs;
    write!(
        html,
        "<h2>Isolation</h2><p>{} pairs of a role and a foreign api: {} closed, <span class=\"{}\">{} open</span>, \
         {} inconclusive, {} due.</p>",
        pairs.closed + pairs.open + pairs.inconclusive + pairs.due,
        pairs.closed,
        if pairs.open > 0 { "bad" } else { "good" },
        pairs.open,
        pairs.inconclusive,
        pairs.due,
    )?;
    if !isolation.open.is_empty() {
        html.write_str("<table><thead><tr><th>role of<th>was let in at<th>code<th>since<th>last seen</tr></thead><tbody>")?;
        for door in isolation.open.iter().take(ROWS) {
            write!(
                html,
                "<tr><td>{}<td class=\"bad\">{}/{}<td>{}<td>{}<td>{}</tr>",
                escape(&door.from),
                escape(&door.spoke),
                escape(&door.api),
                door.code.map(|code| code.to_string()).unwrap_or_default(),
                shown(door.since.as_deref()),
                shown(door.last_seen.as_deref()),
            )?;
        }
        html.write_str("</tbody></table>")?;
    }
    let reasons = &isolation.inconclusive.reasons;
    if !reasons.is_empty() {
        html.write_str("<p>Inconclusive, so not known to be closed:")?;
        for (at, reason) in reasons.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(
                html,
                "{comma} <span title=\"{}\">{} {}</span>",
                escape(reason.meaning),
                reason.pairs,
                reason.reason
            )?;
        }
        html.write_str(".</p>")?;
    }
    Ok(())
}

fn write_faults(html: &mut String, faults: &[FaultView]) -> std::fmt::Result {
    if faults.is_empty() {
        return Ok(());
    }
    html.write_str(
        "<h2>Shared faults</h2><table><thead><tr><th>of<th>cause<th>since<th>how many</tr></thead><tbody>",
    )?;
    for fault in faults.iter().take(ROWS) {
        write!(
            html,
            "<tr><td>{}<td class=\"bad\">{}<td>{}<td>{}</tr>",
            escape(fault.spoke.as_deref().unwrap_or(fault.scope)),
            fault.cause,
            shown(fault.since.as_deref()),
            escape(&fault.detail),
        )?;
    }
    html.write_str("</tbody></table>")
}

/// What twins taught, in a line.
fn diagnosed(target: &TargetView) -> String {
    let Some(diagnosis) = &target.diagnosis else { return String::new() };
    let words = |all: &[&str]| all.join(", ").replace('_', " ");
    format!(
        "{}{}; suspects: {}",
        diagnosis.reason,
        if diagnosis.because.is_empty() {
            String::new()
        } else {
            format!(", because {}", words(&diagnosis.because))
        },
        words(&diagnosis.suspects),
    )
}

fn write_targets(html: &mut String, targets: &[TargetView]) -> std::fmt::Result {
    // What is wrong comes first; otherwise the order of the labels.
    let mut order: Vec<&TargetView> = targets.iter().collect();
    order.sort_by_key(|target| target.up != Some(false));
    html.write_str(
        "<h2>Targets</h2><table><thead><tr><th>target<th>as<th>state<th>outcome<th>code<th>door<th>since\
         <th>streak<th>p50<th>p99<th>said<th>diagnosis</tr></thead><tbody>",
    )?;
    for target in order.iter().take(ROWS) {
        let (class, state) = match target.up {
            Some(true) => {
                ("good", if target.unconfirmed { "as expected (unconfirmed)" } else { "as expected" })
            }
            Some(false) => ("bad", "not as expected"),
            None => ("new", "no result yet"),
        };
        let zone = target.zone.as_ref().map(|zone| format!("@{zone}")).unwrap_or_default();
        let outcome = match (target.outcome, target.reason) {
            (Some(outcome), Some("none")) => outcome.to_owned(),
            (Some(outcome), Some(reason)) => format!("{outcome}: {reason}"),
            _ => String::new(),
        };
        let ms = |seconds: Option<f64>| seconds.map(|s| format!("{:.0} ms", s * 1e3)).unwrap_or_default();
        write!(
            html,
            "<tr><td>{}/{}/{}{}<td>{}<td class=\"{class}\">{state}<td title=\"{}\">{}<td>{}<td{}>{}<td>{}<td>{}\
             <td>{}<td>{}<td>{}<td>{}</tr>",
            escape(&target.spoke),
            escape(&target.api),
            escape(&target.probe),
            escape(&zone),
            escape(&target.identity),
            escape(target.meaning.unwrap_or_default()),
            escape(&outcome),
            target.code.map(|code| code.to_string()).unwrap_or_default(),
            if target.door == Some("open") { " class=\"bad\"" } else { "" },
            target.door.unwrap_or_default(),
            shown(target.since.as_deref()),
            target.streak,
            ms(target.latency.map(|l| l.p50_seconds)),
            ms(target.latency.map(|l| l.p99_seconds)),
            shown(target.message.as_deref()),
            escape(&diagnosed(target)),
        )?;
    }
    html.write_str("</tbody></table>")?;
    if targets.len() > ROWS {
        write!(html, "<p>{} more are in the JSON.</p>", targets.len() - ROWS)?;
    }
    Ok(())
}

fn write_spokes(html: &mut String, spokes: &[SpokeView]) -> std::fmt::Result {
    html.write_str(
        "<h2>Spokes</h2><table><thead><tr><th>spoke<th>account<th>region<th>role<th>labels<th>session\
         <th>until<th>STS said<th>which means</tr></thead><tbody>",
    )?;
    for spoke in spokes.iter().take(ROWS) {
        let labels: Vec<String> = spoke.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let said = spoke.credentials.refusal.as_ref();
        let meant = said.map(|no| format!("{}: {}", no.cause.replace('_', " "), no.meaning));
        let said = said.map(|no| format!("{} {}", no.code.as_deref().unwrap_or_default(), no.message));
        write!(
            html,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td class=\"{}\">{}<td>{}<td>{}<td>{}</tr>",
            escape(&spoke.name),
            shown(spoke.account.as_deref()),
            shown(spoke.region.as_deref()),
            shown(spoke.role_arn.as_deref()),
            escape(&labels.join(" ")),
            match spoke.credentials.state {
                "valid" => "good",
                "waiting" => "new",
                _ => "bad",
            },
            spoke.credentials.state,
            shown(spoke.credentials.expires_at.as_deref()),
            shown(said.as_deref()),
            shown(meant.as_deref()),
        )?;
    }
    html.write_str("</tbody></table>")
}

fn shown(text: Option<&str>) -> String {
    escape(text.unwrap_or_default())
}

/// The text with everything that HTML could read as its own replaced, fit for content and for quoted values.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Marks that turn the direction of text around could show one name as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    #[test]
    fn the_policy_allows_exactly_the_style_of_the_page() {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut hash = sha2::Sha256::digest(STYLE).to_vec();
        hash.push(0); // 32 bytes are 43 digits of base64 and one "="
        let quads = hash.chunks(3).flat_map(|three| {
            let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(digits[(bits >> shift & 63) as usize]))
        });
        let base64: String = quads.take(43).chain(['=']).collect();
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("'sha256-{base64}'")), "sha256-{base64}");
    }

    #[test]
    fn nothing_from_outside_is_markup() {
        assert_eq!(escape("<a b='c' d=\"e\">&amp;"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;");
    }
}
