//! No output shows a secret: a long hostile run in memory, a short one over sockets, and the commands, against far
//! sides that say back what they were sent. All that the program shows is looked through for every secret that was
//! ever given out.

mod echo;
mod scan;

use crate::program::{folder, run_with};
use crate::sockets::{Agent, demo_head, hub_on_sockets, plan_against};
use crate::stage::{api_of, dawn, plan_of_documents, quiet_world};
use echo::Echo;
use scan::{Secrets, base64};
use spokeprobe::app::{App, Seams};
use spokeprobe::config::{self, Document, Documents};
use spokeprobe::credentials::SdkSessions;
use spokeprobe::domain::moment::Moment;
use spokeprobe::domain::secret::Secret;
use spokeprobe::recording::{IncludeStatus, Recorder};
use spokeprobe::seams::{Clock, Link, Sessions as _, SystemClock, TokioWait, Transport, Wait, supervised};
use spokeprobe::simulator::world::{Behaviour, Integration, Route, Span};
use spokeprobe::simulator::{Hub, InMemory, ServerOptions, World};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What comes from the environment, and so is a secret: short words, and some that need escaping.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PAYMENTS_EXTERNAL_ID", "spokeprobe-payments"),
    ("ORDERS_EXTERNAL_ID", "spokeprobe-orders"),
    ("PAYMENTS_KEY", "header-sesame/51\"08"),
    ("PAYMENTS_BODY", "{\"name\":\"body sesame+2237\"}"),
];

/// The demo's head is for sockets; in memory nothing has to be said of where things are.
const HEAD: &str = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint: {id: vpce-0123456789abcdef0}
";

/// Every kind of target, since each shows its failures in its own way.
fn spokes(every: &str) -> String {
    format!(
        "
defaults: {{every: {every}}}
isolation: {{period: 1h}}
spokes:
  - name: payments
    account: '012345678901'
    external_id: ${{PAYMENTS_EXTERNAL_ID}}
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {{name: hello, request: GET /, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}}}
          - {{name: greet, request: POST /greet, body: '${{PAYMENTS_BODY}}', expect: {{body: nobody}}}}
          - {{name: echo, request: POST /echo, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}, body: '${{PAYMENTS_BODY}}', expect: {{status: 204}}}}
          - {{name: other-is-refused, request: GET /, as: spoke:orders, expect: {{denied_by: identity_policy}}, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}}}
          - {{name: unsigned-is-refused, request: GET /, as: anonymous, expect: {{denied: true}}, headers: {{x-team-key: '${{PAYMENTS_KEY}}'}}}}
          - {{name: as-hub, request: GET /, as: hub}}
  - name: orders
    account: '222233334444'
    external_id: ${{ORDERS_EXTERNAL_ID}}
    apis: [{{name: orders, id: b2c3d4e5f6, stage: api, probes: [{{name: hello, request: GET /}}]}}]
"
    )
}

