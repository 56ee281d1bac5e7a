//! What an examination found, as values: commands turn them into text and JSON.

use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::domain::target::TargetId;
use crate::explain::Owner;
use std::time::Duration;

/// The steps in the order in which they are walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// The name that the addressing asks for.
    Resolve,
    /// TCP and TLS, address by address.
    Connect,
    /// The agent's own credentials.
    Identity,
    /// The session of the role that signs.
    AssumeRole,
    /// What is signed.
    Sign,
    /// The request itself.
    Invoke,
    /// Further requests where the answer is vague.
    Twins,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 7] = [
        Self::Resolve,
        Self::Connect,
        Self::Identity,
        Self::AssumeRole,
        Self::Sign,
        Self::Invoke,
        Self::Twins,
    ];

    /// The word in text and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Identity => "identity",
            Self::AssumeRole => "assume_role",
            Self::Sign => "sign",
            Self::Invoke => "invoke",
            Self::Twins => "twins",
        }
    }
}

/// One thing that a step found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about, as a word.
    pub about: &'static str,
    /// What was found; several lines where it is a text to compare.
    pub text: String,
    /// True for what is wrong or will be.
    pub warning: bool,
}

impl Finding {
    pub(super) fn new(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, text: text.into(), warning: false }
    }

    pub(super) fn warning(about: &'static str, text: impl Into<String>) -> Self {
        Self { about, text: text.into(), warning: true }
    }
}

/// One step that was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepReport {
    /// The step.
    pub step: Step,
    /// Whether the path goes on behind it as it should.
    pub ok: bool,
    /// How long it took.
    pub took: Duration,
    /// What it found.
    pub findings: Vec<Finding>,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Confidence {
    /// The answer names the layer, or the agent measured it itself.
    Certain,
    /// It follows from several answers, or is the usual one of few causes.
    Likely,
    /// Several causes remain; they are listed.
    Open,
}

impl Confidence {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Certain => "certain",
            Self::Likely => "likely",
            Self::Open => "open",
        }
    }
}

/// A policy statement to add to those that are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// Where it goes, and what to mind.
    pub goes_into: String,
    /// The statement.
    pub statement: serde_json::Value,
}

/// What to change.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change {
    /// What to do, in this order.
    pub text: Vec<String>,
    /// The statements that may be missing, the likelier first; none where no statement helps.
    pub statements: Vec<Statement>,
}

/// The conclusion over one spoke.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The step at which the path stops; `None` when all is as expected.
    pub stopped_at: Option<Step>,
    /// Why; the outcome follows from it.
    pub reason: Reason,
    /// Whose it is to change; nobody's when all is as expected.
    pub owner: Owner,
    /// How sure that is.
    pub confidence: Confidence,
    /// What remains possible, where it is open.
    pub candidates: Vec<&'static str>,
    /// What it rests on.
    pub evidence: Vec<String>,
    /// What to change.
    pub change: Change,
}

impl Verdict {
    /// True when nothing stops the path and all was as expected.
    #[must_use]
    pub const fn passed(&self) -> bool {
        self.stopped_at.is_none()
    }
}

/// All about one spoke.
#[derive(Debug, Clone, PartialEq)]
pub struct SpokeReport {
    /// The spoke.
    pub spoke: Name,
    /// The probe that was walked with; the one that failed where one did. `None` for a spoke without one.
    pub probe: Option<TargetId>,
    /// The steps that were walked.
    pub steps: Vec<StepReport>,
    /// Probes of the spoke that were walked as well and were as expected.
    pub also_as_expected: Vec<TargetId>,
    /// Probes of the spoke that were not tried.
    pub not_tried: Vec<TargetId>,
    /// The conclusion.
    pub verdict: Verdict,
}
