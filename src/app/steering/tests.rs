//! What comes of readings, over a source and an agent that are simulated.

use super::*;
use crate::app::{NeedsRestart, SetupProblem};
use crate::recording::{ConfigurationStatus, Settings};
use crate::seams::{SystemClock, TokioWait};
use crate::sources::load_plan_of;
use std::sync::Mutex as StdMutex;
use std::time::UNIX_EPOCH;

const SECOND: Duration = Duration::from_secs(1);

fn text(targets: usize) -> String {
    let probes: Vec<String> =
        (0..targets).map(|nth| format!("{{name: p{nth}, request: GET /{nth}}}")).collect();
    format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nspokes:\n- name: a\n  account: '111122223333'\n  \
         apis: [{{name: x, id: a1b2c3d4e5, stage: s, probes: [{}]}}]\n",
        probes.join(", ")
    )
}

/// A source whose content is set, and that may be out of reach.
struct Fake {
    content: StdMutex<Option<String>>,
    readings: StdMutex<usize>,
    takes: Duration,
}

impl Source for Fake {
    fn name(&self) -> &str {
        "s3://conf/main.yaml"
    }

    fn read(&self) -> BoxFuture<'_, Result<Texts, Unreadable>> {
        Box::pin(async {
            *self.readings.lock().unwrap() += 1;
            tokio::time::sleep(self.takes).await;
            match &*self.content.lock().unwrap() {
                Some(text) => Ok(Texts::of_main(self.name(), text)),
                None => Err(Unreadable::new(self.name(), "S3 does not answer")),
            }
        })
    }
}

/// What runs beside the steering.
struct Stage {
    source: Arc<Fake>,
    asking: Asking,
    recorder: Arc<Recorder>,
    /// The numbers of targets of all plans that were handed over.
    plans: Arc<StdMutex<Vec<usize>>>,
    /// Whether the last of them begins scheduled loads.
    begins_loads: Arc<StdMutex<bool>>,
    /// How many of the next plans meet an outside that cannot be made.
    fails: Arc<StdMutex<usize>>,
    /// The watches over members that were begun, and what those by DNS hand out.
    watches: Arc<StdMutex<usize>>,
    named: watch::Sender<Option<Arc<Share>>>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
    shares: watch::Sender<Option<Arc<Share>>>,
}