fn world() -> World {
    let mut world = quiet_world();
    let api = api_of(&mut world, "012345678901");
    let like = api.routes.iter().find(|route| route.path == "/greet").unwrap().clone();
    let echo = Integration::Behaviour(Behaviour::Echo);
    api.routes.push(Route { path: "/echo".into(), integration: echo, ..like });
    world.hub.credentials_life = Span::from_seconds(24 * 3_600);
    world
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

impl Log {
    /// All of the agent's own lines, and what the program lets through of others'.
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::new("warn,spokeprobe=trace,aws_sigv4=off"))
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// What a recorder can tell, and everything that is shown is told by one.
fn told_by(recorder: &Recorder) -> Vec<(String, String)> {
    vec![
        ("metrics".into(), String::from_utf8(recorder.encode_text()).unwrap()),
        (
            "status".into(),
            format!(
                "{recorder:?} {:?} {:?}",
                recorder.snapshot(),
                recorder.conditions(Moment::from_origin(Duration::ZERO))
            ),
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn six_hours_of_echoes() {
    let log = Log::default();
    let _listening = log.listen();
    let clock = SystemClock::simulated(dawn());
    let hub = Arc::new(Hub::new(world(), dawn()));
    let (any_clock, wait): (Arc<dyn Clock>, Arc<dyn Wait>) =
        (Arc::new(clock), Arc::new(TokioWait::new(clock)));
    let inner = Arc::new(InMemory::new(Arc::clone(&hub), Arc::clone(&any_clock), Arc::clone(&wait)));
    let text = format!("{HEAD}{}", spokes("40s"));
    let mut plan = plan_of_documents(&text, &[], &|name| {
        ENVIRONMENT.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    });
    // The AWS SDK itself speaks to STS here, so that what it makes of an answer is looked through as well.
    let own = inner.hub_credentials().await.unwrap();
    let token = own.session_token.as_ref().map_or("", Secret::expose);
    let given = [
        ("AWS_ACCESS_KEY_ID", own.access_key_id.as_str()),
        ("AWS_SECRET_ACCESS_KEY", own.secret_access_key.expose()),
        ("AWS_SESSION_TOKEN", token),
    ];
    plan.settings.credentials.environment =
        Some(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect());
    let link = Arc::clone(&inner) as Arc<dyn Link>;
    let echo = Echo::before(inner);
    let network = Arc::clone(&echo) as Arc<dyn Transport>;
    let sessions = SdkSessions::new(&plan.settings.credentials, Arc::clone(&network), Arc::clone(&any_clock));
    let seams = Seams::shared(any_clock, wait, Arc::new(sessions), network, link);
    let app = App::build(&plan, seams).unwrap();
    let recorder = Arc::clone(app.recorder());
    let shutdown = CancellationToken::new();
    let running = spokeprobe::seams::spawn("agent", app.run(None, shutdown.clone()));

    // A defect that has a token at hand when it panics.
    let panics = Arc::new(Mutex::new(0));
    let mut said = hub.secrets_issued().into_iter().cycle();
    let counted = Arc::clone(&panics);
    let defect = supervised("defect", Arc::new(move || *counted.lock().unwrap() += 1), move || {
        let secret = said.next().unwrap();
        async move {
            tokio::time::sleep(Duration::from_secs(600)).await;
            // As a panic, but without its text on the test's own output.
            std::panic::resume_unwind(Box::new(format!("header x-amz-security-token: {secret}")));
        }
    });

    let mut shown = vec![("plan".to_owned(), format!("{plan:?}"))];
    for hour in 0..6 {
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert_eq!(recorder.imbalances(), [], "hour {hour}");
        shown.extend(told_by(&recorder));
    }
    defect.abort();
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert!(*panics.lock().unwrap() > 20);
    let [requests, calls] = echo.heard();
    assert!(requests > 3_000 && calls > 20, "{requests} {calls}");

    shown.push(("the log".into(), log.text()));
    let mut secrets = Secrets::default();
    secrets.add(hub.secrets_issued());
    secrets.add(ENVIRONMENT.map(|(_, value)| value));
    secrets.add(["body sesame+2237"]);
    assert!(secrets.len() > 20, "{}", secrets.len());
    secrets.assert_in_none(&shown);

    // What is looked through would show one: as an error's text it comes into status and page.
    let leak = secrets.first_longer_than(60).to_owned();
    for said in [leak.clone(), base64(leak.as_bytes())] {
        recorder.set_includes(vec![IncludeStatus { file: "leak.yaml".into(), problems: vec![said] }]);
        let found = told_by(&recorder).iter().flat_map(|(_, text)| secrets.shown_in(text)).count();
        assert!(found > 0, "a seeded leak must be found");
    }
}

#[tokio::test]
async fn a_minute_of_echoes_over_sockets() {
    let log = Log::default();
    let _listening = log.listen();
    let simulator = hub_on_sockets(world(), ServerOptions::default()).await;
    let folder = folder("secrets");
    let ca_file = folder.join("ca.pem");
    std::fs::write(&ca_file, &simulator.ca_pem).unwrap();
    let places = [
        ("SPOKEPROBE_DEMO_URL", simulator.endpoint_url()),
        ("SPOKEPROBE_DEMO_STS", simulator.sts_url.clone()),
        ("SPOKEPROBE_DEMO_CA", ca_file.to_str().unwrap().to_owned()),
    ];
    let environment: Vec<(String, String)> = simulator
        .environment("eu-west-1")
        .into_iter()
        .chain(places)
        .chain(ENVIRONMENT.map(|(name, value)| (name, value.to_owned())))
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    let text = format!("{}\n{}", demo_head(), spokes("1s").replace("period: 1h", "period: 1m"));
    let plan = plan_against(&simulator, &text, &ENVIRONMENT);
    let mut echoes = None;
    let agent = Agent::start(simulator, &plan, |mut seams| {
        let echo = Echo::before(Arc::clone(&seams.transport));
        seams.transport = Arc::clone(&echo) as Arc<dyn Transport>;
        let settings = &plan.settings.credentials;
        seams.sessions =
            Arc::new(SdkSessions::new(settings, Arc::clone(&seams.transport), Arc::clone(&seams.clock)));
        echoes = Some(echo);
        seams
    })
    .await;
    for _ in 0..60 {
        agent.after_ms(250).await;
        if echoes.as_ref().unwrap().heard()[0] >= 60 {
            break;
        }
    }
    assert!(echoes.unwrap().heard()[0] >= 60, "they say back what they hear");
    let mut secrets = Secrets::default();
    secrets.add(agent.hub().secrets_issued());
    secrets.add(ENVIRONMENT.map(|(_, value)| value));
    let leak = secrets.first_longer_than(60).to_owned();
    let mut shown = Vec::new();
    let escaped = leak.replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
    for path in [
        "/metrics",
        "/api/v1/status",
        "/",
        "/?spoke=payments",
        "/?spoke=orders",
        "/?spoke=nobody",
        "/-/healthy",
        "/-/ready",
        "/-/reload",
        "/nowhere",
        "/api/v1/status?x=%ff",
        // An error's text may repeat a path, and whoever pastes a token there is to find it nowhere else.
        &format!("/{}", &escaped[..escaped.len().min(300)]),
        &format!("/?spoke={}", &escaped[..escaped.len().min(300)]),
    ] {
        shown.push((path[..path.len().min(30)].to_owned(), agent.get(path).await));
    }
    // The commands, each in a process of its own, against the same hub.
    let file = folder.join("config.yaml");
    std::fs::write(&file, &text).unwrap();
    shown.extend(
        tokio::task::spawn_blocking(move || commands(file.to_str().unwrap(), &environment)).await.unwrap(),
    );
    secrets.add(agent.hub().secrets_issued());
    assert!(secrets.len() >= 10);
    let (recorder, _) = agent.end().await;
    shown.extend(told_by(&recorder));
    shown.push(("the log".into(), log.text()));
    secrets.assert_in_none(&shown);
    assert!(shown.iter().any(|(place, text)| place.starts_with("call") && text.contains("***")));
}

/// What the commands show: of a configuration with secrets, and of calls to the api that says everything back.
fn commands(file: &str, environment: &[(String, String)]) -> Vec<(String, String)> {
    let key = ["-H", "x-team-key: seen"];
    let arguments: [&[&str]; 10] = [
        &["plan"],
        &["plan", "--json"],
        &["call", "payments/hoot", "POST", "/echo", "-v", "-d", "hello", key[0], key[1]],
        &["call", "payments/hoot", "POST", "/echo", "-v", "--json"],
        &["call", "payments/hoot", "GET", "/nowhere", "-v"],
        &["call", "orders/orders", "GET", "/", "--as", "hub", "-v"],
        &["doctor", "--json"],
        &["doctor", "payments"],
        &["policy", "trust"],
        &["policy", "permissions"],
    ];
    let mut shown = Vec::new();
    for args in arguments {
        let args: Vec<&str> =
            ["--log", "trace"].iter().chain(args).chain(&["--config", file]).copied().collect();
        let ran = run_with(&args, environment);
        assert!(ran.status.is_some_and(|status| status < 2), "{args:?}: {ran:?}");
        shown.push((args[2..].join(" "), format!("{}\n{}", ran.stdout, ran.stderr)));
    }
    shown.push(("explain".into(), run_with(&["explain", "assume_role_denied"], environment).stdout));
    shown
}

/// A configuration that is refused says what is wrong with a secret, and not what it is.
#[test]
fn problems_of_a_configuration_show_no_secret() {
    let long = format!("long-sesame-{}", "x1Y/".repeat(400));
    let mut secrets = Secrets::default();
    let mut texts = Vec::new();
    for (name, bad) in [
        ("PAYMENTS_EXTERNAL_ID", long.as_str()),
        ("PAYMENTS_EXTERNAL_ID", "an external sesame, 4412"),
        ("PAYMENTS_KEY", "a key\nof sesame 9034"),
        ("PAYMENTS_KEY", "clé-de-sésame-7718"),
    ] {
        secrets.add([bad]);
        let text = format!("{HEAD}{}", spokes("20s"));
        let main = Document::parse("story", &text).unwrap();
        let documents = Documents { main, included: Vec::new(), files: Default::default() };
        let read = config::read(&documents, &|asked| {
            let known = ENVIRONMENT.iter().find(|(known, _)| *known == asked)?.1;
            Some(if asked == name { bad } else { known }.to_owned())
        });
        texts.push((
            format!("{name} {}", bad.len()),
            match read {
                Ok(config) => format!("{config:?}"),
                Err(problems) => problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
            },
        ));
    }
    secrets.assert_in_none(&texts);
    assert!(texts.iter().filter(|(_, text)| text.contains("wanted")).count() >= 2, "{texts:?}");
}
