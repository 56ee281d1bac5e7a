//! The doctor over the demo's broken spokes and over every way in which a path can end early.

use crate::program::{SimulatedHub, run, run_with};
use crate::sockets::{hub_on_sockets, plan_against};
use crate::stage::{api_of, demo_plan, plan_of, plan_of_documents, policy, quiet_world, role_of};
use crate::ward::{HalfDead, Ward, findings, told};
use serde_json::{Value, json};
use spokeprobe::app::Seams;
use spokeprobe::app::doctor::{Doctor, Step, Unknown};
use spokeprobe::plan::Plan;
use spokeprobe::seams::Clock as _;
use spokeprobe::simulator::world::Fault;
use spokeprobe::simulator::{ServerOptions, WireFault};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn every_spoke_of_the_demo_gets_its_verdict() {
    let ward = Ward::new(quiet_world());
    let reports = ward.examine(&demo_plan(), None, None).await.unwrap();
    let told: Vec<String> =
        reports.iter().map(|report| format!("{} {}", report.spoke, told(report))).collect();
    let unsure =
        "assume_role assume_role_denied spoke open trust_policy,external_id,absent_role,hub_identity_policy";
    assert_eq!(
        told,
        [
            "payments hoot/hello passed none nobody certain",
            "orders orders/hello passed none nobody certain",
            "partner rates/hello invoke vpc_endpoint_policy hub certain",
            "ledger ledger/hello invoke resource_policy spoke certain",
            "catalog catalog/hello invoke identity_policy spoke certain",
            "billing billing/hello invoke session_policy agent certain",
            "inventory inventory/hello invoke permissions_boundary spoke certain",
            "media media/hello invoke service_control_policy organisation certain",
            "notes notes/unsigned-is-refused invoke none spoke likely resource_policy,endpoint_policy",
            "legacy legacy/hello invoke unattributed_policy hub open \
             endpoint_policy,resource_policy,identity_policy,permissions_boundary,service_control_policy",
            "login login/hello invoke lambda_authorizer spoke certain",
            "maps maps/without-key invoke forbidden spoke open api_key,waf,stage,public_api",
            "search search/hello passed none nobody certain",
            "reports reports/hello passed none nobody certain",
            "shipping shipping/misconfigured invoke integration_error spoke certain",
            "crm crm/busy invoke backend_status spoke certain",
            &format!("vendor vendor/hello {unsure}"),
            &format!("archive archive/hello {unsure}"),
            "kiosk kiosk/hello passed none nobody certain",
            "badge badge/hello passed none nobody certain",
            "museum museum/hello invoke resource_or_identity_policy spoke open \
             resource_policy,identity_policy,permissions_boundary,service_control_policy",
            "clinic clinic/mistyped invoke not_found spoke likely",
        ]
    );
    assert!(ward.clock.now().since_origin() < Duration::from_secs(5), "{}", ward.clock.now());
    let methods = ward.between.seen.lock().unwrap().methods.clone();
    assert!(methods.iter().all(|method| method == "GET"), "{methods:?}");
    for report in &reports {
        assert_eq!(report.verdict.passed(), report.verdict.change.text.is_empty(), "{}", report.spoke);
        for statement in &report.verdict.change.statements {
            let (statement, goes_into) = (&statement.statement, &statement.goes_into);
            assert!(statement["Sid"].as_str().unwrap().starts_with("Spokeprobe"), "{statement}");
            assert_eq!(statement["Effect"], "Allow");
            assert!(goes_into.starts_with("Add this statement to "), "{goes_into}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_probes_that_fail_in_other_ways_get_theirs() {
    let ward = Ward::new(quiet_world());
    let plan = demo_plan();
    for (spoke, api, probe, wanted) in [
        ("login", "login", "token", "invoke unauthorized agent likely agent,spoke"),
        ("shipping", "shipping", "late", "invoke integration_timeout spoke"),
        ("shipping", "shipping", "unplugged", "invoke integration_network spoke"),
        ("crm", "crm", "proxy", "invoke not_api_gateway network"),
        ("crm", "crm", "garbage", "invoke protocol"),
        ("crm", "crm", "silent", "invoke response_timeout"),
        ("payments", "hoot", "greet", "passed none nobody"),
    ] {
        let report = ward.examine(&plan, Some(spoke), Some((api, probe))).await.unwrap().remove(0);
        assert!(told(&report).starts_with(&format!("{api}/{probe} {wanted}")), "{}", told(&report));
    }
    let unknown = ward.examine(&plan, Some("payments"), Some(("hoot", "nope"))).await.unwrap_err();
    assert!(unknown.to_string().contains("payments/hoot/greet"), "{unknown}");
    let told = ward.examine(&plan, Some("nobody"), None).await.unwrap_err();
    assert!(matches!(told, Unknown::Spoke { .. }));
    let told = told.to_string();
    assert!(told.starts_with("no spoke nobody in the configuration; there are payments, "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn the_statement_it_prints_is_the_one_that_was_missing() {
    let plan = demo_plan();
    // The endpoint's policy.
    let report = Ward::new(quiet_world()).one(&plan, "partner").await;
    let statement = report.verdict.change.statements[0].statement.clone();
    assert_eq!(
        statement,
        json!({
            "Sid": "SpokeprobePartnerRates",
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::333344445555:root"},
            "Action": "execute-api:Invoke",
            "Resource": ["arn:aws:execute-api:eu-west-1:333344445555:c3d4e5f6g7/api/GET/"],
            "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::333344445555:role/spokeprobe"}}
        })
    );
    let alone = |statement: &Value| policy(json!({"Version": "2012-10-17", "Statement": [statement]}));
    let mut world = quiet_world();
    world.endpoint.policy = Some(alone(&statement));
    let report = Ward::new(world).examine(&plan, Some("partner"), Some(("rates", "hello"))).await.unwrap();
    assert_eq!(told(&report[0]), "rates/hello passed none nobody certain");

    // The role's trust.
    let report = Ward::new(quiet_world()).one(&plan, "vendor").await;
    let mut world = quiet_world();
    role_of(&mut world, "890189018901").trust = Some(alone(&report.verdict.change.statements[0].statement));
    assert_eq!(told(&Ward::new(world).one(&plan, "vendor").await), "vendor/hello passed none nobody certain");

    // The api's resource policy, which knows nobody.
    let silent = || {
        let mut world = quiet_world();
        let nobody = json!({"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
            "Condition": {"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/nobody"}}});
        api_of(&mut world, "012345678901").resource_policy = Some(alone(&nobody));
        role_of(&mut world, "012345678901").policies.clear();
        world
    };
    let report = Ward::new(silent()).one(&plan, "payments").await;
    assert_eq!(report.verdict.reason.outcome().as_str(), "denied", "{}", told(&report));
    let statements = &report.verdict.change.statements;
    let of =
        |condition: bool| statements.iter().find(|each| each.statement["Condition"].is_null() != condition);
    let mut world = silent();
    match of(true) {
        Some(each) => api_of(&mut world, "012345678901").resource_policy = Some(alone(&each.statement)),
        None => role_of(&mut world, "012345678901").policies = vec![alone(&of(false).unwrap().statement)],
    }
    let report = Ward::new(world).examine(&plan, Some("payments"), Some(("hoot", "hello"))).await.unwrap();
    assert_eq!(told(&report[0]), "hoot/hello passed none nobody certain");

    // A Deny is in the way: no statement that allows would help.
    let report = Ward::new(quiet_world()).one(&plan, "ledger").await;
    assert!(report.verdict.change.statements.is_empty());
    assert!(report.verdict.change.text[0].contains("A Deny statement matches"), "{report:?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_ends_early_is_told_in_its_place() {
    let plan = demo_plan();

    let mut world = quiet_world();
    world.endpoint.private_dns = false;
    assert_eq!(
        told(&Ward::new(world).one(&plan, "payments").await),
        "hoot/hello resolve dns network likely network,hub,spoke"
    );

    let mut world = quiet_world();
    world.endpoint.zones = [("euw1-az1".to_owned(), "198.51.100.7".parse().unwrap())].into();
    let ward = Ward::new(world);
    let report = ward.one(&plan, "payments").await;
    assert_eq!(told(&report), "hoot/hello resolve dns_public_address hub likely hub,network");
    assert!(report.verdict.evidence[0].contains("198.51.100.7 only"), "{report:?}");
    assert_eq!(ward.between.seen.lock().unwrap().methods.len(), 0, "nothing is sent");

    // Both addresses that the configuration pins are dead: the end comes quickly.
    let mut dead = demo_plan();
    dead.settings.endpoint.url = Some("https://10.9.9.9".parse().unwrap());
    let ward = Ward::new(quiet_world());
    let reports = ward.examine(&dead, None, None).await.unwrap();
    assert!(reports.iter().all(|report| told(report).contains(" connect connect_timeout network ")));
    assert!(ward.clock.now().since_origin() < Duration::from_secs(20), "{}", ward.clock.now());

    let mut world = quiet_world();
    world.sts.fault = Some(Fault::Wire(WireFault::Reset));
    let report = Ward::new(world).one(&plan, "payments").await;
    assert_eq!(told(&report), "hoot/hello identity assume_role_failed network certain");

    let mut world = quiet_world();
    world.sts.throttled = true;
    let report = Ward::new(world).one(&plan, "payments").await;
    assert!(told(&report).starts_with("hoot/hello identity assume_role_failed"), "{}", told(&report));

    let mut world = quiet_world();
    world.endpoint.clock_offset_seconds = 600;
    let report = Ward::new(world).one(&plan, "payments").await;
    assert_eq!(told(&report), "hoot/hello invoke clock_skew agent certain");
    assert!(report.verdict.evidence.iter().any(|line| line.contains("+600 s")), "{report:?}");
    assert!(findings(&report, "clock")[0].contains("+600 s"));

    // Keys that were pasted this morning.
    let ward = Ward::with(quiet_world(), true, false);
    ward.one(&plan, "payments").await;
    tokio::time::sleep(Duration::from_secs(7 * 3600)).await;
    let report = ward.one(&plan, "payments").await;
    assert!(told(&report).starts_with("hoot/hello identity "), "{}", told(&report));
    assert!(report.verdict.evidence[0].starts_with("ExpiredToken"), "{report:?}");
    assert_eq!(report.verdict.owner.as_str(), "hub");
    assert!(findings(&report, "ends")[0].starts_with("ended "));
}

#[tokio::test(start_paused = true)]
async fn one_dead_address_of_two_is_told_though_the_call_goes_through() {
    let mut plan = demo_plan();
    plan.settings.endpoint.zones = [("euw1-az1".parse().unwrap(), "10.0.1.17".parse().unwrap())].into();
    let mut ward = Ward::new(quiet_world());
    ward.link = Arc::new(HalfDead { inner: ward.link, dead: "10.0.2.23".parse().unwrap() });
    let report = ward.one(&plan, "payments").await;
    assert_eq!(told(&report), "hoot/hello connect connect_refused network likely network,agent");
    assert_eq!(report.steps.last().unwrap().step, Step::Invoke, "the walk goes on");
    assert_eq!(
        report.verdict.evidence,
        ["10.0.2.23:443: nobody \u{fffd}[31mhome", "1 of 2 addresses do not answer as they should"]
    );
    assert_eq!(
        findings(&report, "address"),
        ["10.0.1.17 private, zone euw1-az1", "10.0.2.23 private, in no configured zone"]
    );
    assert!(Ward::new(quiet_world()).one(&plan, "payments").await.verdict.passed());
}

/// A configuration whose secrets come from the environment.
const WITH_SECRETS: &str = "
hub:
  region: eu-west-1
  role_arn: arn:aws:iam::111122223333:role/spokeprobe-hub
  endpoint: {id: vpce-0123456789abcdef0}
spokes:
  - name: payments
    account: '012345678901'
    external_id: ${SPOKEPROBE_ID}
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes:
          - {name: hello, request: GET /, headers: {x-key: \"${SPOKEPROBE_KEY}\"}}
";

#[tokio::test(start_paused = true)]
async fn what_was_read_differently_is_shown_and_no_secret_is() {
    let environment = |name: &str| match name {
        "SPOKEPROBE_ID" => Some("spokeprobe-payments".to_owned()),
        "SPOKEPROBE_KEY" => Some("sesame-of-the-environment".to_owned()),
        _ => None,
    };
    let plan = plan_of_documents(WITH_SECRETS, &[], &environment);
    let ward = Ward::with(quiet_world(), false, true);
    let report = ward.one(&plan, "payments").await;
    assert_eq!(
        told(&report),
        "hoot/hello invoke signature_mismatch network likely network,agent",
        "{report:?}"
    );
    let evidence = report.verdict.evidence.join("\n");
    assert!(evidence.contains("\n- \n+ added=1"), "{evidence}");
    assert!(findings(&report, "canonical_request")[0].contains("x-key:***\n"), "{report:?}");

    let mut everything = format!("{report:?}");
    // The same where the trust asks for another id: a statement would show ours.
    let mut world = quiet_world();
    role_of(&mut world, "012345678901").trust = None;
    let refused = Ward::new(world).one(&plan, "payments").await;
    assert_eq!(refused.verdict.stopped_at, Some(Step::AssumeRole));
    assert!(refused.verdict.change.statements[0].statement.to_string().contains("EXTERNAL_ID"));
    everything.push_str(&format!("{refused:?}"));

    let mut secrets = ward.between.seen.lock().unwrap().secrets.clone();
    assert!(secrets.len() >= 4);
    secrets.extend(["sesame-of-the-environment".into(), "spokeprobe-payments".into()]);
    for secret in secrets {
        assert!(!everything.contains(&secret), "{secret}: {everything}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_spoke_without_a_safe_probe_is_walked_as_far_as_its_role() {
    let plan = plan_of(
        "
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - name: hoot
        id: a1b2c3d4e5
        stage: api
        probes: [{name: greet, request: POST /greet}]
",
    );
    let ward = Ward::new(quiet_world());
    let report = ward.one(&plan, "payments").await;
    assert_eq!(told(&report), "passed none nobody certain");
    assert_eq!(report.steps.len(), 2);
    assert_eq!(report.not_tried.len(), 1);
    assert!(ward.between.seen.lock().unwrap().methods.is_empty());
}

/// Over real sockets: a certificate for another name, and one that nobody trusts.
#[tokio::test]
async fn a_wrong_certificate_is_called_so() {
    let simulator = hub_on_sockets(quiet_world(), ServerOptions::default()).await;
    let text = "
hub:
  region: eu-west-1
  endpoint: {id: vpce-0123456789abcdef0, url: '${SPOKEPROBE_DEMO_URL}', ca_file: '${SPOKEPROBE_DEMO_CA}'}
  sts: {endpoint_url: '${SPOKEPROBE_DEMO_STS}'}
spokes:
  - name: payments
    account: '012345678901'
    external_id: spokeprobe-payments
    apis:
      - {name: hoot, domain: private.example.com, probes: [{name: hello, request: GET /}]}
";
    let mut plan = plan_against(&simulator, text, &[]);
    let examined = async |plan: &Plan| {
        let seams = Seams::real(&plan.settings).unwrap();
        let link = Arc::clone(&seams.link);
        Doctor::new(Arc::new(plan.clone()), seams, link, None)
            .examine(None, None, &|_, _| ())
            .await
            .unwrap()
            .remove(0)
    };
    let report = examined(&plan).await;
    assert!(told(&report).starts_with("hoot/hello connect certificate "), "{}", told(&report));
    let evidence = report.verdict.evidence.join("\n");
    assert!(evidence.contains("and private.example.com was asked for"), "{evidence}");
    assert!(findings(&report, "certificate")[0].contains("issued by spokeprobe simulated authority"));

    plan.settings.transport.extra_roots_pem = None;
    let targets = &mut plan.targets;
    let mut target = spokeprobe::domain::target::Target::clone(&targets[0]);
    target.api = spokeprobe::domain::api::ApiName::Id {
        id: "a1b2c3d4e5".parse().unwrap(),
        stage: "api".parse().unwrap(),
    };
    targets[0] = Arc::new(target);
    let evidence = examined(&plan).await.verdict.evidence.join("\n");
    assert!(evidence.contains("no authority that this machine trusts"), "{evidence}");
    simulator.shutdown().await;

    // Nobody listens there any more.
    let report = examined(&plan).await;
    assert!(told(&report).starts_with("hoot/hello connect connect_refused network "), "{}", told(&report));
}

#[test]
fn the_command_prints_results_and_progress_apart_and_exits_by_what_it_found() {
    let hub = SimulatedHub::start("doctor");
    let config = hub.config();
    let doctor = |more: &[&str]| {
        let mut args = vec!["doctor", "--config", &config];
        args.extend(more);
        run_with(&args, &hub.environment)
    };
    let well = doctor(&["payments"]);
    assert_eq!(well.status, Some(0), "{well:?}");
    assert!(well.stdout.starts_with("payments: all steps passed: resolve "), "{}", well.stdout);
    assert!(well.stderr.lines().any(|line| line.starts_with("payments  invoke       ok")), "{}", well.stderr);
    let refused = doctor(&["partner"]);
    assert_eq!(refused.status, Some(1));
    assert!(refused.stdout.starts_with("partner: stops at invoke: denied/vpc_endpoint_policy\n"));
    assert!(refused.stdout.contains("\"Sid\": \"SpokeprobePartnerRates\""), "{}", refused.stdout);
    let open = doctor(&["notes"]);
    let begin = "notes: DOOR OPEN at invoke: ok/none\n  What must be refused was let in. (notes/notes/unsigned-is-refused)\n";
    assert!(open.status == Some(1) && open.stdout.starts_with(begin), "{}", open.stdout);
    let mistyped = doctor(&["clinic"]).stdout;
    assert!(
        mistyped.contains("twins: not needed: what the other probes were answered says it"),
        "{mistyped}"
    );
    for ran in [&well, &refused, &open] {
        assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'));
        assert!(!ran.stderr.contains("WARN"), "{}", ran.stderr);
    }
    let verdicts = doctor(&["--json"]);
    assert_eq!(verdicts.status, Some(1));
    let spokes = verdicts.json()["spokes"].as_array().unwrap().clone();
    assert!(spokes.len() > 20);
    let ledger = spokes.iter().find(|spoke| spoke["spoke"] == "ledger").unwrap();
    let verdict = &ledger["verdict"];
    assert_eq!(
        [
            &verdict["stopped_at"],
            &verdict["outcome"],
            &verdict["reason"],
            &verdict["owner"],
            &verdict["confidence"]
        ],
        ["invoke", "denied", "resource_policy", "spoke", "certain"]
    );
    assert_eq!(verdict["change"]["statement"], Value::Null);
    let names: Vec<&str> =
        ledger["steps"].as_array().unwrap().iter().map(|step| step["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["resolve", "connect", "identity", "assume_role", "sign", "invoke"]);
    let token = hub.environment.iter().find(|(name, _)| name.contains("TOKEN")).unwrap();
    assert!(!verdicts.stdout.contains(&token.1));
    assert_eq!(doctor(&["nobody"]).status, Some(2));
    assert_eq!(doctor(&["payments", "--probe", "hoot"]).status, Some(2));
    assert_eq!(run(&["doctor", "--config", "/nowhere/at/all.yaml"]).status, Some(2));
}
