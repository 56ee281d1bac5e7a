//! The watch over the members: asks DNS every 15 s and hands out the share that follows.

use super::question::{self, Asked};
use super::share::{Kind, Share};
use super::view::{Answer, Standing, View};
use super::{DnsName, Settings, Source};
use crate::domain::moment::Moment;
use crate::domain::spread;
use crate::recording::{MembersState, MembersStatus, Recorder};
use crate::seams::{self, Clock, Link, Wait};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// The longest time between two questions. Each agent has a rhythm of its own that is up to a tenth shorter, by a hash
/// of its name, so that a group does not ask in step for ever.
pub const REFRESH: Duration = Duration::from_secs(15);

/// What the watch works with.
pub struct Around {
    /// Asks DNS, and knows the machine's own addresses.
    pub link: Arc<dyn Link>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
    /// Where members are shown.
    pub recorder: Arc<Recorder>,
    /// Where this agent's own server listens (`web.listen`): of several agents on one machine it tells which is this.
    pub listen: SocketAddr,
}

/// This agent's share, and each change of it; `None` until it is known. Where one agent does all, or the share is told
/// by hand, it is known at once and never changes. Otherwise DNS is asked until the receiver and all its clones are
/// dropped, so a watch over another name is a new one.
#[must_use]
pub fn watch(settings: Option<&Settings>, around: Around) -> watch::Receiver<Option<Arc<Share>>> {
    if let Some(Settings { source: Source::Dns(name), replicas }) = settings {
        return start(name.clone(), *replicas, around);
    }
    let known = known_at_once(settings);
    let (given, taken) = watch::channel(known.clone().map(Arc::new));
    drop(given);
    let member = known.filter(|share| share.kind() == Kind::Member);
    let now = around.clock.wall();
    around.recorder.set_members(member.map(|share| shown(Some(&share), MembersState::Sharing, now, None)));
    taken
}

/// The share that follows from the settings alone; `None` where DNS has to be asked.
#[must_use]
pub fn known_at_once(settings: Option<&Settings>) -> Option<Share> {
    match settings {
        None => Some(Share::alone()),
        Some(Settings { source: Source::Shard { index, of }, replicas }) => {
            Some(Share::shard(*index, *of, *replicas))
        }
        Some(Settings { source: Source::Dns(_), .. }) => None,
    }
}

fn start(name: DnsName, replicas: NonZeroU32, around: Around) -> watch::Receiver<Option<Arc<Share>>> {
    let (given, taken) = watch::channel(None);
    let now = around.clock.wall();
    around.recorder.set_members(Some(shown(None, MembersState::Waiting, now, None)));
    let on_panic = {
        let recorder = Arc::clone(&around.recorder);
        Arc::new(move || recorder.task_panicked())
    };
    // What is known outlives a panic: members that were known must not turn into strangers by a defect.
    let watch = Arc::new(Watch { name, around, given, state: Mutex::new(State::new(replicas, now)) });
    drop(seams::supervised("members", on_panic, move || {
        let watch = Arc::clone(&watch);
        async move { watch.run().await }
    }));
    taken
}

struct Watch {
    name: DnsName,
    around: Around,
    given: watch::Sender<Option<Arc<Share>>>,
    state: Mutex<State>,
}

struct State {
    view: View,
    standing: Standing,
    /// When the share took effect.
    since: SystemTime,
    /// A cut answer was told of.
    told_of_cut: bool,
}

impl State {
    const fn new(replicas: NonZeroU32, now: SystemTime) -> Self {
        Self { view: View::new(replicas), standing: Standing::Fine, since: now, told_of_cut: false }
    }
}

impl Watch {
    async fn run(&self) {
        loop {
            let asked_at = self.around.clock.now();
            let known_me = self.state().view.me();
            let asked = question::ask(&self.around, &self.name, &known_me).await;
            if self.given.is_closed() {
                // Another watch may show its members already.
                return;
            }
            self.learn(asked);
            let next = self.next(asked_at);
            tokio::select! {
                biased;
                () = self.given.closed() => return,
                () = self.around.wait.until(next) => {}
            }
        }
    }

