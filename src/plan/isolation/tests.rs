//! Which pairs there are, and how fast they can be gone through.

use super::*;
use crate::config::{self, Document, Documents};
use crate::plan::{estimate, plan};

/// A spoke with one api `x` and these probes, in an account of its own unless told otherwise.
fn spoke(name: &str, number: usize, probes: &str) -> String {
    format!(
        "- {{name: {name}, account: '{number:012}', apis: [{{name: x, id: {number:a>10}, stage: s, probes: [{probes}]}}]}}\n"
    )
}

fn read(isolation: &str, limits: &str, spokes: &str) -> Config {
    let text = format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nlimits: {limits}\nisolation: {isolation}\n\
         spokes:\n{spokes}"
    );
    let documents = Documents::of_main(Document::parse("config.yaml", &text).unwrap());
    config::read(&documents, &|_| None).unwrap()
}

fn hello() -> &'static str {
    "{name: hello, request: GET /}"
}

fn pairs(plan: &Plan) -> Vec<String> {
    let settings = plan.isolation.as_ref().unwrap();
    let name = |pair: &Pair| {
        let (caller, api) =
            (&settings.callers[usize::from(pair.caller)], &settings.apis[usize::from(pair.api)]);
        format!("{}>{}/{}", caller.spoke, api.id.spoke, api.id.api)
    };
    settings.pairs.iter().map(name).collect()
}

fn warnings_of(plan: &Plan) -> Vec<String> {
    let all = plan.warnings.iter().map(|warning| format!("{}: {}", warning.path, warning.message));
    all.filter(|text| !text.contains("positive control")).collect()
}

#[test]
fn a_pair_is_foreign_unless_the_configuration_says_otherwise() {
    // The same account and role: one session, which owns both apis.
    let shared =
        spoke("one", 1, hello()) + &spoke("twin", 1, hello()).replace("id: aaaaaaaaa1", "id: bbbbbbbbb1");
    let all = shared
        + &spoke(
            "two",
            2,
            "{name: hello, request: GET /}, {name: by-three, request: GET /, as: 'spoke:three'}",
        )
        + &spoke("three", 3, "{name: post, request: POST /}, {name: later, request: 'HEAD /later'}");
    let plan = plan(&read("{}", "{}", &all)).unwrap();
    assert_eq!(
        pairs(&plan),
        // By one as the first of the two that share a session. Three is expected to be let in at two.
        ["one>two/x", "one>three/x", "two>one/x", "two>twin/x", "two>three/x", "three>one/x", "three>twin/x"]
    );
    let settings = plan.isolation.as_ref().unwrap();
    assert_eq!(settings.apis[3].request.path_and_query, "/later");
    assert_eq!((settings.period, settings.round), (Duration::from_secs(86_400), Duration::from_secs(86_400)));
    assert!(warnings_of(&plan).is_empty(), "{:?}", plan.warnings);
    assert!(plan_without(&all).isolation.is_none());
}

fn plan_without(spokes: &str) -> Plan {
    let text = format!("hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nspokes:\n{spokes}");
    let documents = Documents::of_main(Document::parse("config.yaml", &text).unwrap());
    plan(&config::read(&documents, &|_| None).unwrap()).unwrap()
}

#[test]
fn an_api_without_a_fitting_probe_is_named_and_its_role_is_asked_for_all_the_same() {
    let spokes = spoke("one", 1, hello())
        + &spoke("two", 2, "{name: no, request: GET /, as: anonymous, expect: {denied: true}}")
        + &spoke("three", 3, "{name: gone, request: GET /, expect: {status: 404}}")
        + &spoke("four", 4, "{name: head, request: HEAD /}");
    let planned = plan(&read("{methods: GET}", "{}", &spokes)).unwrap();
    assert_eq!(pairs(&planned), ["two>one/x", "three>one/x", "four>one/x"]);
    let warned = warnings_of(&planned);
    assert_eq!(warned.len(), 3, "{warned:?}");
    assert_eq!(
        warned[0],
        "spokes.two.apis.x: no role is tried at this api, since it has no signed GET probe that expects a 2xx; add one"
    );
    // Nothing else signs as two.
    assert!(planned.roles.iter().any(|role| role.spokes == ["two".parse().unwrap()]));
    let alone = plan(&read("{}", "{}", &spoke("one", 1, hello()))).unwrap();
    assert!(warnings_of(&alone)[0].starts_with("isolation: there is no role to be tried"));
}

