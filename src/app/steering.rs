//! The one task that changes what the agent does: it reads the configuration again when it is asked to or when the
//! content has changed, takes this member's share of the plan, and hands that to reconcile.
//!
//! What comes of a reading is one of three. It is *taken*. It is *refused*: the content has problems, or something
//! that cannot change while the agent runs; then nothing changes, the log has each problem once per content, and
//! `config_last_reload_successful` is 0 until the content is good again, be it by being put back. Or the source
//! *cannot be read*: then nobody knows of anything new, what is in use stays, the log says so once, and the metric
//! stays too, unless somebody had asked for the reading.

use crate::app::{Changes, Handle, ReconcileProblem};
use crate::members::{self, Share};
use crate::plan::Plan;
use crate::recording::Recorder;
use crate::seams::{self, Clock, Wait};
use crate::sources::{Digest, LastRead, LoadedPlan, Seen, Source, Texts, Unreadable, Watch, load_plan_again};
use crate::web::{Reload, ReloadRefused};
use futures_util::future::BoxFuture;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Requests that wait for one reading; more are told to come again.
const REQUESTS_MAX: usize = 64;

/// Looks a name of the environment up.
type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;
/// Makes the agent do what a plan says.
type Reconcile = Arc<dyn Fn(Plan) -> BoxFuture<'static, Result<Changes, ReconcileProblem>> + Send + Sync>;
/// The share of this agent and its changes; `None` until it is known.
pub type Shares = watch::Receiver<Option<Arc<Share>>>;
/// Begins to watch the members that a configuration names.
pub type WatchMembers = Box<dyn Fn(Option<&members::Settings>) -> Shares + Send + Sync>;

/// What steering works with.
pub struct SteeringParts {
    /// Where the configuration is read from.
    pub source: Arc<dyn Source>,
    /// The environment that the configuration may name.
    pub environment: Environment,
    /// How often to look for a change; `None` for never.
    pub watch_every: Option<Duration>,
    /// Who the members are; `None` where one agent always does all.
    pub members: Option<WatchMembers>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
    /// Where it is shown how the configuration was read.
    pub recorder: Arc<Recorder>,
}

/// What asks for a reading. Cheap to clone.
#[derive(Clone)]
pub struct Asking(mpsc::Sender<Request>);

struct Request {
    /// Who asks, for the log.
    by: &'static str,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<String, ReloadRefused>;

impl Asking {
    /// Asks for a reading and waits for what comes of it. Requests that meet are answered by one reading, which
    /// begins after the last of them.
    ///
    /// # Errors
    /// The problems as text; nothing has changed then.
    pub async fn reload(&self, by: &'static str) -> Answer {
        let (answer, answered) = oneshot::channel();
        let ending = || ReloadRefused::unavailable("the agent is ending");
        match self.0.try_send(Request { by, answer }) {
            Ok(()) => answered.await.unwrap_or_else(|_| Err(ending())),
            Err(mpsc::error::TrySendError::Full(_)) => {
                Err(ReloadRefused::unavailable("too many requests wait for a reload"))
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(ending()),
        }
    }

    /// What `POST /-/reload` does.
    #[must_use]
    pub fn over_http(&self) -> Reload {
        let asking = self.clone();
        Arc::new(move || {
            let asking = asking.clone();
            Box::pin(async move { asking.reload("POST /-/reload").await })
        })
    }

    /// Asks at each SIGHUP. Never ends.
    ///
    /// # Errors
    /// When the signal cannot be listened to. To be called early: until then the signal ends the process.
    pub fn listen_for_hangup() -> std::io::Result<Hangup> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Hangup(signal(SignalKind::hangup())?))
    }
}

/// SIGHUP, listened to.
pub struct Hangup(tokio::signal::unix::Signal);

impl Hangup {
    /// Asks for a reading at each signal. What comes of it stands in the log.
    pub async fn pass_on(mut self, asking: Asking) {
        while self.0.recv().await.is_some() {
            drop(asking.reload("SIGHUP").await);
        }
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asking")
    }
}

/// The part of a plan that an agent begins with: what is this agent's as far as that is known without asking.
#[must_use]
pub fn beginning(plan: &Plan) -> Plan {
    part(plan, members::known_at_once(plan.settings.members.as_ref()).as_ref())
}

