//! What a reason means, how sure that is, who owns it and what to do: the same text for `spokeprobe explain`,
//! for `docs/reasons/` and for whoever else has to tell a person about a refusal.
//!
//! ```text
//! entries      one entry per reason, as data      pages        AWS's own pages
//! statements   policy statements to paste         render       an entry as text and as Markdown
//! assume_role  what STS meant by its refusal
//! ```
//!
//! Pure data and pure functions. Nothing here decides anything: reasons come from `classify`.

mod assume_role;
mod entries;
mod pages;
mod render;
mod statements;

pub use assume_role::{AssumeRoleCause, AssumeRoleRefusal, assume_role, no_hub_credentials};
pub use entries::entry;
pub use pages::Page;
pub use render::{markdown, text};
pub use statements::Statement;

use crate::domain::outcome::Reason;

/// Everything there is to say about a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The reason. [`Reason::meaning`] is the first sentence of its explanation.
    pub reason: Reason,
    /// What follows that first sentence.
    pub more: &'static str,
    /// How it is recognised.
    pub evidence: &'static [Evidence],
    /// What usually brings it about, most likely first.
    pub causes: &'static [&'static str],
    /// Who can change it, most likely first.
    pub owners: &'static [Owner],
    /// What to do, in this order.
    pub steps: &'static [Step],
    /// A policy statement that may be what is missing.
    pub statement: Option<&'static Statement>,
    /// What else looks like it.
    pub looks_like: &'static [&'static str],
    /// What AWS says.
    pub pages: &'static [Page],
    /// A query beside the two that every reason has.
    pub further_query: Option<&'static str>,
}

impl Entry {
    /// Queries for Prometheus: which targets are in this state now, how often it happens, and what else to look
    /// at.
    #[must_use]
    pub fn queries(&self) -> Vec<String> {
        let reason = self.reason;
        let mut queries = vec![
            format!("spokeprobe_last_outcome{{reason=\"{reason}\"}} == 1"),
            format!(
                "sum by (spoke, api, probe) (rate(spokeprobe_requests_total{{reason=\"{reason}\"}}[5m])) > 0"
            ),
        ];
        queries.extend(self.further_query.map(str::to_owned));
        queries
    }
}

/// A sign by which a reason is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// What is seen.
    pub sign: &'static str,
    /// How sure it is that the sign means this.
    pub sureness: Sureness,
}

/// How sure a fact about AWS is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sureness {
    /// Documentation of AWS says so.
    Documented,
    /// A published capture of a real answer shows it.
    Observed,
    /// It follows from a documented general rule, or from an emulator; no capture of API Gateway was found.
    Derived,
    /// Not established.
    Unconfirmed,
    /// The agent saw or measured it itself; no text of AWS is needed.
    Measured,
}

impl Sureness {
    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Documented => "documented",
            Self::Observed => "observed",
            Self::Derived => "derived",
            Self::Unconfirmed => "unconfirmed",
            Self::Measured => "measured",
        }
    }
}

/// Who can change what refused or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The account with the endpoint and the agent.
    Hub,
    /// The account with the api and the role.
    Spoke,
    /// Whoever manages the organisation's policies.
    Organisation,
    /// Routes, security groups, resolvers.
    Network,
    /// AWS itself.
    Aws,
    /// The agent: its configuration, its machine, or a defect.
    Agent,
    /// Nobody has to do anything.
    Nobody,
}

impl Owner {
    /// Every owner.
    pub const ALL: [Self; 7] =
        [Self::Hub, Self::Spoke, Self::Organisation, Self::Network, Self::Aws, Self::Agent, Self::Nobody];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::Spoke => "spoke",
            Self::Organisation => "organisation",
            Self::Network => "network",
            Self::Aws => "aws",
            Self::Agent => "agent",
            Self::Nobody => "nobody",
        }
    }

    /// The owner in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Hub => "the hub (the account with the shared endpoint and the agent)",
            Self::Spoke => "the spoke (the account with the API and its role)",
            Self::Organisation => "the organisation (whoever manages its policies)",
            Self::Network => "the network (routes, security groups, name resolution)",
            Self::Aws => "AWS",
            Self::Agent => "the agent (its configuration, its machine, or a defect of it)",
            Self::Nobody => "nobody; there is nothing to repair",
        }
    }
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What, and why.
    pub text: &'static str,
    /// The command for it. Words in capitals are to be replaced.
    pub command: Option<&'static str>,
}

const fn look(text: &'static str, command: &'static str) -> Step {
    Step { text, command: Some(command) }
}

const fn act(text: &'static str) -> Step {
    Step { text, command: None }
}

const fn documented(sign: &'static str) -> Evidence {
    Evidence { sign, sureness: Sureness::Documented }
}

const fn observed(sign: &'static str) -> Evidence {
    Evidence { sign, sureness: Sureness::Observed }
}

const fn derived(sign: &'static str) -> Evidence {
    Evidence { sign, sureness: Sureness::Derived }
}

const fn unconfirmed(sign: &'static str) -> Evidence {
    Evidence { sign, sureness: Sureness::Unconfirmed }
}

const fn measured(sign: &'static str) -> Evidence {
    Evidence { sign, sureness: Sureness::Measured }
}

#[cfg(test)]
mod tests;
