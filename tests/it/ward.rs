//! Where the doctor is tried: a hub in memory, and somebody in between who looks on and meddles. Time is paused.

use crate::stage::dawn;
use futures_util::future::BoxFuture;
use spokeprobe::app::Seams;
use spokeprobe::app::doctor::{Doctor, ProbeChoice, SpokeReport, Step, Unknown};
use spokeprobe::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use spokeprobe::domain::request::{
    ConnectTarget, Exchange, FailureKind, OutgoingRequest, SendOptions, TransportFailure,
};
use spokeprobe::domain::secret::Secret;
use spokeprobe::plan::Plan;
use spokeprobe::seams::{
    Clock, FetchFailure, FetchRequest, FetchResponse, Handshake, Link, ServicePlace, SessionFailure,
    Sessions, SystemClock, TokioWait, Transport, Wait,
};
use spokeprobe::simulator::{Hub, InMemory, World};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Stands between the doctor and the hub: remembers secrets and methods, and meddles where a story asks for it.
pub(crate) struct Between {
    inner: Arc<InMemory>,
    pub(crate) seen: Mutex<Seen>,
    /// Hands out the first credentials of the hub for ever, as pasted keys are.
    stale: bool,
    /// Changes the path after signing, as a proxy would.
    tampers: bool,
}

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) secrets: Vec<String>,
    first: Option<SessionCredentials>,
    pub(crate) methods: Vec<String>,
}

impl Between {
    fn note(&self, credentials: &SessionCredentials) {
        let mut seen = self.seen.lock().unwrap();
        seen.secrets.push(credentials.secret_access_key.expose().to_owned());
        seen.secrets.extend(credentials.session_token.as_ref().map(Secret::expose).map(str::to_owned));
    }
}

impl Sessions for Between {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            if let (true, Some(first)) = (self.stale, self.seen.lock().unwrap().first.clone()) {
                return Ok(first);
            }
            let credentials = self.inner.hub_credentials().await?;
            self.note(&credentials);
            self.seen.lock().unwrap().first.get_or_insert_with(|| credentials.clone());
            Ok(credentials)
        })
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        self.inner.caller_identity(credentials)
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let session = self.inner.assume_role(role, duration).await?;
            self.note(&session);
            Ok(session)
        })
    }
}

impl Transport for Between {
    fn send(
        &self,
        mut request: OutgoingRequest,
        to: Arc<ConnectTarget>,
        options: SendOptions,
    ) -> BoxFuture<'_, Exchange> {
        self.seen.lock().unwrap().methods.push(request.method.to_string());
        if self.tampers {
            request.path_and_query.push_str("?added=1");
        }
        self.inner.send(request, to, options)
    }

    fn fetch(&self, request: FetchRequest) -> BoxFuture<'_, Result<FetchResponse, FetchFailure>> {
        self.inner.fetch(request)
    }
}

/// A hub in memory and what a doctor needs in front of it. Needs a paused runtime.
pub(crate) struct Ward {
    pub(crate) clock: SystemClock,
    pub(crate) between: Arc<Between>,
    seams: Seams,
    pub(crate) link: Arc<dyn Link>,
}

impl Ward {
    pub(crate) fn new(world: World) -> Self {
        Self::with(world, false, false)
    }

    pub(crate) fn with(world: World, stale: bool, tampers: bool) -> Self {
        let clock = SystemClock::simulated(dawn());
        let hub = Arc::new(Hub::new(world, dawn()));
        let (any_clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) =
            (Arc::new(clock), Arc::new(TokioWait::new(clock)));
        let inner = Arc::new(InMemory::new(hub, Arc::clone(&any_clock), Arc::clone(&wait)));
        let link = Arc::clone(&inner) as Arc<dyn Link>;
        let between = Arc::new(Between { inner, seen: Mutex::default(), stale, tampers });
        let sessions = Arc::clone(&between) as Arc<dyn Sessions>;
        let transport = Arc::clone(&between) as Arc<dyn Transport>;
        let seams = Seams::shared(any_clock, wait, sessions, transport, Arc::clone(&link));
        Self { clock, between, seams, link }
    }

    pub(crate) async fn examine(
        &self,
        plan: &Plan,
        spoke: Option<&str>,
        probe: Option<(&str, &str)>,
    ) -> Result<Vec<SpokeReport>, Unknown> {
        let doctor = Doctor::new(Arc::new(plan.clone()), self.seams.clone(), Arc::clone(&self.link), None);
        let spoke = spoke.map(|name| name.parse().unwrap());
        let choice = probe
            .map(|(api, probe)| ProbeChoice { api: api.parse().unwrap(), probe: probe.parse().unwrap() });
        doctor.examine(spoke.as_ref(), choice.as_ref(), &|_, _| ()).await
    }

    pub(crate) async fn one(&self, plan: &Plan, spoke: &str) -> SpokeReport {
        self.examine(plan, Some(spoke), None).await.unwrap().remove(0)
    }
}

/// A network in which one address is dead.
pub(crate) struct HalfDead {
    pub(crate) inner: Arc<dyn Link>,
    pub(crate) dead: IpAddr,
}

impl Link for HalfDead {
    fn resolve(&self, host: String) -> BoxFuture<'_, Result<Vec<IpAddr>, TransportFailure>> {
        self.inner.resolve(host)
    }

    fn handshake(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Handshake, TransportFailure>> {
        if address.ip() == self.dead {
            let detail = "nobody \u{1b}[31mhome".to_owned();
            return Box::pin(async { Err(TransportFailure { kind: FailureKind::ConnectRefused, detail }) });
        }
        self.inner.handshake(address, tls_name, timeout)
    }

    fn presented_chain(
        &self,
        address: SocketAddr,
        tls_name: String,
        timeout: Duration,
    ) -> BoxFuture<'_, Result<Vec<Vec<u8>>, TransportFailure>> {
        self.inner.presented_chain(address, tls_name, timeout)
    }

    fn services(&self, name: String) -> BoxFuture<'_, Result<Vec<ServicePlace>, TransportFailure>> {
        self.inner.services(name)
    }

    fn is_own(&self, address: IpAddr) -> bool {
        self.inner.is_own(address)
    }
}

/// A verdict in a line: the probe, where, why, whose, how sure.
pub(crate) fn told(report: &SpokeReport) -> String {
    let verdict = &report.verdict;
    let probe = report.probe.as_ref().map(|id| format!("{}/{}", id.api, id.probe)).unwrap_or_default();
    let candidates = verdict.candidates.join(",");
    format!(
        "{probe} {} {} {} {} {candidates}",
        verdict.stopped_at.map_or("passed", Step::as_str),
        verdict.reason,
        verdict.owner.as_str(),
        verdict.confidence.as_str(),
    )
    .trim()
    .to_owned()
}

/// The texts of a report that are about something.
pub(crate) fn findings(report: &SpokeReport, about: &str) -> Vec<String> {
    let all = report.steps.iter().flat_map(|step| &step.findings);
    all.filter(|finding| finding.about == about).map(|finding| finding.text.clone()).collect()
}