/// No target, until it is known whose they are.
fn nothing_of(plan: &Plan) -> Plan {
    plan.shared(&Share::of([], &[], NonZeroU32::MIN))
}

/// The task, and all that it knows.
pub struct Steering {
    parts: SteeringParts,
    reconcile: Reconcile,
    requests: mpsc::Receiver<Request>,
    shares: Option<Shares>,
    /// The share that is in use, which outlives a watch over its members; `None` until one was known.
    share: Option<Arc<Share>>,
    /// The whole plan that is in use, of all members.
    whole: Plan,
    last_read: LastRead,
    /// The content that was judged last, whatever came of it.
    judged: Digest,
    /// The content that is refused and since when, once its problems are in the log.
    told: Option<(Digest, SystemTime)>,
    /// What is there has not been taken for a reason that may pass: somebody asked and the source could not be read, or
    /// the outside could not be made. The next look tries again.
    asked_in_vain: bool,
    unreadable_since: Option<SystemTime>,
    watch: Option<Watch>,
}

impl Steering {
    /// A steering for an agent that has begun with these texts.
    #[must_use]
    pub fn new(parts: SteeringParts, handle: Handle, texts: &Texts, loaded: &LoadedPlan) -> (Self, Asking) {
        let reconcile: Reconcile = Arc::new(move |plan| {
            let handle = handle.clone();
            Box::pin(async move { handle.reconcile(plan).await })
        });
        Self::over(parts, reconcile, texts, loaded)
    }

    fn over(
        parts: SteeringParts,
        reconcile: Reconcile,
        texts: &Texts,
        loaded: &LoadedPlan,
    ) -> (Self, Asking) {
        let (asking, requests) = mpsc::channel(REQUESTS_MAX);
        parts.recorder.set_configuration_source(parts.source.name());
        let shares = parts.members.as_ref().map(|watch| watch(loaded.plan.settings.members.as_ref()));
        let steering = Self {
            shares,
            share: None,
            whole: loaded.plan.clone(),
            last_read: LastRead::default().after(texts, loaded),
            judged: texts.digest(),
            told: None,
            asked_in_vain: false,
            unreadable_since: None,
            watch: parts.watch_every.map(|every| Watch::new(every, parts.clock.now())),
            parts,
            reconcile,
            requests,
        };
        (steering, Asking(asking))
    }

    /// Starts the task. A panic in it loses the request at hand, and nothing of what is known.
    pub fn start(mut self, shutdown: CancellationToken) -> JoinHandle<()> {
        let recorder = Arc::clone(&self.parts.recorder);
        if let Some(shares) = &mut self.shares {
            // What is known already counts as new: the agent has begun without it.
            shares.mark_changed();
        }
        let steering = Arc::new(Mutex::new(self));
        seams::supervised("steering", Arc::new(move || recorder.task_panicked()), move || {
            let (steering, shutdown) = (Arc::clone(&steering), shutdown.clone());
            async move { steering.lock().await.run(&shutdown).await }
        })
    }

    async fn run(&mut self, shutdown: &CancellationToken) {
        loop {
            let wait = Arc::clone(&self.parts.wait);
            let next_look = self.watch.as_ref().map(Watch::next_look);
            let look = async {
                match next_look {
                    Some(at) => wait.until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                Some(first) = self.requests.recv() => self.answer(first, shutdown).await,
                () = share_changed(&mut self.shares) => self.take_share().await,
                () = look => self.look(shutdown).await,
            }
        }
    }

    /// Reads, or gives up when the agent ends: a source that does not answer must not hold it up.
    async fn read(&self, shutdown: &CancellationToken) -> Option<Result<Texts, Unreadable>> {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            read = self.parts.source.read() => Some(read),
        }
    }

