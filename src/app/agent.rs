//! The parts of an agent, wired to each other. What they do follows from a plan, which `reconcile` gives them: the first
//! one at the start, others later.

use super::loads;
use super::outside::Seams;
use super::reconcile::Current;
use crate::attempt::Attempter;
use crate::credentials::Store;
use crate::diagnosis::Diagnoser;
use crate::domain::identity::Signer;
use crate::endpoint;
use crate::isolation::{Isolation, Surroundings};
use crate::load::{Budget, Keeper};
use crate::pacing::{Pacing, Permits};
use crate::plan::Plan;
use crate::recording::Recorder;
use crate::signing::SigningScope;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

/// What lives as long as the agent, whatever its plan.
pub(super) struct Agent {
    pub(super) recorder: Arc<Recorder>,
    pub(super) store: Arc<Store>,
    pub(super) diagnoser: Arc<Diagnoser>,
    pub(super) pacing: Arc<Pacing>,
    pub(super) isolation: Isolation,
    pub(super) watch: endpoint::Watch,
    pub(super) keeper: Keeper,
    pub(super) budget: Arc<Budget>,
    pub(super) seams: Seams,
    /// The plan in use. Whoever changes it holds this.
    pub(super) current: Mutex<Current>,
    /// Cancelled when the agent begins to end.
    pub(super) ending: CancellationToken,
}

impl Agent {
    /// The parts, which do nothing yet. Of the plan only that is taken which cannot change later.
    pub(super) fn idle(plan: &Plan, seams: Seams) -> Self {
        let settings = &plan.settings;
        let recorder = Arc::new(Recorder::new(&settings.recording));
        // So that what STS says of its roles has a place.
        recorder.set_spokes(&plan.spokes);
        let (store, known_signers) = Store::new(
            &plan.roles,
            hub_in_use(plan),
            Arc::clone(&seams.sessions),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            Arc::clone(&recorder),
        );
        if let Some(role) = &settings.credentials.hub_role_arn {
            store.set_hub_role(role);
        }
        let scope = SigningScope::execute_api(settings.endpoint.region.clone());
        let attempter =
            Arc::new(Attempter::new(Arc::clone(&seams.transport), Arc::clone(&seams.clock), scope));
        let diagnoser = Arc::new(Diagnoser::new(
            settings.diagnosis,
            settings.endpoint.clone(),
            Arc::clone(&attempter),
            Arc::clone(&recorder),
            Arc::clone(&store),
            Arc::clone(&seams.clock),
        ));
        let pacing = Arc::new(Pacing::new(
            Arc::clone(&attempter),
            Arc::clone(&diagnoser),
            Arc::clone(&recorder),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.precise_wait),
            Permits::new(plan.limits.in_flight, plan.limits.in_flight_per_account),
            (Arc::clone(&store), known_signers),
        ));
        let isolation = Isolation::new(Surroundings {
            attempter,
            store: Arc::clone(&store),
            recorder: Arc::clone(&recorder),
            clock: Arc::clone(&seams.clock),
            wait: Arc::clone(&seams.wait),
            spare_of: {
                let pacing = Arc::clone(&pacing);
                Box::new(move |api| Box::new(pacing.spare(&api.account)))
            },
        });
        let watch = endpoint::Watch::new(
            Vec::new(),
            Arc::clone(&seams.link),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            &recorder,
        );
        let budget = Budget::new(0.0, 0.0, HashMap::new());
        let keeper = loads::keeper(&seams, &store, &recorder, plan, Arc::clone(&budget));
        Self {
            recorder,
            store,
            diagnoser,
            pacing,
            isolation,
            watch,
            keeper,
            budget,
            seams,
            current: Mutex::default(),
            ending: CancellationToken::new(),
        }
    }
}

/// Whether anything is signed with the agent's own credentials.
pub(super) fn hub_in_use(plan: &Plan) -> bool {
    plan.settings.diagnosis.hub_twins || plan.targets.iter().any(|target| target.signer == Signer::Hub)
}
