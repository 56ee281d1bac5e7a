//! One seed, played: an agent and a simulated hub in memory, under a paused clock, through everything a scenario brings.

use crate::attribution::Attribution;
use crate::checks::{Looked, Read};
use crate::faults::{Fault, Place};
use crate::outside::{AgentClock, Clocks, TrueClock, Watched};
use crate::reloads::{self, Cast, Reload, reloads};
use crate::scenario::{Act, scenario};
use crate::scrape;
use crate::setting::{self, Scale, Subject};
use crate::written::{Content, Files};
use spokeprobe::app::{App, Asking, Seams, Steering, SteeringParts, Stopped, WatchMembers, explanation};
use spokeprobe::members::Share;
use spokeprobe::plan::Plan;
use spokeprobe::recording::Recorder;
use spokeprobe::seams::{Clock, Link, Sessions, SystemClock, TokioWait, Transport, Wait, spawn};
use spokeprobe::simulator::{Connection, Door, Hub, InMemory, RawRequest, World};
use spokeprobe::sources::{Reader, Source as _, load_plan_of};
use spokeprobe::web;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

mod steered;

use steered::expected;

/// What is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Play {
    pub(crate) seed: u64,
    pub(crate) scale: Scale,
    pub(crate) lasts: Duration,
    pub(crate) faults_a_day: f64,
    pub(crate) reloads_a_day: f64,
    /// Where it stops, if before its end.
    pub(crate) until: Option<Duration>,
    /// What is spoilt on purpose, so that the checks have something to find.
    pub(crate) sabotage: Option<Sabotage>,
}

/// A lie that the checks must find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Faults are played, and those who check who is blamed are not told.
    UntoldFaults,
    /// The simulator reads a request that the agent never sent.
    OneRequestMore,
    /// The keys of one role are taken for another's.
    AnothersKeys,
    /// A scrape lacks one series.
    LostSeries,
    /// A scrape counts one attempt less.
    LostAttempt,
}

impl Sabotage {
    pub(crate) const ALL: [Self; 5] =
        [Self::UntoldFaults, Self::OneRequestMore, Self::AnothersKeys, Self::LostSeries, Self::LostAttempt];
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Played {
    pub(crate) seed: u64,
    pub(crate) simulated: Duration,
    pub(crate) due: u64,
    pub(crate) requests: u64,
    pub(crate) sts_calls: u64,
    pub(crate) sts_at_once: usize,
    pub(crate) series: usize,
    pub(crate) looks: u64,
    pub(crate) faults: BTreeMap<String, u64>,
    /// The same for the same seed.
    pub(crate) digest: u64,
    /// What was broken, with the simulated time and what was going on; empty when all held.
    pub(crate) broken: Vec<String>,
}

/// The hourly look falls on no multiple of an interval.
const HOUR: Duration = Duration::from_secs(3_600);
const BESIDE: Duration = Duration::from_millis(17_303);
/// A seed is given up after so many broken rules.
const BROKEN_AT_MOST: usize = 5;

/// Simulated time for people.
pub(crate) fn written(at: Duration) -> String {
    let s = at.as_secs();
    format!("day {} {:02}:{:02}:{:02}", s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60)
}

/// Midnight of 1 March 2026.
fn dawn() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_323_200)
}

/// A year takes most of an hour, so it says how far it has come.
fn tell_how_far(play: Play, at: Duration) {
    let hours = at.as_secs() / 3_600;
    if play.lasts > HOUR * 24 * 60 && hours.is_multiple_of(24 * 30) {
        eprintln!("seed {}: {} held so far", play.seed, written(at));
    }
}

/// Plays a seed to its end, or until something breaks.
pub(crate) fn play(play: Play) -> Played {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { Stage::raise(play).await.through().await })
}

enum Step {
    Begin(Act),
    End(Place),
    Reload(Reload),
    Hour,
}

struct Stage {
    play: Play,
    peace: World,
    hub: Arc<Hub>,
    clocks: Arc<Clocks>,
    watched: Arc<Watched>,
    recorder: Arc<Recorder>,
    files: Files,
    asking: Asking,
    shares: watch::Sender<Option<Arc<Share>>>,
    isolation: bool,
    /// What the files say.
    content: Content,
    /// Whether the main file could be read when it was read last.
    main_is_read: bool,
    /// The spokes that run.
    cast: Cast,
    members: Vec<String>,
    plan: Plan,
    /// The targets that are this agent's.
    subjects: Vec<Subject>,
    attribution: Attribution,
    forgotten: BTreeMap<usize, Read>,
    web: web::State,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Stopped>>,
    played: Played,
}

