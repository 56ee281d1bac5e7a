//! Roles that come and go while the store runs.

use super::*;
use SessionFailureKind as Kind;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

fn signer(role: &RoleInUse) -> Signer {
    Signer::Role(Arc::clone(&role.session))
}

fn calls_for(running: &Running, role: &RoleInUse) -> usize {
    let arn = role.session.role_arn.to_string();
    running.sts.calls().iter().filter(|call| call.role == arn).count()
}

#[tokio::test(start_paused = true)]
async fn what_stays_keeps_its_session_and_what_goes_is_zeroed() {
    let roles: Vec<_> = (0..3).map(|n| role(n, HOUR)).collect();
    let mut running = start(&roles[..2], false, |_| ());
    running.pass(secs(60)).await;
    let handles: Vec<_> = roles.iter().map(|role| running.store.handle(&signer(role))).collect();
    let session = |n: usize| handles[n].session().map(Option::unwrap);
    let kept = session(0).unwrap().version;
    let credentials = Arc::downgrade(&session(1).unwrap().credentials);
    assert!(session(2).is_err(), "nobody asked for it");
    assert_eq!(running.shown(), ["spoke-0", "spoke-1"]);
    while running.announced.try_recv().is_ok() {}

    running.reconcile(&[roles[0].clone(), roles[2].clone()], false);
    assert!(credentials.upgrade().is_none(), "gone at once, since nobody signs with it");
    assert_eq!(running.shown(), ["spoke-0"]);
    assert_eq!(session(0).unwrap().version, kept);
    assert!(running.store.is_known(&signer(&roles[0])));
    assert!(!running.store.is_known(&signer(&roles[1])) && !running.store.is_known(&signer(&roles[2])));
    let announced = running.announced.recv().await.unwrap();
    assert_eq!(announced, signer(&roles[2]));
    assert!(running.store.is_known(&announced));
    assert!(session(2).is_ok(), "a handle that was asked for before the role came");
    assert!(session(1).is_err());

    running.pass(secs(1_200)).await;
    assert_eq!((session(0).unwrap().version, calls_for(&running, &roles[0])), (kept, 1));
    running.pass(secs(1_000)).await;
    assert_ne!(session(0).unwrap().version, kept, "refreshed when it would have been");
    assert_eq!(calls_for(&running, &roles[0]), 2);
    assert_eq!(calls_for(&running, &roles[1]), 1, "not asked for any more");
    assert!(running.announced.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_is_seen_by_nobody() {
    let (slow, other) = (role(1, HOUR), role(2, HOUR));
    let mut running = start(std::slice::from_ref(&slow), false, |sts| sts.latency(secs(20)));
    running.pass(secs(5)).await;
    assert_eq!(running.sts.in_flight(), 1);
    assert!(!*running.store.all_asked().borrow());
    running.reconcile(std::slice::from_ref(&other), false);
    running.pass(secs(1)).await;
    assert_eq!(running.sts.in_flight(), 1, "the other's; its own was dropped");
    running.reconcile(&[], false);
    assert!(*running.store.all_asked().borrow(), "nobody is waited for any more");
    running.pass(secs(60)).await;
    assert!(running.announced.try_recv().is_err());
    assert!(running.shown().is_empty());
    let text = String::from_utf8(running.recorder.encode_text()).unwrap();
    assert!(!text.contains("spokeprobe_assume_role_total{"), "{text}");
    // Ready once is ready for good, however many come.
    let many: Vec<_> = (0..50).map(|n| role(n, HOUR)).collect();
    running.reconcile(&many, true);
    assert!(*running.store.all_asked().borrow());
    assert!(!running.task.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_comes_back_is_a_new_one() {
    let one = role(1, HOUR);
    let mut running = start(std::slice::from_ref(&one), false, |sts| {
        sts.answer(&one, Answer::Refusal(Kind::Denied));
    });
    assert_eq!(running.announced.recv().await, Some(signer(&one)));
    // Its waits have grown to minutes.
    running.pass(secs(1_000)).await;
    let old = running.store.handle(&signer(&one));
    running.sts.answer(&one, Answer::Session(None));
    running.reconcile(&[], false);
    running.reconcile(std::slice::from_ref(&one), false);
    assert!(!running.store.is_known(&signer(&one)));
    assert_eq!(running.announced.recv().await, Some(signer(&one)));
    assert!(running.key(&one).is_ok());
    assert!(old.session().is_err(), "of another time");
    assert_eq!(running.shown(), ["spoke-1"]);
}

#[tokio::test(start_paused = true)]
async fn spokes_move_between_roles_and_see_what_is_known_of_theirs() {
    let named = |number: usize, spokes: &[&str]| RoleInUse {
        spokes: spokes.iter().map(|name| name.parse().unwrap()).collect(),
        ..role(number, HOUR)
    };
    let running = start(&[named(1, &["a", "b"]), named(2, &["c"])], false, |sts| {
        sts.answer(&role(2, HOUR), Answer::Refusal(Kind::Denied));
    });
    running.pass(secs(30)).await;
    assert_eq!(running.shown(), ["a", "b"]);
    // b passes to the refused role, d joins the other, e is both's by mistake: one of them is shown.
    running.reconcile(&[named(1, &["a", "d"]), named(2, &["b", "c"]), named(1, &["d", "e"])], false);
    assert_eq!(running.shown(), ["a", "d", "e"]);
    let refused = |name: &str| {
        let spokes = running.recorder.snapshot().spokes;
        spokes.iter().find(|spoke| spoke.name.as_str() == name).unwrap().credentials.refusal.is_some()
    };
    assert!(refused("b") && refused("c") && !refused("d"));
    // The next refreshes are for those who are there then.
    running.sts.answer(&role(2, HOUR), Answer::Session(None));
    running.pass(2 * HOUR).await;
    assert_eq!(running.shown(), ["a", "b", "c", "d", "e"]);
    let text = String::from_utf8(running.recorder.encode_text()).unwrap();
    let asked = |spoke: &str| {
        let series = format!("spokeprobe_assume_role_total{{result=\"ok\",spoke=\"{spoke}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u32>().ok()).unwrap_or(0)
    };
    assert_eq!(asked("d"), asked("a") - 1, "{text}");
}

#[tokio::test(start_paused = true)]
async fn three_hundred_new_roles_are_no_burst() {
    let old: Vec<_> = (0..20).map(|n| role(n, HOUR)).collect();
    let mut running = start(&old, false, |sts| sts.latency(Duration::from_millis(50)));
    running.pass(secs(60)).await;
    while running.announced.try_recv().is_ok() {}
    let before = running.sts.calls().len();
    let all: Vec<_> = (0..320).map(|n| role(n, HOUR)).collect();
    let at = running.clock.now();
    running.reconcile(&all, false);
    running.pass(secs(20)).await;
    let calls = running.sts.calls().split_off(before);
    assert_eq!(calls.len(), 300, "each new one once, no old one");
    let mut seconds = [0; 7];
    for call in &calls {
        seconds[usize::try_from(call.at.since(at).as_secs()).unwrap()] += 1;
    }
    assert!(seconds.iter().all(|count| *count < 80), "spread over six seconds: {seconds:?}");
    assert!(running.sts.most_in_flight() <= 10);
    let mut announced = HashSet::new();
    while let Ok(signer) = running.announced.try_recv() {
        assert!(announced.insert(format!("{signer:?}")));
    }
    assert_eq!(announced.len(), 300);
}

#[tokio::test(start_paused = true)]
async fn the_hub_comes_into_use_and_goes() {
    let one = role(1, HOUR);
    let mut running = start(&[], false, |_| ());
    running.pass(secs(60)).await;
    assert!(running.sts.identity_calls().is_empty(), "nothing is asked for nobody");
    running.reconcile(std::slice::from_ref(&one), false);
    assert_eq!(running.announced.recv().await, Some(signer(&one)));
    assert!(!running.store.is_known(&Signer::Hub));
    running.reconcile(std::slice::from_ref(&one), true);
    assert_eq!(running.announced.recv().await, Some(Signer::Hub));
    assert!(running.store.is_known(&Signer::Hub) && running.store.is_known(&Signer::Anonymous));
    let credentials = Arc::downgrade(&running.store.session(&Signer::Hub).unwrap().unwrap().credentials);
    running.reconcile(&[], false);
    running.pass(secs(1)).await;
    assert!(credentials.upgrade().is_none() && !running.store.is_known(&Signer::Hub));
    running.reconcile(&[], true);
    assert_eq!(running.announced.recv().await, Some(Signer::Hub));
    assert!(running.store.session(&Signer::Hub).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_restarted_task_goes_on_with_the_sessions_there_are() {
    let roles: Vec<_> = (0..20).map(|n| role(n, HOUR)).collect();
    let running = start(&roles, false, |_| ());
    running.pass(secs(600)).await;
    let before = running.sts.calls().len();
    running.task.abort();
    let again = spawn("refresher", Arc::clone(&running.store).run(running.shutdown.clone()));
    running.pass(secs(1_000)).await;
    assert_eq!(running.sts.calls().len(), before, "no burst, since all have sessions");
    for _ in 0..200 {
        running.pass(secs(60)).await;
        for role in &roles {
            assert!(running.key(role).is_ok());
        }
    }
    assert!(!again.is_finished());
}

/// STS is silent, then refuses, for two lifetimes of a session; then it is back.
#[tokio::test(start_paused = true)]
async fn an_outage_of_two_lifetimes() {
    let roles: Vec<_> = (0..100).map(|n| role(n, HOUR)).collect();
    let running = start(&roles, false, |_| ());
    let having = || roles.iter().filter(|role| running.key(role).is_ok()).count();
    running.pass(secs(60)).await;
    assert_eq!((having(), running.sts.calls().len()), (100, 100), "before");
    for role in &roles {
        running.sts.answer(role, Answer::Silence);
    }
    running.pass(HOUR).await;
    assert_eq!(having(), 0);
    for role in &roles {
        running.sts.answer(role, Answer::Refusal(Kind::Failed));
    }
    running.pass(HOUR).await;
    let during = running.sts.calls().len() - 100;
    assert!((100..10_000).contains(&during), "{during} calls in two hours by a hundred roles");
    for role in &roles {
        assert_eq!(running.reason(role), Reason::AssumeRoleFailed);
        running.sts.answer(role, Answer::Session(None));
    }
    let back = running.clock.now();
    running.pass(secs(75)).await;
    assert_eq!(having(), 100, "after");
    let calls = running.sts.calls().split_off(100 + during);
    assert_eq!(calls.len(), 100, "each once");
    let first_second = calls.iter().filter(|call| call.at.since(back) < secs(1)).count();
    assert!(first_second < 20, "they do not come back in one moment: {first_second}");
    assert!(running.sts.most_in_flight() <= 10);
}

/// The roles of the property: twenty accounts, in each two identities that differ in the name of the session only.
fn identity(n: usize) -> RoleInUse {
    let mut one = role(n / 2, HOUR);
    let session = RoleSession { session_name: format!("probe-{}", n % 2), ..(*one.session).clone() };
    one.session = Arc::new(session);
    one.spokes = vec![format!("spoke-{n}").parse().unwrap()];
    one
}

const IDENTITIES: usize = 40;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes(
        steps in proptest::collection::vec(
            (proptest::bits::u64::between(0, IDENTITIES), any::<bool>(), 0_u64..9_000),
            1..12,
        ),
        latency_ms in 0_u64..15_000,
        refused in proptest::bits::u64::between(0, IDENTITIES / 2),
    ) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(come_and_go(&steps, latency_ms, refused));
    }
}

async fn come_and_go(steps: &[(u64, bool, u64)], latency_ms: u64, refused: u64) {
    let everyone: Vec<_> = (0..IDENTITIES).map(identity).collect();
    let among = |set: u64, n: usize| set >> n & 1 == 1;
    let running = start(&[], false, |sts| {
        sts.latency(Duration::from_millis(latency_ms));
        for n in (0..IDENTITIES / 2).filter(|n| among(refused, *n)) {
            sts.answer(&everyone[2 * n], Answer::Refusal(Kind::Denied));
        }
    });
    let check = |set: u64, settled: bool| {
        assert!(!running.task.is_finished(), "two calls at once for one role");
        assert!(running.sts.most_in_flight() <= 10);
        for (n, role) in everyone.iter().enumerate() {
            match running.key(role) {
                Ok(key) => assert!(among(set, n) && key == key_of(&role.session), "{n}: {key}"),
                Err(_) => assert!(!settled || !among(set, n) || among(refused, n / 2), "{n}"),
            }
            assert!(!running.store.is_known(&signer(role)) || among(set, n));
        }
        let shown = running.shown();
        assert!(shown.iter().all(|name| among(set, name["spoke-".len()..].parse().unwrap())), "{shown:?}");
    };
    let mut comings: BTreeMap<usize, usize> = BTreeMap::new();
    let mut before = 0;
    for (set, hub, pause_ms) in steps {
        let roles: Vec<_> = everyone
            .iter()
            .enumerate()
            .filter(|(n, _)| among(*set, *n))
            .map(|(_, role)| role.clone())
            .collect();
        for n in (0..IDENTITIES).filter(|n| among(*set & !before, *n)) {
            *comings.entry(n).or_default() += 1;
        }
        running.reconcile(&roles, *hub);
        check(*set, false);
        running.pass(Duration::from_millis(*pause_ms)).await;
        check(*set, false);
        before = *set;
    }
    running.pass(secs(90)).await;
    check(before, true);
    // No role was asked for more often than it came, unless it was refused.
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    for call in running.sts.calls() {
        *asked.entry(call.role).or_default() += 1;
    }
    for n in (0..IDENTITIES / 2).filter(|n| !among(refused, *n)) {
        let came = comings.get(&(2 * n)).unwrap_or(&0) + comings.get(&(2 * n + 1)).unwrap_or(&0);
        let arn = everyone[2 * n].session.role_arn.to_string();
        assert!(asked.get(&arn).is_none_or(|asked| *asked <= came), "{arn}");
    }
}
