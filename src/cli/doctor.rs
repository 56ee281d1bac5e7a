//! `spokeprobe doctor`: walks the path to each spoke and says at which step and by whom it is stopped.

use super::output::{Colour, paint, paint_result};
use super::{ConfigArgs, Exit, configuration, output};
use crate::app::Seams;
use crate::app::doctor::{
    Change, Confidence, Doctor, Finding, ProbeChoice, SpokeReport, Step, StepReport, Verdict,
};
use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use crate::sources::{self, LoadedPlan};
use clap::Args;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe doctor payments                     walk the path to one spoke
  spokeprobe doctor                              walk the paths to all of them
  spokeprobe doctor payments --probe hoot/greet  with this probe, whatever its method
  spokeprobe doctor --json | jq '.spokes[] | select(.verdict.stopped_at) | {spoke, verdict}'

Without --probe only GET and HEAD are sent: the spoke's first such probe that wants an answer, and where all is
well the others. A verdict names the step, the owner and what to change. Statements that it prints are to be added
to the policies that are there; none stands alone.

Exit status: 0 when all is as expected, 1 when something is not, 2 for a usage or configuration error.")]
pub(super) struct DoctorArgs {
    /// The spoke; without it all of them
    #[arg(value_name = "SPOKE", value_parser = parse_name)]
    spoke: Option<Name>,
    /// The probe to walk with; one that is neither GET nor HEAD is sent only when named here
    #[arg(long, value_name = "API/PROBE", value_parser = parse_probe)]
    probe: Option<ProbeChoice>,
    /// Show what every step found, also where all is well, and the string that is signed
    #[arg(short, long)]
    verbose: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

fn parse_name(text: &str) -> Result<Name, String> {
    text.parse().map_err(|_| "this is not the name of a spoke".to_owned())
}

fn parse_probe(text: &str) -> Result<ProbeChoice, String> {
    let wanted = || "wanted API/PROBE".to_owned();
    let (api, probe) = text.split_once('/').ok_or_else(wanted)?;
    Ok(ProbeChoice { api: api.parse().map_err(|_| wanted())?, probe: probe.parse().map_err(|_| wanted())? })
}

pub(super) async fn doctor(args: DoctorArgs) -> Exit {
    let Some(LoadedPlan { plan, include_failures, .. }) = configuration::read(&args.config, args.json).await
    else {
        return Exit::Usage;
    };
    configuration::log_left_out(&include_failures);
    let seams = match Seams::real(&plan.settings) {
        Ok(seams) => seams,
        Err(problem) => {
            output::error(&problem.to_string());
            return Exit::Usage;
        }
    };
    let link = Arc::clone(&seams.link);
    let doctor = Doctor::new(Arc::new(plan), seams, link, source());
    let reports = doctor.examine(args.spoke.as_ref(), args.probe.as_ref(), &progress).await;
    let reports = match reports {
        Ok(reports) => reports,
        Err(unknown) => {
            output::error(&unknown.to_string());
            return Exit::Usage;
        }
    };
    if args.json {
        output::json(&as_json(&reports));
    } else {
        output::result(&as_text(&reports, args.verbose));
    }
    if reports.iter().all(|report| report.verdict.passed()) { Exit::Expected } else { Exit::Unexpected }
}

/// Where the agent's own credentials come from, as far as variables tell; the SDK asks in this order.
fn source() -> Option<String> {
    let set = |name: &str| sources::process_environment(name).is_some_and(|value| !value.is_empty());
    let found = if set("AWS_ACCESS_KEY_ID") {
        "variables: AWS_ACCESS_KEY_ID is set and goes before everything else"
    } else if set("AWS_PROFILE") {
        "a profile: AWS_PROFILE is set"
    } else if set("AWS_WEB_IDENTITY_TOKEN_FILE") {
        "a web identity token: AWS_WEB_IDENTITY_TOKEN_FILE is set"
    } else if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        "the container's credential endpoint, so the task's role"
    } else {
        return None;
    };
    Some(found.to_owned())
}

fn progress(spoke: &Name, step: &StepReport) {
    let (colour, word) = if step.ok { (Colour::Green, "ok  ") } else { (Colour::Red, "stop") };
    let warnings = step.findings.iter().filter(|finding| finding.warning).count();
    let note = match (step.ok, warnings) {
        (_, 0) => String::new(),
        (true, 1) => ", 1 warning".to_owned(),
        (true, count) => format!(", {count} warnings"),
        (false, _) => {
            let first = step.findings.iter().find(|finding| finding.warning);
            first.map_or_else(String::new, |finding| format!(", {}", first_line(&finding.text)))
        }
    };
    output::note(&format!(
        "{spoke}  {:<11}  {}  {}{note}",
        step.step.as_str(),
        paint(colour, word),
        ms(step.took)
    ));
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn ms(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1_000.0)
}

fn as_text(reports: &[SpokeReport], verbose: bool) -> String {
    let mut text = String::new();
    for report in reports {
        // Writing to a String cannot fail.
        let _written = write_report(&mut text, report, verbose);
    }
    if reports.len() > 1 {
        let passed = reports.iter().filter(|report| report.verdict.passed()).count();
        let _written =
            writeln!(text, "{} spokes: {passed} passed, {} not", reports.len(), reports.len() - passed);
    }
    text
}

