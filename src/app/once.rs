//! The same wiring for one attempt at once: what `call` is made of.

use crate::app::outside::Seams;
use crate::attempt::{Attempted, Attempter, PreparedTarget, PreparingProblem};
use crate::credentials::Store;
use crate::domain::credentials::RoleInUse;
use crate::domain::identity::Signer;
use crate::domain::target::Target;
use crate::plan::Settings;
use crate::recording::Recorder;
use crate::seams;
use crate::signing::SigningScope;
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One attempt of one target, without a timetable and without an agent.
pub struct Once {
    seams: Seams,
    settings: Settings,
}

/// Why not even an attempt could be made.
#[derive(Debug)]
pub enum OnceFailure {
    /// The target cannot be addressed or sent.
    Preparing(PreparingProblem),
    /// The credentials task stopped by itself.
    Stopped,
}

impl fmt::Display for OnceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing(problem) => problem.fmt(f),
            Self::Stopped => f.write_str("the credentials task stopped by itself; this is a defect"),
        }
    }
}

impl std::error::Error for OnceFailure {}

impl Once {
    /// Wires what one attempt needs.
    #[must_use]
    pub const fn new(seams: Seams, settings: Settings) -> Self {
        Self { seams, settings }
    }

    /// Gets the signer's session, or its refusal, and makes the attempt.
    ///
    /// # Errors
    /// When no attempt could be made at all; a refused or failed request is not an error.
    pub async fn attempt(&self, target: Target, role: Option<RoleInUse>) -> Result<Attempted, OnceFailure> {
        let recorder = Arc::new(Recorder::new(&self.settings.recording));
        let roles: Vec<RoleInUse> = role.into_iter().collect();
        let (store, mut known_signers) = Store::new(
            &roles,
            target.signer == Signer::Hub,
            Arc::clone(&self.seams.sessions),
            Arc::clone(&self.seams.clock),
            Arc::clone(&self.seams.wait),
            recorder,
        );
        if let Some(role) = &self.settings.credentials.hub_role_arn {
            store.set_hub_role(role);
        }
        let target = Arc::new(target);
        let prepared = PreparedTarget::new(Arc::clone(&target), &self.settings.endpoint, &store, None)
            .map_err(OnceFailure::Preparing)?;
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone().drop_guard();
        if target.signer != Signer::Anonymous {
            seams::spawn("credentials", Arc::clone(&store).run(shutdown));
            known_signers.recv().await.ok_or(OnceFailure::Stopped)?;
        }
        let scope = SigningScope::execute_api(self.settings.endpoint.region.clone());
        let attempter =
            Attempter::new(Arc::clone(&self.seams.transport), Arc::clone(&self.seams.clock), scope);
        let attempted = attempter.attempt_and_keep(&prepared, self.seams.clock.now()).await;
        drop(stop);
        Ok(attempted)
    }
}