    /// Reads once for all requests that are there.
    async fn answer(&mut self, first: Request, shutdown: &CancellationToken) {
        tracing::info!(by = first.by, source = self.parts.source.name(), "reading the configuration again");
        let mut waiting = vec![first];
        while let Ok(request) = self.requests.try_recv() {
            waiting.push(request);
        }
        // Requests that are dropped are told that the agent is ending.
        let Some(read) = self.read(shutdown).await else { return };
        let answer = match read {
            Ok(texts) => self.judge(texts).await,
            Err(unreadable) => {
                self.cannot_read(&unreadable);
                // Somebody wants what is there now and does not have it.
                self.asked_in_vain = true;
                let problem = unreadable.problem.to_string();
                let since = self.unreadable_since.unwrap_or_else(|| self.wall());
                self.parts.recorder.configuration_refused(since, vec![problem.clone()]);
                self.show_unreadable(&unreadable);
                Err(ReloadRefused::unavailable(problem))
            }
        };
        for request in waiting {
            // Who has hung up is not waiting any more.
            drop(request.answer.send(answer.clone()));
        }
    }

    /// Looks whether there is something new.
    async fn look(&mut self, shutdown: &CancellationToken) {
        let Some(read) = self.read(shutdown).await else { return };
        let now = self.parts.clock.now();
        let texts = match read {
            Ok(texts) => texts,
            Err(unreadable) => {
                self.cannot_read(&unreadable);
                self.show_unreadable(&unreadable);
                return self.begin_interval();
            }
        };
        self.can_read();
        let Some(watch) = &mut self.watch else { return };
        match watch.saw(texts.digest(), self.judged, now) {
            Seen::Same if self.asked_in_vain => drop(self.judge(texts).await),
            Seen::Same | Seen::Unsettled => {}
            Seen::Changed => {
                tracing::info!(content = %texts.digest(), "the configuration has changed");
                drop(self.judge(texts).await);
            }
        }
    }

    /// Makes what was read take effect, or says why not.
    async fn judge(&mut self, texts: Texts) -> Answer {
        self.can_read();
        let digest = texts.digest();
        self.judged = digest;
        self.asked_in_vain = false;
        let (last_read, environment) = (self.last_read.clone(), Arc::clone(&self.parts.environment));
        // Thousands of targets take a while, and others share this thread.
        let loading = tokio::task::spawn_blocking(move || {
            let loaded = load_plan_again(&texts, &last_read, &*environment);
            loaded.map(|loaded| (last_read.after(&texts, &loaded), loaded))
        });
        let answer = match loading.await {
            Ok(Ok((last_read, loaded))) => self.apply(last_read, loaded).await,
            Ok(Err(problems)) => {
                let lines = problems.iter().map(ToString::to_string).collect();
                Err((lines, ReloadRefused::bad_configuration as fn(String) -> ReloadRefused))
            }
            Err(_) => Err((
                vec!["reading it panicked; this is a defect, please report it with the log".to_owned()],
                ReloadRefused::unavailable as fn(String) -> ReloadRefused,
            )),
        };
        self.begin_interval();
        answer.map_err(|(problems, refused)| {
            let text = problems.join("\n");
            self.refuse(digest, problems);
            refused(text)
        })
    }

    async fn apply(
        &mut self,
        last_read: LastRead,
        loaded: LoadedPlan,
    ) -> Result<String, (Vec<String>, fn(String) -> ReloadRefused)> {
        let settings = loaded.plan.settings.members.as_ref();
        let other_members = self.parts.members.is_some() && settings != self.whole.settings.members.as_ref();
        let share = if other_members { self.share_under(settings) } else { self.known_share() };
        let plan = part(&loaded.plan, share.as_deref());
        let taken = (self.reconcile)(plan).await;
        self.asked_in_vain = matches!(taken, Err(ReconcileProblem::Outside(_)));
        let changes = taken.map_err(|problem| {
            let lines = problem.to_string().lines().map(str::to_owned).collect();
            let refused = match problem {
                ReconcileProblem::Restart(_) => ReloadRefused::needs_restart as fn(String) -> ReloadRefused,
                ReconcileProblem::Ended => ReloadRefused::unavailable,
                _ => ReloadRefused::bad_configuration,
            };
            (lines, refused)
        })?;
        self.share = share;
        if let Some(watch) = self.parts.members.as_ref().filter(|_| other_members) {
            // Only now, and after the old one: a watch shows its members from the first moment on.
            drop(self.shares.take());
            self.shares = Some(watch(loaded.plan.settings.members.as_ref()));
        }
        self.last_read = last_read;
        self.told = None;
        self.parts.recorder.configuration_read(self.wall());
        tracing::info!(
            added = changes.added,
            removed = changes.removed,
            changed = changes.changed,
            kept = changes.kept,
            "the configuration is taken"
        );
        let mut text = format!("{changes}\n");
        for include in loaded.plan.includes.iter().filter(|include| !include.problems.is_empty()) {
            let known = self.whole.includes.contains(include);
            for problem in &include.problems {
                text.push_str(&format!("{problem}\n"));
                if !known {
                    tracing::error!(file = %include.file, "{problem}");
                }
            }
        }
        for warning in loaded.warnings.iter().filter(|warning| !self.whole.warnings.contains(warning)) {
            text.push_str(&format!("warning: {}: {}\n", warning.path, warning.message));
            tracing::warn!(path = %warning.path, "{}", warning.message);
        }
        self.whole = Plan { warnings: loaded.warnings, ..loaded.plan };
        Ok(text)
    }

