//! The real outside: the machine's clock, the network, STS.

use super::network::Network;
use crate::credentials::SdkSessions;
use crate::plan::Settings;
use crate::seams::{
    Clock, Link, PreciseWait, Sessions, SystemClock, TokioWait, Transport, Wait, raise_open_file_limit,
};
use std::fmt;
use std::sync::Arc;

/// The outside as the agent sees it.
#[derive(Clone)]
pub struct Seams {
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting on them.
    pub wait: Arc<dyn Wait>,
    /// The hub's credentials and STS.
    pub sessions: Arc<dyn Sessions>,
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// The parts of reaching one address.
    pub link: Arc<dyn Link>,
    /// Waiting where arrivals are made.
    pub precise_wait: Arc<dyn Wait>,
    /// The network of runs of load.
    pub load_transport: Arc<dyn Transport>,
    /// Whether runs of load get a thread of their own; not where time is simulated, since a simulated clock
    /// belongs to one runtime.
    pub loads_on_own_thread: bool,
    /// What `transport`, `link` and `load_transport` go through, where other settings need another network; `None`
    /// where they do not, as in memory.
    pub network: Option<Network>,
}

/// Why the outside cannot be reached at all.
#[derive(Debug)]
pub struct SetupProblem(String);

impl SetupProblem {
    pub(super) const fn new(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for SetupProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SetupProblem {}

impl Seams {
    /// An outside of these parts, in which runs of load share what health uses.
    #[must_use]
    pub fn shared(
        clock: Arc<dyn Clock>,
        wait: Arc<dyn Wait>,
        sessions: Arc<dyn Sessions>,
        transport: Arc<dyn Transport>,
        link: Arc<dyn Link>,
    ) -> Self {
        let (precise_wait, load_transport) = (Arc::clone(&wait), Arc::clone(&transport));
        Self {
            clock,
            wait,
            sessions,
            transport,
            link,
            precise_wait,
            load_transport,
            loads_on_own_thread: false,
            network: None,
        }
    }

    /// The machine's clock, real sockets, and STS as the settings address it. To be called within a runtime.
    ///
    /// # Errors
    /// When the trust store cannot be set up.
    pub fn real(settings: &Settings) -> Result<Self, SetupProblem> {
        raise_open_file_limit();
        let clock = SystemClock::start();
        let wait: Arc<dyn Wait> = Arc::new(TokioWait::new(clock));
        let precise_wait: Arc<dyn Wait> = match PreciseWait::new(clock) {
            Ok(precise) => Arc::new(precise),
            Err(error) => {
                tracing::warn!(%error, "no precise timer: arrivals are late by up to a millisecond");
                Arc::clone(&wait)
            }
        };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let network = Network::new(&settings.transport, Arc::clone(&clock))?;
        let (transport, link, load_transport) =
            (network.transport(), network.link(), network.load_transport());
        let sessions: Arc<dyn Sessions> =
            Arc::new(SdkSessions::new(&settings.credentials, Arc::clone(&transport), Arc::clone(&clock)));
        Ok(Self {
            clock,
            wait,
            sessions,
            transport,
            link,
            precise_wait,
            load_transport,
            loads_on_own_thread: true,
            network: Some(network),
        })
    }
}
