//! The agent's own HTTP server: metrics, health, status.
//!
//! It reads from `recording` and `Readiness`; all it does is to stop loads and to have the configuration read again,
//! by functions that it is given. Nothing it serves makes the agent send anything to whom a caller names.
//! `server` holds the limits on who may connect and how long, `protection` is the web configuration file with TLS and
//! passwords, `access` says who may read what, `routes` joins the answers made by `status` (JSON) and `page` (HTML, with the style and the script it needs inside),
//! `compression` packs them for who wants that.
//!
//! What it gives away: `/metrics` names spokes, their accounts and roles, and is meant for whoever can reach
//! the port. Status and page also name ARNs, messages and open doors; on a listener that is not loopback
//! they are closed unless `web.status: open`, or credentials are shown as `web.config_file` asks for.

mod access;
mod bucket;
mod compression;
mod explanation;
mod page;
mod protection;
mod readiness;
mod reload;
mod response_deadline;
mod routes;
mod secured;
mod server;
mod status;

pub use explanation::{Advice, Explanation};
pub use protection::{Note, check_file};
pub use readiness::Readiness;
pub use reload::{Reload, ReloadRefused};
pub use server::{BindError, Listener, bind, serve};
pub use status::{
    AddressView, AgentView, AttemptsView, CadenceView, CertificateView, ConfigurationTroubleView,
    ConfigurationView, CountsView, CredentialsView, DiagnosisView, EndpointView, FailureView, FaultView,
    IncludeView, InconclusiveView, IsolationView, LatencyView, LoadLatencyView, LoadRunView, LoadView,
    MembersView, MissedView, OpenPairView, PairsView, PlaceView, ReasonCountView, RefusalView,
    RequestIdsView, ResultView, SampleView, SpokeView, StatusView, TargetView, TotalsView,
};

use crate::domain::outcome::Reason;
use crate::recording::Recorder;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// What the web server needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Whether status may be read on an open listener without a password.
    pub status: StatusAccess,
    /// The file with TLS, passwords and the like; without it there is neither.
    pub config_file: Option<PathBuf>,
}

/// `web.status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StatusAccess {
    /// Page and status API are closed on a listener that is neither loopback nor protected; the default.
    #[default]
    Auto,
    /// Page and status API are open to everybody who can connect.
    Open,
}

/// What the server reads.
#[derive(Clone)]
pub struct State {
    /// Everything that is counted and kept.
    pub recorder: Arc<Recorder>,
    /// What is still missing before the agent is ready.
    pub readiness: Readiness,
    /// The wall clock, `seams::Clock::wall` of the agent.
    pub now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    /// When the agent started.
    pub started_at: SystemTime,
    /// Stops all runs of load, and tells how many there were.
    pub stop_loads: Arc<dyn Fn() -> usize + Send + Sync>,
    /// Reads the configuration again; nothing where there is none to read, as in a demo.
    pub reload: Option<Reload>,
    /// What there is to say about a reason, for the pages of spokes.
    pub explain: fn(Reason) -> Explanation,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("recorder", &self.recorder).finish_non_exhaustive()
    }
}

/// What `/api/v1/status` answers with, as values.
#[must_use]
pub fn status_of(state: &State) -> StatusView {
    status::view(state)
}

/// The page that `/` answers with when it is asked with this query (what follows the `?`).
#[must_use]
pub fn page_of(state: &State, query: &str) -> String {
    page::render(&status::view(state), query, state.explain).html
}

#[cfg(test)]
mod tests;
