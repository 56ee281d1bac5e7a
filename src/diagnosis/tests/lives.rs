//! The life of a diagnosis: made by twins, used by later attempts, fallen when the answer changes.

use super::*;
use crate::domain::observation::Door;
use crate::domain::outcome::Reason;

const MINUTE: Duration = Duration::from_secs(60);
const NO_RESOURCE: &str =
    r#"{"Effect": "Allow", "Principal": {"AWS": "222233334444"}, "Action": "*", "Resource": "*"}"#;
const NO_IDENTITY: &str = r#"{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}"#;
const ORGANISATION: &str = r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}}"#;

/// Neither side lets the spoke's role in; everyone passes the endpoint.
fn refused_by_neither() -> Policies {
    Policies {
        resource: statements(&[NO_RESOURCE]),
        identity: vec![statements(&[NO_IDENTITY])],
        ..Policies::default()
    }
}

fn reason(attempted: &Attempted) -> Reason {
    attempted.observation.verdict.reason
}

#[tokio::test(start_paused = true)]
async fn later_attempts_take_the_reason_that_twins_found() {
    let bench = Bench::new(&refused_by_neither().world(), "{name: hello, request: GET /}").await;
    let path = "one/api/hello";
    assert_eq!(reason(&bench.attempt(path).await), Reason::UnattributedPolicy);
    let known = bench.diagnosis(path).unwrap();
    assert_eq!(known.reason, Reason::ResourceOrIdentityPolicy);
    assert_eq!(known.because, ["unsigned_passes_endpoint"]);
    assert!(!known.suspects.contains(&"endpoint_policy") && !known.suspects.contains(&"session_policy"));
    assert_eq!(reason(&bench.attempt(path).await), Reason::ResourceOrIdentityPolicy);
    // The hub is refused as well, so nothing more could be learnt from it.
    assert_eq!(bench.twins(path), 2);
    let scrape = String::from_utf8(bench.recorder.encode_text()).unwrap();
    assert!(
        scrape.contains(
            r#"spokeprobe_twin_attempts_total{api="api",as="anonymous",probe="hello",spoke="one"} 1"#
        )
    );
    assert!(bench.recorder.imbalances().is_empty());
    let counted: u64 = bench.recorders[&bench.id(path)].counts().ended();
    assert_eq!(counted, 2, "twins are in no other count");

    // It falls as soon as the call is let in, and a later refusal begins anew.
    let open = Policies::default().world();
    bench.hub.change(|world| *world = World::parse(&open).unwrap());
    assert_eq!(reason(&bench.attempt(path).await), Reason::None);
    assert_eq!(bench.diagnosis(path), None);
    assert_eq!(bench.cases[&bench.id(path)].lesson(bench.clock.now()), None);
}

#[tokio::test(start_paused = true)]
async fn another_wording_ends_a_diagnosis() {
    let bench = Bench::new(&refused_by_neither().world(), "{name: hello, request: GET /}").await;
    let path = "one/api/hello";
    bench.attempt(path).await;
    assert!(bench.diagnosis(path).is_some());
    bench.hub.change(|world| world.endpoint.old_wording = false);
    assert_eq!(reason(&bench.attempt(path).await), Reason::IdentityPolicy);
    assert_eq!(bench.diagnosis(path), None);
}

#[tokio::test(start_paused = true)]
async fn rounds_are_a_minute_apart_then_five_and_an_unconfirmed_diagnosis_falls() {
    let bench = Bench::new(&refused_by_neither().world(), "{name: hello, request: GET /}").await;
    let path = "one/api/hello";
    for (minutes, twins) in [(0, 2), (0, 2), (1, 4), (1, 4), (2, 4), (2, 6)] {
        tokio::time::sleep(minutes * MINUTE).await;
        bench.attempt(path).await;
        assert_eq!(bench.twins(path), twins, "after {minutes} minutes more");
    }
    let case = &bench.cases[&bench.id(path)];
    assert!(case.lesson(bench.clock.now()).is_some());
    assert!(case.lesson(bench.clock.now() + HOLDS - Duration::from_secs(1)).is_some());
    assert!(case.lesson(bench.clock.now() + HOLDS + Duration::from_secs(1)).is_none());
    assert_eq!(bench.diagnosis(path), None);
}

