//! The hub's own credentials, kept so that asking is cheap and asked for again before they end.
//!
//! The SDK's chain asks its source each time: the metadata service, or STS for a web identity. What it gave
//! is therefore kept here until half of its life is over, a minute where it does not end, and given on while
//! the source fails and it is still valid.

use super::listed::Listed;
use crate::domain::credentials::SessionCredentials;
use crate::domain::moment::Moment;
use crate::domain::scrub::scrub;
use crate::domain::secret::Secret;
use crate::seams::{Clock, SessionFailure, SessionFailureKind, Transport};
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Mutex, OnceCell};

/// The whole chain's time: the metadata service alone may take some seconds to be missing.
const CHAIN_TIMEOUT: Duration = Duration::from_secs(15);
/// How long credentials are kept that do not end.
const KEEP_ENDLESS: Duration = Duration::from_secs(60);
/// How long any are kept: a container's role may be exchanged for another.
const KEEP_MAX: Duration = Duration::from_secs(15 * 60);
/// How long a failure is kept, so that ten roles do not wait for a missing source one after the other.
const KEEP_FAILURE: Duration = Duration::from_secs(5);
/// What is said of credentials whose end has passed by our clock.
const ENDED: &str = "the credential sources give credentials that have already ended; is the clock right?";

/// Where they come from.
pub(super) enum Source {
    /// The SDK's default chain, built at the first use.
    Chain(Box<ProviderConfig>, OnceCell<DefaultCredentialsChain>),
    /// A list of variables.
    Listed(Listed, Arc<dyn Transport>),
}

/// The kept credentials.
pub(super) struct HubCredentials {
    source: Source,
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    found: Option<SessionCredentials>,
    failed: Option<SessionFailure>,
    /// The source is not asked before.
    ask_again: Moment,
}

impl Kept {
    /// What is kept has ended by the wall clock, though its time to be asked for has not come: the monotonic clock stands
    /// still while a machine is suspended. While the source fails, the pause after its failure holds.
    fn has_ended(&self, wall: SystemTime) -> bool {
        let end = self.found.as_ref().and_then(|found| found.expires_at);
        self.failed.is_none() && end.is_some_and(|end| end <= wall)
    }
}

impl HubCredentials {
    pub(super) fn new(source: Source, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, kept: Mutex::new(Kept::default()) }
    }

    /// The credentials. The first caller asks the source, the others wait for it.
    pub(super) async fn get(&self) -> Result<SessionCredentials, SessionFailure> {
        let mut kept = self.kept.lock().await;
        if self.clock.now() >= kept.ask_again || kept.has_ended(self.clock.wall()) {
            let answer = tokio::time::timeout(CHAIN_TIMEOUT, self.source.ask())
                .await
                .unwrap_or_else(|_| Err(no_credentials("the credential sources do not answer in time")));
            let now = self.clock.now();
            match answer {
                Ok(found) => {
                    let life = found.expires_at.map_or(2 * KEEP_ENDLESS, |end| {
                        end.duration_since(self.clock.wall()).unwrap_or_default()
                    });
                    // With a clock that is ahead, whatever is given has ended: a failure like others.
                    let ended = life.is_zero().then(|| no_credentials(ENDED));
                    let keep = if ended.is_some() { KEEP_FAILURE } else { (life / 2).min(KEEP_MAX) };
                    kept.ask_again = now + keep;
                    kept.found = Some(found);
                    kept.failed = ended;
                }
                Err(failure) => {
                    kept.ask_again = now + KEEP_FAILURE;
                    kept.failed = Some(failure);
                }
            }
        }
        let wall = self.clock.wall();
        match (&kept.found, &kept.failed) {
            (Some(found), _) if found.expires_at.is_none_or(|end| wall < end) => Ok(found.clone()),
            (_, Some(failure)) => Err(failure.clone()),
            _ => Err(no_credentials(ENDED)),
        }
    }

    /// Forgets these credentials, because STS does not accept them. Others that have come since are kept.
    pub(super) async fn forget(&self, refused: &SessionCredentials) {
        let mut kept = self.kept.lock().await;
        if kept.found.as_ref() == Some(refused) {
            *kept = Kept::default();
        }
    }
}

impl Source {
    async fn ask(&self) -> Result<SessionCredentials, SessionFailure> {
        match self {
            Self::Listed(listed, transport) => listed.ask(transport).await,
            Self::Chain(configuration, chain) => {
                let build = || async {
                    let configuration = (**configuration).clone();
                    DefaultCredentialsChain::builder().configure(configuration).build().await
                };
                let found = chain.get_or_init(build).await.provide_credentials().await;
                let found = found.map_err(|error| no_credentials(&explain(&error)))?;
                Ok(SessionCredentials {
                    access_key_id: found.access_key_id().to_owned(),
                    secret_access_key: Secret::new(found.secret_access_key()),
                    session_token: found.session_token().map(Secret::new),
                    expires_at: found.expiry(),
                })
            }
        }
    }
}

fn explain(error: &CredentialsError) -> String {
    if matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        return "no credentials in the environment, a profile, a web identity token, the container's or the \
                instance's metadata"
            .to_owned();
    }
    // The innermost cause says what is wrong; the outer ones only that something is.
    let mut inner: &dyn Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    format!("{error}: {inner}")
}

pub(super) fn no_credentials(why: &str) -> SessionFailure {
    SessionFailure { kind: SessionFailureKind::NoHubCredentials, code: None, message: scrub(why) }
}
