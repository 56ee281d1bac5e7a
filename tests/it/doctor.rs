//! The doctor over the demo's broken spokes and over every way in which a path can end early.

use crate::stage::{api_of, dawn, demo_plan, plan_of, policy, quiet_world, role_of};
use futures_util::future::BoxFuture;
use spokeprobe::app::Seams;
use spokeprobe::app::doctor::{Confidence, Doctor, ProbeChoice, SpokeReport, Step};
use spokeprobe::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use spokeprobe::plan::Plan;
use spokeprobe::seams::{Clock, Link, SessionFailure, Sessions, SystemClock, TokioWait, Wait};
use spokeprobe::simulator::{Hub, InMemory, World};
use std::sync::Arc;
use std::time::Duration;

/// A hub in memory and a doctor in front of it. Needs a paused runtime.
struct Ward {
    hub: Arc<Hub>,
    clock: SystemClock,
    seams: Seams,
    link: Arc<dyn Link>,
}

impl Ward {
    fn new(world: World) -> Self {
        let clock = SystemClock::simulated(dawn());
        let hub = Arc::new(Hub::new(world, dawn()));
        let (any_clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) =
            (Arc::new(clock), Arc::new(TokioWait::new(clock)));
        let inner = Arc::new(InMemory::new(Arc::clone(&hub), Arc::clone(&any_clock), Arc::clone(&wait)));
        let sessions = Arc::clone(&inner) as Arc<dyn Sessions>;
        let link = Arc::clone(&inner) as Arc<dyn Link>;
        let seams = Seams { clock: any_clock, wait, sessions, transport: inner };
        Self { hub, clock, seams, link }
    }

    async fn examine(
        &self,
        plan: &Plan,
        spoke: Option<&str>,
        probe: Option<(&str, &str)>,
    ) -> Vec<SpokeReport> {
        let doctor = Doctor::new(Arc::new(plan.clone()), self.seams.clone(), Arc::clone(&self.link), None);
        let spoke = spoke.map(|name| name.parse().unwrap());
        let choice = probe
            .map(|(api, probe)| ProbeChoice { api: api.parse().unwrap(), probe: probe.parse().unwrap() });
        doctor.examine(spoke.as_ref(), choice.as_ref(), &|_, _| ()).await.unwrap()
    }

    async fn one(&self, plan: &Plan, spoke: &str) -> SpokeReport {
        self.examine(plan, Some(spoke), None).await.remove(0)
    }
}

/// A verdict in a line: where, why, whose, how sure.
fn told(report: &SpokeReport) -> String {
    let verdict = &report.verdict;
    let probe = report.probe.as_ref().map(|id| format!("{}/{}", id.api, id.probe)).unwrap_or_default();
    format!(
        "{probe} {} {} {} {}{}",
        verdict.stopped_at.map_or("passed", Step::as_str),
        verdict.reason,
        verdict.owner.as_str(),
        verdict.confidence.as_str(),
        if verdict.candidates.is_empty() {
            String::new()
        } else {
            format!(" {}", verdict.candidates.join(","))
        }
    )
}

#[tokio::test(start_paused = true)]
async fn every_spoke_of_the_demo_gets_its_verdict() {
    let ward = Ward::new(quiet_world());
    let reports = ward.examine(&demo_plan(), None, None).await;
    for report in &reports {
        println!("{} {}", report.spoke, told(report));
    }
}
