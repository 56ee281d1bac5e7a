//! The walk itself: one spoke, its probes one after the other, each step by step until one stops.

use super::answer::{self, error_type};
use super::change::Names;
use super::identity::{own_step, role_step};
use super::reach::{self, Stop, Walked, walked};
use super::report::{Finding, SpokeReport, Step, StepReport, Verdict};
use super::verdict::{self, Answered};
use super::{Doctor, Progress, STEP_MAX, plain, signed, within};
use crate::attempt::{Attempted, Attempter, PreparedTarget};
use crate::classify::narrowing::{self, is_vague, narrow};
use crate::credentials::Store;
use crate::diagnosis::{self, Relatives, Twins, relatives};
use crate::domain::credentials::RoleInUse;
use crate::domain::identity::Signer;
use crate::domain::name::Name;
use crate::domain::outcome::Reason;
use crate::domain::target::{Target, TargetId};
use crate::endpoint;
use crate::recording::{Recorder, TargetRecorder};
use crate::seams;
use crate::signing::{SigningScope, sign_request};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

/// What the probes of one spoke share.
struct Ward<'a> {
    doctor: &'a Doctor,
    spoke: &'a Name,
    progress: Progress<'a>,
    attempter: Attempter,
    store: Arc<Store>,
    recorders: HashMap<TargetId, Arc<TargetRecorder>>,
    relatives: HashMap<TargetId, Relatives>,
    /// The store's announcements, and the signers that were announced.
    known: Mutex<(mpsc::UnboundedReceiver<Signer>, Vec<Signer>)>,
    started: std::sync::Mutex<Option<DropGuard>>,
}

/// One probe, walked.
struct Walk {
    steps: Vec<StepReport>,
    verdict: Verdict,
}

impl Doctor {
    pub(super) async fn examine_one(
        &self,
        spoke: &Name,
        tried: Vec<Arc<Target>>,
        not_tried: Vec<Arc<Target>>,
        progress: Progress<'_>,
    ) -> SpokeReport {
        let ids =
            |targets: &[Arc<Target>]| targets.iter().map(|target| target.id.clone()).collect::<Vec<_>>();
        let ward = Ward::new(self, spoke, &tried, progress);
        let Some((first, further)) = tried.split_first() else {
            let Walk { steps, verdict } = ward.without_probe().await;
            return SpokeReport {
                spoke: spoke.clone(),
                probe: None,
                steps,
                also_as_expected: Vec::new(),
                not_tried: ids(&not_tried),
                verdict,
            };
        };
        let mut walk = ward.walk(first).await;
        let mut probe = first;
        let mut also = Vec::new();
        let mut left = further;
        while let ([next, rest @ ..], true) = (left, walk.verdict.passed()) {
            let other = ward.walk(next).await;
            left = rest;
            if other.verdict.passed() {
                also.push(next.id.clone());
            } else {
                // What went well before is evidence for what did not.
                also.insert(0, first.id.clone());
                probe = next;
                walk = other;
            }
        }
        let mut not_tried = ids(&not_tried);
        not_tried.splice(0..0, ids(left));
        SpokeReport {
            spoke: spoke.clone(),
            probe: Some(probe.id.clone()),
            steps: walk.steps,
            also_as_expected: also,
            not_tried,
            verdict: walk.verdict,
        }
    }
}

impl<'a> Ward<'a> {
    fn new(doctor: &'a Doctor, spoke: &'a Name, tried: &[Arc<Target>], progress: Progress<'a>) -> Self {
        let (plan, seams) = (&doctor.plan, &doctor.outside.seams);
        let recorder = Arc::new(Recorder::new(&plan.settings.recording));
        let recorders: HashMap<_, _> =
            tried.iter().map(|target| (target.id.clone(), recorder.add_target(target))).collect();
        let relatives = relatives(&plan.targets, &plan.roles, &recorders);
        let signs = |role: &&RoleInUse| {
            role.spokes.contains(spoke)
                || tried.iter().any(|target| target.signer == Signer::Role(Arc::clone(&role.session)))
        };
        let roles: Vec<RoleInUse> = plan.roles.iter().filter(signs).cloned().collect();
        let hub =
            plan.settings.diagnosis.hub_twins || tried.iter().any(|target| target.signer == Signer::Hub);
        let (store, announced) = Store::new(
            &roles,
            hub,
            Arc::clone(&seams.sessions),
            Arc::clone(&seams.clock),
            Arc::clone(&seams.wait),
            recorder,
        );
        if let Some(role) = &plan.settings.credentials.hub_role_arn {
            store.set_hub_role(role);
        }
        let attempter =
            Attempter::new(Arc::clone(&seams.transport), Arc::clone(&seams.clock), Self::scope_of(doctor));
        Self {
            doctor,
            spoke,
            progress,
            attempter,
            store,
            recorders,
            relatives,
            known: Mutex::new((announced, Vec::new())),
            started: std::sync::Mutex::default(),
        }
    }

