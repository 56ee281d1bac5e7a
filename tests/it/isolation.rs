//! The whole agent over the simulated hub in memory, under a paused clock: every role at every foreign api.
//!
//! Four spokes whose resource policies refuse strangers in different ways; one of them opens its door while
//! the agent runs, and mends it.

use serde_json::Value;
use spokeprobe::app::{App, Seams};
use spokeprobe::recording::{IsolationStatus, PairState, Recorder};
use spokeprobe::seams::{SystemClock, TokioWait};
use spokeprobe::simulator::{Hub, InMemory, World};
use spokeprobe::{plan, seams, sources};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio_util::sync::CancellationToken;

const MINUTE: Duration = Duration::from_secs(60);
/// 2027-01-15T08:00:00Z.
const START: Duration = Duration::from_secs(1_800_000_000);

struct Spoke {
    name: &'static str,
    account: &'static str,
    api: &'static str,
    /// What the role may call: a resource pattern, and one that is denied.
    may: &'static str,
    must_not: Option<&'static str>,
    /// Whether strangers are denied explicitly, or merely not allowed.
    denies: bool,
}

const SPOKES: [Spoke; 4] = [
    Spoke { name: "ant", account: "111111111111", api: "aaaaaaaaa1", may: "*", must_not: None, denies: true },
    // Its own side keeps it from the cat.
    Spoke {
        name: "bee",
        account: "222222222222",
        api: "bbbbbbbbb2",
        may: "*",
        must_not: Some("arn:aws:execute-api:eu-west-1:333333333333:*"),
        denies: true,
    },
    Spoke { name: "cat", account: "333333333333", api: "ccccccccc3", may: "*", must_not: None, denies: true },
    // Does not say that it refuses: AWS's text then leaves open who did.
    Spoke {
        name: "dog",
        account: "444444444444",
        api: "ddddddddd4",
        may: "arn:aws:execute-api:eu-west-1:444444444444:*",
        must_not: None,
        denies: false,
    },
];

fn resource_policy(spoke: &Spoke, denies: bool, everybody: bool) -> String {
    let own = format!("\"aws:PrincipalArn\": \"arn:aws:iam::{}:role/spokeprobe\"", spoke.account);
    let allowed = if everybody { String::new() } else { format!(", Condition: {{ArnEquals: {{{own}}}}}") };
    let mut statements = format!(
        "{{Effect: Allow, Principal: '*', Action: 'execute-api:Invoke', Resource: 'execute-api:/*'{allowed}}}"
    );
    if denies {
        write!(
            statements,
            ", {{Effect: Deny, Principal: '*', Action: 'execute-api:Invoke', Resource: 'execute-api:/*', \
             Condition: {{ArnNotEquals: {{{own}}}}}}}"
        )
        .unwrap();
    }
    format!("{{Version: '2012-10-17', Statement: [{statements}]}}")
}

fn world(opens: Option<(u64, u64)>) -> World {
    let mut text = String::from(
        "region: eu-west-1\nhub: {account: '999999999999', role: hub}\nendpoint: {id: vpce-0a1b2c3d}\naccounts:\n\
         - id: '999999999999'\n  name: hub\n  roles: [{name: hub, policies: [{Version: '2012-10-17', Statement: \
         [{Effect: Allow, Action: 'sts:*', Resource: '*'}]}]}]\n",
    );
    for spoke in &SPOKES {
        let denied = spoke.must_not.map_or(String::new(), |must_not| {
            format!(", {{Effect: Deny, Action: 'execute-api:Invoke', Resource: '{must_not}'}}")
        });
        write!(
            text,
            "- id: '{account}'\n  name: {name}\n  roles: [{{name: spokeprobe, trust: {{Version: '2012-10-17', Statement: \
             [{{Effect: Allow, Principal: {{AWS: '*'}}, Action: 'sts:AssumeRole'}}]}}, policies: [{{Version: \
             '2012-10-17', Statement: [{{Effect: Allow, Action: 'execute-api:Invoke', Resource: '{may}'}}{denied}]}}]}}]\n  \
             apis: [{{id: {api}, name: x, stages: [s], resource_policy: {policy}, routes: [{{method: GET, path: /, \
             authorization: AWS_IAM, integration: {{json: {{a: 1}}}}}}]}}]\n",
            account = spoke.account,
            name = spoke.name,
            may = spoke.may,
            api = spoke.api,
            policy = resource_policy(spoke, spoke.denies, false),
        )
        .unwrap();
    }
    if let Some((open, mend)) = opens {
        let ant = &SPOKES[0];
        text.push_str("timeline:\n");
        for (after, policy) in
            [(open, resource_policy(ant, false, true)), (mend, resource_policy(ant, true, false))]
        {
            writeln!(
                text,
                "- {{after: {after}s, change: {{resource_policy: {{api: {}, to: {policy}}}}}}}",
                ant.api
            )
            .unwrap();
        }
    }
    World::parse(&text).unwrap()
}