impl Stage {
    async fn raise(play: Play) -> Self {
        let scale = play.scale;
        let peace = setting::world(scale);
        let hub = Arc::new(Hub::new(peace.clone(), dawn()));
        let inner = SystemClock::simulated(dawn());
        let clocks = Clocks::new(inner);
        let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(inner));
        let agent_clock: Arc<dyn Clock> = Arc::new(AgentClock(Arc::clone(&clocks)));
        let outside = Arc::new(InMemory::new(
            Arc::clone(&hub),
            Arc::new(TrueClock(Arc::clone(&clocks))),
            Arc::clone(&wait),
        ));
        let isolation = play.seed.is_multiple_of(2) && scale.spokes <= 20;
        let link = Arc::clone(&outside) as Arc<dyn Link>;
        let watched = Watched::new(
            outside,
            Arc::clone(&clocks),
            isolation,
            play.sabotage == Some(Sabotage::AnothersKeys),
        );
        let cast = reloads::first_cast(scale);
        let content = Content { cast: cast.clone(), ..Content::default() };
        let (plan, subjects) = expected(&cast, scale, isolation);
        let files = Files::new(scale, isolation);
        files.write(&content);
        let no_s3 = |_| Err("no S3 here".to_owned());
        let source = Arc::new(Reader::new(&files.main(), Arc::new(|_| None), no_s3).unwrap());
        let texts = source.read().await.unwrap();
        let loaded = load_plan_of(&texts, &|_| None).unwrap();
        watched.set_subjects(&subjects, &[]);
        let sessions = Arc::clone(&watched) as Arc<dyn Sessions>;
        let transport = Arc::clone(&watched) as Arc<dyn Transport>;
        let seams = Seams::shared(Arc::clone(&agent_clock), Arc::clone(&wait), sessions, transport, link);
        let app = App::build(&loaded.plan, seams).unwrap();
        let (recorder, handle) = (Arc::clone(app.recorder()), app.handle());
        recorder.configuration_read(dawn());
        let (shares, seen) = watch::channel(Some(Arc::new(Share::alone())));
        let members: WatchMembers = Box::new(move |_| seen.clone());
        let parts = SteeringParts {
            source,
            environment: Arc::new(|_| None),
            // Reading is asked for, so that the checks know from when on it counts.
            watch_every: None,
            members: Some(members),
            clock: Arc::clone(&agent_clock),
            wait,
            recorder: Arc::clone(&recorder),
        };
        let readiness = web::Readiness::new();
        readiness.roles_asked();
        let web = web::State {
            reload: None,
            recorder: Arc::clone(&recorder),
            readiness,
            now: Arc::new(move || agent_clock.wall()),
            started_at: dawn(),
            stop_loads: Arc::new(|| 0),
            explain: explanation,
        };
        let shutdown = CancellationToken::new();
        let running = spawn("agent", app.run(None, shutdown.clone()));
        let (steering, asking) = Steering::new(parts, handle, &texts, &loaded);
        drop(steering.start(shutdown.clone()));
        let played = Played { seed: play.seed, ..Played::default() };
        Self {
            play,
            peace,
            hub,
            clocks,
            watched,
            recorder,
            files,
            asking,
            shares,
            isolation,
            content,
            main_is_read: true,
            cast,
            members: vec!["agent-0".to_owned()],
            plan,
            subjects,
            attribution: Attribution::default(),
            forgotten: BTreeMap::new(),
            web,
            shutdown,
            running,
            played,
        }
    }

    async fn through(mut self) -> Played {
        let Play { seed, scale, lasts, faults_a_day, reloads_a_day, until, .. } = self.play;
        let until = until.unwrap_or(lasts);
        let mut steps: BTreeMap<(Duration, usize), Step> = BTreeMap::new();
        for (number, act) in scenario(seed, scale, lasts, faults_a_day).into_iter().enumerate() {
            steps.insert((act.at, number * 2 + 1), Step::Begin(act));
            if let Some(end) = act.until {
                steps.insert((end, number * 2 + 2), Step::End(act.fault.place()));
            }
        }
        for (number, (at, reload)) in reloads(seed, scale, lasts, reloads_a_day).into_iter().enumerate() {
            steps.insert((at, usize::MAX / 2 + number), Step::Reload(reload));
        }
        steps.insert((HOUR + BESIDE, 0), Step::Hour);
        while let Some(((at, _), step)) = steps.pop_first() {
            if at >= until || self.played.broken.len() >= BROKEN_AT_MOST || self.running.is_finished() {
                break;
            }
            tokio::time::sleep(at.saturating_sub(self.now())).await;
            self.look();
            match step {
                Step::Begin(act) => self.begin(act.fault).await,
                Step::End(place) => self.end(place),
                Step::Reload(reload) => self.reload(reload).await,
                Step::Hour => {
                    self.look_closely(false);
                    tell_how_far(self.play, at);
                    steps.insert((self.now().max(at) + HOUR, 0), Step::Hour);
                }
            }
        }
        if self.played.broken.is_empty() {
            tokio::time::sleep(until.saturating_sub(self.now())).await;
        }
        self.curtain().await
    }

    fn now(&self) -> Duration {
        self.clocks.now().since_origin()
    }

    async fn begin(&mut self, fault: Fault) {
        *self.played.faults.entry(fault.kind()).or_default() += 1;
        if self.play.sabotage != Some(Sabotage::UntoldFaults) {
            self.attribution.begins(fault, self.now());
        }
        self.hub.change(|world| fault.begin(world));
        match fault {
            Fault::AgentClock(seconds) => self.clocks.set_agent_off(seconds),
            Fault::Frozen(span) => tokio::time::advance(span).await,
            Fault::Suspended(span) => self.clocks.suspend(span),
            _ => {}
        }
    }

    fn end(&mut self, place: Place) {
        let now = self.now();
        let snapshot = self.recorder.snapshot();
        let mut broken = Vec::new();
        for status in &snapshot.targets {
            let id = status.target.id.to_string();
            let Some(subject) = self.subjects.iter().find(|subject| subject.id == id) else { continue };
            let Some(reasons) = self.attribution.must_show(place, subject, now) else { continue };
            if status.last.as_ref().is_none_or(|last| !reasons.contains(&last.reason)) {
                let last = status.last.as_ref().map(|last| last.reason);
                broken.push(format!("{id} is to show one of {reasons:?} by now and shows {last:?}"));
            }
        }
        self.say(broken);
        self.hub.change(|world| place.restore(world, &self.peace));
        if place == Place::AgentClocks {
            self.clocks.set_agent_off(0);
        }
        self.attribution.ends(place, now);
    }

    /// The cheap look: who was blamed for what since the last one, and what was seen at the door.
    fn look(&mut self) {
        let now = self.now();
        self.played.looks += 1;
        let mut broken = self.watched.take_broken();
        let snapshot = self.recorder.snapshot();
        let statuses: BTreeMap<String, _> =
            snapshot.targets.iter().map(|status| (status.target.id.to_string(), status)).collect();
        for subject in &self.subjects {
            if let Some(status) = statuses.get(&subject.id) {
                self.attribution.look(subject, status, now, &mut broken);
            }
        }
        let unbalanced = self.recorder.imbalances();
        broken.extend(unbalanced.iter().map(|books| format!("{}: {:?}", books.target, books.counts)));
        self.say(broken);
    }

    /// The full look.
    fn look_closely(&mut self, is_over: bool) {
        let looked = Looked {
            recorder: &self.recorder,
            hub: &self.hub,
            watched: &self.watched,
            clocks: &self.clocks,
            plan: &self.plan,
            subjects: &self.subjects,
            attribution: &self.attribution,
            forgotten: &self.forgotten,
            now: self.now(),
            every: self.play.scale.every,
            main_is_read: self.main_is_read,
            included: self.files.included(&self.content),
            is_over,
            sabotage: self.play.sabotage,
        };
        let mut broken = looked.broken();
        let daily = is_over || looked.now.as_secs() / 3_600 % 24 == 7;
        broken.extend(looked.pages(&self.web, daily));
        self.say(broken);
    }

    fn say(&mut self, broken: Vec<String>) {
        let now = self.now();
        for what in broken.into_iter().take(BROKEN_AT_MOST) {
            let history = self.attribution.history().join("\n      ");
            self.played.broken.push(format!("{}: {what}\n    felt lately:\n      {history}", written(now)));
        }
    }

    async fn curtain(mut self) -> Played {
        self.played.simulated = self.now();
        if self.play.sabotage == Some(Sabotage::OneRequestMore) {
            let host = format!("host: {}.execute-api.eu-west-1.amazonaws.com", setting::api_id(0));
            let request =
                RawRequest::parse(format!("GET /api/ HTTP/1.1\r\n{host}\r\n\r\n").as_bytes()).unwrap();
            let _answer =
                self.hub.respond(Door::Endpoint, &request, &Connection::default(), self.clocks.true_wall());
        }
        self.shutdown.cancel();
        let ended = (&mut self.running).await;
        if !matches!(ended, Ok(Ok(()))) {
            self.say(vec![format!("the agent ended by itself: {ended:?}")]);
        }
        self.look();
        self.look_closely(true);
        let snapshot = self.recorder.snapshot();
        if (snapshot.in_flight, snapshot.task_panics) != (0, 0) {
            self.say(vec![format!(
                "{} in flight, {} panics after the end",
                snapshot.in_flight, snapshot.task_panics
            )]);
        }
        let text = String::from_utf8(self.recorder.encode_text()).unwrap();
        let scrape = scrape::read(&text).unwrap();
        let played = &mut self.played;
        (played.series, played.digest) = (scrape.series, scrape.digest);
        played.due += scrape.targets.values().map(|target| target.due).sum::<u64>();
        played.requests = self.hub.counts().total();
        (played.sts_calls, played.sts_at_once) = self.watched.calls();
        self.played
    }
}