impl Stage {
    fn begin(takes: Duration, first_share: Option<Share>) -> Self {
        let content = text(3);
        let source = Arc::new(Fake {
            content: StdMutex::new(Some(content.clone())),
            readings: StdMutex::new(0),
            takes,
        });
        let clock = SystemClock::simulated(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let recorder = Arc::new(Recorder::new(&Settings { buckets: vec![1.0] }));
        recorder.configuration_read(clock.wall());
        let (shares, seen) = watch::channel(first_share.map(Arc::new));
        let (named, by_name) = watch::channel(None);
        let watches = Arc::new(StdMutex::new(0));
        let begun = Arc::clone(&watches);
        let watch_members = move |settings: Option<&members::Settings>| {
            *begun.lock().unwrap() += 1;
            if settings.is_some() { by_name.clone() } else { seen.clone() }
        };
        let parts = SteeringParts {
            source: Arc::clone(&source) as Arc<dyn Source>,
            environment: Arc::new(|_| None),
            watch_every: Some(30 * SECOND),
            members: Some(Box::new(watch_members)),
            clock: Arc::new(clock),
            wait: Arc::new(TokioWait::new(clock)),
            recorder: Arc::clone(&recorder),
        };
        let plans = Arc::new(StdMutex::new(Vec::new()));
        let begins_loads = Arc::new(StdMutex::new(true));
        let (handed, loads) = (Arc::clone(&plans), Arc::clone(&begins_loads));
        let fails = Arc::new(StdMutex::new(0_usize));
        let failing = Arc::clone(&fails);
        // An agent that takes everything but other buckets.
        let reconcile: Reconcile = Arc::new(move |plan: Plan| {
            let (handed, loads) = (Arc::clone(&handed), Arc::clone(&loads));
            let fails_now = {
                let mut left = failing.lock().unwrap();
                let fails_now = *left > 0;
                *left = left.saturating_sub(1);
                fails_now
            };
            Box::pin(async move {
                if fails_now {
                    return Err(ReconcileProblem::Outside(SetupProblem::new("no more files".to_owned())));
                }
                if plan.settings.recording.buckets.len() == 1 {
                    let key = NeedsRestart { key: "metrics.buckets", old: "12".into(), new: "1".into() };
                    return Err(ReconcileProblem::Restart(vec![key]));
                }
                let before = { handed.lock().unwrap().last().copied().unwrap_or(3) };
                let now = plan.targets.len();
                handed.lock().unwrap().push(now);
                *loads.lock().unwrap() = plan.begins_loads;
                Ok(Changes {
                    added: now.saturating_sub(before),
                    removed: before.saturating_sub(now),
                    changed: 0,
                    kept: now.min(before),
                })
            })
        });
        let texts = Texts::of_main(source.name(), &content);
        let loaded = load_plan_of(&texts, &|_| None).unwrap();
        let (steering, asking) = Steering::over(parts, reconcile, &texts, &loaded);
        let shutdown = CancellationToken::new();
        let task = steering.start(shutdown.clone());
        Self { source, asking, recorder, plans, begins_loads, fails, watches, named, shutdown, task, shares }
    }

    fn alone() -> Self {
        Self::begin(Duration::ZERO, Some(Share::alone()))
    }

    fn set(&self, content: Option<&str>) {
        *self.source.content.lock().unwrap() = content.map(str::to_owned);
    }

    fn readings(&self) -> usize {
        *self.source.readings.lock().unwrap()
    }

    fn plans(&self) -> Vec<usize> {
        std::mem::take(&mut *self.plans.lock().unwrap())
    }

    fn begins_loads(&self) -> bool {
        *self.begins_loads.lock().unwrap()
    }

    fn watches(&self) -> usize {
        *self.watches.lock().unwrap()
    }

    fn status(&self) -> ConfigurationStatus {
        self.recorder.configuration()
    }

    fn successful(&self) -> bool {
        let text = String::from_utf8(self.recorder.encode_text()).unwrap();
        text.contains("\nspokeprobe_config_last_reload_successful 1\n")
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.task.await.unwrap();
    }
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_is_taken_once_it_has_settled_and_only_once() {
    let stage = Stage::alone();
    seconds(10).await;
    assert_eq!(stage.plans(), [3], "the share that is known from the start");
    stage.set(Some(&text(5)));
    seconds(20).await;
    assert!(stage.plans().is_empty(), "seen once");
    seconds(5).await;
    assert_eq!(stage.plans(), [5]);
    seconds(300).await;
    assert!(stage.plans().is_empty());
    assert!(stage.successful());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_broken_configuration_changes_nothing_and_is_shown_until_it_is_mended() {
    let stage = Stage::alone();
    seconds(1).await;
    let read_at = stage.status().read_at;
    assert_eq!(stage.plans(), [3]);
    stage.set(Some("hub: {}\nspokse: []\n"));
    seconds(35).await;
    assert!(stage.plans().is_empty() && !stage.successful());
    let refused = stage.status().refused.unwrap();
    seconds(10).await;
    assert!(refused.problems.iter().any(|problem| problem.contains("spokse")), "{refused:?}");
    assert_eq!(stage.status().read_at, read_at);
    let asked = stage.asking.reload("test").await.unwrap_err();
    assert_eq!((asked.status, asked.text.contains("spokse")), (422, true));
    assert_eq!(stage.status().refused.unwrap().since, refused.since, "the first moment stays");
    // Put back as it was: nothing to change, and all is well again.
    stage.set(Some(&text(3)));
    seconds(35).await;
    assert!(stage.successful() && stage.status().refused.is_none());
    assert_eq!(stage.plans(), [3]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_lists_the_warnings_that_are_new() {
    let stage = Stage::alone();
    seconds(1).await;
    stage.set(Some(&format!("{}defaults: {{timeout: 5s}}\n", text(1))));
    let told = stage.asking.reload("test").await.unwrap();
    assert!(told.contains("\nwarning: spokes.a.apis.x.probes.p0.timeout: the timeout of 5s"), "{told}");
    let again = stage.asking.reload("test").await.unwrap();
    assert!(!again.contains("warning"), "{again}");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_takes_a_restart_is_said_so() {
    let stage = Stage::alone();
    seconds(1).await;
    stage.set(Some(&format!("{}metrics: {{buckets: [1]}}\n", text(4))));
    let asked = stage.asking.reload("test").await.unwrap_err();
    assert_eq!((asked.status, asked.text.contains("restart")), (409, true), "{asked}");
    assert!(!stage.successful());
    assert_eq!(stage.plans(), [3], "only the share of the beginning");
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_source_is_no_refusal_unless_somebody_asks() {
    let stage = Stage::alone();
    seconds(1).await;
    stage.set(None);
    seconds(100).await;
    let unreadable = stage.status().unreadable.unwrap();
    assert!(stage.successful() && stage.status().refused.is_none());
    seconds(100).await;
    assert_eq!(stage.status().unreadable.unwrap().since, unreadable.since);
    let asked = stage.asking.reload("test").await.unwrap_err();
    assert_eq!((asked.status, asked.text.contains("S3 does not answer")), (503, true));
    assert!(!stage.successful() && stage.status().unreadable.is_some());
    stage.set(Some(&text(3)));
    seconds(35).await;
    assert!(stage.successful() && stage.status().unreadable.is_none() && stage.status().refused.is_none());
    assert_eq!(stage.plans(), [3, 3]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_meet_share_a_reading_that_begins_after_them() {
    let stage = Stage::begin(5 * SECOND, Some(Share::alone()));
    seconds(1).await;
    let ask = || {
        let asking = stage.asking.clone();
        seams::spawn("asks", async move { asking.reload("test").await })
    };
    let first = ask();
    seconds(1).await;
    stage.set(Some(&text(4)));
    let later: Vec<_> = (0..50).map(|_| ask()).collect();
    first.await.unwrap().unwrap();
    for asked in later {
        let text = asked.await.unwrap().unwrap();
        assert!(text.contains("0 removed") && text.contains("kept"), "{text}");
    }
    assert_eq!(stage.readings(), 2);
    // More than anybody can mean are sent away.
    let many: Vec<_> = (0..200).map(|_| ask()).collect();
    let mut refused = 0;
    for asked in many {
        refused += usize::from(asked.await.unwrap().is_err());
    }
    assert!(refused > 100 && stage.readings() == 3, "{refused} {}", stage.readings());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_every_second_for_a_minute_is_harmless() {
    let stage = Stage::alone();
    for nth in 0..60 {
        stage.set(Some(&text(1 + nth % 4)));
        let told = stage.asking.reload("test").await.unwrap();
        assert!(told.contains("added"), "{told}");
        seconds(1).await;
    }
    assert_eq!(stage.plans().len(), 61);
    assert_eq!(stage.readings(), 60, "no look in between");
    assert!(stage.successful());
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn another_share_is_taken_from_the_plan_in_use() {
    let stage = Stage::begin(Duration::ZERO, None);
    seconds(1).await;
    assert_eq!(stage.plans(), [0], "not known yet");
    let one = NonZeroU32::MIN;
    let names = ["m1".to_owned(), "m2".to_owned()];
    let owner = names.iter().find(|name| {
        let share = Share::of(names.clone(), &[(*name).clone()], one);
        share.owns("a/x").is_some()
    });
    let owner = owner.unwrap().clone();
    stage.shares.send_replace(Some(Arc::new(Share::of(names.clone(), std::slice::from_ref(&owner), one))));
    seconds(1).await;
    assert_eq!(stage.plans(), [3]);
    stage.set(Some(&text(4)));
    seconds(60).await;
    assert_eq!(stage.plans(), [4]);
    let other = names.iter().find(|name| **name != owner).unwrap().clone();
    stage.shares.send_replace(Some(Arc::new(Share::of(names, &[other], one))));
    seconds(1).await;
    assert_eq!(stage.plans(), [0]);
    // A broken configuration does not keep a share from being taken.
    stage.set(Some("?"));
    seconds(60).await;
    stage.shares.send_replace(Some(Arc::new(Share::alone())));
    seconds(1).await;
    assert_eq!(stage.plans(), [4]);
    stage.end().await;
}

/// Neither the content nor the share changes again, so nothing else would ever try.
#[tokio::test(start_paused = true)]
async fn what_fails_for_a_reason_that_may_pass_is_tried_again() {
    let stage = Stage::alone();
    seconds(1).await;
    assert_eq!(stage.plans(), [3]);
    *stage.fails.lock().unwrap() = 2;
    stage.set(Some(&text(5)));
    assert!(stage.asking.reload("test").await.unwrap_err().text.contains("no more files"));
    assert!(stage.plans().is_empty() && !stage.successful());
    seconds(61).await;
    assert_eq!((stage.plans(), stage.successful()), (vec![5], true));

    *stage.fails.lock().unwrap() = 1;
    stage.shares.send_replace(Some(Arc::new(Share::of([], &[], NonZeroU32::MIN))));
    seconds(1).await;
    assert!(stage.plans().is_empty());
    seconds(31).await;
    assert_eq!(stage.plans(), [0]);
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_ends_answers_whoever_still_asks() {
    let stage = Stage::alone();
    seconds(1).await;
    let asking = stage.asking.clone();
    stage.end().await;
    assert_eq!(asking.reload("test").await.unwrap_err().status, 503);
}

#[tokio::test(start_paused = true)]
async fn the_old_share_outlives_its_watch_until_other_members_are_known_and_begins_no_loads() {
    let stage = Stage::alone();
    seconds(1).await;
    assert_eq!((stage.plans(), stage.begins_loads()), (vec![3], true));
    let shared = |targets: usize| format!("{}members: {{dns: agents.test}}\n", text(targets));
    for targets in [4, 5, 6] {
        stage.set(Some(&shared(targets)));
        stage.asking.reload("test").await.unwrap();
        assert_eq!((stage.plans(), stage.begins_loads()), (vec![targets], false));
    }
    assert_eq!(stage.watches(), 2, "of the beginning and of the name");
    let names = ["m1".to_owned(), "m2".to_owned()];
    stage.named.send_replace(Some(Arc::new(Share::of(names, &["m1".to_owned()], NonZeroU32::MIN))));
    seconds(1).await;
    assert_eq!((stage.plans().len(), stage.begins_loads()), (1, true), "the first of two");
    // Without members again: known at once.
    stage.set(Some(&text(6)));
    stage.asking.reload("test").await.unwrap();
    assert_eq!((stage.plans(), stage.begins_loads(), stage.watches()), (vec![6], true, 3));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn members_of_a_refused_plan_are_not_watched() {
    let stage = Stage::alone();
    seconds(1).await;
    let content = format!("{}members: {{dns: agents.test}}\nmetrics: {{buckets: [1]}}\n", text(4));
    stage.set(Some(&content));
    assert_eq!(stage.asking.reload("test").await.unwrap_err().status, 409);
    assert_eq!((stage.plans(), stage.begins_loads(), stage.watches()), (vec![3], true, 1));
    stage.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_source_that_does_not_answer_holds_neither_the_end_nor_who_asks() {
    for asked in [true, false] {
        let stage = Stage::begin(3600 * SECOND, Some(Share::alone()));
        seconds(1).await;
        let asking = stage.asking.clone();
        let asks = asked.then(|| seams::spawn("asks", async move { asking.reload("test").await }));
        seconds(40).await;
        assert_eq!(stage.readings(), 1);
        tokio::time::timeout(SECOND, stage.end()).await.unwrap();
        if let Some(asks) = asks {
            let refused = asks.await.unwrap().unwrap_err();
            assert_eq!((refused.status, refused.text.contains("ending")), (503, true), "{refused}");
        }
    }
}
