//! One live session per role, and the hub's own credentials.
//!
//! `plan` says which roles are in use; `app` runs the `Store` and makes targets due when the store announces
//! their signer; `attempt` reads sessions from it and never waits.
//!
//! ```text
//! lifecycle  when to ask STS and until when a session is used: pure, time is an argument
//! slot       what attempts read: a session, or the reason why there is none
//! members    which roles are in use, and what is recorded of each
//! store      the slots by signer, and who is told when one is known; a reload exchanges the roles here
//! refresher  the one task that asks STS for all roles      calls   the calls it makes
//! sts        the seam `Sessions` on the AWS SDK        http_adapter  the SDK's HTTP over `Transport::fetch`
//! hub        the hub's own credentials, kept           listed        the same from a list of variables
//! wording    what STS said, fit to be shown
//! ```

mod calls;
mod http_adapter;
mod hub;
mod lifecycle;
mod listed;
mod members;
mod refresher;
mod slot;
mod store;
mod sts;
#[cfg(test)]
mod tests;
mod wording;

pub use calls::explain_failure;
pub use slot::{NoSession, Session, SignerHandle};
pub use store::Store;
pub use sts::SdkSessions;

use crate::domain::arn::RoleArn;
use crate::domain::region::Region;
use std::fmt;

/// What identities need to know of the hub.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The region whose STS is asked.
    pub region: Region,
    /// `hub.sts.endpoint_url`, where it overrides the regional name.
    pub sts_endpoint_url: Option<String>,
    /// `hub.role_arn`: the agent's own role, where the configuration names it.
    pub hub_role_arn: Option<RoleArn>,
    /// Environment variables to read the hub's credentials from *instead of* the process's own (the demo
    /// and tests); `None` means the process's environment.
    pub environment: Option<Vec<(String, String)>>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables = self.environment.as_ref();
        // Among the values are keys and the token for fetching them.
        let names = variables.map(|all| all.iter().map(|(name, _)| name).collect::<Vec<_>>());
        f.debug_struct("Settings")
            .field("region", &self.region)
            .field("sts_endpoint_url", &self.sts_endpoint_url)
            .field("hub_role_arn", &self.hub_role_arn)
            .field("environment", &names)
            .finish()
    }
}
