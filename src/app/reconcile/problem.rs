//! Why a plan cannot be taken over by an agent that runs.

use crate::app::{BuildProblem, SetupProblem};
use std::fmt;

/// Why a plan was not taken over. The agent goes on as it was.
#[derive(Debug)]
pub enum ReconcileProblem {
    /// These keys only take effect with a restart; never empty.
    Restart(Vec<NeedsRestart>),
    /// A target cannot be attempted.
    Target(BuildProblem),
    /// The outside cannot be made as the plan wants it.
    Outside(SetupProblem),
    /// The agent is ending.
    Ended,
}

/// A key of the configuration that cannot be changed while the agent runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NeedsRestart {
    /// The key, such as `metrics.buckets`.
    pub key: &'static str,
    /// What is in use.
    pub old: String,
    /// What was asked for.
    pub new: String,
}

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, old, new } = self;
        write!(f, "{key}: {old} is in use and {new} was asked for; this takes effect with a restart only")
    }
}

impl fmt::Display for ReconcileProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart(keys) => {
                for (index, key) in keys.iter().enumerate() {
                    if index > 0 {
                        f.write_str("\n")?;
                    }
                    key.fmt(f)?;
                }
                Ok(())
            }
            Self::Target(problem) => problem.fmt(f),
            Self::Outside(problem) => problem.fmt(f),
            Self::Ended => f.write_str("the agent is ending"),
        }
    }
}

impl std::error::Error for ReconcileProblem {}
