//! One load run against a hub that behaves, stalls, throttles, fails or says nothing.

use crate::load_stage::{LoadStage, PAYMENTS, hold, seconds, stopped};
use crate::stage::{api_of, quiet_world, role_of};
use spokeprobe::load::{Ended, Guards, Settings};
use spokeprobe::schedule::{Arrivals, Profile, Stage};
use spokeprobe::simulator::WireFault;
use spokeprobe::simulator::world::{Fault, Span, Throttle};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_run_makes_what_its_profile_asks_for() {
    let stage = LoadStage::start(quiet_world()).await;
    let before = stage.counted();
    let report = stage.run(stage.settings(hold(100.0, 60))).await;
    let record = &report.record;
    assert_eq!((record.due, record.sent, record.ended), (6_000, 6_000, 6_000));
    assert_eq!((record.missed(), record.aborted, report.ended), (0, 0, Ended::Completed));
    assert_eq!(stage.counted() - before, 6_000, "the hub saw each of them");
    assert_eq!(record.timeline.len(), 60);
    for second in &record.timeline {
        assert!(second.due.abs_diff(100) <= 1 && (second.rate_asked - 100.0).abs() < 1e-6, "{second:?}");
    }
    assert!(record.lateness.max() <= MS * 2, "{:?}", record.lateness);
    assert_eq!((report.lasted, record.results.len()), (seconds(60), 1));
    assert_eq!((record.results[0].code, record.results[0].expected), (Some(200), 6_000));

    // Up, level, down: 100 + 400 + 100, and the rate asked for is the mean of each second.
    let stages = vec![
        Stage::Ramp { from: 0.0, to: 20.0, lasts: seconds(10) },
        Stage::Hold { rate: 20.0, lasts: seconds(20) },
        Stage::Ramp { from: 20.0, to: 0.0, lasts: seconds(10) },
    ];
    let report = stage.run(stage.settings(stages)).await;
    assert_eq!((report.record.sent, report.lasted), (600, seconds(40)));
    let asked: Vec<f64> = report.record.timeline.iter().map(|second| second.rate_asked).collect();
    assert!((asked[0] - 1.0).abs() < 1e-6 && (asked[39] - 1.0).abs() < 1e-6, "{asked:?}");

    // As independent callers come, a thousand more or less.
    let mut settings = stage.settings(hold(50.0, 20));
    settings.profile.arrivals = Arrivals::Poisson { seed: 7 };
    let report = stage.run(settings).await;
    assert!(report.record.sent.abs_diff(1_000) < 100, "{}", report.record.sent);
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn a_run_without_arrivals_lasts_as_long_as_it_was_told_to() {
    let stage = LoadStage::start(quiet_world()).await;
    let report = stage.run(stage.settings(hold(0.0, 10))).await;
    assert_eq!((report.record.due, report.lasted, report.ended), (0, seconds(10), Ended::Completed));
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_once_is_seen_in_the_response_and_not_in_most_service_times() {
    let mut world = quiet_world();
    api_of(&mut world, PAYMENTS).latency = Span::from_seconds(0);
    let stage = LoadStage::start(world).await;
    // Eight connections serve 50 requests a second with ease, until the server stalls for 2 s of a minute.
    stage.server.keep_connections(8);
    let began = stage.hands.clock.now();
    stage.server.stall(began + seconds(30), began + seconds(32));
    let report = stage.run(stage.settings(hold(50.0, 60))).await;
    let record = &report.record;
    assert_eq!((record.ended, record.missed()), (3_000, 0));
    // 100 of 3,000 became due while nothing was answered: the slowest waited for all of the stall.
    assert!(record.response.max() >= MS * 1_980, "{:?}", record.response);
    assert!(record.response.quantile(0.99) >= MS * 1_000, "{:?}", record.response.quantile(0.99));
    assert!(record.response.quantile(0.5) < MS * 10);
    // Eight of them were with the server; the others waited for a connection, which a tester who counts from the
    // sending would never tell.
    assert!(record.service.max() >= MS * 1_800);
    assert!(record.service.quantile(0.99) < MS * 10, "{:?}", record.service.quantile(0.99));
    assert!(record.lateness.max() >= MS * 1_500, "the wait is on the client's side of the wire");
    // Guards look at the response: the same run with one on p99 is stopped by it.
    let mut settings = stage.settings(hold(50.0, 60));
    settings.guards = Guards { p99: Some(seconds(1)), ..settings.guards };
    let began = stage.hands.clock.now();
    stage.server.stall(began + seconds(30), began + seconds(32));
    let report = stage.run(settings).await;
    let (guard, after, measured, allowed) = stopped(&report);
    assert_eq!((guard, after, allowed), ("p99", seconds(32), 1.0));
    assert!((1.0..=2.1).contains(&measured), "{measured}");
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_stops_the_run_before_anything_has_ended() {
    let stage = LoadStage::start(quiet_world()).await;
    stage.hub.change(|world| api_of(world, PAYMENTS).fault = Some(Fault::Wire(WireFault::Hang)));
    let mut settings = stage.settings(hold(50.0, 60));
    settings.guards = Guards { p99: Some(seconds(2)), ..settings.guards };
    let report = stage.run(settings).await;
    let (guard, after, measured, allowed) = stopped(&report);
    assert_eq!((guard, allowed), ("p99", 2.0));
    assert!(after <= seconds(3) && measured > 2.0, "{after:?} {measured}");
    // Three seconds of arrivals, two of going down, five of timeouts.
    assert!(report.record.due <= 3 * 50 + 50 + 1, "{}", report.record.due);
    assert!(report.lasted <= seconds(11), "{:?}", report.lasted);
    assert_eq!(
        (report.record.aborted, report.record.ended),
        (0, report.record.sent),
        "all timed out by themselves"
    );
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn a_throttle_stops_the_run_within_its_window() {
    let stage = LoadStage::start(quiet_world()).await;
    let settings = || {
        let mut settings = stage.settings(hold(40.0, 120));
        settings.guards = Guards { errors: Some(0.5), throttled: Some(0.01), ..settings.guards };
        Settings { ramp_down: seconds(4), ..settings }
    };
    let fine = stage.begin(settings());
    tokio::time::sleep(seconds(30)).await;
    stage.hub.change(|world| api_of(world, PAYMENTS).throttle = Some(Throttle { rate: 30.0, burst: 30.0 }));
    let report = fine.report().await;
    let (guard, after, measured, allowed) = stopped(&report);
    assert_eq!((guard, allowed), ("throttled", 0.01));
    assert!(after > seconds(30) && after <= seconds(40), "{after:?}");
    assert!(measured > 0.01 && measured < 0.5, "{measured}");
    // The rate goes down evenly over four seconds: 80 arrivals.
    let due = report.record.timeline.iter().filter(|second| second.at >= after).map(|second| second.due);
    assert!(due.sum::<u64>().abs_diff(80) <= 2);
    let falling = report.record.timeline.iter().rev().map(|second| second.rate_asked);
    for (asked, wanted) in falling.zip([5.0, 15.0, 25.0, 35.0, 40.0]) {
        assert!((asked - wanted).abs() < 2.0, "{asked} {wanted}");
    }
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn errors_stop_the_run_and_a_few_do_not() {
    let stage = LoadStage::start(quiet_world()).await;
    let mut settings = stage.settings(hold(20.0, 60));
    settings.guards = Guards { errors: Some(0.2), ..settings.guards };
    let run = stage.begin(settings.clone());
    // Half a second of failures in every ten: 5%.
    for _ in 0..6 {
        tokio::time::sleep(MS * 9_500).await;
        stage.hub.change(|world| api_of(world, PAYMENTS).fault = Some(Fault::Html(502)));
        tokio::time::sleep(MS * 500).await;
        stage.hub.change(|world| api_of(world, PAYMENTS).fault = None);
    }
    let report = run.report().await;
    assert_eq!(report.ended, Ended::Completed);
    let failed: u64 = report.record.results.iter().map(|result| result.count - result.expected).sum();
    assert_eq!(failed, 60);

    stage.hub.change(|world| api_of(world, PAYMENTS).fault = Some(Fault::Html(502)));
    let report = stage.run(settings).await;
    let (guard, after, measured, allowed) = stopped(&report);
    assert_eq!((guard, measured, allowed), ("errors", 1.0, 0.2));
    assert!(after <= seconds(2), "{after:?}");
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_missed_and_stops_the_run() {
    let mut world = quiet_world();
    api_of(&mut world, PAYMENTS).latency = Span::from_seconds(1);
    let stage = LoadStage::start(world).await;
    // Room for 10 attempts of a second each, and 20 a second asked for.
    let settings = Settings { in_flight: 10, ..stage.settings(hold(20.0, 60)) };
    let report = stage.run(settings.clone()).await;
    assert_eq!(report.ended, Ended::Completed);
    assert_eq!(report.record.due, 1_200);
    assert!(report.record.missed_overloaded.abs_diff(600) <= 20, "{}", report.record.missed_overloaded);
    assert!(report.record.response.max() <= MS * 1_010, "what is made is made in time");

    let guards = Guards { missed: Some(0.25), ..settings.guards };
    let report = stage.run(Settings { guards, ..settings }).await;
    let (guard, _, measured, allowed) = stopped(&report);
    assert_eq!((guard, allowed), ("missed", 0.25));
    assert!(measured > 0.25 && measured < 0.6, "{measured}");
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_was_held_up_does_not_catch_up() {
    let stage = LoadStage::start(quiet_world()).await;
    let run = stage.begin(stage.settings(hold(50.0, 60)));
    tokio::time::sleep(seconds(10)).await;
    tokio::time::advance(seconds(20)).await;
    let report = run.report().await;
    assert_eq!(report.record.due, 3_000);
    assert!(report.record.missed_paused.abs_diff(995) <= 5, "{}", report.record.missed_paused);
    let long = report.record.timeline.iter().find(|second| second.lasts > seconds(1)).unwrap();
    assert!(long.lasts >= seconds(20) && (long.rate_asked - 50.0).abs() < 1e-6, "{long:?}");
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn who_asks_lets_the_rate_go_down_and_who_cuts_does_not() {
    let mut world = quiet_world();
    api_of(&mut world, PAYMENTS).latency = Span::from_seconds(3);
    let stage = LoadStage::start(world).await;
    let settings = Settings { ramp_down: seconds(10), ..stage.settings(hold(20.0, 600)) };

    let run = stage.begin(settings.clone());
    tokio::time::sleep(seconds(60)).await;
    run.stop.request("the story says so");
    let report = run.report().await;
    assert_eq!(stopped(&report), ("requested", seconds(60), 0.0, 0.0));
    // 1,200 in a minute, 100 while going down, and the last of them has its three seconds.
    assert_eq!((report.record.due, report.record.aborted), (1_300, 0));
    assert!(report.lasted > seconds(72) && report.lasted <= seconds(73), "{:?}", report.lasted);

    let run = stage.begin(settings.clone());
    tokio::time::sleep(seconds(60)).await;
    run.stop.halt("the agent ends");
    let report = run.report().await;
    assert_eq!((report.record.due, report.record.aborted), (1_200, 0));
    assert!(report.lasted <= seconds(63), "{:?}", report.lasted);

    let run = stage.begin(settings.clone());
    tokio::time::sleep(seconds(60)).await;
    run.stop.cut("the story says so");
    let report = run.report().await;
    assert_eq!((report.record.due, report.lasted), (1_200, seconds(60)));
    assert_eq!(report.record.aborted, 60, "three seconds of arrivals were in flight");

    // First asked, then cut while it drains.
    let run = stage.begin(Settings { ramp_down: Duration::ZERO, ..settings.clone() });
    tokio::time::sleep(seconds(60)).await;
    run.stop.request("the story says so");
    tokio::time::sleep(seconds(1)).await;
    run.stop.cut("and insists");
    let report = run.report().await;
    assert_eq!((report.lasted, report.record.aborted), (seconds(61), 40));

    // Stopped before it began.
    let run = stage.begin(settings.clone());
    run.stop.cut("the story says so");
    let record = run.at_once().await.record;
    assert_eq!(record.due, 0);

    // A caller who drops the run leaves nothing behind.
    let run = stage.begin(settings);
    tokio::time::sleep(seconds(10)).await;
    let sent = stage.counted();
    let record = run.forget().await;
    assert_eq!((record.aborted, record.sent), (60, record.ended + 60));
    tokio::time::sleep(seconds(10)).await;
    assert_eq!(stage.counted(), sent);
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn what_never_ends_by_itself_is_given_up_after_its_timeout() {
    let stage = LoadStage::start(quiet_world()).await;
    let run = stage.begin(stage.settings(hold(10.0, 10)));
    tokio::time::sleep(seconds(8)).await;
    // A transport that does not keep its timeout.
    let now = stage.hands.clock.now();
    stage.server.stall(now, now + seconds(3_600));
    let report = run.report().await;
    assert_eq!((report.record.due, report.record.aborted), (100, 20));
    assert_eq!((report.ended, report.lasted), (Ended::Completed, seconds(16)));
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn without_a_session_nothing_is_sent_and_the_record_says_why() {
    let mut world = quiet_world();
    role_of(&mut world, PAYMENTS).trust = None;
    let stage = LoadStage::start(world).await;
    let mut settings = stage.settings(hold(10.0, 10));
    let before = stage.counted();
    let report = stage.run(settings.clone()).await;
    assert_eq!((report.record.due, report.record.unsent, report.record.sent), (100, 100, 0));
    assert_eq!(stage.counted(), before);
    assert_eq!(report.record.results[0].reason.as_str(), "assume_role_denied");
    // They count as errors: a load that cannot be made stops.
    settings.guards = Guards { errors: Some(0.1), ..settings.guards };
    settings.profile = Profile { stages: hold(10.0, 60), ..settings.profile };
    let report = stage.run(settings).await;
    assert_eq!(stopped(&report).0, "errors");
    stage.end();
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_its_own_attempt_and_nothing_else() {
    let stage = LoadStage::start(quiet_world()).await;
    let run = stage.begin(Settings { in_flight: 1, ..stage.settings(hold(10.0, 10)) });
    tokio::time::sleep(seconds(3)).await;
    stage.server.panic_once();
    tokio::time::sleep(seconds(3)).await;
    // Once more while it waits for the network, no longer in its first breath.
    let now = stage.hands.clock.now();
    stage.server.stall(now, now + MS * 60);
    stage.server.panic_once();
    let report = run.report().await;
    // The only place in flight was given back each time.
    assert_eq!((report.record.sent, report.record.aborted, report.record.missed()), (100, 2, 0));
    stage.end();
}
