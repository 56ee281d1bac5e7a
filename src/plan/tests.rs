//! From a text to a plan and its report.

use super::*;
use crate::config::{self, Document, Documents};
use crate::domain::identity::Identity;

const EXAMPLE: &str = include_str!("../../config.yaml");

fn config(text: &str) -> Config {
    let documents = Documents::of_main(Document::parse("config.yaml", text).unwrap());
    config::read(&documents, &|_| None).unwrap()
}

fn names(plan: &Plan) -> Vec<String> {
    plan.targets.iter().map(|target| target.id.to_string()).collect()
}

/// A hub with one spoke of one api with these probes.
fn with_probes(probes: &str) -> Config {
    config(&format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d, zones: {{euw1-az1: 10.0.0.1, euw1-az2: a.b}}}}}}\n\
         spokes:\n- name: a\n  account: '111122223333'\n  apis:\n  - name: x\n    id: a1b2c3d4e5\n    stage: s\n    \
         max_rate: 1000/s\n    probes:\n{probes}"
    ))
}

#[test]
fn the_example_becomes_targets_roles_and_settings() {
    let plan = plan(&config(EXAMPLE)).unwrap();
    assert_eq!(
        names(&plan),
        [
            "payments/hoot/hello",
            "payments/hoot/greet",
            "payments/hoot/unsigned-is-refused",
            "payments/hoot/other-role-is-refused",
            "payments/hoot/steady",
            "payments/hoot/hello-per-zone@euw1-az1",
            "payments/hoot/hello-per-zone@euw1-az2",
            "orders/store/search",
        ]
    );
    assert_eq!(plan.roles.len(), 2);
    assert_eq!(plan.warnings, []);
    // The role of `as: spoke:orders` is that of orders, and its account is where it signs from.
    let cross = &plan.targets[3];
    assert_eq!(cross.identity, Identity::OtherSpoke("orders".parse().unwrap()));
    assert_eq!(cross.signer_account.as_ref().unwrap().as_str(), "222233334444");
    assert_eq!(cross.positive_control, None, "only anonymous guards need one at run time");
    let control = plan.targets[2].positive_control.as_ref().unwrap();
    assert_eq!(control.to_string(), "payments/hoot/hello");
    assert_eq!(plan.settings.transport.private_ranges.len(), 2);
}

#[test]
fn spokes_that_send_the_same_to_sts_share_a_session() {
    let spoke = |name: &str, role: &str, more: &str| {
        format!(
            "- name: {name}\n  account: '111122223333'\n  role: {role}\n{more}  apis: [{{name: x, id: a1b2c3d4e5, \
             stage: s, probes: [{{name: p, request: GET /}}]}}]\n"
        )
    };
    let text = format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nspokes:\n{}{}{}{}",
        spoke("a", "r", ""),
        spoke("b", "r", ""),
        spoke("c", "r", "  external_id: other\n"),
        spoke("d", "unused", "").replace("GET /", "GET /, as: anonymous"),
    );
    let plan = plan(&config(&text)).unwrap();
    let roles: Vec<Vec<&str>> =
        plan.roles.iter().map(|role| role.spokes.iter().map(|name| name.as_str()).collect()).collect();
    assert_eq!(roles, [vec!["a", "b"], vec!["c"]]);
    assert_eq!(plan.spokes.len(), 4);
}

#[test]
fn a_guard_finds_the_control_of_its_own_zone() {
    let config = with_probes(
        "    - {name: ok, request: 'GET /a?x=1', per_zone: true}\n    \
         - {name: no, request: GET /a, as: anonymous, per_zone: true, expect: {denied: true}}\n    \
         - {name: flat, request: GET /a, as: anonymous, expect: {denied: true}}\n    \
         - {name: alone, request: HEAD /a, as: anonymous, expect: {denied: true}}\n    \
         - {name: wrong, request: HEAD /a, expect: {status: 404}}\n",
    );
    let plan = plan(&config).unwrap();
    let controls: Vec<String> = plan
        .targets
        .iter()
        .filter(|target| target.expectation.is_guard())
        .map(|target| target.positive_control.as_ref().map(ToString::to_string).unwrap_or_default())
        .collect();
    assert_eq!(controls, ["a/x/ok@euw1-az1", "a/x/ok@euw1-az2", "a/x/ok@euw1-az1", ""]);
    assert_eq!(plan.warnings.len(), 1);
    assert_eq!(plan.warnings[0].path, "spokes.a.apis.x.probes.alone");
}

