//! What the simulated hub holds between requests, and what it is told of each connection.

use super::counts::Counters;
use super::deterministic::Sequence;
use super::keys::Keys;
use super::throttle::Buckets;
use super::world::{Progress, World};
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Which of the hub's listeners a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// The interface endpoint.
    Endpoint,
    /// STS.
    Sts,
    /// The container's credentials endpoint.
    Credentials,
}

/// What is known of the connection a request came over.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// The name asked for in the TLS handshake, if there was one.
    pub tls_name: Option<String>,
}

/// Everything that changes.
pub(super) struct State {
    pub(super) world: World,
    pub(super) progress: Progress,
    pub(super) keys: Keys,
    pub(super) buckets: Buckets,
    pub(super) counters: Counters,
    pub(super) sequence: Sequence,
    /// The hub's key that the credentials endpoint hands out at present, with its beginning.
    pub(super) hub_key: Option<(String, SystemTime)>,
    pub(super) certificate: CertificateLife,
}

impl State {
    /// Brings the world to a moment: what its timeline says, and the certificate that it has then.
    pub(super) fn settle(&mut self, now: SystemTime) {
        self.progress.advance(&mut self.world, now);
        let endpoint = &self.world.endpoint;
        let is_another = (self.certificate.days, self.certificate.number)
            != (endpoint.certificate_days, endpoint.certificate_renewals);
        if is_another {
            self.certificate = CertificateLife::new(&self.world, now);
        }
    }
}

/// Which certificate the endpoint has, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CertificateLife {
    /// In how many days it was to end when it was made.
    pub(super) days: i32,
    /// Which one it is.
    pub(super) number: u64,
    /// When it was made.
    pub(super) made_at: SystemTime,
}

impl CertificateLife {
    /// The certificate of a world, made now.
    pub(super) const fn new(world: &World, now: SystemTime) -> Self {
        let endpoint = &world.endpoint;
        Self { days: endpoint.certificate_days, number: endpoint.certificate_renewals, made_at: now }
    }

    /// True from the midnight on at which it ends.
    pub(super) fn has_ended(&self, now: SystemTime) -> bool {
        let Ok(days) = u32::try_from(self.days) else { return true };
        let end = self
            .made_at
            .checked_add(DAY * days)
            .and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
        let Some(end) = end else { return false };
        let midnight = Duration::from_secs(end.as_secs() / DAY.as_secs() * DAY.as_secs());
        days == 0 || now >= SystemTime::UNIX_EPOCH + midnight
    }
}
