//! The far side does its worst over real sockets: nothing panics, the agent goes on, every answer has a name,
//! and no secret shows in what the agent says, not even one that the far side says back.

use crate::sockets::{Agent, demo_head, hub_on_sockets, plan_against};
use crate::stage::{api_of, quiet_world, status_of};
use futures_util::future::BoxFuture;
use spokeprobe::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use spokeprobe::domain::secret::Secret;
use spokeprobe::seams::{SessionFailure, Sessions};
use spokeprobe::simulator::world::{Fault, Integration, Mock, Route};
use spokeprobe::simulator::{ServerOptions, WireFault, World};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAYMENTS: &str = "012345678901";
const ORDERS: &str = "222233334444";

/// Each fault with the ways in which an attempt may end that meets it.
const FAULTS: [(&str, Fault, &[&str]); 13] = [
    ("reset", Fault::Wire(WireFault::Reset), &["reset"]),
    ("close", Fault::Wire(WireFault::Close), &["reset"]),
    ("half-body", Fault::Wire(WireFault::HalfBody), &["protocol"]),
    ("chunked-garbage", Fault::Wire(WireFault::ChunkedGarbage), &["protocol"]),
    ("garbage", Fault::Wire(WireFault::Garbage), &["protocol"]),
    ("hang", Fault::Wire(WireFault::Hang), &["response_timeout"]),
    ("huge-body", Fault::Wire(WireFault::HugeBody(50 << 20)), &["unexpected_body"]),
    ("long-header", Fault::HugeHeader(60_000), &["none"]),
    ("huge-header", Fault::HugeHeader(4 << 20), &["protocol"]),
    ("not-utf8", Fault::NotUtf8, &["unexpected_body"]),
    ("page-200", Fault::Html(200), &["not_api_gateway"]),
    ("page-403", Fault::Html(403), &["not_api_gateway"]),
    ("page-503", Fault::Html(503), &["not_api_gateway"]),
];

/// What comes from the environment, and so is a secret.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("PAYMENTS_EXTERNAL_ID", "spokeprobe-payments"),
    ("PAYMENTS_KEY", "header-sesame-5108"),
    ("PAYMENTS_BODY", "{\"name\":\"body-sesame-2237\"}"),
];

fn world() -> World {
    let mut world = quiet_world();
    let api = api_of(&mut world, PAYMENTS);
    let like = api.routes[0].clone();
    for (name, fault, _) in FAULTS {
        api.routes.push(Route { path: format!("/{name}"), fault: Some(fault), ..like.clone() });
    }
    // A backend that says back what it was sent, and talks to terminals and pages.
    let mock = Mock {
        status: 500,
        headers: [("Server".to_owned(), "<script>alert(1)</script>".to_owned())].into(),
        body: Some("\u{1b}[31mheader-sesame-5108 <script>alert(2)</script>".into()),
        json: None,
    };
    api.routes.push(Route { path: "/echo".into(), integration: Integration::Mock(mock), ..like });
    world
}

fn configuration() -> String {
    let mut text = format!(
        "{}
defaults: {{every: 1s}}
spokes:
  - name: orders
    account: '{ORDERS}'
    external_id: spokeprobe-orders
    apis: [{{name: orders, id: b2c3d4e5f6, stage: api, probes: [{{name: hello, request: GET /}}]}}]
  - name: payments
    account: '{PAYMENTS}'
    external_id: ${{PAYMENTS_EXTERNAL_ID}}
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {{name: hello, request: GET /, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}}}
          - {{name: greet, request: POST /greet, body: '${{PAYMENTS_BODY}}', expect: {{body: nobody}}}}
          - {{name: echo, request: GET /echo, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}}}
",
        demo_head()
    );
    for (name, ..) in FAULTS {
        // Only the one that hangs is waited for in vain; the others have all the time of a busy machine.
        let timeout = if name == "hang" { "900ms" } else { "20s" };
        text += &format!(
            "          - {{name: {name}, request: GET /{name}, timeout: {timeout}, expect: {{json: {{hello: world}}}}}}\n"
        );
    }
    text
}

/// Keeps every secret that the agent was given, and spoils the one of orders, so that the gateway answers it
/// with all that was signed, session token included.
struct Spoiling {
    inner: Arc<dyn Sessions>,
    issued: Arc<Mutex<Vec<String>>>,
}