#[tokio::test(start_paused = true)]
async fn a_twin_that_nobody_answered_takes_nothing_back() {
    let bench = Bench::new(&refused_by_neither().world(), "{name: hello, request: GET /}").await;
    let path = "one/api/hello";
    let attempted = bench.attempt(path).await;
    assert_eq!(bench.diagnosis(path).unwrap().reason, Reason::ResourceOrIdentityPolicy);
    let case = &bench.cases[&bench.id(path)];
    let wording = attempted.wording.unwrap();
    let confirmed = bench.diagnosis(path).unwrap().confirmed_at;
    // There is no other path to ask for, so that twin ends as one that is lost on its way.
    let twins = vec![Twin::Path, Twin::Hub];
    let evidence = bench.diagnoser.recorded_evidence(case, wording);
    bench.diagnoser.round(case, wording, evidence, twins).await;
    let known = bench.diagnosis(path).unwrap();
    assert_eq!((known.reason, known.confirmed_at), (Reason::ResourceOrIdentityPolicy, confirmed));
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_or_throttled_on_the_way_is_no_answer() {
    let bench = Bench::new(&Policies::default().world(), "{name: hello, request: GET /}").await;
    let target = Arc::clone(bench.cases[&bench.id("one/api/hello")].target());
    for (reason, is_one) in [
        (Reason::Reset, false),
        (Reason::ConnectTimeout, false),
        (Reason::ResponseTimeout, false),
        (Reason::Rate, false),
        (Reason::AssumeRoleDenied, false),
        (Reason::ResourcePolicy, true),
        (Reason::IntegrationTimeout, true),
    ] {
        let attempted = Attempted {
            observation: bench.attempter.unsent(&target, bench.clock.now(), reason, None),
            exchange: None,
            sent_secrets: Vec::new(),
            sent: None,
            refusal: None,
            wording: None,
        };
        assert_eq!(answer(Twin::Anonymous, &attempted).is_some(), is_one, "{reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_goes_by_the_layer_that_was_found() {
    let policies = Policies { endpoint: Some(statements(&[ORGANISATION])), ..Policies::default() };
    let probes =
        "{name: by-endpoint, request: GET /, as: anonymous, expect: {denied_by: vpc_endpoint_policy}}
        {name: by-resource, request: GET /, as: anonymous, expect: {denied_by: resource_policy}}
        {name: hello, request: GET /other}";
    let bench = Bench::new(&policies.world(), probes).await;
    for (path, expected) in [("one/api/by-endpoint", true), ("one/api/by-resource", false)] {
        let first = bench.attempt(path).await.observation.verdict;
        assert_eq!(
            (first.reason, first.expected, first.unconfirmed),
            (Reason::UnattributedPolicy, true, true)
        );
        let later = bench.attempt(path).await.observation.verdict;
        assert_eq!(
            (later.reason, later.expected, later.unconfirmed),
            (Reason::VpcEndpointPolicy, expected, false)
        );
        assert_eq!(later.door, Some(Door::Closed));
    }
}

#[tokio::test(start_paused = true)]
async fn only_safe_methods_have_twins_unless_the_probe_allows_it() {
    let probes = "{name: post, request: POST /}
        {name: allowed, request: POST /, twins: true}
        {name: head, request: HEAD /}";
    let policies = Policies { endpoint: Some(statements(&[NO_RESOURCE])), ..Policies::default() };
    let bench = Bench::new(&policies.world(), probes).await;
    for (path, twins) in [("one/api/post", 0), ("one/api/allowed", 2), ("one/api/head", 2)] {
        assert_eq!(reason(&bench.attempt(path).await), Reason::UnattributedPolicy, "{path}");
        assert_eq!(bench.twins(path), twins, "{path}");
        assert_eq!(bench.diagnosis(path).unwrap().reason, Reason::UnattributedPolicy);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_route_is_found_by_a_path_that_works() {
    let probes = "{name: typo, request: GET /ohter}\n{name: hello, request: GET /other}";
    let bench = Bench::new(&Policies::default().world(), probes).await;
    assert_eq!(reason(&bench.attempt("one/api/hello").await), Reason::None);
    assert_eq!(reason(&bench.attempt("one/api/typo").await), Reason::MissingAuthenticationToken);
    assert_eq!(reason(&bench.attempt("one/api/typo").await), Reason::NotFound);
    assert_eq!(bench.twins("one/api/typo"), 0, "the record said it already");
}

#[tokio::test(start_paused = true)]
async fn without_spare_permits_or_after_the_end_nothing_is_sent() {
    let bench = Bench::new(&refused_by_neither().world(), "{name: hello, request: GET /}").await;
    let id = bench.id("one/api/hello");
    let attempted = bench.judged(&id, None).await;
    bench.diagnoser.saw(&bench.cases[&id], &attempted, || None::<()>);
    tokio::time::sleep(MINUTE).await;
    assert_eq!(bench.twins("one/api/hello"), 0);
    bench.diagnoser.drain().await;
    bench.attempt("one/api/hello").await;
    assert_eq!(bench.twins("one/api/hello"), 0);
}