#[test]
fn only_named_spokes_take_part() {
    let spokes: String = (1..=4).map(|n| spoke(&format!("s{n}"), n, hello())).collect();
    let plan = plan(&read("{spokes: [s2, s4, s2]}", "{}", &spokes)).unwrap();
    assert_eq!(pairs(&plan), ["s2>s4/x", "s4>s2/x"]);
}

#[test]
fn limits_stretch_a_round_and_the_plan_says_so() {
    let spokes: String = (1..=40).map(|n| spoke(&format!("s{n}"), n, hello())).collect();
    let roomy = plan(&read("{period: 1h}", "{}", &spokes)).unwrap();
    let asked = estimate(&roomy).isolation.unwrap();
    assert_eq!((asked.pairs, asked.round), (1_560, Duration::from_secs(3_600)));
    assert!((asked.requests_per_second - 1_560.0 / 3_600.0).abs() < 1e-9);
    assert!(
        (asked.requests_per_second_by_account[&"000000000001".parse().unwrap()] - 39.0 / 3_600.0).abs()
            < 1e-9
    );
    let total = estimate(&roomy).requests_per_second;
    assert!((total - 40.0 / 30.0 - 1_560.0 / 3_600.0).abs() < 1e-9);
    // Probes need 4/3 of the 1.5 a second; half of the rest is left to the retries of open doors.
    let tight = plan(&read("{period: 1h}", "{requests_per_second: 1.5}", &spokes)).unwrap();
    let stretched = estimate(&tight).isolation.unwrap();
    assert_eq!(stretched.round.as_secs(), 18_720);
    assert!(estimate(&tight).requests_per_second <= 1.5);
    let warned = warnings_of(&tight);
    assert!(
        warned[0].starts_with("isolation.period: 1560 pairs cannot be tried in 1h within the limits"),
        "{warned:?}"
    );
    assert!(tight.isolation.unwrap().recheck_pace >= Duration::from_secs(11));
    // An account's limit counts as well.
    let narrow = plan(&read("{period: 1m}", "{requests_per_second_per_account: 0.5}", &spokes)).unwrap();
    let rates = estimate(&narrow).requests_per_second_by_account;
    assert!(rates.values().all(|rate| *rate <= 0.5), "{rates:?}");
    let single = plan(&read("{}", "{in_flight_per_account: 1}", &spokes)).unwrap();
    assert!(warnings_of(&single)[0].starts_with("limits: a check is made only while"), "{single:?}");
}

#[test]
fn what_cannot_be_done_is_a_problem_with_a_place() {
    let spokes: String = (1..=40).map(|n| spoke(&format!("s{n}"), n, hello())).collect();
    let full = plan(&read("{}", "{requests_per_second: 1.3334}", &spokes)).unwrap_err();
    assert!(
        full[0].to_string().contains("isolation: found limits that leave no room for 1560 pairs"),
        "{full:?}"
    );
    let many: String = (1..=1_001).map(|n| spoke(&format!("s{n}"), n, hello())).collect();
    let many = plan(&read("{}", "{}", &many)).unwrap_err();
    assert!(
        many[0]
            .to_string()
            .contains("found 1001 roles to be tried at 1001 apis, wanted at most 1000000 pairs")
    );
    assert_eq!(many[0].line, 3);
}

#[test]
fn ninety_thousand_pairs_are_planned_in_no_time() {
    let spokes: String = (1..=301).map(|n| spoke(&format!("s{n}"), n, hello())).collect();
    let plan = plan(&read("{}", "{}", &spokes)).unwrap();
    let asked = estimate(&plan).isolation.unwrap();
    assert_eq!(asked.pairs, 90_300);
    assert!(asked.requests_per_second < 1.05);
    assert_eq!(plan.isolation.unwrap().pairs.len() * size_of::<Pair>(), 361_200);
}
