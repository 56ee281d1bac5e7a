//! One task, many roles, no real time.

use super::*;
use SessionFailureKind as Kind;
use std::collections::HashSet;

#[tokio::test(start_paused = true)]
async fn sessions_are_renewed_before_they_end_for_a_day() {
    let roles: Vec<_> = (0..5).map(|n| role(n, HOUR)).collect();
    let running = start(&roles, false, |_| ());
    running.pass(secs(1)).await;
    let mut versions = HashSet::new();
    for _ in 0..24 * 60 {
        running.pass(secs(60)).await;
        for role in &roles {
            let session = running.store.session(&Signer::Role(Arc::clone(&role.session))).unwrap().unwrap();
            assert_eq!(session.credentials.access_key_id, role.session.role_arn.to_string());
            assert!(session.credentials.expires_at.unwrap() > running.clock.wall() + secs(1500));
            versions.insert(session.version);
        }
    }
    let calls = running.sts.calls().len();
    assert!((5 * 43..=5 * 55).contains(&calls), "{calls}");
    assert_eq!(versions.len(), calls, "each renewal has its own version");
}

#[tokio::test(start_paused = true)]
async fn many_roles_start_spread_at_most_ten_at_once_each_announced_once() {
    let roles: Vec<_> = (0..300).map(|n| role(n, HOUR)).collect();
    let mut running = start(&roles, true, |sts| sts.latency(secs(1)));
    let mut all_asked = running.store.all_asked();
    assert!(!*all_asked.borrow_and_update());
    all_asked.changed().await.unwrap();
    assert!(running.clock.now() >= Moment::ZERO + secs(30));
    assert_eq!(running.sts.most_in_flight(), 10);
    running.pass(2 * HOUR).await;
    let mut signers = HashSet::new();
    while let Ok(signer) = running.announced.try_recv() {
        assert!(signers.insert(format!("{signer:?}")), "announced twice: {signer:?}");
    }
    assert_eq!(signers.len(), 301);
    assert!(running.sts.most_in_flight() <= 10);
    for role in &roles {
        assert_eq!(running.key(role).unwrap(), role.session.role_arn.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn few_fast_roles_do_not_start_in_one_moment() {
    let roles: Vec<_> = (0..100).map(|n| role(n, HOUR)).collect();
    let running = start(&roles, false, |sts| sts.latency(Duration::ZERO));
    running.pass(secs(10)).await;
    let starts: HashSet<_> = running.sts.calls().iter().map(|call| call.at).collect();
    assert!(starts.len() > 80, "{}", starts.len());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_first_is_announced_and_healed_later() {
    let (good, bad) = (role(1, HOUR), role(2, HOUR));
    let mut running =
        start(&[good.clone(), bad.clone()], false, |sts| sts.answer(&bad, Answer::Refusal(Kind::Denied)));
    assert_eq!(running.reason(&bad), Reason::CredentialsExpired, "not asked yet");
    for _ in 0..2 {
        running.announced.recv().await.unwrap();
    }
    running.pass(HOUR).await;
    assert!(running.announced.try_recv().is_err());
    let refused = running.key(&bad).unwrap_err();
    assert_eq!(refused.reason, Reason::AssumeRoleDenied);
    assert_eq!(refused.message.as_deref(), Some("Denied it is"));
    assert!(refused.refusal.is_some_and(|refusal| !refusal.sure && !refusal.what_to_do.is_empty()));
    let asked =
        running.sts.calls().iter().filter(|call| call.role == bad.session.role_arn.to_string()).count();
    assert!((10..30).contains(&asked), "waits grow to five minutes: {asked}");
    running.sts.answer(&bad, Answer::Session(None));
    running.pass(secs(361)).await;
    assert!(running.key(&bad).is_ok());
}

#[tokio::test(start_paused = true)]
async fn trust_removed_while_running() {
    let one = role(1, HOUR);
    let running = start(std::slice::from_ref(&one), false, |_| ());
    running.pass(secs(10)).await;
    let handle = running.store.handle(&Signer::Role(Arc::clone(&one.session)));
    let version = handle.session().unwrap().unwrap().version;
    running.sts.answer(&one, Answer::Refusal(Kind::Denied));
    // Refreshes are refused from half of its life on; the session there is still signs.
    running.pass(secs(3570)).await;
    assert!(running.sts.calls().len() > 5);
    assert_eq!(handle.session().unwrap().unwrap().version, version);
    running.pass(secs(15)).await;
    assert_eq!(handle.session().unwrap_err().reason, Reason::AssumeRoleDenied);
    running.sts.answer(&one, Answer::Session(None));
    running.pass(secs(361)).await;
    assert!(handle.session().unwrap().unwrap().version > version);
}

#[tokio::test(start_paused = true)]
async fn an_outage_across_the_end_of_a_session() {
    let one = role(1, HOUR);
    let running = start(std::slice::from_ref(&one), false, |_| ());
    running.pass(secs(10)).await;
    running.sts.answer(&one, Answer::Refusal(Kind::Failed));
    running.pass(HOUR).await;
    assert_eq!(running.reason(&one), Reason::AssumeRoleFailed);
    running.sts.answer(&one, Answer::Session(None));
    running.pass(secs(73)).await;
    assert!(running.key(&one).is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ends_while_sts_is_silent() {
    let one = role(1, HOUR);
    let running =
        start(std::slice::from_ref(&one), false, |sts| sts.answer(&one, Answer::Session(Some(secs(20)))));
    running.pass(secs(1)).await;
    running.sts.answer(&one, Answer::Silence);
    running.pass(secs(17)).await;
    assert!(running.key(&one).is_ok(), "one second is kept of a life of twenty");
    running.pass(secs(4)).await;
    assert_eq!(running.reason(&one), Reason::CredentialsExpired, "nobody has refused anything");
    running.pass(secs(30)).await;
    assert_eq!(running.reason(&one), Reason::AssumeRoleFailed, "a call is given up after a while");
    running.sts.answer(&one, Answer::Session(None));
    running.pass(secs(40)).await;
    assert!(running.key(&one).is_ok());
}

#[tokio::test(start_paused = true)]
async fn one_silent_role_holds_nobody_up() {
    let roles: Vec<_> = (0..40).map(|n| role(n, secs(900))).collect();
    let silent = &roles[..9];
    let running = start(&roles, false, |sts| {
        for role in silent {
            sts.answer(role, Answer::Silence);
        }
    });
    running.pass(secs(60)).await;
    for _ in 0..120 {
        running.pass(secs(60)).await;
        for role in &roles[9..] {
            assert_eq!(running.key(role).unwrap(), role.session.role_arn.to_string());
        }
    }
    for role in silent {
        assert_eq!(running.reason(role), Reason::AssumeRoleFailed);
    }
}

#[tokio::test(start_paused = true)]
async fn durations_under_chaining_and_after_a_refusal() {
    let long = role(1, 4 * HOUR);
    let chained = start(std::slice::from_ref(&long), false, |sts| {
        sts.identity("arn:aws:sts::111122223333:assumed-role/hub/task");
    });
    chained.pass(secs(5)).await;
    assert_eq!(chained.sts.calls()[0].duration, HOUR);
    assert_eq!(chained.store.hub_account().unwrap().as_str(), "111122223333");

    let refused = start(std::slice::from_ref(&long), false, |sts| {
        sts.answer(&long, Answer::Refusal(Kind::DurationRefused));
    });
    refused.pass(Duration::from_millis(150)).await;
    assert_eq!(refused.sts.calls().len(), 2);
    assert_eq!(refused.sts.calls()[1].duration, HOUR);
    refused.sts.answer(&long, Answer::Session(None));
    refused.pass(secs(10)).await;
    assert!(refused.key(&long).is_ok());

    let named = start(&[], true, |_| ());
    named.store.set_hub_role(&"arn:aws:iam::999900001111:role/hub".parse().unwrap());
    assert_eq!(named.store.hub_account().unwrap().as_str(), "999900001111");
}

#[tokio::test(start_paused = true)]
async fn the_hub_rotates_fails_and_comes_back() {
    let mut running = start(&[], true, |sts| sts.hub(Err(Kind::NoHubCredentials)));
    assert!(matches!(running.announced.recv().await, Some(Signer::Hub)));
    let hub = running.store.handle(&Signer::Hub);
    assert_eq!(hub.session().unwrap_err().reason, Reason::NoHubCredentials);
    running.sts.hub(Ok(("FIRST", Some(6 * HOUR))));
    running.pass(secs(5)).await;
    let first = hub.session().unwrap().unwrap();
    assert_eq!(first.credentials.access_key_id, "FIRST");
    running.sts.hub(Ok(("SECOND", Some(HOUR))));
    running.pass(secs(61)).await;
    let second = hub.session().unwrap().unwrap();
    assert_eq!(second.credentials.access_key_id, "SECOND");
    assert!(second.version > first.version);
    assert_eq!(running.sts.identity_calls(), ["FIRST", "SECOND"]);
    running.sts.hub(Err(Kind::NoHubCredentials));
    running.pass(secs(600)).await;
    assert!(hub.session().is_ok(), "still valid");
    running.pass(HOUR).await;
    assert_eq!(hub.session().unwrap_err().reason, Reason::NoHubCredentials);
    assert!(running.announced.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn strangers_and_the_anonymous() {
    let (known, stranger) = (role(1, HOUR), role(2, HOUR));
    let running = start(std::slice::from_ref(&known), false, |_| ());
    running.pass(secs(5)).await;
    assert!(running.store.session(&Signer::Anonymous).unwrap().is_none());
    assert!(running.key(&stranger).is_err(), "nobody's credentials stand in for another's");
    // The same role under another session name is another identity.
    let mut other = (*known.session).clone();
    other.session_name = "other".into();
    assert!(running.store.session(&Signer::Role(Arc::new(other))).is_err());
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_told_even_amid_calls() {
    let roles: Vec<_> = (0..20).map(|n| role(n, HOUR)).collect();
    let running = start(&roles, false, |sts| {
        for role in &roles {
            sts.answer(role, Answer::Silence);
        }
    });
    running.pass(secs(1)).await;
    running.shutdown.cancel();
    running.task.await.unwrap();
    let nothing = start(&[], false, |_| ());
    assert!(*nothing.store.all_asked().borrow());
    nothing.shutdown.cancel();
    nothing.task.await.unwrap();
    assert!(nothing.sts.identity_calls().is_empty());
}