fn planned(isolation: &str) -> plan::Plan {
    let mut text = format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nisolation: {isolation}\n\
         defaults: {{every: 1h}}\nspokes:\n"
    );
    for spoke in &SPOKES {
        writeln!(
            text,
            "- {{name: {}, account: '{}', apis: [{{name: x, id: {}, stage: s, probes: [{{name: hello, request: GET /}}]}}]}}",
            spoke.name, spoke.account, spoke.api
        )
        .unwrap();
    }
    sources::load_plan_text("test", &text, &|_| None).unwrap().plan
}

struct Run {
    recorder: Arc<Recorder>,
    hub: Arc<Hub>,
    shutdown: CancellationToken,
    agent: tokio::task::JoinHandle<()>,
}

fn run(plan: &plan::Plan, world: World) -> Run {
    let wall = SystemTime::UNIX_EPOCH + START;
    let clock = SystemClock::simulated(wall);
    let wait = Arc::new(TokioWait::new(clock));
    let hub = Arc::new(Hub::new(world, wall));
    let memory = Arc::new(InMemory::new(Arc::clone(&hub), Arc::new(clock), Arc::<TokioWait>::clone(&wait)));
    let sessions = Arc::<InMemory>::clone(&memory);
    let transport = Arc::<InMemory>::clone(&memory);
    let seams = Seams::shared(Arc::new(clock), wait, sessions, transport, memory);
    let app = App::build(plan, seams).unwrap();
    let recorder = Arc::clone(app.recorder());
    let shutdown = CancellationToken::new();
    let stop = shutdown.clone();
    let agent = seams::spawn("agent", async move { app.run(None, stop).await.unwrap() });
    Run { recorder, hub, shutdown, agent }
}

impl Run {
    fn status(&self) -> IsolationStatus {
        self.recorder.snapshot().isolation.unwrap()
    }

    fn states(&self) -> [u64; 4] {
        let counts = self.status().counts;
        [PairState::Closed, PairState::Open, PairState::Inconclusive, PairState::Due]
            .map(|state| counts.of(state))
    }

    fn samples(&self, name: &str) -> Vec<String> {
        let text = String::from_utf8(self.recorder.encode_text()).unwrap();
        let begins = |line: &&str| line.starts_with(&format!("spokeprobe_{name}"));
        text.lines().filter(begins).map(str::to_owned).collect()
    }

    fn open(&self) -> Vec<String> {
        self.samples("isolation_open")
    }

    async fn end(self) -> Arc<Hub> {
        self.shutdown.cancel();
        self.agent.await.unwrap();
        self.hub
    }
}