fn write_report(text: &mut String, report: &SpokeReport, verbose: bool) -> std::fmt::Result {
    let verdict = &report.verdict;
    let name = paint_result(Colour::Bold, report.spoke.as_str());
    match verdict.stopped_at {
        None => {
            let times: Vec<String> =
                report.steps.iter().map(|step| format!("{} {}", step.step.as_str(), ms(step.took))).collect();
            let passed = paint_result(Colour::Green, "all steps passed");
            writeln!(text, "{name}: {passed}: {}", times.join(", "))?;
        }
        Some(step) => {
            // What must be refused and was let in does not stop anywhere: that is what is wrong.
            let is_open = verdict.reason == Reason::None;
            let stops = if is_open { "DOOR OPEN at" } else { "stops at" };
            let words = format!("{stops} {}: {}/{}", step.as_str(), verdict.reason.outcome(), verdict.reason);
            writeln!(text, "{name}: {}", paint_result(Colour::Red, &words))?;
            let probe = report.probe.as_ref().map(|id| format!(" ({id})")).unwrap_or_default();
            let meaning = if is_open { "What must be refused was let in." } else { verdict.reason.meaning() };
            writeln!(text, "  {meaning}{probe}")?;
            writeln!(text, "  who: {}", who(verdict))?;
        }
    }
    for line in &verdict.evidence {
        writeln!(text, "  - {}", moved_in(line, 6))?;
    }
    if verdict.passed() && !report.also_as_expected.is_empty() {
        writeln!(text, "  as expected too: {}", listed(&report.also_as_expected))?;
    }
    if verdict.passed() && !report.not_tried.is_empty() {
        writeln!(
            text,
            "  not tried: {}; --probe API/PROBE sends one that is neither GET nor HEAD",
            listed(&report.not_tried)
        )?;
    }
    write_change(text, &verdict.change)?;
    if verbose || !verdict.passed() {
        write_steps(text, &report.steps, verbose)?;
        text.push('\n');
    }
    Ok(())
}

fn who(verdict: &Verdict) -> String {
    let (owner, others) = (verdict.owner.words(), verdict.candidates.join(", "));
    match verdict.confidence {
        Confidence::Certain => format!("{owner}; certain"),
        Confidence::Likely if verdict.candidates.is_empty() => format!("{owner}; likely"),
        Confidence::Likely => format!("{owner}; likely, one of {others}"),
        Confidence::Open => format!("open between {others}; the first to ask is {owner}"),
    }
}

/// The further lines of a text moved in, empty ones left empty.
fn moved_in(text: &str, by: usize) -> String {
    let blanks = " ".repeat(by);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(
        first,
        |shown, line| {
            if line.is_empty() { shown + "\n" } else { format!("{shown}\n{blanks}{line}") }
        },
    )
}

fn listed(ids: &[TargetId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn write_change(text: &mut String, change: &Change) -> std::fmt::Result {
    if !change.text.is_empty() {
        writeln!(text, "  what to do:")?;
    }
    for (number, step) in (1..).zip(&change.text) {
        writeln!(text, "  {number}. {}", moved_in(step, 5))?;
    }
    for (number, statement) in (0..).zip(&change.statements) {
        writeln!(text, "  {}{}", if number == 0 { "" } else { "Or: " }, statement.goes_into)?;
        writeln!(text, "    {}", moved_in(&format!("{:#}", statement.statement), 4))?;
    }
    Ok(())
}

fn write_steps(text: &mut String, steps: &[StepReport], verbose: bool) -> std::fmt::Result {
    writeln!(text, "  steps:")?;
    for step in steps {
        let word = if step.ok { "ok" } else { "stop" };
        writeln!(text, "    {}  {word}  {}", step.step.as_str(), ms(step.took))?;
        // What was signed is of use where somebody reads it differently, and long everywhere else.
        let shown = |finding: &&Finding| verbose || step.step != Step::Sign || !finding.text.contains('\n');
        for finding in step.findings.iter().filter(shown) {
            let mark = if finding.warning { "! " } else { "" };
            writeln!(text, "      {mark}{}: {}", finding.about, moved_in(&finding.text, 8))?;
        }
    }
    Ok(())
}

fn as_json(reports: &[SpokeReport]) -> Value {
    json!({ "spokes": reports.iter().map(report_json).collect::<Vec<_>>() })
}

fn report_json(report: &SpokeReport) -> Value {
    let ids = |ids: &[TargetId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({
        "spoke": report.spoke.as_str(),
        "probe": report.probe.as_ref().map(ToString::to_string),
        "steps": report.steps.iter().map(step_json).collect::<Vec<_>>(),
        "also_as_expected": ids(&report.also_as_expected),
        "not_tried": ids(&report.not_tried),
        "verdict": verdict_json(&report.verdict),
    })
}

fn step_json(step: &StepReport) -> Value {
    let findings: Vec<Value> = step
        .findings
        .iter()
        .map(|finding| json!({"about": finding.about, "text": finding.text, "warning": finding.warning}))
        .collect();
    json!({
        "name": step.step.as_str(),
        "ok": step.ok,
        "seconds": step.took.as_secs_f64(),
        "findings": findings,
    })
}

fn verdict_json(verdict: &Verdict) -> Value {
    let statements = &verdict.change.statements;
    let with_place = |statement: &crate::app::doctor::Statement| json!({"goes_into": statement.goes_into, "statement": statement.statement});
    json!({
        "stopped_at": verdict.stopped_at.map(Step::as_str),
        "outcome": verdict.reason.outcome().as_str(),
        "reason": verdict.reason.as_str(),
        "expected": verdict.passed(),
        "owner": verdict.owner.as_str(),
        "confidence": verdict.confidence.as_str(),
        "candidates": verdict.candidates,
        "evidence": verdict.evidence,
        "change": {
            "text": verdict.change.text,
            "goes_into": statements.first().map(|first| &first.goes_into),
            "statement": statements.first().map(|first| &first.statement),
            "alternatives": statements.iter().skip(1).map(with_place).collect::<Vec<_>>(),
        },
    })
}
