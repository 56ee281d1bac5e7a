//! Who shares a fault with whom, and for how long.

use super::*;
use crate::recording::{CredentialsState, TargetCondition};
use std::time::UNIX_EPOCH;

fn name(index: usize) -> Name {
    format!("spoke-{index}").parse().unwrap()
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn target(spoke: usize, reason: Reason, since: SystemTime) -> TargetCondition {
    TargetCondition {
        spoke: name(spoke),
        plain: true,
        last: Some((reason, reason == Reason::None, since)),
        recent: true,
    }
}

/// Spokes of one probe each.
fn world(reasons: &[Reason], since: SystemTime) -> Conditions {
    let targets = reasons.iter().enumerate().map(|(index, reason)| target(index, *reason, since)).collect();
    Conditions { targets, ..Conditions::default() }
}

fn found(seen: &Conditions) -> Vec<(FaultPlace, &'static str)> {
    faults(seen, &mut Memory::default(), at(0)).into_iter().map(|fault| (fault.place, fault.cause)).collect()
}

const ENDPOINT: FaultPlace = FaultPlace::Shared(FaultScope::Endpoint);
const STS: FaultPlace = FaultPlace::Shared(FaultScope::Sts);
const AGENT: FaultPlace = FaultPlace::Shared(FaultScope::Agent);

#[test]
fn most_spokes_unreachable_alike_is_the_endpoint() {
    use Reason::{ConnectTimeout, Dns, None, VpcEndpointPolicy};
    for (reasons, fault) in [
        (&[ConnectTimeout, ConnectTimeout, ConnectTimeout, None, None][..], true),
        (&[ConnectTimeout, ConnectTimeout, None, None, None][..], false),
        (&[ConnectTimeout, ConnectTimeout][..], false),
        (&[ConnectTimeout, ConnectTimeout, Dns, Dns, None][..], false),
        (&[VpcEndpointPolicy, VpcEndpointPolicy, VpcEndpointPolicy, None][..], true),
    ] {
        let found = found(&world(reasons, at(0)));
        assert_eq!(found.iter().any(|(place, _)| *place == ENDPOINT), fault, "{reasons:?} {found:?}");
    }
}

#[test]
fn a_refusal_that_has_stood_long_is_no_news() {
    let old = world(&[Reason::VpcEndpointPolicy; 5], at(0) - NEW_FOR - CADENCE);
    assert!(found(&old).is_empty());
    // Once raised it stays up however long it lasts.
    let mut memory = Memory::default();
    let fresh = world(&[Reason::VpcEndpointPolicy; 5], at(0));
    for seconds in [0, 600, 1_200, 7_200] {
        assert_eq!(faults(&fresh, &mut memory, at(seconds)).len(), 1, "{seconds}");
    }
}

#[test]
fn a_fault_is_raised_at_once_and_cleared_slowly() {
    let mut memory = Memory::default();
    let mut look = |bad: usize| {
        let mut reasons = [Reason::None; 10];
        reasons[..bad].fill(Reason::ConnectTimeout);
        !faults(&world(&reasons, at(0)), &mut memory, at(0)).is_empty()
    };
    for (bad, up) in [
        (5, false),
        (6, true),
        (5, true),
        (4, true),
        (3, true),
        (3, true),
        (4, true),
        (3, true),
        (3, true),
        (3, false),
        (5, false),
    ] {
        assert_eq!(look(bad), up, "{bad} of 10");
    }
}

#[test]
fn most_roles_without_a_session_is_sts() {
    let spokes = |results: &[AssumeRoleResult]| Conditions {
        spokes: results
            .iter()
            .enumerate()
            .map(|(index, result)| SpokeCondition {
                name: name(index),
                credentials: CredentialsState::default(),
                last_assume_role: Some(*result),
            })
            .collect(),
        ..Conditions::default()
    };
    use AssumeRoleResult::{Denied, Failed, Ok, Throttled};
    assert_eq!(found(&spokes(&[Failed, Failed, Failed, Ok])), [(STS, "assume_role_failed")]);
    assert_eq!(found(&spokes(&[Throttled, Throttled, Throttled])), [(STS, "assume_role_throttled")]);
    assert_eq!(found(&spokes(&[Denied, Denied, Denied, Denied, Ok])), [(STS, "assume_role_denied")]);
    assert_eq!(found(&spokes(&[Denied, Failed, Throttled, Ok])), []);
    assert_eq!(found(&spokes(&[Failed, Failed])), []);
}

#[test]
fn the_agents_own_troubles_are_its_own() {
    assert_eq!(found(&world(&[Reason::NoHubCredentials], at(0))), [(AGENT, "no_hub_credentials")]);
    let mut back = world(&[Reason::NoHubCredentials], at(0));
    back.targets.iter_mut().for_each(|target| target.recent = false);
    assert_eq!(found(&back), [], "asked seldom, and the credentials may be back by now");
    let skew = |seconds| found(&Conditions { clock_skew_seconds: Some(seconds), ..Conditions::default() });
    assert_eq!(skew(-61.0), [(AGENT, "clock_skew")]);
    assert_eq!(skew(59.0), []);
    assert_eq!(found(&world(&[Reason::ClockSkew; 3], at(0))), [(AGENT, "clock_skew")]);
    let mut long_ago = world(&[Reason::ClockSkew; 3], at(0));
    long_ago.targets.iter_mut().for_each(|target| target.recent = false);
    assert_eq!(found(&long_ago), [], "asked seldom, and the clock may be right by now");
    assert_eq!(found(&world(&[Reason::ClockSkew, Reason::None, Reason::None], at(0))), []);
    let load = |due, overloaded, sent, lag_seconds| {
        found(&Conditions { due, overloaded, sent, lag_seconds, ..Conditions::default() })
    };
    assert_eq!(load(200, 10, 200, 0.1), [(AGENT, "overloaded")]);
    assert_eq!(load(300, 10, 300, 0.1), []);
    assert_eq!(load(9, 9, 0, 0.0), []);
    assert_eq!(load(10, 0, 10, 11.0), [(AGENT, "schedule_lag")]);
    assert_eq!(load(9, 0, 9, 99.0), []);
}

#[test]
fn a_spoke_that_fails_as_a_whole_is_said_once() {
    let spoke = |reasons: &[Reason]| Conditions {
        targets: reasons.iter().map(|reason| target(0, *reason, at(0))).collect(),
        ..Conditions::default()
    };
    let place = FaultPlace::Spoke(name(0));
    use Reason::{AssumeRoleDenied, IdentityPolicy, None};
    assert_eq!(found(&spoke(&[AssumeRoleDenied; 2])), [(place, "assume_role_denied")]);
    assert_eq!(found(&spoke(&[AssumeRoleDenied])), []);
    assert_eq!(found(&spoke(&[AssumeRoleDenied, IdentityPolicy])), []);
    assert_eq!(found(&spoke(&[AssumeRoleDenied, None])), []);
    // A guard that is refused as it should be says nothing about the spoke.
    let mut guarded = spoke(&[AssumeRoleDenied, AssumeRoleDenied, None]);
    guarded.targets[2].plain = false;
    assert_eq!(found(&guarded).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_watch_shows_a_fault_within_its_cadence_and_takes_it_back() {
    use crate::recording::examples::{attempt, recorder, seen, spoke, target as probe};
    use crate::seams::{SystemClock, TokioWait};
    let recorder = Arc::new(recorder());
    let names = ["one", "two", "three", "four"];
    recorder.set_spokes(&names.map(|name| spoke(name, &[])));
    let targets = names.map(|name| recorder.add_target(&Arc::new(probe(&format!("{name}/api/hello")))));
    let clock = SystemClock::simulated(at(0));
    let wait = TokioWait::new(clock);
    crate::seams::spawn("shared fate", watch(Arc::clone(&recorder), Arc::new(clock), Arc::new(wait)));
    let fault = || {
        let scrape = String::from_utf8(recorder.encode_text()).unwrap();
        let line = scrape.lines().find(|line| line.starts_with("spokeprobe_fault{scope=\"endpoint\"}"));
        line.unwrap().ends_with(" 1")
    };
    let all_end = async |reason| {
        let second = Duration::from_secs(1);
        targets
            .iter()
            .for_each(|target| attempt(target, &seen(reason, None, clock.now().since_origin(), second)));
        tokio::time::sleep(CADENCE + second).await;
    };
    all_end(Reason::ConnectTimeout).await;
    assert!(fault());
    for _ in 0..=CLEAR_AFTER {
        all_end(Reason::None).await;
    }
    assert!(!fault());
    assert!(recorder.snapshot().faults.is_empty());
}
