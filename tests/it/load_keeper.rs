//! Days of an agent with configured loads: each begins at its time of day, and what speaks against it is heeded.

use crate::load_stage::{LoadStage, ORDERS, PAYMENTS, hold, seconds};
use crate::stage::{api_of, dawn, quiet_world, role_of};
use spokeprobe::attempt::PreparedTarget;
use spokeprobe::load::{Budget, COOL_DOWN, Guards, Keeper, KeeperParts, Rules, Settings, Switch};
use spokeprobe::simulator::World;
use spokeprobe::simulator::world::Span;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// An agent with a keeper, from midnight on.
struct Night {
    stage: LoadStage,
    switch: Switch,
    stop_file: Arc<AtomicBool>,
    first_member: Arc<AtomicBool>,
    shutdown: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Night {
    /// Loads by the seconds after midnight that they begin at, made from those of the stage by `change`.
    fn falls(world: World, at: &[u64], change: impl Fn(usize, &LoadStage, &mut Settings)) -> Self {
        let stage = LoadStage::start_without_sessions(world);
        let loads = at.iter().enumerate().map(|(index, at)| {
            let mut settings = Settings {
                name: format!("load-{index}").parse().unwrap(),
                at: Some(seconds(*at)),
                ..stage.settings(hold(10.0, 10))
            };
            change(index, &stage, &mut settings);
            Arc::new(settings)
        });
        let loads: Vec<_> = loads.collect();
        let (stop_file, first_member) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (endpoint, store) = (stage.plan.settings.endpoint.clone(), Arc::clone(&stage.store));
        let prepare = move |settings: &Settings| {
            PreparedTarget::new(Arc::clone(&settings.target), &endpoint, &store, None)
        };
        let parts = KeeperParts {
            hands: stage.hands.clone(),
            recorder: Arc::clone(&stage.recorder),
            store: Arc::clone(&stage.store),
            budget: Budget::new(100.0, 25.0, HashMap::new()),
        };
        let rules = Rules {
            prepare: Box::new(prepare),
            stop_file_exists: {
                let stop_file = Arc::clone(&stop_file);
                Box::new(move || stop_file.load(Ordering::Relaxed))
            },
            cool_down: COOL_DOWN,
            begins_loads: {
                let first_member = Arc::clone(&first_member);
                Box::new(move || first_member.load(Ordering::Relaxed))
            },
        };
        let keeper = Keeper::new(&loads, rules, parts);
        let (switch, shutdown) = (keeper.switch(), CancellationToken::new());
        let stop = shutdown.clone();
        let keeper = spokeprobe::seams::spawn("keeper", async move { keeper.run(stop).await });
        Self { stage, switch, stop_file, first_member, shutdown, keeper }
    }

    /// Sleeps until so long after the midnight at which the story began, and says what the hub has counted since
    /// this was asked last.
    async fn until(&self, after: u64, counted: &mut u64) -> u64 {
        let passed = self.stage.hands.clock.wall().duration_since(dawn()).unwrap();
        tokio::time::sleep(seconds(after) - passed).await;
        let now = self.stage.counted();
        now - std::mem::replace(counted, now)
    }

    /// Ends the agent; how long it took.
    async fn ends(self) -> Duration {
        let told = self.stage.hands.clock.now();
        self.shutdown.cancel();
        self.keeper.await.unwrap();
        assert_eq!(self.switch.names(), []);
        let took = self.stage.hands.clock.now().since(told);
        assert_eq!(self.stage.recorder.snapshot().task_panics, 0);
        self.stage.end();
        took
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_runs_once_each_day_at_its_time_and_not_just_after_the_start() {
    // One at 00:01:30, within two minutes of the start; one at 00:02; one at 02:00; one by command only.
    let night = Night::falls(quiet_world(), &[90, 120, 2 * HOUR, 0], |index, _, load| {
        if index == 3 {
            load.at = None;
        }
    });
    let mut counted = 0;
    assert_eq!(night.until(119, &mut counted).await, 0, "the first waits for the next day");
    assert_eq!(night.until(200, &mut counted).await, 100);
    assert_eq!(night.until(2 * HOUR - 1, &mut counted).await, 0);
    let running = [night.until(2 * HOUR + 5, &mut counted).await, night.switch.names().len() as u64];
    assert!((45..=55).contains(&running[0]) && running[1] == 1, "{running:?}");
    assert_eq!(night.until(2 * HOUR + 60, &mut counted).await, 100 - running[0]);
    assert_eq!(night.until(DAY + 80, &mut counted).await, 0);
    assert_eq!(night.until(DAY + 101, &mut counted).await, 100, "on the second day the first runs too");
    assert_eq!(night.until(4 * DAY, &mut counted).await, 200 + 2 * 300);
    assert_eq!(night.ends().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_load_waits_for_its_session_but_not_for_ever() {
    let mut world = quiet_world();
    let trust = role_of(&mut world, PAYMENTS).trust.take();
    let night = Night::falls(world, &[HOUR], |_, _, _| {});
    let mut counted = 0;
    assert_eq!(night.until(HOUR + 700, &mut counted).await, 0);
    assert_eq!(night.switch.names(), [], "given up for the day");
    night.stage.hub.change(|world| role_of(world, PAYMENTS).trust = trust.clone());
    assert_eq!(night.until(DAY, &mut counted).await, 0, "also when the session comes later");
    assert_eq!(night.until(DAY + HOUR + 60, &mut counted).await, 100);
    night.ends().await;

    let night = Night::falls(quiet_world(), &[HOUR], |_, _, _| {});
    let mut counted = 0;
    night.stage.hub.change(|world| role_of(world, PAYMENTS).trust = None);
    // The first session ends after an hour; the trust comes back while the load waits.
    night.until(HOUR + 60, &mut counted).await;
    night.stage.hub.change(|world| role_of(world, PAYMENTS).trust = trust);
    night.until(HOUR + 700, &mut counted).await;
    assert_eq!(counted, 100);
    night.ends().await;
}

#[tokio::test(start_paused = true)]
async fn the_stop_file_stops_what_runs_and_keeps_others_from_beginning() {
    let long = |_: usize, _: &LoadStage, load: &mut Settings| load.profile.stages = hold(10.0, HOUR);
    let night = Night::falls(quiet_world(), &[HOUR, 3 * HOUR], long);
    let mut counted = 0;
    assert!(night.until(HOUR + 600, &mut counted).await.abs_diff(6_000) <= 1);
    night.stop_file.store(true, Ordering::Relaxed);
    // Noticed within a second, two of going down.
    let after = night.until(HOUR + 610, &mut counted).await;
    assert!((10..=21).contains(&after), "{after}");
    assert_eq!(night.switch.names(), []);
    assert_eq!(night.until(4 * HOUR, &mut counted).await, 0, "nor does the next one begin");
    night.stop_file.store(false, Ordering::Relaxed);
    assert_eq!(night.until(DAY, &mut counted).await, 0, "also not by itself when the file goes");
    assert!(night.until(DAY + HOUR + 60, &mut counted).await.abs_diff(600) <= 1);

    // The switch stops what runs, and nothing else.
    assert_eq!(night.switch.stop_all("the story says so").len(), 1);
    let after = night.until(DAY + HOUR + 120, &mut counted).await;
    assert!(after.abs_diff(10) <= 1, "{after}");
    assert!(night.until(DAY + 3 * HOUR + 60, &mut counted).await.abs_diff(600) <= 1);
    // The agent ends: what runs is given no more arrivals.
    assert!(night.ends().await <= seconds(1));
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_agent_waits_a_few_seconds_for_what_is_in_flight() {
    let mut world = quiet_world();
    api_of(&mut world, PAYMENTS).latency = Span::from_seconds(4);
    let night = Night::falls(world, &[HOUR], |_, _, load| load.profile.stages = hold(10.0, HOUR));
    let mut counted = 0;
    night.until(HOUR + 60, &mut counted).await;
    assert!(night.ends().await.abs_diff(seconds(4)) <= seconds(1));

    let night = Night::falls(quiet_world(), &[HOUR], |_, _, load| load.profile.stages = hold(10.0, HOUR));
    night.until(HOUR + 60, &mut 0).await;
    let now = night.stage.hands.clock.now();
    night.stage.server.stall(now, now + seconds(HOUR));
    night.until(HOUR + 62, &mut 0).await;
    assert_eq!(night.ends().await, seconds(5), "and then it is cut");
}

#[tokio::test(start_paused = true)]
async fn after_a_guard_no_load_begins_on_that_account_for_a_while() {
    // Both at payments and one at orders, a minute apart; then payments again.
    let night =
        Night::falls(quiet_world(), &[HOUR, HOUR + 60, HOUR + 120, HOUR + 900], |index, stage, load| {
            load.guards = Guards { errors: Some(0.1), ..load.guards };
            if index == 2 {
                let orders = stage.plan.targets.iter().find(|target| target.account.as_str() == ORDERS);
                load.target = Arc::clone(orders.unwrap());
            }
        });
    let mut counted = 0;
    night.stage.hub.change(|world| {
        api_of(world, PAYMENTS).fault = Some(spokeprobe::simulator::world::Fault::Html(502));
    });
    let first = night.until(HOUR + 59, &mut counted).await;
    assert!(first < 60, "the guard stopped it: {first}");
    night.stage.hub.change(|world| api_of(world, PAYMENTS).fault = None);
    assert_eq!(night.until(HOUR + 119, &mut counted).await, 0, "the account cools down");
    assert_eq!(night.until(HOUR + 180, &mut counted).await, 100, "another account does not");
    assert_eq!(night.until(HOUR + 960, &mut counted).await, 100, "and after ten minutes it is over");
    night.ends().await;
}

#[tokio::test(start_paused = true)]
async fn loads_share_the_ceiling_and_only_the_first_member_runs_them() {
    // 10/s and 20/s to one account whose ceiling is 25/s, at once; the second is left out.
    let night = Night::falls(quiet_world(), &[HOUR, HOUR + 5], |index, _, load| {
        if index == 1 {
            load.profile.stages = hold(20.0, 10);
        }
    });
    let mut counted = 0;
    assert_eq!(night.until(HOUR + 60, &mut counted).await, 100);
    assert!(night.until(2 * HOUR, &mut counted).await == 0);

    night.first_member.store(false, Ordering::Relaxed);
    assert_eq!(night.until(DAY + 2 * HOUR, &mut counted).await, 0);
    night.first_member.store(true, Ordering::Relaxed);
    assert_eq!(night.until(2 * DAY + 2 * HOUR, &mut counted).await, 100);
    night.ends().await;
}