#[test]
fn warnings_name_short_timeouts_and_chained_sessions() {
    let text =
        EXAMPLE.replace("duration: 1h, every: 30s, timeout: 31s", "duration: 2h, every: 30s, timeout: 29s");
    let plan = plan(&config(&text)).unwrap();
    let of = |path: &str| plan.warnings.iter().filter(|warning| warning.path.ends_with(path)).count();
    // Seven probes, one warning each although one has two zones; one spoke with the default duration.
    assert_eq!((of(".timeout"), of(".duration")), (7, 1));
}

#[test]
fn more_buckets_than_the_default_are_told_of() {
    let told = |buckets: usize| {
        let buckets: Vec<String> = (1..=buckets).map(|bound| bound.to_string()).collect();
        let (before, rest) = EXAMPLE.split_once("buckets: [").unwrap();
        let (_usual, after) = rest.split_once(']').unwrap();
        let text = format!("{before}buckets: [{}]{after}", buckets.join(", "));
        let plan = plan(&config(&text)).unwrap();
        plan.warnings.iter().filter(|warning| warning.path == "metrics.buckets").count()
    };
    assert_eq!((told(12), told(13)), (0, 1));
    assert!(crate::config::DEFAULT_BUCKETS.len() <= 12);
}

#[test]
fn nothing_to_do_and_too_much_to_do_are_problems() {
    let nothing = plan(&with_probes("      []\n")).unwrap_err();
    assert!(nothing[0].to_string().contains("found no target"), "{nothing:?}");
    let much = plan(&with_probes("    - {name: p, request: GET /, rate: 600/s}\n")).unwrap_err();
    let printed: Vec<String> = much.iter().map(ToString::to_string).collect();
    assert_eq!(printed.len(), 2);
    assert!(printed[0].contains(
        "limits.requests_per_second: found limits exceeded: targets of the whole agent need 600/s"
    ));
    assert!(printed[1].contains("in account 111122223333 need 600/s, wanted at most 100/s"));
}

#[test]
fn the_estimate_adds_up() {
    let config = with_probes(
        "    - {name: ok, request: GET /}\n    - {name: no, request: GET /, as: anonymous, expect: {denied_by: [resource_policy, forbidden]}}\n",
    );
    let plan = plan(&config).unwrap();
    let estimate = estimate(&plan);
    assert!((estimate.requests_per_second - 2.0 / 30.0).abs() < 1e-12);
    // A session of an hour is renewed after half of it.
    assert!((estimate.sts_calls_per_hour - 2.0).abs() < 1e-12);
    // The guard's calls are not charged.
    assert!((estimate.monthly_cost.api_calls_usd - 0.3024).abs() < 1e-9);
    let histogram = 12 + 3;
    let agent = (12 + 3) + (10 + 3) + 9 + 7;
    let probe = 1 + 1 + 1 + 3 + histogram + 4;
    let guard = 1 + 2 + 1 + 3 + histogram + 4 + 1;
    let spoke = 2 + 1 + 1 + 1 + 1;
    // The api's name, a zone by its address, and one by its name.
    let endpoint = 7 + 5 + 6;
    assert_eq!(estimate.time_series.expected, agent + probe + guard + spoke + endpoint);
    let worst = 1 + 8 + 8 + 3 + 5 * histogram + 4 + 4;
    assert_eq!(estimate.time_series.worst, agent + 2 * worst + 1 + spoke + 3 + endpoint);
}

#[test]
fn the_report_reads_alike_as_text_and_json() {
    let config = config(EXAMPLE);
    let plan = plan(&config).unwrap();
    let report = report::report(&plan, &estimate(&plan), &[], &plan.warnings);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["targets"].as_array().unwrap().len(), 8);
    assert_eq!(json["targets"][2]["as"], "anonymous");
    assert_eq!(json["targets"][5]["zone"], "euw1-az1");
    assert!(json["time_series"].as_u64().unwrap() < json["time_series_worst"].as_u64().unwrap());
    assert!(json["requests_per_second"]["by_account"]["012345678901"].as_f64().unwrap() > 20.0);
    let text = report.text();
    assert!(text.starts_with("8 targets\n"), "{text}");
    assert!(text.contains("payments/hoot/unsigned-is-refused"), "{text}");
    assert!(text.contains("denied by vpc_endpoint_policy"), "{text}");
    assert!(text.lines().all(|line| line.trim_end() == line), "{text}");
}

