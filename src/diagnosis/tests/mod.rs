//! Diagnoses against the simulated hub, in memory under a paused clock.

mod lives;
mod worlds;

use super::*;
use crate::attempt::PreparedTarget;
use crate::domain::target::TargetId;
use crate::plan::Plan;
use crate::recording::TargetRecorder;
use crate::seams::{Sessions, SystemClock, TokioWait, Transport, Wait};
use crate::signing::SigningScope;
use crate::simulator::World;
use crate::simulator::core::Hub;
use crate::simulator::in_memory::InMemory;
use std::collections::HashMap;
use std::time::{Duration, UNIX_EPOCH};

const CONFIGURATION: &str = r#"
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint:
    id: vpce-0123456789abcdef0
    dns_name: vpce-0123456789abcdef0-abcdefgh.execute-api.eu-west-1.vpce.amazonaws.com
spokes:
  - name: one
    account: "012345678901"
    external_id: spokeprobe-one
    apis:
      - name: api
        id: a1b2c3d4e5
        stage: api
        probes:
"#;

const OTHER_SPOKE: &str = r#"
  - name: two
    account: "222233334444"
    external_id: spokeprobe-two
    apis:
      - name: api
        id: b1b2c3d4e5
        stage: api
        probes: [{name: hello, request: GET /}]
"#;

/// An agent without a timetable: attempts are made when the test says so.
struct Bench {
    hub: Arc<Hub>,
    clock: SystemClock,
    attempter: Arc<Attempter>,
    diagnoser: Arc<Diagnoser>,
    recorder: Arc<Recorder>,
    store: Arc<Store>,
    plan: Plan,
    cases: HashMap<TargetId, Arc<Case>>,
    recorders: HashMap<TargetId, Arc<TargetRecorder>>,
}

impl Bench {
    /// The probes of `one/api`, one a line in YAML.
    async fn new(world: &str, probes: &str) -> Self {
        let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let clock = SystemClock::simulated(wall);
        let hub = Arc::new(Hub::new(World::parse(world).unwrap(), wall));
        let wait = TokioWait::new(clock);
        let outside = Arc::new(InMemory::new(Arc::clone(&hub), Arc::new(clock), Arc::new(wait)));
        let probes: String = probes.lines().map(|line| format!("          - {}\n", line.trim())).collect();
        let text = format!("{CONFIGURATION}{probes}{}", OTHER_SPOKE.trim_start_matches('\n'));
        let plan = crate::sources::load_plan_text("test", &text, &|_| None).unwrap().plan;
        let recorder = Arc::new(Recorder::new(&plan.settings.recording));
        recorder.set_spokes(&plan.spokes);
        let (store, _announced) = Store::new(
            &plan.roles,
            true,
            Arc::clone(&outside) as Arc<dyn Sessions>,
            Arc::new(clock),
            Arc::new(wait) as Arc<dyn Wait>,
            Arc::clone(&recorder),
        );
        crate::seams::spawn("credentials", Arc::clone(&store).run(CancellationToken::new()));
        store.all_asked().wait_for(|asked| *asked).await.unwrap();
        let scope = SigningScope::execute_api(plan.settings.endpoint.region.clone());
        let attempter = Arc::new(Attempter::new(outside as Arc<dyn Transport>, Arc::new(clock), scope));
        let diagnoser = Arc::new(Diagnoser::new(
            Settings { hub_twins: true },
            plan.settings.endpoint.clone(),
            Arc::clone(&attempter),
            Arc::clone(&recorder),
            Arc::clone(&store),
            Arc::new(clock),
        ));
        let recorders: HashMap<_, _> =
            plan.targets.iter().map(|target| (target.id.clone(), recorder.add_target(target))).collect();
        let mut kin = relatives(&plan.targets, &plan.roles, &recorders);
        let cases = plan
            .targets
            .iter()
            .map(|target| {
                let relatives = kin.remove(&target.id).unwrap();
                let recorder = Arc::clone(&recorders[&target.id]);
                (target.id.clone(), Case::new(Arc::clone(target), recorder, relatives))
            })
            .collect();
        Self { hub, clock, attempter, diagnoser, recorder, store, plan, cases, recorders }
    }

    fn id(&self, path: &str) -> TargetId {
        self.plan.targets.iter().find(|target| target.id.to_string() == path).unwrap().id.clone()
    }

