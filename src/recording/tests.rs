//! What a scrape shows: at the start, over a life, and after a target is gone.

use super::examples::{attempt, guard, recorder, role, seen, spoke, target, wall};
use super::*;
use crate::domain::observation::{Door, MissCause};
use crate::domain::outcome::Reason;
use crate::domain::target::Cadence;
use std::collections::BTreeSet;

const SECOND: Duration = Duration::from_secs(1);

fn text(recorder: &Recorder) -> String {
    String::from_utf8(recorder.encode_text()).unwrap()
}

/// The samples of our own metrics whose name begins like this, without comments.
fn samples(recorder: &Recorder, beginning: &str) -> Vec<String> {
    let whole = format!("spokeprobe_{beginning}");
    text(recorder).lines().filter(|line| line.starts_with(&whole)).map(str::to_owned).collect()
}

fn one(recorder: &Recorder, beginning: &str) -> String {
    let found = samples(recorder, beginning);
    assert_eq!(found.len(), 1, "{beginning}: {found:?}");
    found.into_iter().next().unwrap()
}

/// `tests/golden/metrics.txt` is the contract with dashboards and alerts: every family with its help, and
/// every series that is there before anything happened. `BLESS=1` writes it anew.
#[test]
fn at_the_start_exactly_the_known_sets_are_there_at_zero() {
    let recorder = recorder();
    recorder.set_spokes(&[spoke("orders", &[("env", "prod")]), spoke("payments", &[("team", "pay\"ments")])]);
    recorder.set_includes(vec![
        IncludeStatus { file: "spokes.d/a.yaml".into(), problems: Vec::new() },
        IncludeStatus { file: "spokes.d/b.yaml".into(), problems: vec!["a problem".into()] },
    ]);
    recorder.configuration_read(wall(SECOND));
    recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    recorder.add_target(&Arc::new(guard("payments/hoot/refused")));
    let zonal = TargetId { zone: Some("euw1-az1".parse().unwrap()), ..target("orders/hoot/hello").id };
    recorder.add_target(&Arc::new(Target { id: zonal, ..target("orders/hoot/hello") }));
    recorder.set_loads(&[LoadInfo {
        name: "evening-peak".parse().unwrap(),
        target: target("payments/hoot/hello").id,
    }]);
    let found: String = text(&recorder)
        .lines()
        .filter(|line| line.contains("spokeprobe_"))
        .map(|line| line.replace(build::VERSION, "VERSION") + "\n")
        .collect();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");
    if std::env::vars_os().any(|(name, _)| name == "BLESS") {
        std::fs::write(path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(path).unwrap());
}

#[test]
fn every_family_appears_once_its_value_is_known_with_a_help_text() {
    let recorder = recorder();
    recorder.set_spokes(&[spoke("payments", &[])]);
    let guarded = recorder.add_target(&Arc::new(guard("payments/hoot/refused")));
    for absent in
        ["up", "last_outcome", "last_attempt", "door_open", "clock_skew", "signed_header", "credentials"]
    {
        assert!(samples(&recorder, absent).is_empty(), "{absent} is not known yet");
    }
    let mut refused = seen(Reason::VpcEndpointPolicy, Some(403), SECOND, SECOND);
    refused.verdict.expected = true;
    refused.verdict.door = Some(Door::Closed);
    refused.clock_skew_seconds = Some(-1.5);
    refused.signed_header_bytes = Some(1_234);
    refused.retries = 1;
    attempt(&guarded, &refused);
    recorder.assume_role_ended(&role(&["payments", "unknown"]), AssumeRoleResult::Ok, SECOND);
    recorder.credentials_renewed(&role(&["payments"]), Some(wall(SECOND)));
    recorder.task_panicked();
    let target = r#"{api="hoot",probe="refused",spoke="payments"}"#;
    assert_eq!(one(&recorder, "up"), format!("spokeprobe_up{target} 1"));
    assert_eq!(one(&recorder, "door_open"), format!("spokeprobe_door_open{target} 0"));
    assert_eq!(
        one(&recorder, "last_attempt"),
        format!("spokeprobe_last_attempt_timestamp_seconds{target} 1767225602")
    );
    assert_eq!(one(&recorder, "clock_skew"), "spokeprobe_clock_skew_seconds -1.5");
    assert_eq!(one(&recorder, "signed_header"), r#"spokeprobe_signed_header_bytes{spoke="payments"} 1234"#);
    assert_eq!(
        one(&recorder, "connection_retries"),
        r#"spokeprobe_connection_retries_total{spoke="payments"} 1"#
    );
    assert_eq!(
        one(&recorder, "assume_role_total"),
        r#"spokeprobe_assume_role_total{result="ok",spoke="payments"} 1"#
    );
    assert_eq!(
        one(&recorder, "credentials_expiry"),
        r#"spokeprobe_credentials_expiry_timestamp_seconds{spoke="payments"} 1767225601"#
    );
    assert_eq!(one(&recorder, "task_panics"), "spokeprobe_task_panics_total 1");
    assert_eq!(one(&recorder, "schedule_lag_seconds_sum"), "spokeprobe_schedule_lag_seconds_sum 0.002");
    assert_eq!(one(&recorder, "in_flight"), "spokeprobe_in_flight_requests 0");
    let text = text(&recorder);
    let typed: BTreeSet<_> =
        text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    for name in &typed {
        assert!(text.contains(&format!("# HELP {name} ")), "{name} has no help");
        assert!(name.starts_with("spokeprobe_") || name.starts_with("process_"), "{name}");
    }
    assert!(typed.iter().filter(|name| name.starts_with("spokeprobe_")).count() >= 21, "{typed:?}");
}

#[test]
fn a_door_of_several_zones_is_open_while_one_of_them_is() {
    let recorder = recorder();
    let in_zone = |zone: &str| {
        let plain = guard("payments/hoot/refused");
        let id = TargetId { zone: Some(zone.parse().unwrap()), ..plain.id.clone() };
        recorder.add_target(&Arc::new(Target { id, ..plain }))
    };
    let (first, second) = (in_zone("euw1-az1"), in_zone("euw1-az2"));
    let saw = |target: &TargetRecorder, reason, door, at| {
        let mut seen = seen(reason, Some(403), SECOND * at, SECOND);
        seen.verdict.door = door;
        attempt(target, &seen);
        one(&recorder, "door_open").chars().last().unwrap()
    };
    assert_eq!(saw(&first, Reason::VpcEndpointPolicy, Some(Door::Closed), 1), '0');
    assert_eq!(saw(&second, Reason::None, Some(Door::Open), 2), '1');
    assert_eq!(saw(&first, Reason::VpcEndpointPolicy, Some(Door::Closed), 3), '1');
    assert_eq!(saw(&second, Reason::Dns, None, 4), '1', "no evidence keeps the value");
    assert_eq!(saw(&second, Reason::VpcEndpointPolicy, Some(Door::Closed), 5), '0');
    assert_eq!(saw(&first, Reason::None, Some(Door::Open), 6), '1', "whichever zone it is");
}

#[test]
fn the_last_outcome_is_one_series_in_every_scrape_even_while_it_changes() {
    let recorder = Arc::new(recorder());
    let probe = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    attempt(&probe, &seen(Reason::None, Some(200), Duration::ZERO, SECOND));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for at in 1..2_000 {
                let (reason, code) = if at % 2 == 0 { (Reason::None, 200) } else { (Reason::Forbidden, 403) };
                attempt(&probe, &seen(reason, Some(code), SECOND * at, SECOND));
            }
        });
        for _ in 0..100 {
            let last = one(&recorder, "last_outcome{");
            assert!(
                last.contains(r#"expected="true",outcome="ok""#)
                    || last.contains(r#"expected="false",outcome="denied""#),
                "{last}"
            );
        }
    });
}