    fn scope_of(doctor: &Doctor) -> SigningScope {
        SigningScope::execute_api(doctor.plan.settings.endpoint.region.clone())
    }

    /// Keeps a step, and tells of it.
    fn took(&self, steps: &mut Vec<StepReport>, Walked { report, stop }: Walked) -> Option<Stop> {
        (self.progress)(self.spoke, &report);
        steps.push(report);
        stop
    }

    /// A spoke without a probe that may be sent: as far as its role.
    async fn without_probe(&self) -> Walk {
        let mut steps = Vec::new();
        if let Some(verdict) = self.own_identity(&mut steps, None).await {
            return Walk { steps, verdict };
        }
        let role = self.doctor.plan.roles.iter().find(|role| role.spokes.contains(self.spoke));
        if let Some(role) = role
            && let Some(verdict) = self.role(&mut steps, &Signer::Role(Arc::clone(&role.session)), None).await
        {
            return Walk { steps, verdict };
        }
        let evidence = vec![
            "no GET or HEAD probe to walk with: only the agent's identity and the role were tried".to_owned(),
        ];
        Walk { steps, verdict: verdict::passed(evidence) }
    }

    async fn walk(&self, target: &Arc<Target>) -> Walk {
        let mut steps = Vec::new();
        let settings = &self.doctor.plan.settings;
        let outside = &self.doctor.outside;
        let own_names = Names::new(&self.doctor.plan, target, None);
        let address =
            endpoint::address(&settings.endpoint, &target.api, target.addressing, target.id.zone.as_ref());
        let prepared = PreparedTarget::new(
            Arc::new(Target { fresh_connection: true, ..Target::clone(target) }),
            &settings.endpoint,
            &self.store,
            target.positive_control.as_ref().and_then(|id| self.recorders.get(id)).cloned(),
        );
        let (address, prepared) = match (address, prepared) {
            (Ok(address), Ok(prepared)) => (address, prepared),
            // A checked configuration does not get here.
            (Err(problem), _) => return self.cannot_address(steps, problem.to_string()),
            (_, Err(problem)) => return self.cannot_address(steps, problem.to_string()),
        };
        let (resolved, private) = reach::resolve(outside, settings, target, &address).await;
        if let Some(stop) = self.took(&mut steps, resolved) {
            return Walk { steps, verdict: verdict::on_the_way(Step::Resolve, &stop, Some(&own_names)) };
        }
        let connected = reach::connect(outside, &address.connect, &private).await;
        let mut degraded = None;
        if let Some(stop) = self.took(&mut steps, connected) {
            let verdict = verdict::on_the_way(Step::Connect, &stop, Some(&own_names));
            if !stop.passable {
                return Walk { steps, verdict };
            }
            degraded = Some(verdict);
        }
        if target.signer != Signer::Anonymous
            && let Some(verdict) = self.own_identity(&mut steps, Some(&own_names)).await
        {
            return Walk { steps, verdict };
        }
        let hub = if target.signer == Signer::Anonymous {
            None
        } else {
            self.doctor.own().await.identity.as_ref().ok()
        };
        let names = Names::new(&self.doctor.plan, target, hub);
        if let Some(verdict) = self.role(&mut steps, &target.signer, Some(&names)).await {
            return Walk { steps, verdict };
        }
        self.sign(&mut steps, &prepared);
        let verdict = self.invoke(&mut steps, target, &prepared, &names).await;
        // A dead address is told only where nothing worse is.
        let verdict = match degraded {
            Some(degraded) if verdict.passed() => degraded,
            _ => verdict,
        };
        Walk { steps, verdict }
    }