    /// One attempt as `pacing` makes it, and the twins it asks for.
    async fn attempt(&self, path: &str) -> Attempted {
        let id = self.id(path);
        let case = &self.cases[&id];
        let attempted = self.judged(&id, case.lesson(self.clock.now())).await;
        let recorder = &self.recorders[&id];
        recorder.due();
        recorder.started();
        recorder.observed(&attempted.observation, true);
        self.diagnoser.saw(case, &attempted, || Some(()));
        // Under the paused clock this ends when nothing else can go on.
        tokio::time::sleep(Duration::from_millis(10)).await;
        attempted
    }

    async fn judged(&self, id: &TargetId, lesson: Option<crate::classify::Lesson>) -> Attempted {
        let target = Arc::clone(self.cases[id].target());
        let prepared = PreparedTarget::new(target, &self.plan.settings.endpoint, &self.store, None).unwrap();
        self.attempter.attempt_informed(&prepared, self.clock.now(), lesson).await
    }

    fn diagnosis(&self, path: &str) -> Option<crate::recording::KnownDiagnosis> {
        self.recorders[&self.id(path)].status().diagnosis
    }

    fn twins(&self, path: &str) -> u64 {
        self.recorders[&self.id(path)].counts().twins.sent
    }
}

/// A world of one api in account one, whose policies are given as JSON.
#[derive(Debug)]
struct Policies {
    endpoint: Option<String>,
    resource: String,
    identity: Vec<String>,
    boundary: Option<String>,
    service_control: Vec<String>,
    organization: &'static str,
    authorization: &'static str,
    routes: &'static str,
    old_wording: bool,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            endpoint: None,
            resource: statements(&[
                r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#,
            ]),
            identity: vec![statements(&[r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#])],
            boundary: None,
            service_control: Vec::new(),
            organization: "o-a1b2c3d4e5",
            authorization: "AWS_IAM",
            routes: "/ /other",
            old_wording: true,
        }
    }
}

fn statements(all: &[&str]) -> String {
    format!(r#"{{"Version": "2012-10-17", "Statement": [{}]}}"#, all.join(", "))
}

impl Policies {
    fn world(&self) -> String {
        let trust = statements(&[
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "*"}"#,
        ]);
        let everything = statements(&[r#"{"Effect": "Allow", "Action": "*", "Resource": "*"}"#]);
        let open = statements(&[r#"{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}"#]);
        let routes: Vec<String> = self
            .routes
            .split(' ')
            .map(|path| {
                format!(
                    "{{method: GET, path: {path}, authorization: {}, integration: {{json: {{}}}}}}",
                    self.authorization
                )
            })
            .collect();
        let policy = |key: &str, document: &Option<String>| {
            document.as_ref().map(|text| format!(", {key}: {text}")).unwrap_or_default()
        };
        format!(
            r#"
region: eu-west-1
hub: {{account: "111122223333", role: spokeprobe-hub}}
endpoint: {{id: vpce-0123456789abcdef0, suffix: abcdefgh, old_wording: {old}, zones: {{euw1-az1: 10.0.1.17}}{endpoint}}}
accounts:
  - id: "111122223333"
    organization: o-a1b2c3d4e5
    roles: [{{name: spokeprobe-hub, policies: [{everything}]}}]
  - id: "012345678901"
    organization: {organization}
    service_control_policies: [{scp}]
    roles: [{{name: spokeprobe, trust: {trust}, policies: [{identity}]{boundary}}}]
    apis:
      - {{id: a1b2c3d4e5, stages: [api], resource_policy: {resource}, routes: [{routes}]}}
  - id: "222233334444"
    organization: o-a1b2c3d4e5
    roles: [{{name: spokeprobe, trust: {trust}, policies: [{everything}]}}]
    apis:
      - {{id: b1b2c3d4e5, stages: [api], resource_policy: {open}, routes: [{{method: GET, path: /, authorization: AWS_IAM, integration: {{json: {{}}}}}}]}}
"#,
            old = self.old_wording,
            endpoint = policy("policy", &self.endpoint),
            organization = self.organization,
            scp = self.service_control.join(", "),
            identity = self.identity.join(", "),
            boundary = policy("boundary", &self.boundary),
            resource = self.resource,
            routes = routes.join(", "),
        )
    }
}