impl Spoiling {
    fn keep(&self, given: &SessionCredentials) {
        let mut issued = self.issued.lock().unwrap();
        issued.push(given.secret_access_key.expose().to_owned());
        issued.extend(given.session_token.as_ref().map(|token| token.expose().to_owned()));
    }
}

impl Sessions for Spoiling {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move {
            let given = self.inner.hub_credentials().await?;
            self.keep(&given);
            Ok(given)
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
            let orders = role.role_arn.account().as_str() == ORDERS;
            let mut given = self.inner.assume_role(role, duration).await?;
            self.keep(&given);
            if orders {
                given.secret_access_key = Secret::new("a key that signs nothing right");
            }
            Ok(given)
        })
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_worst_is_named_and_no_secret_shows() {
    let log = Log::default();
    let writer = log.clone();
    // The test's runtime has one thread, so all that the agent logs passes here; as the program sets it up,
    // only with all of the agent's own lines.
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new("warn,spokeprobe=trace"))
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);

    let simulator = hub_on_sockets(world(), ServerOptions::default()).await;
    let plan = plan_against(&simulator, &configuration(), &ENVIRONMENT);
    let issued = Arc::new(Mutex::new(Vec::new()));
    let agent = Agent::start(simulator, &plan, |mut seams| {
        seams.sessions =
            Arc::new(Spoiling { inner: Arc::clone(&seams.sessions), issued: Arc::clone(&issued) });
        seams
    })
    .await;
    agent.until_all_ended(2).await;

    let reasons = |id: &str| -> Vec<&str> {
        let results = status_of(&agent.recorder, id).counts.results;
        results.iter().filter(|each| each.count > 0).map(|each| each.reason.as_str()).collect()
    };
    for (name, _, expected) in FAULTS {
        assert_eq!(reasons(&format!("payments/hoot/{name}")), expected, "{name}");
    }
    assert_eq!(reasons("payments/hoot/hello"), ["none"], "the same api, amidst all that");
    assert_eq!(reasons("payments/hoot/greet"), ["unexpected_body"]);
    assert_eq!(reasons("payments/hoot/echo"), ["backend_status"]);
    assert_eq!(reasons("orders/orders/hello"), ["signature_mismatch"]);

    let mut shown = Vec::new();
    for path in ["/metrics", "/api/v1/status", "/"] {
        let answer = agent.get(path).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{path}: {answer}");
        shown.push((path, answer));
    }
    let (recorder, _) = agent.end().await;
    shown.push(("the log", String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned()));
    shown.push(("debug", format!("{recorder:?} {plan:?} {:?}", recorder.snapshot())));
    let mut secrets = issued.lock().unwrap().clone();
    assert!(secrets.len() >= 6, "the hub's and two roles'");
    secrets.extend(ENVIRONMENT.iter().map(|(_, value)| (*value).to_owned()));
    secrets.push("body-sesame-2237".into());
    for (place, text) in &shown {
        for secret in &secrets {
            // Also a part of a token is a secret.
            let part = &secret[..secret.len().min(40)];
            assert!(!text.contains(part), "{place} shows {part}");
        }
        assert!(!text.contains("<script>alert"), "{place}");
    }
    assert!(shown[1].1.contains("signature_mismatch"));
    // Of the log no line is asked for here: whether a line's place in the code is switched on is shared by all
    // tests of this process. The foreign tests scan the log of the built program.
}

#[tokio::test]
async fn an_sts_and_an_endpoint_that_do_their_worst_break_nothing() {
    let mut world = world();
    world.sts.fault = Some(Fault::Wire(WireFault::Garbage));
    let simulator = hub_on_sockets(world, ServerOptions::default()).await;
    let plan = plan_against(&simulator, &configuration(), &ENVIRONMENT);
    let agent = Agent::start(simulator, &plan, |seams| seams).await;
    agent.until_last("payments/hoot/hello", "assume_role_failed").await;

    agent.hub().change(|world| {
        world.sts.fault = None;
        world.endpoint.fault = Some(Fault::Wire(WireFault::Garbage));
    });
    agent.until_last("payments/hoot/hello", "protocol").await;
    agent.hub().change(|world| world.endpoint.fault = None);
    agent.until_last("payments/hoot/hello", "none").await;
    agent.end().await;
}