    fn cannot_address(&self, mut steps: Vec<StepReport>, problem: String) -> Walk {
        let stop = Stop { reason: Reason::Dns, evidence: vec![problem.clone()], passable: false };
        let report = walked(
            Step::Resolve,
            Duration::ZERO,
            vec![Finding::warning("addressing", problem)],
            Some(stop.clone()),
        );
        self.took(&mut steps, report);
        Walk { steps, verdict: verdict::on_the_way(Step::Resolve, &stop, None) }
    }

    async fn own_identity(&self, steps: &mut Vec<StepReport>, names: Option<&Names>) -> Option<Verdict> {
        let own = self.doctor.own().await;
        let configured = self.doctor.plan.settings.credentials.hub_role_arn.as_ref().map(ToString::to_string);
        let now = self.doctor.outside.seams.clock.wall();
        let (step, refused) = own_step(own, self.doctor.source.as_deref(), configured.as_deref(), now);
        self.took(steps, step);
        refused.map(|refused| verdict::without_session(Step::Identity, &refused, names))
    }

    /// The session of the signer, where it is a role's.
    async fn role(
        &self,
        steps: &mut Vec<StepReport>,
        signer: &Signer,
        names: Option<&Names>,
    ) -> Option<Verdict> {
        self.known(signer).await;
        let Signer::Role(role) = signer else { return None };
        let held = self.store.session(signer);
        let held = held.map(|session| session.and_then(|session| session.credentials.expires_at));
        let asked = self.doctor.sessions.asked(role);
        let chained = self.doctor.own().await.identity.as_ref().is_ok_and(|own| own.is_role_session());
        let now = self.doctor.outside.seams.clock.wall();
        let (step, refused) = role_step(role, &asked, held, chained, now);
        self.took(steps, step);
        refused.map(|refused| verdict::without_session(Step::AssumeRole, &refused, names))
    }

    /// Waits until the store has asked for a signer, whatever came of it, or until time is up.
    async fn known(&self, signer: &Signer) {
        if *signer == Signer::Anonymous {
            return;
        }
        self.start();
        let mut known = self.known.lock().await;
        let (announced, seen) = &mut *known;
        let wait = async {
            while !seen.contains(signer) {
                match announced.recv().await {
                    Some(other) => seen.push(other),
                    None => return,
                }
            }
        };
        // What time ran out for shows in the store as no session.
        let _in_time = within(&self.doctor.outside, STEP_MAX, wait).await;
    }

    /// Lets the store ask: not before somebody wants a session, so that unsigned walks ask STS nothing.
    fn start(&self) {
        let mut started = self.started.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if started.is_none() {
            let shutdown = CancellationToken::new();
            seams::spawn("credentials", Arc::clone(&self.store).run(shutdown.clone()));
            *started = Some(shutdown.drop_guard());
        }
    }

    fn sign(&self, steps: &mut Vec<StepReport>, prepared: &PreparedTarget) {
        let scope = Self::scope_of(self.doctor);
        let clock = &self.doctor.outside.seams.clock;
        let step = match self.store.session(&prepared.target().signer) {
            Ok(Some(session)) => {
                let begun = clock.now();
                match sign_request(prepared.request().clone(), &scope, &session.credentials, clock.wall()) {
                    Ok(request) => {
                        signed::step(&request, &scope, &session.credentials, clock.now().since(begun))
                    }
                    Err(problem) => walked(
                        Step::Sign,
                        clock.now().since(begun),
                        vec![Finding::warning("signature", problem.to_string())],
                        None,
                    ),
                }
            }
            _ => signed::unsigned_step(),
        };
        self.took(steps, step);
    }

