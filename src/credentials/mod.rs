//! One live session per role.

use crate::domain::arn::RoleArn;
use crate::domain::region::Region;

/// What identities need to know of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
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
