//! The doctor: walks the path to a spoke step by step, and says at which step and by whom it is stopped, and what to
//! change.
//!
//! ```text
//! reach        resolve, connect and TLS          certificate  what is said of one
//! identity     the agent, and the role's session signed       what is signed, and what AWS read instead
//! answer       what an answer says               verdict      where it stops, and whose that is
//! change       the statements that may be missing report      all of it as values
//! plain        texts from outside, fit to be shown
//! walk         one spoke, step by step, with the parts above
//! ```
//!
//! It sends what a probe sends, through the same `Store`, `Attempter` and twins, so what it finds is what the agent
//! finds. Only GET and HEAD are sent unless the caller names another probe. Every step has a bound of its own.

mod answer;
mod certificate;
mod change;
mod identity;
mod plain;
mod reach;
mod report;
mod signed;
mod verdict;
mod walk;

pub use report::{Change, Confidence, Finding, SpokeReport, Statement, Step, StepReport, Verdict};

use crate::app::Seams;
use crate::domain::moment::Moment;
use crate::domain::name::Name;
use crate::domain::target::Target;
use crate::plan::Plan;
use crate::seams::{Link, Wait};
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use identity::{Noted, Own};
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;

/// The longest that a name, the own identity or a role may take: what lies beyond is as good as no answer.
pub const STEP_MAX: Duration = Duration::from_secs(15);
/// Spokes that are examined at once.
const SPOKES_AT_ONCE: usize = 8;
/// The most probes of one spoke that are tried.
pub const PROBES_MAX: usize = 16;

/// What the doctor reaches out through.
pub(super) struct Outside {
    pub(super) seams: Seams,
    pub(super) link: Arc<dyn Link>,
}

/// One call of something outside, bounded; `None` when time ran out.
async fn within<F: Future>(outside: &Outside, bound: Duration, work: F) -> Option<F::Output> {
    let end: Moment = outside.seams.clock.now() + bound;
    let wait: &dyn Wait = &*outside.seams.wait;
    match select(pin!(work), pin!(wait.until(end))).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// A text with the words in capitals, such as `ROLE` or `VPCE_ID`, replaced by the names around a target, as far as the
/// plan knows them: for those who tell of a refusal without an examination.
#[must_use]
pub fn filled(plan: &Plan, target: &Target, text: &str) -> String {
    change::Names::new(plan, target, None).fill(text)
}

/// Told while an examination goes on.
pub type Progress<'a> = &'a (dyn Fn(&Name, &StepReport) + Send + Sync);

/// Which probe to walk with, as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeChoice {
    /// The api.
    pub api: Name,
    /// The probe.
    pub probe: Name,
}

/// Why nothing can be examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// No such spoke.
    Spoke {
        /// The one that was asked for.
        asked: Option<Name>,
        /// The spokes there are.
        known: Vec<Name>,
    },
    /// No such probe in the spokes asked for.
    Probe {
        /// The one that was asked for.
        asked: Option<ProbeChoice>,
        /// The probes there are.
        known: Vec<String>,
    },
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spoke { asked, known } => {
                let known: Vec<&str> = known.iter().map(Name::as_str).collect();
                let asked: String = asked.iter().map(|name| format!(" {name}")).collect();
                write!(f, "no spoke{asked} in the configuration; there are {}", known.join(", "))
            }
            Self::Probe { asked, known } => {
                let asked: String =
                    asked.iter().map(|choice| format!(" {}/{}", choice.api, choice.probe)).collect();
                write!(f, "no probe{asked} in the configuration; there are {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for Unknown {}

/// Examines spokes.
pub struct Doctor {
    outside: Outside,
    plan: Arc<Plan>,
    sessions: Arc<Noted>,
    own: OnceCell<Own>,
    source: Option<String>,
}

impl Doctor {
    /// A doctor for a plan. `source` says where the agent's own credentials come from, where that is known.
    #[must_use]
    pub fn new(plan: Arc<Plan>, mut seams: Seams, link: Arc<dyn Link>, source: Option<String>) -> Self {
        let sessions = Noted::new(Arc::clone(&seams.sessions), Arc::clone(&seams.clock));
        seams.sessions = Arc::clone(&sessions) as _;
        Self { outside: Outside { seams, link }, plan, sessions, own: OnceCell::new(), source }
    }

    /// Examines one spoke, or all of them, in the order of the configuration.
    ///
    /// Without a choice a spoke is walked with its first GET or HEAD probe that wants an answer (else its first GET
    /// or HEAD probe), and where that is as expected with its further ones, up to [`PROBES_MAX`].
    ///
    /// # Errors
    /// When there is no such spoke or probe.
    pub async fn examine(
        &self,
        spoke: Option<&Name>,
        choice: Option<&ProbeChoice>,
        progress: Progress<'_>,
    ) -> Result<Vec<SpokeReport>, Unknown> {
        let all = || self.plan.spokes.iter().map(|spoke| &spoke.name);
        let asked: Vec<&Name> = all().filter(|name| spoke.is_none_or(|wanted| *name == wanted)).collect();
        if asked.is_empty() {
            return Err(Unknown::Spoke { asked: spoke.cloned(), known: all().cloned().collect() });
        }
        let mut walks = Vec::new();
        for name in asked {
            let own = self.plan.targets.iter().filter(|target| target.id.spoke == *name);
            let (tried, not_tried) = match choice {
                Some(choice) => chosen(own, choice),
                None => by_default(own),
            };
            // A named probe is of one spoke, or of several that are built alike.
            if choice.is_none() || !tried.is_empty() {
                walks.push((name, tried, not_tried));
            }
        }
        if walks.is_empty() {
            let known =
                self.plan.targets.iter().filter(|target| spoke.is_none_or(|name| target.id.spoke == *name));
            let mut known: Vec<String> = known.map(|target| target.id.to_string()).collect();
            known.dedup();
            return Err(Unknown::Probe { asked: choice.cloned(), known });
        }
        let reports = futures_util::stream::iter(walks)
            .map(|(name, tried, not_tried)| self.examine_one(name, tried, not_tried, progress));
        Ok(reports.buffered(SPOKES_AT_ONCE).collect().await)
    }

    async fn own(&self) -> &Own {
        self.own.get_or_init(|| identity::own(&self.outside, &self.sessions)).await
    }
}

impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Doctor").field("spokes", &self.plan.spokes.len()).finish_non_exhaustive()
    }
}

type Tried = (Vec<Arc<Target>>, Vec<Arc<Target>>);

/// The probe that was named, whatever its method: naming it is consent.
fn chosen<'a>(own: impl Iterator<Item = &'a Arc<Target>>, choice: &ProbeChoice) -> Tried {
    let tried = own.filter(|target| target.id.api == choice.api && target.id.probe == choice.probe);
    (tried.take(PROBES_MAX).cloned().collect(), Vec::new())
}

fn by_default<'a>(own: impl Iterator<Item = &'a Arc<Target>>) -> Tried {
    let (mut tried, mut not_tried): Tried = own.cloned().partition(|target| target.request.is_safe());
    let wants_an_answer = |target: &Arc<Target>| {
        let expectation = &target.expectation;
        !expectation.is_guard() && expectation.status.iter().all(|status| (200..300).contains(status))
    };
    // Stable: within each half the order of the configuration stays.
    tried.sort_by_key(|target| !wants_an_answer(target));
    if tried.len() > PROBES_MAX {
        not_tried.extend(tried.split_off(PROBES_MAX));
    }
    (tried, not_tried)
}