    async fn invoke(
        &self,
        steps: &mut Vec<StepReport>,
        target: &Arc<Target>,
        prepared: &PreparedTarget,
        names: &Names,
    ) -> Verdict {
        let clock = &self.doctor.outside.seams.clock;
        let attempted = self.attempter.attempt_and_keep(prepared, clock.now()).await;
        let observation = &attempted.observation;
        if let Some(recorder) = self.recorders.get(&target.id) {
            recorder.due();
            recorder.started();
            recorder.observed(observation, true);
        }
        let error_type = error_type(&attempted);
        let mut findings = vec![Finding::new("probe", answer::shown(target))];
        findings.extend(answer::findings(&attempted, error_type.as_deref()));
        let expected = observation.verdict.expected;
        let mut further = Vec::new();
        if observation.verdict.reason == Reason::SignatureMismatch {
            further = self.mismatch(&attempted, target, &mut findings);
        }
        let stop = (!expected).then(|| Stop {
            reason: observation.verdict.reason,
            evidence: Vec::new(),
            passable: false,
        });
        self.took(steps, walked(Step::Invoke, observation.response_time(), findings, stop));
        if expected {
            let code = observation.code.map_or_else(|| "no answer".to_owned(), |code| code.to_string());
            let took = plain::span(observation.response_time());
            return verdict::passed(vec![format!(
                "{} was answered {code} in {took}, as expected",
                target.id
            )]);
        }
        let finding = self.twins(steps, target, &attempted).await;
        let answered = Answered {
            target,
            observation,
            error_type,
            explicit: attempted.wording.and_then(|wording| wording.explicit),
            finding: finding.as_ref(),
            further,
        };
        verdict::answered(&answered, names)
    }

    /// What AWS read in the place of what was signed.
    fn mismatch(&self, attempted: &Attempted, target: &Target, findings: &mut Vec<Finding>) -> Vec<String> {
        let response = attempted.exchange.as_ref().and_then(|exchange| exchange.result.as_ref().ok());
        let session = self.store.session(&target.signer).ok().flatten();
        let (Some(response), Some(sent), Some(session)) = (response, &attempted.sent, session) else {
            return Vec::new();
        };
        let Some(ours) = crate::signing::signed(sent, &Self::scope_of(self.doctor), &session.credentials)
        else {
            return Vec::new();
        };
        let found = signed::differences(response, &ours, &attempted.sent_secrets);
        let evidence = found.iter().map(|finding| format!("{}: {}", finding.about, finding.text)).collect();
        findings.extend(found);
        evidence
    }

    /// Asks again in other ways where the answer is vague.
    async fn twins(
        &self,
        steps: &mut Vec<StepReport>,
        target: &Arc<Target>,
        attempted: &Attempted,
    ) -> Option<narrowing::Finding> {
        let settings = &self.doctor.plan.settings;
        let clock = &self.doctor.outside.seams.clock;
        let wording = attempted.wording.filter(|wording| is_vague(wording.reason))?;
        let relatives = self.relatives.get(&target.id)?;
        let twins = Twins { target, relatives, settings: settings.diagnosis, endpoint: &settings.endpoint };
        let begun = clock.now();
        let mut evidence = twins.recorded_evidence(wording, begun);
        let mut findings = Vec::new();
        for twin in twins.worth_sending(&evidence) {
            let Some(changed) = twins.target(twin) else { continue };
            self.known(&changed.signer).await;
            let prepared = PreparedTarget::new(Arc::new(changed), &settings.endpoint, &self.store, None);
            let Ok(prepared) = prepared else { continue };
            let other = self.attempter.attempt_and_keep(&prepared, clock.now()).await;
            let told = answer::findings(&other, error_type(&other).as_deref());
            let told: Vec<String> = told
                .into_iter()
                .filter(|finding| ["status", "verdict", "message"].contains(&finding.about))
                .map(|finding| finding.text)
                .collect();
            findings.push(Finding::new(twin.as_str(), format!("{}: {}", answer::way(twin), told.join("; "))));
            let Some(said) = diagnosis::answer(twin, &other) else { continue };
            evidence.twins.push(said);
            if !is_vague(narrow(&evidence).reason) {
                break;
            }
        }
        if findings.is_empty() {
            let why = if !is_vague(narrow(&evidence).reason) {
                "not needed: what the other probes were answered says it"
            } else if target.request.is_safe() || target.twins {
                "there is no other way to ask"
            } else {
                "not asked again: the method is neither GET nor HEAD, and the probe does not say twins: true"
            };
            findings.push(Finding::new("twins", why));
        }
        let found = narrow(&evidence);
        let words: Vec<&str> = found.suspects.iter().map(|suspect| suspect.as_str()).collect();
        findings.push(Finding::new("narrowed", format!("{}: {}", found.reason, words.join(", "))));
        self.took(steps, walked(Step::Twins, clock.now().since(begun), findings, None));
        Some(found)
    }
}
