//! `load --dry-run`: what would be sent, and what would stop it. Nothing is asked of anybody.

use crate::cli::{Exit, call, output};
use crate::config::units::{duration_text, rate_text};
use crate::load::{Guards, Settings};
use crate::plan::{self, Plan, percent_text};
use crate::schedule::{Arrivals, Stage};
use serde_json::{Value, json};

/// Prints it.
pub(super) fn show(run: &Settings, plan: &Plan, warnings: &[String], as_json: bool) -> Exit {
    let Some(request) = call::request_line(&run.target, plan) else {
        output::error("the probe cannot be addressed; `spokeprobe plan` says why");
        return Exit::Usage;
    };
    if as_json {
        output::json(&document(run, plan, warnings, &request));
    } else {
        output::result(&lines(run, plan, &request).join("\n"));
        output::note("dry run: nothing was sent");
    }
    Exit::Expected
}

/// What health probes and isolation ask steadily, of the account and in all.
fn steady(run: &Settings, plan: &Plan) -> (f64, f64) {
    let rates = plan::steady_rates(plan);
    (rates.get(&run.target.account).copied().unwrap_or(0.0), rates.values().sum())
}

fn lines(run: &Settings, plan: &Plan, request: &str) -> Vec<String> {
    let (target, profile, limits) = (&run.target, &run.profile, &plan.limits);
    let region = &plan.settings.endpoint.region;
    let (in_account, in_all) = steady(run, plan);
    let quota = plan::account_quota(region);
    let stages: Vec<String> = profile.stages.iter().map(stage_text).collect();
    let arrivals = match profile.arrivals {
        Arrivals::Even => "even",
        Arrivals::Poisson { .. } => "poisson",
    };
    let beside = |steady: f64, limit: f64, key: &str| {
        let (peak, steady, limit) = (rate_text(profile.peak()), rate_text(steady), rate_text(limit));
        format!("{peak} at the peak beside {steady} of probes, of {limit} (limits.{key})")
    };
    let rows = [
        ("target", format!("{}, account {}", target.id, target.account)),
        ("request", request.to_owned()),
        ("stages", stages.join(", then ")),
        ("arrivals", arrivals.to_owned()),
        (
            "requests",
            format!("{:.0} in {}, if nothing stops it", plan::arrivals(run), duration_text(profile.lasts())),
        ),
        (
            "peak",
            format!(
                "{}, {} of the account's quota of {} in {region}",
                rate_text(profile.peak()),
                percent_text(profile.peak() / quota),
                rate_text(quota)
            ),
        ),
        (
            "ceilings",
            beside(in_account, limits.requests_per_second_per_account, "requests_per_second_per_account"),
        ),
        ("", beside(in_all, limits.requests_per_second, "requests_per_second")),
        ("in flight", format!("at most {}; what is due beyond that is missed", run.in_flight)),
        ("guards", guards_text(&run.guards)),
        ("ramp down", format!("{} once it is stopped", duration_text(run.ramp_down))),
        (
            "signatures",
            if run.reuse_signatures { "reused within their second" } else { "each anew" }.to_owned(),
        ),
    ];
    rows.iter().map(|(name, value)| format!("{name:<11}{value}")).collect()
}

fn stage_text(stage: &Stage) -> String {
    match *stage {
        Stage::Hold { rate, lasts } => format!("{} for {}", rate_text(rate), duration_text(lasts)),
        Stage::Ramp { from, to, lasts } => {
            format!("from {} to {} in {}", rate_text(from), rate_text(to), duration_text(lasts))
        }
        Stage::Sine { low, high, period, lasts } => format!(
            "between {} and {} each {} for {}",
            rate_text(low),
            rate_text(high),
            duration_text(period),
            duration_text(lasts)
        ),
    }
}

fn guards_text(guards: &Guards) -> String {
    let share = |share: Option<f64>| share.map_or_else(|| "off".to_owned(), percent_text);
    format!(
        "errors {}, throttled {}, missed {}, p99 {}, over {}",
        share(guards.errors),
        share(guards.throttled),
        share(guards.missed),
        guards.p99.map_or_else(|| "off".to_owned(), duration_text),
        duration_text(guards.window)
    )
}

fn document(run: &Settings, plan: &Plan, warnings: &[String], request: &str) -> Value {
    let (in_account, in_all) = steady(run, plan);
    let (profile, limits, guards) = (&run.profile, &plan.limits, &run.guards);
    let quota = plan::account_quota(&plan.settings.endpoint.region);
    let stages: Vec<Value> = profile
        .stages
        .iter()
        .map(|stage| json!({"what": stage_text(stage), "peak_per_second": stage.peak(), "seconds": stage.lasts().as_secs_f64()}))
        .collect();
    json!({
        "dry_run": true,
        "load": run.name.to_string(),
        "target": run.target.id.to_string(),
        "account": run.target.account.to_string(),
        "request": request,
        "stages": stages,
        "poisson": profile.arrivals != Arrivals::Even,
        "requests": plan::arrivals(run).round(),
        "duration_seconds": profile.lasts().as_secs_f64(),
        "peak_per_second": profile.peak(),
        "account_quota_per_second": quota,
        "share_of_quota": profile.peak() / quota,
        "steady_per_second": {"account": in_account, "agent": in_all},
        "limits": {
            "requests_per_second": limits.requests_per_second,
            "requests_per_second_per_account": limits.requests_per_second_per_account,
        },
        "in_flight_limit": run.in_flight,
        "guards": {
            "errors": guards.errors,
            "throttled": guards.throttled,
            "missed": guards.missed,
            "p99_seconds": guards.p99.map(|p99| p99.as_secs_f64()),
            "window_seconds": guards.window.as_secs_f64(),
        },
        "ramp_down_seconds": run.ramp_down.as_secs_f64(),
        "reuse_signatures": run.reuse_signatures,
        "warnings": warnings,
    })
}
