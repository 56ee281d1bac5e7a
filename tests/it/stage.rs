//! The stage on which the stories play: an agent and a simulated hub in one process, in memory.
//!
//! Time is paused, so a story may let hours pass; no test on this stage may open a socket. `sockets.rs` is
//! its counterpart in real time.

use futures_util::future::BoxFuture;
use http::HeaderValue;
use spokeprobe::app::{App, Changes, Handle, Seams, Stopped};
use spokeprobe::config::{self, Document, Documents};
use spokeprobe::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::observation::MissCause;
use spokeprobe::domain::request::{ConnectTarget, Exchange, OutgoingRequest, SendOptions};
use spokeprobe::plan::{self, Plan};
use spokeprobe::recording::{Recorder, TargetStatus};
use spokeprobe::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, Link, SessionFailure, Sessions, SystemClock, TokioWait,
    Transport, Wait,
};
use spokeprobe::simulator::world::{Api, Document as PolicyDocument, Role};
use spokeprobe::simulator::{Counts, DEMO_CONFIGURATION, DEMO_SESSION_POLICY, Hub, InMemory, World};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Midnight of 1 March 2026, when every story begins.
pub(crate) fn dawn() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_772_323_200)
}

/// The world of the demo, without what happens in it by itself.
pub(crate) fn quiet_world() -> World {
    let mut world = World::default_world().unwrap();
    world.timeline.clear();
    world
}

/// The only role of an account.
pub(crate) fn role_of<'a>(world: &'a mut World, account: &str) -> &'a mut Role {
    let mut accounts = world.accounts.iter_mut();
    &mut accounts.find(|each| each.id == account).unwrap().roles[0]
}

/// The only API of an account.
pub(crate) fn api_of<'a>(world: &'a mut World, account: &str) -> &'a mut Api {
    let mut accounts = world.accounts.iter_mut();
    &mut accounts.find(|each| each.id == account).unwrap().apis[0]
}

/// A policy document from JSON.
pub(crate) fn policy(json: serde_json::Value) -> PolicyDocument {
    serde_json::from_value(json).unwrap()
}

/// A plan from the part of a configuration that follows the hub's.
pub(crate) fn plan_of(text: &str) -> Plan {
    let head = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint: {id: vpce-0123456789abcdef0}
";
    let text = format!("{head}{text}");
    spokeprobe::sources::load_plan_text("story", &text, &|_| None).unwrap().plan
}

/// The demo's configuration, as it is for an agent that needs no sockets to reach its hub.
pub(crate) fn demo_plan() -> Plan {
    let text: String = DEMO_CONFIGURATION
        .lines()
        .filter(|line| !line.contains("${SPOKEPROBE_DEMO_") && *line != "  sts:")
        .map(|line| format!("{line}\n"))
        .collect();
    plan_of_documents(&text, &[("narrow.json", DEMO_SESSION_POLICY)], &|_| None)
}

/// A plan from a whole configuration and the files that it names.
pub(crate) fn plan_of_documents(
    text: &str,
    files: &[(&str, &str)],
    environment: &dyn Fn(&str) -> Option<String>,
) -> Plan {
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), Ok((*text).to_owned()))).collect();
    let main = Document::parse("story", text).unwrap();
    let documents = Documents { main, included: Vec::new(), files };
    plan::plan(&config::read(&documents, environment).unwrap()).unwrap()
}

/// One call to STS for a role, as the agent made it.
#[derive(Debug, Clone)]
pub(crate) struct AssumeRoleCall {
    pub(crate) account: String,
    pub(crate) at: Moment,
    pub(crate) ok: bool,
    /// Calls under way when this one began, itself included.
    pub(crate) at_once: usize,
}

/// Looks on at a seam without changing anything.
struct Watched {
    inner: Arc<InMemory>,
    clock: SystemClock,
    seen: Arc<Seen>,
}

/// What was seen at the seams.
#[derive(Default)]
pub(crate) struct Seen {
    calls: Mutex<(usize, Vec<AssumeRoleCall>)>,
    sent: Mutex<Vec<Moment>>,
    signatures: Mutex<Vec<HeaderValue>>,
}

impl Seen {
    /// The calls of AssumeRole so far, in the order of their ends.
    pub(crate) fn assume_role_calls(&self) -> Vec<AssumeRoleCall> {
        self.calls.lock().unwrap().1.clone()
    }

    /// When requests went out.
    pub(crate) fn sent(&self) -> Vec<Moment> {
        self.sent.lock().unwrap().clone()
    }

    /// How many signatures were made for what went out: the copies of one share its bytes.
    pub(crate) fn signatures_made(&self) -> usize {
        let signatures = self.signatures.lock().unwrap();
        signatures.iter().map(|value| value.as_bytes().as_ptr()).collect::<BTreeSet<_>>().len()
    }
}

impl Sessions for Watched {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        self.inner.hub_credentials()
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        self.inner.caller_identity(credentials)
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let (account, at) = (role.role_arn.account().to_string(), self.clock.now());
            let at_once = {
                let mut calls = self.seen.calls.lock().unwrap();
                calls.0 += 1;
                calls.0
            };
            let result = self.inner.assume_role(role, duration).await;
            let mut calls = self.seen.calls.lock().unwrap();
            calls.0 -= 1;
            calls.1.push(AssumeRoleCall { account, at, ok: result.is_ok(), at_once });
            result
        })
    }
}

