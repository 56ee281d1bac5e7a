//! From the configuration to what runs: targets, roles, limits, warnings. Pure.

use crate::domain::credentials::RoleInUse;
use crate::domain::target::{SpokeInfo, Target};
use crate::{credentials, endpoint, recording, transport, web};
use std::sync::Arc;

/// All that the agent needs to run; building one touches neither network nor clock.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is probed, in the order of the configuration.
    pub targets: Vec<Arc<Target>>,
    /// The sessions that sign, each with the spokes it belongs to.
    pub roles: Vec<RoleInUse>,
    /// The spokes, for `spoke_info`.
    pub spokes: Vec<SpokeInfo>,
    /// The ceilings.
    pub limits: Limits,
    /// Settings of the components.
    pub settings: Settings,
    /// What a user should know before running this.
    pub warnings: Vec<Warning>,
}

/// The settings of every component, filled by the configuration.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addressing.
    pub endpoint: endpoint::Settings,
    /// Sending.
    pub transport: transport::Settings,
    /// Identities.
    pub credentials: credentials::Settings,
    /// The agent's own HTTP server.
    pub web: web::Settings,
    /// Metrics.
    pub recording: recording::Settings,
}

/// The ceilings of the whole agent and of each account.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Requests a second, all targets together.
    pub requests_per_second: f64,
    /// Requests a second to one account.
    pub requests_per_second_per_account: f64,
    /// Attempts in flight, all targets together.
    pub in_flight: usize,
    /// Attempts in flight to one account.
    pub in_flight_per_account: usize,
}

/// Something that is allowed but probably not meant; ends with what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The path in the configuration, such as `spokes.payments.apis.hoot.probes.hello`.
    pub path: String,
    /// What is the matter, and what to do.
    pub message: String,
}
