//! The same wiring for one run of load at once: what `load` is made of. No agent runs beside it.

use crate::app::loads;
use crate::app::outside::Seams;
use crate::attempt::{PreparedTarget, PreparingProblem};
use crate::credentials::{NoSession, Store};
use crate::domain::credentials::RoleInUse;
use crate::domain::identity::Signer;
use crate::load::{self, Hands, Report, Stop};
use crate::plan::Settings;
use crate::recording::{LoadRecorder, Recorder};
use crate::seams;
use crate::signing::SigningScope;
use std::fmt;
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A run that could begin now: addressed, and with a session to sign with.
pub struct LoadOnce {
    settings: Arc<load::Settings>,
    prepared: Arc<PreparedTarget>,
    recorder: Arc<Recorder>,
    hands: Hands,
    /// Ends the renewal of credentials with this.
    _renewal: DropGuard,
}

/// Why a run does not begin.
#[derive(Debug)]
pub enum LoadNotBegun {
    /// The target cannot be addressed or sent.
    Preparing(PreparingProblem),
    /// There are no credentials to sign with.
    NoSession(NoSession),
    /// The credentials task stopped by itself.
    Stopped,
}

impl fmt::Display for LoadNotBegun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preparing(problem) => problem.fmt(f),
            Self::NoSession(none) => {
                write!(f, "{}: {}", none.reason, none.reason.meaning())?;
                none.message.as_ref().map_or(Ok(()), |message| write!(f, "\n  {message}"))
            }
            Self::Stopped => f.write_str("the credentials task stopped by itself; this is a defect"),
        }
    }
}

impl std::error::Error for LoadNotBegun {}

impl LoadOnce {
    /// Gets the session of the signer, and makes all ready. Only STS is asked.
    ///
    /// # Errors
    /// Why the run cannot begin. Nothing was sent to the target then.
    pub async fn prepare(
        seams: &Seams,
        settings: &Settings,
        run: Arc<load::Settings>,
        role: Option<RoleInUse>,
    ) -> Result<Self, LoadNotBegun> {
        let recorder = Arc::new(Recorder::new(&settings.recording));
        let roles: Vec<RoleInUse> = role.into_iter().collect();
        let signer = &run.target.signer;
        let (store, mut known_signers) = Store::new(
            &roles,
            *signer == Signer::Hub,
            Arc::clone(&seams.sessions),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            Arc::clone(&recorder),
        );
        if let Some(role) = &settings.credentials.hub_role_arn {
            store.set_hub_role(role);
        }
        let prepared = loads::prepared(&run, &settings.endpoint, &store).map_err(LoadNotBegun::Preparing)?;
        let shutdown = CancellationToken::new();
        let renewal = shutdown.clone().drop_guard();
        if *signer != Signer::Anonymous {
            seams::spawn("credentials", Arc::clone(&store).run(shutdown));
            known_signers.recv().await.ok_or(LoadNotBegun::Stopped)?;
            store.session(signer).map_err(LoadNotBegun::NoSession)?;
        }
        let scope = SigningScope::execute_api(settings.endpoint.region.clone());
        let hands = loads::hands(seams, scope);
        Ok(Self { settings: run, prepared: Arc::new(prepared), recorder, hands, _renewal: renewal })
    }

    /// Begins the run: what it counts, to look at while it goes on, and its end.
    pub fn begin(self, stop: Stop) -> (Arc<LoadRecorder>, impl Future<Output = Report> + Send) {
        let Self { settings, prepared, recorder, hands, _renewal } = self;
        let recorder = recorder.begin_load(&settings.name, hands.clock.now());
        let run = load::run(settings, prepared, Arc::clone(&recorder), hands, stop);
        let whole = async move {
            let report = run.await;
            drop(_renewal);
            report
        };
        (recorder, whole)
    }
}