impl Transport for Watched {
    fn send(
        &self,
        request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        self.seen.sent.lock().unwrap().push(self.clock.now());
        self.seen.signatures.lock().unwrap().extend(request.headers.get("authorization").cloned());
        self.inner.send(request, to, options)
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        self.inner.fetch(request)
    }
}

/// An agent that runs, and the hub it runs against.
pub(crate) struct Stage {
    pub(crate) hub: Arc<Hub>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) clock: SystemClock,
    pub(crate) handle: Handle,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Stopped>>,
}

impl Stage {
    /// Raises the curtain. Needs a paused runtime.
    pub(crate) fn start(world: World, plan: &Plan) -> Self {
        let clock = SystemClock::simulated(dawn());
        let hub = Arc::new(Hub::new(world, dawn()));
        let (any_clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) =
            (Arc::new(clock), Arc::new(TokioWait::new(clock)));
        let inner = Arc::new(InMemory::new(Arc::clone(&hub), Arc::clone(&any_clock), Arc::clone(&wait)));
        let seen = Arc::new(Seen::default());
        let link = Arc::clone(&inner) as Arc<dyn Link>;
        let watched = Arc::new(Watched { inner, clock, seen: Arc::clone(&seen) });
        let sessions = Arc::clone(&watched) as Arc<dyn Sessions>;
        let seams = Seams::shared(any_clock, wait, sessions, watched, link);
        let app = App::build(plan, seams).unwrap();
        let recorder = Arc::clone(app.recorder());
        let handle = app.handle();
        let shutdown = CancellationToken::new();
        let running = spokeprobe::seams::spawn("agent", app.run(None, shutdown.clone()));
        Self { hub, recorder, seen, clock, handle, shutdown, running }
    }

    /// Gives the agent another plan.
    pub(crate) async fn reconcile(&self, plan: &Plan) -> Changes {
        let changes = self.handle.reconcile(plan.clone()).await.unwrap();
        assert_eq!(self.recorder.imbalances(), [], "after {changes}");
        changes
    }

    /// Lets time pass, and then checks that the books balance.
    pub(crate) async fn after(&self, span: Duration) {
        tokio::time::sleep(span).await;
        assert_eq!(self.recorder.imbalances(), [], "at {}", self.clock.now());
    }

    /// As `after`, in seconds.
    pub(crate) async fn after_seconds(&self, seconds: u64) {
        self.after(Duration::from_secs(seconds)).await;
    }

    /// A target's state.
    pub(crate) fn target(&self, id: &str) -> TargetStatus {
        status_of(&self.recorder, id)
    }

    /// How the last attempt of a target ended, such as `ok/none, expected`.
    pub(crate) fn last(&self, id: &str) -> String {
        let last = self.target(id).last.unwrap_or_else(|| panic!("{id} had no attempt yet"));
        let expected = if last.expected { "expected" } else { "unexpected" };
        format!("{}/{}, {expected}", last.reason.outcome(), last.reason)
    }

    /// How often a target ended for a reason.
    pub(crate) fn count(&self, id: &str, reason: &str) -> u64 {
        let results = self.target(id).counts.results;
        results.iter().filter(|result| result.reason.as_str() == reason).map(|result| result.count).sum()
    }

    /// How often a target was missed for a cause.
    pub(crate) fn missed(&self, id: &str, cause: MissCause) -> u64 {
        self.target(id).counts.missed_by(cause)
    }

    /// The sum of all series of this name with these labels; `None` while there is no such series.
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        metric_in(&self.scrape(), name, labels)
    }

    /// A scrape.
    pub(crate) fn scrape(&self) -> String {
        String::from_utf8(self.recorder.encode_text()).unwrap()
    }

    /// Tells the agent to stop; how long it took.
    pub(crate) async fn stop(self) -> Duration {
        let told = self.clock.now();
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        assert_eq!(self.recorder.imbalances(), []);
        self.clock.now().since(told)
    }

    /// Lets the curtain fall: drains the agent, and gives what the hub counted.
    pub(crate) async fn end(self) -> Counts {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        assert_eq!(self.recorder.imbalances(), []);
        let snapshot = self.recorder.snapshot();
        assert_eq!((snapshot.in_flight, snapshot.task_panics), (0, 0));
        self.hub.counts()
    }
}

/// A target's state in a recorder.
pub(crate) fn status_of(recorder: &Recorder, id: &str) -> TargetStatus {
    let targets = recorder.snapshot().targets;
    targets.into_iter().find(|status| status.target.id.to_string() == id).unwrap_or_else(|| panic!("no {id}"))
}

/// The sum of all series of a scrape with this name and, among others, these labels.
pub(crate) fn metric_in(scrape: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: Vec<String> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    let values = scrape.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, labels) = series.split_once('{').unwrap_or((series, ""));
        let has = |each: &String| labels.trim_end_matches('}').split(',').any(|label| label == each);
        (found == name && wanted.iter().all(has)).then(|| value.parse::<f64>().unwrap())
    });
    values.reduce(|sum, value| sum + value)
}