#[test]
fn one_of_a_thing_is_no_plural() {
    let config = config(
        "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\n\
         spokes:\n- name: a\n  account: '111122223333'\n  apis:\n  - name: x\n    id: a1b2c3d4e5\n    stage: s\n    \
         probes: [{name: p, request: GET /}]\n",
    );
    let plan = plan(&config).unwrap();
    let text = report::report(&plan, &estimate(&plan), &[], &[]).text();
    assert!(text.starts_with("1 target\n") && text.contains("/h for 1 session\n"), "{text}");
}

/// A hub with one api of two probes, and these loads.
fn with_loads(loads: &str) -> Config {
    config(&format!(
        "hub: {{region: af-south-1, endpoint: {{id: vpce-0a1b2c3d, zones: {{afs1-az1: 10.0.0.1}}}}}}\n\
         limits: {{requests_per_second: 1000, requests_per_second_per_account: 600}}\n\
         spokes:\n- name: a\n  account: '111122223333'\n  apis:\n  - name: x\n    id: a1b2c3d4e5\n    stage: s\n    \
         max_rate: 1000/s\n    probes:\n    - {{name: p, request: GET /, per_zone: true}}\n    \
         - {{name: w, request: POST /}}\nloads:\n{loads}"
    ))
}

#[test]
fn a_run_of_load_goes_to_the_name_of_the_endpoint_and_has_all_it_needs() {
    let config = with_loads(
        "- {name: nightly, probe: a/x/p, stages: [{to: 20/s, for: 1m}, {hold: 5m}], at: '02:00', guards: {errors: off}}\n",
    );
    let plan = plan(&config).unwrap();
    let run = &plan.loads[0];
    assert_eq!(run.target.id.to_string(), "a/x/p", "no zone");
    assert_eq!(plan.targets[0].id.to_string(), "a/x/p@afs1-az1");
    assert_eq!((run.in_flight, run.reuse_signatures), (100, true));
    assert_eq!(run.guards.errors, None);
    assert_eq!(plan.load_rules.cool_down, Duration::from_secs(600));
    let report = report::report(&plan, &estimate(&plan), &[], &plan.warnings);
    let load = serde_json::to_value(&report.loads[0]).unwrap();
    assert_eq!(
        load,
        serde_json::json!({
            "name": "nightly", "probe": "a/x/p", "account": "111122223333", "at": "02:00",
            "duration_seconds": 360.0, "peak_per_second": 20.0, "requests": 6600.0, "share_of_quota": 0.008,
        })
    );
    let line =
        "nightly: a/x/p up to 20/s, 6600 requests in 6m, daily at 02:00 UTC; 0.8% of the account's quota";
    assert!(report.text().contains(line), "{}", report.text());
    assert_eq!(plan.warnings, []);
}

#[test]
fn a_run_that_is_probably_not_meant_is_warned_of() {
    let warned = |loads: &str| -> Vec<String> {
        let plan = plan(&with_loads(loads)).unwrap();
        plan.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
    };
    for (loads, wanted) in [
        (
            "- {name: n, probe: a/x/p, stages: [{at: 300/s, for: 1m}]}\n",
            "loads.n: a peak of 300/s is 12% of the quota",
        ),
        (
            "- {name: n, probe: a/x/w, stages: [{at: 2/s, for: 1m}]}\n",
            "loads.n: POST / may change something, and the run \
          repeats it about 120 times",
        ),
        (
            "- {name: n, probe: a/x/p, stages: [{at: 2/s, for: 1m}], guards: {errors: off, throttled: off, missed: off}}\n",
            "loads.n: every guard is off",
        ),
        (
            "- {name: n, probe: a/x/p, stages: [{at: 2/s, for: 24h}], at: '02:00'}\n",
            "loads.n: it lasts 24h, so after",
        ),
        (
            "- {name: n, probe: a/x/p, stages: [{at: 240/s, for: 5m}, {at: 350/s, for: 1s}], at: '23:58'}\n\
             - {name: m, probe: a/x/p, stages: [{at: 300/s, for: 1m}], at: '00:01'}\n",
            "loads.n: it runs at the same time as `m`, and their peaks together exceed \
             `limits.requests_per_second_per_account`",
        ),
    ] {
        assert!(
            warned(loads).iter().any(|warning| warning.starts_with(wanted)),
            "{wanted}: {:#?}",
            warned(loads)
        );
    }
    let apart = "- {name: n, probe: a/x/p, stages: [{at: 240/s, for: 1m}], at: '23:58'}\n\
                 - {name: m, probe: a/x/p, stages: [{at: 240/s, for: 1m}], at: '00:01'}\n";
    assert_eq!(warned(apart), Vec::<String>::new());
}

