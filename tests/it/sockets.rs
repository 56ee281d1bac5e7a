//! The counterpart of `stage.rs` in real time: an agent and a simulated hub that talk over real sockets, TLS
//! and the AWS SDK's own credential chain. Tests on it are few and take seconds.

use crate::stage::{plan_of_documents, status_of};
use spokeprobe::app::{App, Handle, Seams, Stopped};
use spokeprobe::plan::Plan;
use spokeprobe::recording::Recorder;
use spokeprobe::seams::{Clock, SystemClock};
use spokeprobe::simulator::{
    Counts, DEMO_CONFIGURATION, DEMO_SESSION_POLICY, Hub, Running, Server, ServerOptions, World,
};
use spokeprobe::web;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A hub on sockets, with nobody asking it yet.
pub(crate) async fn hub_on_sockets(world: World, options: ServerOptions) -> Running {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let hub = Arc::new(Hub::new(world, clock.wall()));
    Server::start(hub, options, clock).await.unwrap()
}

/// A plan against a running hub. The configuration reads the demo's variables; more may be given.
pub(crate) fn plan_against(simulator: &Running, text: &str, more: &[(&str, &str)]) -> Plan {
    let environment = |name: &str| match name {
        "SPOKEPROBE_DEMO_URL" => Some(simulator.endpoint_url()),
        "SPOKEPROBE_DEMO_STS" => Some(simulator.sts_url.clone()),
        "SPOKEPROBE_DEMO_CA" => Some("ca.pem".to_owned()),
        _ => more.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()),
    };
    let files = [("ca.pem", simulator.ca_pem.as_str()), ("narrow.json", DEMO_SESSION_POLICY)];
    let mut plan = plan_of_documents(text, &files, &environment);
    let given = simulator.environment("eu-west-1");
    plan.settings.credentials.environment =
        Some(given.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    plan.settings.web.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    plan
}

/// The demo's plan against a running hub.
pub(crate) fn demo_plan_against(simulator: &Running) -> Plan {
    plan_against(simulator, DEMO_CONFIGURATION, &[])
}

/// The demo's configuration without its spokes: for stories with spokes of their own.
pub(crate) fn demo_head() -> &'static str {
    let end = DEMO_CONFIGURATION.find("\ndefaults:").unwrap();
    &DEMO_CONFIGURATION[..end]
}

/// An agent that runs against a hub on sockets, with its web server.
pub(crate) struct Agent {
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) web: SocketAddr,
    pub(crate) handle: Handle,
    simulator: Running,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), Stopped>>,
}

impl Agent {
    /// Starts an agent; `seams` may put something around the real ones.
    pub(crate) async fn start(simulator: Running, plan: &Plan, seams: impl FnOnce(Seams) -> Seams) -> Self {
        let listener = web::bind(&plan.settings.web).await.unwrap();
        let web = listener.address();
        let app = App::build(plan, seams(Seams::real(&plan.settings).unwrap())).unwrap();
        let (recorder, handle) = (Arc::clone(app.recorder()), app.handle());
        let shutdown = CancellationToken::new();
        let running = spokeprobe::seams::spawn("agent", app.run(Some(listener), shutdown.clone()));
        Self { recorder, web, handle, simulator, shutdown, running }
    }

    /// The hub.
    pub(crate) fn hub(&self) -> &Hub {
        self.simulator.hub()
    }

    /// Lets real time pass, and then checks that the books balance.
    pub(crate) async fn after_ms(&self, milliseconds: u64) {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        assert_eq!(self.recorder.imbalances(), []);
    }

    /// Waits until a target's last attempt ended for a reason, at most 20 s: when exactly is for the SDK's own
    /// retries and this machine to say.
    pub(crate) async fn until_last(&self, id: &str, reason: &str) {
        for _ in 0..80 {
            self.after_ms(250).await;
            if status_of(&self.recorder, id).last.is_some_and(|last| last.reason.as_str() == reason) {
                return;
            }
        }
        panic!("{id} never came to {reason}: {:?}", status_of(&self.recorder, id).last);
    }

    /// Waits until every target has ended this often, at most 30 s.
    pub(crate) async fn until_all_ended(&self, times: u64) {
        for _ in 0..120 {
            self.after_ms(250).await;
            if self.recorder.snapshot().targets.iter().all(|status| status.counts.ended() >= times) {
                return;
            }
        }
        panic!("some target did not end {times} times");
    }

    /// Asks the agent's web server for a path: the whole answer, head and all.
    pub(crate) async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.web).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.web);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Drains the agent and then stops the hub; what both have counted.
    pub(crate) async fn end(self) -> (Arc<Recorder>, Counts) {
        self.shutdown.cancel();
        self.running.await.unwrap().unwrap();
        assert_eq!(self.recorder.imbalances(), []);
        assert_eq!(self.recorder.snapshot().task_panics, 0);
        let counts = self.simulator.hub().counts();
        self.simulator.shutdown().await;
        (self.recorder, counts)
    }
}