#[tokio::test(start_paused = true)]
async fn every_pair_is_judged_within_one_period_by_its_own_role_alone() {
    let run = run(&planned("{period: 12m}"), world(None));
    assert_eq!(run.states(), [0, 0, 0, 12], "nothing at the start");
    tokio::time::sleep(MINUTE * 6).await;
    let [_, _, _, due] = run.states();
    assert!((5..=7).contains(&due), "half of the pairs after half of the period, not {due}");
    tokio::time::sleep(MINUTE * 6 + Duration::from_secs(2)).await;
    // Nine pairs end in an explicit deny of the far side, but for the bee's own side at the cat; at the dog the
    // texts leave open who refused.
    assert_eq!(run.states(), [8, 0, 4, 0]);
    let status = run.status();
    let mut why: Vec<String> = status
        .inconclusive
        .iter()
        .map(|check| format!("{}>{}: {}", check.pair.from, check.pair.spoke, check.reason))
        .collect();
    why.sort();
    assert_eq!(
        why,
        [
            "ant>dog: resource_or_identity_policy",
            "bee>cat: identity_policy",
            "bee>dog: resource_or_identity_policy",
            "cat>dog: resource_or_identity_policy",
        ]
    );
    assert!(run.open().is_empty());
    // Checks are nobody's health.
    assert!(run.samples("requests_total").iter().all(|line| line.contains("probe=\"hello\"")));
    let sent: u64 = status.attempts.iter().map(|api| api.answered).sum();
    assert_eq!(sent, 12);
    let snapshot = run.recorder.snapshot();
    let probed: u64 = snapshot.targets.iter().map(|target| target.counts.ended()).sum();
    assert!(run.recorder.imbalances().is_empty());
    let counts = run.end().await.counts();
    assert_eq!(counts.total(), sent + probed, "what the server counts is probes and checks");
    for spoke in &SPOKES {
        let callers: std::collections::BTreeSet<&str> = counts
            .requests
            .iter()
            .filter(|row| row.api == spoke.api)
            .map(|row| row.identity.as_str())
            .collect();
        assert!(callers.iter().all(|caller| caller.contains(":role/spokeprobe")), "{callers:?}");
        let foreign = counts
            .requests
            .iter()
            .filter(|row| row.api == spoke.api && !row.identity.contains(spoke.account));
        assert_eq!(foreign.map(|row| row.count).sum::<u64>(), 3, "{}: each stranger once", spoke.name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_door_that_opens_is_found_within_the_period_and_its_mend_within_minutes() {
    let run = run(&planned("{period: 12m}"), world(Some((1_800, 3_600))));
    tokio::time::sleep(MINUTE * 29).await;
    assert_eq!(run.states(), [8, 0, 4, 0]);
    tokio::time::sleep(MINUTE * 13 + Duration::from_secs(2)).await;
    // The dog's own policies do not let it call others, so it cannot show the open door.
    assert_eq!(run.states(), [5, 2, 5, 0]);
    assert_eq!(
        run.open(),
        [
            r#"spokeprobe_isolation_open{api="x",from="bee",spoke="ant"} 1"#,
            r#"spokeprobe_isolation_open{api="x",from="cat",spoke="ant"} 1"#,
        ]
    );
    assert!(
        run.samples("isolation_pairs").contains(&r#"spokeprobe_isolation_pairs{state="open"} 2"#.to_owned())
    );
    let [bee, cat] = run.status().open.try_into().unwrap();
    let opened = SystemTime::UNIX_EPOCH + START + MINUTE * 30;
    for door in [bee, cat] {
        assert!(door.since >= opened && door.since <= opened + MINUTE * 12 + Duration::from_secs(1));
        assert_eq!(door.code, Some(200));
    }
    // Mended after an hour; open doors are tried every two minutes.
    tokio::time::sleep(MINUTE * 18).await;
    assert_eq!(run.states(), [5, 2, 5, 0]);
    tokio::time::sleep(MINUTE * 3).await;
    assert!(run.open().is_empty(), "{:?}", run.open());
    assert_eq!(run.states()[..2], [7, 0]);
    tokio::time::sleep(MINUTE * 12).await;
    assert_eq!(run.states(), [8, 0, 4, 0]);
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn roles_that_cannot_be_assumed_leave_their_pairs_inconclusive() {
    let run = run(&planned("{period: 12m, spokes: [ant, bee]}"), world(None));
    run.hub.change(|world| {
        for account in &mut world.accounts {
            if account.id == "111111111111" {
                account.roles.clear();
            }
        }
    });
    tokio::time::sleep(MINUTE * 13).await;
    assert_eq!(run.states(), [1, 0, 1, 0]);
    let check = &run.status().inconclusive[0];
    assert_eq!((check.pair.from.as_str(), check.reason.as_str()), ("ant", "assume_role_denied"));
    run.end().await;
}

#[test]
fn the_plan_tells_what_isolation_costs() {
    let plan = planned("{period: 1h}");
    let estimate = plan::estimate(&plan);
    let report = plan::report::report(&plan, &estimate, &[], &plan.warnings);
    let json: Value = serde_json::to_value(&report).unwrap();
    assert_eq!(json["isolation"]["pairs"], 12);
    assert_eq!(json["isolation"]["requests_per_second"]["by_account"]["111111111111"], 0.000_833);
    assert!(report.text().contains("12 pairs of a role and a foreign api"), "{}", report.text());
}