#[test]
fn runs_of_one_api_at_the_same_time_stay_within_what_it_opted_in_to() {
    let loads = "- {name: n, probe: a/x/p, stages: [{at: 240/s, for: 5m}], at: '23:58'}\n\
                 - {name: m, probe: a/x/p, stages: [{at: 200/s, for: 1m}], at: '00:01'}\n";
    for (max_rate, warned) in [(440.0, false), (430.0, true)] {
        let mut config = with_loads(loads);
        config.spokes[0].apis[0].max_rate = Some(max_rate);
        let warnings = plan(&config).unwrap().warnings;
        let wanted =
            "it runs at the same time as `m`, and their peaks together exceed the api's `max_rate` of 430/s";
        assert_eq!(
            warnings.iter().any(|warning| warning.message.starts_with(wanted)),
            warned,
            "{warnings:?}"
        );
    }
}

#[test]
fn only_runs_by_schedule_cost_money_each_month() {
    let cost = |at: &str| {
        let plan = plan(&with_loads(&format!(
            "- {{name: n, probe: a/x/p, stages: [{{at: 100/s, for: 1h}}]{at}}}\n"
        )))
        .unwrap();
        estimate(&plan).monthly_cost.api_calls_usd
    };
    // 360,000 calls a day.
    assert!((cost(", at: '02:00'") - cost("") - 360_000.0 * 30.0 * 3.5 / 1e6).abs() < 1e-6);
}

#[test]
fn isolation_takes_its_part_of_the_ceilings_before_a_run_does() {
    let text = "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\n\
                isolation: {period: 1m}\n\
                limits: {requests_per_second_per_account: 10}\nspokes:\n\
                - {name: a, account: '111122223333', apis: [{name: x, id: a1b2c3d4e5, stage: s, max_rate: 10/s, \
                probes: [{name: p, request: GET /, every: 1h}]}]}\n\
                - {name: b, account: '222233334444', apis: [{name: x, id: b1b2c3d4e5, stage: s, probes: [{name: p, \
                request: GET /, every: 1h}]}]}\n\
                loads: [{name: n, probe: a/x/p, stages: [{at: RATE, for: 1m}]}]\n";
    assert!(plan(&config(&text.replace("RATE", "9.9/s"))).is_ok());
    let problems = plan(&config(&text.replace("RATE", "9.99/s"))).unwrap_err();
    assert!(
        problems[0].to_string().contains("loads.n.stages[0]: found ceilings exceeded"),
        "{}",
        problems[0]
    );
}

#[test]
fn many_host_names_and_requests_in_flight_are_warned_about() {
    let spokes = |count: usize, addressing: &str| {
        let mut text = format!(
            "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d, addressing: {addressing}, dns_name: \
             vpce-0a1b2c3d-x.execute-api.eu-west-1.vpce.amazonaws.com}}}}\nlimits: {{requests_per_second: \
             10000, in_flight: 10000}}\nspokes:\n"
        );
        for n in 0..count {
            text += &format!(
                "- {{name: s{n}, account: '{:012}', apis: [{{name: x, id: '{n:010}', stage: s, probes: [{{name: \
                 p, request: GET /}}]}}]}}\n",
                111_122_223_333_u64 + u64::try_from(n).unwrap()
            );
        }
        plan(&config(&text)).unwrap()
    };
    let said = |plan: &Plan| -> Vec<String> {
        let about = plan.warnings.iter().filter(|warning| warning.message.contains("host names"));
        about.map(|warning| format!("{}: {}", warning.path, warning.message)).collect()
    };
    let few = spokes(20, "private_dns");
    assert_eq!(few.connections(), (20, 20));
    assert_eq!(said(&few), [""; 0]);
    let many = spokes(4_000, "private_dns");
    assert_eq!(many.connections(), (4_000, 4_000));
    let warnings = said(&many);
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(
        warnings[0]
            .contains("limits.in_flight: 4000 host names and up to 4000 requests in flight need a limit of")
    );
    assert!(warnings[1].contains("idle connections are kept for 3088 of them"), "{warnings:?}");
    let shared = spokes(4_000, "endpoint_dns");
    assert_eq!(shared.connections(), (1, 4_000));
    assert_eq!(said(&shared).len(), 1, "{:?}", said(&shared));
}