    fn learn(&self, asked: Result<Asked, String>) {
        let now = self.around.clock.wall();
        let mut state = self.state();
        let (answer, trouble) = match asked {
            Ok(asked) => {
                if asked.cut && !std::mem::replace(&mut state.told_of_cut, true) {
                    tracing::error!(
                        name = self.name.as_str(),
                        at_most = super::MOST_MEMBERS,
                        "the answer names more members than are looked at; the rest have no targets"
                    );
                }
                (asked.answer, None)
            }
            Err(trouble) => (Answer::Nothing, Some(trouble)),
        };
        state.view.learn(&answer);
        let share = state.view.share();
        let changed = share.as_ref() != self.given.borrow().as_deref();
        if changed {
            state.since = now;
        }
        let standing = state.view.standing();
        if standing != std::mem::replace(&mut state.standing, standing) || changed {
            self.tell(share.as_ref(), standing, trouble.as_deref());
        }
        let word = match share.as_ref().map(Share::kind) {
            None => MembersState::Waiting,
            Some(Kind::StandIn) => MembersState::StandIn,
            Some(Kind::Member | Kind::Alone) => MembersState::Sharing,
        };
        let problem = problem(share.as_ref(), standing, trouble);
        let status = shown(share.as_ref(), word, state.since, problem);
        drop(state);
        self.around.recorder.set_members(Some(status));
        if changed {
            self.given.send_replace(share.map(Arc::new));
        }
    }

    fn tell(&self, share: Option<&Share>, standing: Standing, trouble: Option<&str>) {
        let name = self.name.as_str();
        match (share.map(|share| (share, share.kind())), standing) {
            (Some((_, Kind::StandIn)), _) => tracing::error!(
                name,
                trouble,
                "the members are not known: this agent probes every target, as others may do, and begins no load"
            ),
            (None, Standing::Unanswered) => {
                tracing::warn!(
                    name,
                    trouble,
                    "DNS does not name the members yet; until it does, an agent that has just started probes nothing"
                );
            }
            (None, Standing::Unnamed) => {
                tracing::warn!(
                    name,
                    "DNS does not name this agent yet; until it does, an agent that has just started probes nothing"
                );
            }
            (Some(_), Standing::Unanswered) => {
                tracing::warn!(name, trouble, "DNS does not name the members; what is known of them stays");
            }
            (Some(_), Standing::Unnamed) => tracing::warn!(
                name,
                "DNS does not name this agent; others take its targets, and it goes on with them"
            ),
            (Some((share, _)), Standing::Fine) => {
                let me: Vec<&str> = share.me().map(AsRef::as_ref).collect();
                tracing::info!(
                    name,
                    members = share.count(),
                    me = me.join(" "),
                    begins_loads = share.is_first_member(),
                    "the members share the targets"
                );
            }
            (None, Standing::Fine) => {}
        }
    }

    /// The next moment of this agent's rhythm.
    fn next(&self, asked_at: Moment) -> Moment {
        let own: Vec<String> = self.state().view.me().into_iter().collect();
        let name = if own.is_empty() { self.around.listen.to_string() } else { own.join(" ") };
        let rhythm = REFRESH - spread::phase(&name, REFRESH / 10);
        asked_at + rhythm.max(self.around.clock.now().since(asked_at))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn problem(share: Option<&Share>, standing: Standing, trouble: Option<String>) -> Option<String> {
    let what = match (share.map(Share::kind), standing) {
        (Some(Kind::StandIn), _) => {
            "the members are not known: this agent probes every target, as others may do"
        }
        (None, Standing::Unanswered) => {
            "DNS does not name the members yet; until it does, an agent that has just started probes nothing"
        }
        (Some(_), Standing::Unanswered) => "DNS does not name the members; what is known of them stays",
        (_, Standing::Unnamed) => "DNS does not name this agent",
        (_, Standing::Fine) => return None,
    };
    Some(trouble.map_or_else(|| what.to_owned(), |trouble| format!("{what} ({trouble})")))
}

fn shown(
    share: Option<&Share>,
    state: MembersState,
    since: SystemTime,
    problem: Option<String>,
) -> MembersStatus {
    MembersStatus {
        state,
        names: share.map(|share| Arc::clone(share.names())).unwrap_or_default(),
        me: share.map(|share| share.me().cloned().collect()).unwrap_or_default(),
        first: share.is_some_and(Share::is_first_member),
        replicas: share.map_or(1, Share::replicas_of_each),
        since,
        problem,
    }
}