    /// What is known of this agent's share, or else the one in use.
    fn known_share(&self) -> Option<Arc<Share>> {
        match &self.shares {
            Some(shares) => shares.borrow().clone().or_else(|| self.share.clone()),
            None => Some(Arc::new(Share::alone())),
        }
    }

    /// The share to begin with under other members. Until they are known the old one stays, so that no target is
    /// dropped for seconds of not knowing; but another agent may be the first of them, so it begins no loads.
    fn share_under(&self, settings: Option<&members::Settings>) -> Option<Arc<Share>> {
        let old = || Some(Share::clone(&*self.known_share()?).without_loads());
        members::known_at_once(settings).or_else(old).map(Arc::new)
    }

    /// Takes this agent's share of the plan that is in use.
    async fn take_share(&mut self) {
        let share = self.known_share();
        let taken = (self.reconcile)(part(&self.whole, share.as_deref())).await;
        if taken.is_ok() {
            self.share = share;
        }
        match taken {
            Ok(changes) if changes.added + changes.removed + changes.changed > 0 => {
                tracing::info!(%changes, "this agent has another share of the targets");
            }
            Ok(_) | Err(ReconcileProblem::Ended) => {}
            Err(problem) => {
                self.asked_in_vain = true;
                tracing::error!(%problem, "this agent cannot take its share of the targets; the next look tries again");
            }
        }
    }

    fn refuse(&mut self, digest: Digest, problems: Vec<String>) {
        let told = self.told.filter(|(told, _)| *told == digest);
        let since = told.map_or_else(|| self.wall(), |(_, since)| since);
        if told.is_some() {
            tracing::error!(content = %digest, "the configuration is refused for the same problems as before");
        } else {
            self.told = Some((digest, since));
            for problem in &problems {
                tracing::error!("{problem}");
            }
            tracing::error!(
                problems = problems.len(), content = %digest,
                "the configuration is refused; what was read before runs on"
            );
        }
        self.parts.recorder.configuration_refused(since, problems);
    }

    fn cannot_read(&mut self, unreadable: &Unreadable) {
        if self.unreadable_since.is_none() {
            self.unreadable_since = Some(self.wall());
            let problem = &unreadable.problem;
            tracing::warn!(%problem, "the configuration cannot be read; what was read before runs on");
        }
    }

    fn show_unreadable(&self, unreadable: &Unreadable) {
        if let Some(since) = self.unreadable_since {
            self.parts.recorder.configuration_unreadable(since, unreadable.problem.to_string());
        }
    }

    fn can_read(&mut self) {
        if self.unreadable_since.take().is_some() {
            tracing::info!(source = self.parts.source.name(), "the configuration can be read again");
            self.parts.recorder.configuration_readable();
        }
    }

    fn begin_interval(&mut self) {
        let now = self.parts.clock.now();
        if let Some(watch) = &mut self.watch {
            watch.wait(now);
        }
    }

    fn wall(&self) -> SystemTime {
        self.parts.clock.wall()
    }
}

/// A share's part of a plan.
fn part(whole: &Plan, share: Option<&Share>) -> Plan {
    share.map_or_else(|| nothing_of(whole), |share| whole.shared(share))
}

/// Resolves when there is another share; never where there can be none.
async fn share_changed(shares: &mut Option<Shares>) {
    let changed = match shares {
        Some(receiver) => receiver.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        // Told once and for all, or its watch is gone: what is known stays.
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