#[test]
fn series_go_with_their_target_and_with_their_spoke() {
    let recorder = recorder();
    recorder.set_spokes(&[spoke("payments", &[]), spoke("orders", &[])]);
    let first = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    let second = recorder.add_target(&Arc::new(target("payments/hoot/greet")));
    for probe in [&first, &second] {
        let mut failed = seen(Reason::BackendStatus, Some(502), SECOND, SECOND);
        failed.retries = 1;
        failed.signed_header_bytes = Some(9);
        attempt(probe, &failed);
    }
    for result in AssumeRoleResult::ALL {
        recorder.assume_role_ended(&role(&["payments"]), result, SECOND);
    }
    recorder.credentials_renewed(&role(&["payments"]), Some(wall(SECOND)));
    first.due();
    first.started();
    recorder.remove_target(&target("payments/hoot/hello").id);
    assert!(!text(&recorder).contains(r#"probe="hello""#));
    assert!(text(&recorder).contains(r#"connection_retries_total{spoke="payments"} 2"#));
    // An attempt that was in flight ends late, in a way never seen before: nothing of it comes back.
    first.observed(&seen(Reason::Dns, None, SECOND, SECOND), true);
    assert!(!text(&recorder).contains(r#"probe="hello""#));
    assert_eq!(one(&recorder, "in_flight"), "spokeprobe_in_flight_requests 0");

    recorder.remove_target(&target("payments/hoot/greet").id);
    let left = text(&recorder);
    assert!(!left.contains("connection_retries_total{") && !left.contains("signed_header_bytes{"), "{left}");
    assert!(left.contains("assume_role_total{"), "announced spokes keep what is theirs");
    recorder.set_spokes(&[spoke("orders", &[])]);
    assert!(!text(&recorder).contains("payments"), "{}", text(&recorder));

    // A successor with the same labels begins at zero, and a straggler of its predecessor does not touch it.
    let successor = recorder.add_target(&Arc::new(target("payments/hoot/greet")));
    attempt(&second, &seen(Reason::None, Some(200), SECOND, SECOND));
    assert_eq!((successor.counts().due, successor.counts().ended()), (0, 0));
    attempt(&successor, &seen(Reason::None, Some(200), SECOND, SECOND));
    attempt(&second, &seen(Reason::Rate, Some(429), SECOND, SECOND));
    assert_eq!(one(&recorder, "request_duration_seconds_count").chars().last(), Some('1'));
}

#[test]
fn spoke_info_carries_the_union_of_labels_and_leaves_out_the_empty() {
    let recorder = recorder();
    recorder.set_spokes(&[spoke("a", &[("team", "x\\y\n\"z\"")]), spoke("b", &[("env", "prod")])]);
    assert_eq!(
        samples(&recorder, "spoke_info"),
        [
            r#"spokeprobe_spoke_info{account="012345678901",region="eu-west-1",role="arn:aws:iam::012345678901:role/spokeprobe",spoke="a",team="x\\y\n\"z\""} 1"#,
            r#"spokeprobe_spoke_info{account="012345678901",env="prod",region="eu-west-1",role="arn:aws:iam::012345678901:role/spokeprobe",spoke="b"} 1"#,
        ]
    );
}

#[test]
fn a_changed_target_counts_on_but_forgets_what_the_old_request_taught() {
    let recorder = recorder();
    let old = target("payments/hoot/hello");
    let probe = recorder.add_target(&Arc::new(old.clone()));
    attempt(&probe, &seen(Reason::None, Some(200), SECOND, SECOND));

    let slower = Target { cadence: Cadence::Every(SECOND * 60), ..old.clone() };
    let probe = recorder.add_target(&Arc::new(slower));
    attempt(&probe, &seen(Reason::None, Some(200), SECOND, SECOND));
    assert_eq!(samples(&recorder, "up").len(), 1, "only the interval changed");
    assert!(one(&recorder, "probe_interval").ends_with(" 60"));

    let mut other = old;
    other.expectation.status = vec![201];
    probe.due();
    probe.started();
    let reformed = recorder.add_target(&Arc::new(other));
    assert!(samples(&recorder, "up").is_empty() && samples(&recorder, "last_outcome").is_empty());
    // What was under way in the old form counts, and is not remembered.
    probe.observed(&seen(Reason::Forbidden, Some(403), SECOND, SECOND), true);
    assert!(samples(&recorder, "up").is_empty() && samples(&recorder, "last_outcome").is_empty());
    assert!(recorder.snapshot().failures.is_empty());
    let counts = reformed.counts();
    assert_eq!((counts.due, counts.ended(), counts.in_flight), (3, 3, 0));
    let same_place = recorder.target(&reformed.id().clone()).unwrap().target();
    attempt(&reformed, &seen(Reason::None, Some(201), SECOND, SECOND));
    assert_eq!(samples(&recorder, "up").len(), 1);
    recorder.add_target_at(&same_place, false);
    assert!(samples(&recorder, "up").is_empty(), "the same question at another place");
    // The end of a target is the end of what is under way.
    reformed.due();
    reformed.started();
    reformed.due();
    recorder.remove_target(reformed.id());
    reformed.observed(&seen(Reason::None, Some(201), SECOND, SECOND), true);
    reformed.missed(MissCause::Overloaded, 1);
    reformed.abandoned(true);
    let again = recorder.add_target(&same_place);
    assert_eq!((again.counts().due, recorder.snapshot().in_flight), (0, 0));
    assert!(reformed.counts().is_conserved() && recorder.imbalances().is_empty());
    assert!(
        text(&recorder)
            .contains(r#"code="201",outcome="ok",probe="hello",reason="none",spoke="payments"} 0"#)
    );
}

#[test]
fn kept_failures_have_a_bound_for_the_agent_and_for_each_target() {
    let recorder = recorder();
    let loud = recorder.add_target(&Arc::new(target("payments/hoot/hello")));
    let mut failed = seen(Reason::Forbidden, Some(403), SECOND, SECOND);
    failed.verdict.message = Some("x".repeat(100_000));
    failed.ids.request_id = Some("y".repeat(100_000));
    (0..1_000).for_each(|_| attempt(&loud, &failed));
    let shown = recorder.snapshot();
    assert_eq!(shown.failures.len(), KEPT_FAILURES);
    assert_eq!(shown.targets[0].failures.len(), KEPT_FAILURES_PER_TARGET);
    let kept = &shown.failures[0];
    assert_eq!(
        (kept.message.as_deref().map(str::len), kept.ids.request_id.as_deref().map(str::len)),
        (Some(300), Some(128))
    );
}

#[test]
fn what_sts_said_stands_on_the_board_until_a_session_comes() {
    let recorder = recorder();
    recorder.set_spokes(&[spoke("payments", &[])]);
    let now = wall(SECOND);
    let refused = Refusal::new(Some("AccessDenied"), "not authorized", ("other", "No."), now);
    recorder.credentials_refused(&role(&["payments"]), &refused);
    let state = recorder.snapshot().spokes.remove(0).credentials;
    assert_eq!((state.word(now), &*state.refusal.unwrap().message), ("refused", "not authorized"));
    recorder.credentials_renewed(&role(&["payments"]), Some(now + SECOND));
    let unheard = Refusal::new(None, "timeout", ("no_answer", "No answer."), now);
    recorder.credentials_refused(&role(&["payments"]), &unheard);
    assert_eq!(recorder.snapshot().spokes.remove(0).credentials.word(now), "renewal_failed");
    recorder.credentials_renewed(&role(&["payments"]), Some(now + SECOND));
    assert_eq!(recorder.snapshot().spokes.remove(0).credentials.word(now), "valid");
}

#[test]
fn a_refused_reload_leaves_the_moment_of_the_last_good_one() {
    let recorder = recorder();
    assert!(samples(&recorder, "config_last_reload").is_empty(), "not read yet");
    let shown = |successful: u8, second: u64| {
        let at = wall(SECOND * u32::try_from(second).unwrap()).duration_since(std::time::UNIX_EPOCH).unwrap();
        [
            format!("spokeprobe_config_last_reload_success_timestamp_seconds {}", at.as_secs()),
            format!("spokeprobe_config_last_reload_successful {successful}"),
        ]
    };
    recorder.configuration_read(wall(SECOND));
    assert_eq!(samples(&recorder, "config_last_reload"), shown(1, 1));
    recorder.configuration_unreadable(wall(SECOND * 5), "gone".into());
    assert_eq!(samples(&recorder, "config_last_reload"), shown(1, 1), "nobody knows of anything new");
    recorder.configuration_refused(wall(SECOND * 6), vec!["bad".into(); 100]);
    let status = recorder.configuration();
    assert_eq!((status.refused.unwrap().problems.len(), status.unreadable), (20, None));
    assert_eq!(samples(&recorder, "config_last_reload"), shown(0, 1));
    recorder.configuration_read(wall(SECOND * 9));
    assert_eq!(samples(&recorder, "config_last_reload"), shown(1, 9));
}

#[test]
fn where_the_agent_runs_is_shown_as_far_as_it_is_known() {
    let recorder = recorder();
    assert!(samples(&recorder, "agent_info").is_empty());
    let place =
        AgentPlace { task: Some("0f9d".into()), availability_zone: Some("eu-west-1a".into()), cluster: None };
    recorder.set_agent_place(place);
    let wanted = "spokeprobe_agent_info{availability_zone=\"eu-west-1a\",task=\"0f9d\"} 1";
    assert_eq!(samples(&recorder, "agent_info"), [wanted]);
}

#[test]
fn no_histogram_has_more_than_twelve_buckets_by_default() {
    let text = text(&recorder());
    let families = text.lines().filter_map(|line| line.split_once("_bucket{"));
    let mut buckets = BTreeMap::new();
    for (family, labels) in families.filter(|(_, labels)| !labels.contains("+Inf")) {
        assert!(labels.starts_with("le="), "one series before any target: {labels}");
        *buckets.entry(family).or_insert(0) += 1;
    }
    assert!(buckets.len() >= 2 && buckets.values().all(|count| *count <= 12), "{buckets:?}");
}
