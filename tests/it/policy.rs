//! `spokeprobe policy`: the printed policies in the simulated hub, where every probe must pass and no statement is idle;
//! and the command as users meet it.

use crate::policy_sizes::spokes;
use crate::program::{Ran, folder, run};
use crate::stage::Stage;
use serde_json::{Value, json};
use spokeprobe::policy::{Policy, PrincipalForm, Subject};
use spokeprobe::simulator::World;
use spokeprobe::sources::{self, LoadedPlan};
use std::fs;

const FIXTURE: &str = "tests/fixtures/policies.yaml";

fn load(text: &str) -> LoadedPlan {
    sources::load_plan_text("policies.yaml", text, &|_| None).unwrap()
}

fn fixture() -> LoadedPlan {
    load(&fs::read_to_string(FIXTURE).unwrap())
}

/// All documents of a configuration by kind and key.
fn documents(loaded: &LoadedPlan, pattern: bool, form: PrincipalForm) -> Vec<(String, Value)> {
    let subject = Subject::new(&loaded.config, &loaded.plan, &[]);
    let mut all = Vec::new();
    let mut add = |kind: &str, policies: Vec<Policy>| {
        for policy in policies {
            for key in &policy.keys {
                all.push((format!("{kind} {key}"), policy.document.to_value()));
            }
        }
    };
    add("endpoint", vec![subject.endpoint_policy(pattern).unwrap()]);
    add("trust", subject.trust_policies(form).unwrap());
    add("permissions", subject.permission_policies(false));
    add("resource", subject.resource_policies(form).unwrap());
    add("hub", subject.hub_policies().unwrap());
    all
}

fn world(documents: &[(String, Value)]) -> World {
    let of = |name: &str| {
        documents
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, document)| document.clone())
            .unwrap_or_else(|| json!({"Version": "2012-10-17", "Statement": []}))
    };
    let route = |method: &str, path: &str, authorization: &str| {
        json!({
            "method": method, "path": path, "authorization": authorization, "integration": {"json": {"a": 1}},
        })
    };
    let account = |id: &str, spoke: &str, role: &str, api: &str, key: &str, stage: &str, routes: Value| {
        let key = format!("resource {spoke}/{key}");
        json!({
            "id": id, "name": spoke, "organization": "o-a1b2c3d4e5",
            "roles": [{
                "name": role,
                "trust": of(&format!("trust {spoke}")),
                "policies": [of(&format!("permissions {spoke}"))],
            }],
            "apis": [{"id": api, "stages": [stage], "resource_policy": of(&key), "routes": routes}],
        })
    };
    let hoot = json!([
        route("GET", "/", "AWS_IAM"),
        route("POST", "/greet", "AWS_IAM"),
        route("GET", "/files/{name}/x", "AWS_IAM"),
    ]);
    let book = json!([route("GET", "/", "AWS_IAM"), route("GET", "/public", "NONE")]);
    let world = json!({
        "region": "eu-west-1",
        "hub": {"account": "111122223333", "role": "spokeprobe-hub"},
        "endpoint": {"id": "vpce-0123456789abcdef0", "policy": of("endpoint vpc-endpoint")},
        "accounts": [
            {
                "id": "111122223333", "name": "hub", "organization": "o-a1b2c3d4e5",
                "roles": [{"name": "spokeprobe-hub", "policies": [of("hub hub")]}],
            },
            account("012345678901", "payments", "spokeprobe", "a1b2c3d4e5", "hoot", "api", hoot),
            account(
                "222233334444", "orders", "platform/spokeprobe", "b2c3d4e5f6", "store", "live",
                json!([route("GET", "/items", "AWS_IAM")]),
            ),
            account("333344445555", "ledger", "spokeprobe", "c3d4e5f6a7", "book", "api", book),
        ],
    });
    World::parse(&world.to_string()).unwrap()
}

/// The probes whose last attempt was not as expected.
async fn unexpected(loaded: &LoadedPlan, documents: &[(String, Value)]) -> Vec<String> {
    let stage = Stage::start(world(documents), &loaded.plan);
    stage.after_seconds(25).await;
    let ids = loaded.plan.targets.iter().map(|target| target.id.to_string());
    let ends: Vec<String> = ids.map(|id| format!("{id}: {}", stage.last(&id))).collect();
    stage.stop().await;
    ends.into_iter().filter(|end| !end.ends_with(", expected")).collect()
}

#[tokio::test(start_paused = true)]
async fn with_the_printed_policies_every_probe_is_as_expected() {
    let loaded = fixture();
    for pattern in [false, true] {
        for form in [PrincipalForm::Condition, PrincipalForm::RoleArn] {
            let documents = documents(&loaded, pattern, form);
            let found = unexpected(&loaded, &documents).await;
            // The unsigned guard is refused by the endpoint in both forms, the other role by someone.
            assert_eq!(found, [""; 0], "{pattern} {form:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_statement_is_idle() {
    let loaded = fixture();
    let all = documents(&loaded, false, PrincipalForm::Condition);
    let mut tried = 0;
    for (place, (key, document)) in all.iter().enumerate() {
        let statements = document["Statement"].as_array().unwrap();
        for (at, statement) in statements.iter().enumerate() {
            let mut fewer = all.clone();
            fewer[place].1["Statement"].as_array_mut().unwrap().remove(at);
            // Within one account the role's own permissions suffice where a resource policy is silent, so nobody
            // misses its statement there.
            let own = [
                ("resource payments/hoot", "SpokeprobeRolePayments"),
                ("resource orders/store", "SpokeprobeRoleOrders"),
                ("resource ledger/book", "SpokeprobeRoleLedger"),
            ];
            let is_own = own.iter().any(|(api, sid)| key == api && statement["Sid"] == *sid);
            let found = unexpected(&loaded, &fewer).await;
            assert_eq!(found.is_empty(), is_own, "{key}: who misses {}? {found:?}", statement["Sid"]);
            tried += 1;
        }
    }
    assert_eq!(tried, 21, "the fixture asks for every kind of statement");
}

fn policy(args: &[&str]) -> Ran {
    run(&[&["policy"], args, &["--config", FIXTURE]].concat())
}

#[test]
fn one_policy_is_printed_bare_and_several_by_key() {
    let bare = policy(&["trust", "payments"]);
    assert_eq!(bare.status, Some(0), "{bare:?}");
    assert_eq!(bare.json()["Statement"][0]["Sid"], "SpokeprobeTrust");
    assert!(bare.stderr.contains("applied alone, they shut out"), "{}", bare.stderr);
    let several = policy(&["trust"]);
    assert!(
        several
            .stdout
            .starts_with("# payments: for the trust policy of arn:aws:iam::012345678901:role/spokeprobe, ")
    );
    let json = policy(&["resource", "--json"]).json();
    assert_eq!(
        json.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["payments/hoot", "orders/store", "ledger/book"]
    );
    assert_eq!(policy(&["resource", "orders", "--json"]).json().as_object().unwrap().len(), 1);
    let risky = policy(&["trust", "ledger", "--principal", "role-arn"]);
    assert_eq!(
        risky.json()["Statement"][0]["Principal"]["AWS"],
        "arn:aws:iam::111122223333:role/spokeprobe-hub"
    );
    assert!(risky.stderr.contains("made again"), "{}", risky.stderr);
    for kind in ["vpc-endpoint", "trust", "permissions", "resource", "hub"] {
        let all = policy(&[kind, "--json"]).stdout;
        assert!(!all.contains("Deny"), "{kind}");
    }
}

#[test]
fn merging_keeps_what_is_there_and_comparing_then_finds_nothing() {
    let at = folder("policy-merge");
    let file = |name: &str, text: &str| {
        let path = at.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let now = r#"{"Version":"2012-10-17","Statement":{"Sid":"App","Effect":"Allow","Principal":"*","Action":"execute-api:Invoke",
        "Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}}}"#;
    // As API Gateway prints it: a document in a string.
    let now = file("now.json", &json!({"id": "a1b2c3d4e5", "policy": now}).to_string());
    let lacking = policy(&["vpc-endpoint", "--against", &now]);
    assert_eq!(lacking.status, Some(1), "{lacking:?}");
    assert!(
        lacking.stdout.contains("missing   SpokeprobeRolePayments: the statement is not there"),
        "{}",
        lacking.stdout
    );
    assert!(lacking.stdout.ends_with("not ours  App\n"), "{}", lacking.stdout);

    let merged = policy(&["vpc-endpoint", "--merge", &now]);
    assert_eq!(merged.status, Some(0), "{merged:?}");
    let document = merged.json();
    assert_eq!(document["Statement"][0]["Sid"], "App");
    assert_eq!(document["Statement"].as_array().unwrap().len(), 6);
    assert!(
        merged.stderr.contains("of 20,480 characters; added: SpokeprobeRolePayments, "),
        "{}",
        merged.stderr
    );
    let next = file("next.json", &merged.stdout);
    let same = policy(&["vpc-endpoint", "--against", &next]);
    assert_eq!((same.status, same.stdout.lines().count()), (Some(0), 2), "{same:?}");
    assert_eq!(
        policy(&["vpc-endpoint", "--merge", &next]).stdout,
        merged.stdout,
        "a second time changes nothing"
    );

    let mut wide = document;
    wide["Statement"][1]["Resource"] = json!("*");
    wide["Statement"].as_array_mut().unwrap().push(json!({"Sid": "SpokeprobeRoleGone", "Effect": "Allow",
        "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*"}));
    let wide = file("wide.json", &wide.to_string());
    let found = policy(&["vpc-endpoint", "--against", &wide, "--json"]);
    assert_eq!(found.status, Some(1));
    let found = found.json();
    assert_eq!(found["missing"], json!([]));
    assert_eq!(found["too_wide"][0], json!({"sid": "SpokeprobeRolePayments", "text": "resource *"}));
    assert_eq!(found["too_wide"][1]["sid"], "SpokeprobeRoleGone");
    assert_eq!(found["not_ours"], json!(["App"]));
    let merged = policy(&["vpc-endpoint", "--merge", &wide]);
    assert!(merged.stderr.contains("replaced: SpokeprobeRolePayments"), "{}", merged.stderr);
    assert!(merged.stderr.contains("nothing in this configuration: SpokeprobeRoleGone"), "{}", merged.stderr);
}

#[test]
fn what_cannot_be_printed_says_the_way_out() {
    let at = folder("policy-refused");
    let file = |name: &str, text: &str| {
        let path = at.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let no_organization = file("no-organization.yaml", &spokes(400, ""));
    let plain = spokes(2, "organization: {id: o-a1b2c3d4e5},");
    let no_role = file("no-role.yaml", &plain.replace("role_arn: 'arn:aws:iam::111122223333:role/hub',", ""));
    let change = |name: &str, from: &str, to: &str| file(name, &plain.replacen(from, to, 1));
    let long_name = format!("role: {}, external_id", "r".repeat(65));
    let long = change("long.yaml", "external_id", &long_name);
    let partition = change("partition.yaml", "arn:aws:iam", "arn:moon:iam");
    let region = change("region.yaml", "region: eu-west-1, ", "");
    let guards = file(
        "guards.yaml",
        &plain
            .replace(
                "{name: hello, request: GET /}, {name: greet, request: POST /greet}",
                "{name: no, request: GET /, as: anonymous, expect: {denied: true}}",
            )
            .replace("isolation: {}\n", ""),
    );
    let empty = file("empty.json", "{}");
    let policy = file("policy.json", r#"{"Version": "2012-10-17", "Statement": []}"#);
    let large = file(
        "large.json",
        &json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "x".repeat(20_000), "Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]})
        .to_string(),
    );
    for (args, wanted) in [
        (vec!["vpc-endpoint", "--config", &no_organization], "add `hub.organization.id`"),
        (vec!["trust", "--config", &no_role], "add `hub.role_arn`"),
        (vec!["hub", "--config", &long], "1 to 64 letters"),
        (vec!["hub", "--config", &partition], "a role ARN of the partition aws, aws-cn or aws-us-gov"),
        (vec!["hub", "--config", &region], "region"),
        (vec!["permissions", "--config", &guards], "nothing must be let in"),
        (vec!["trust", "payment", "--config", FIXTURE], "did you mean `payments`?"),
        (
            vec!["trust", "--merge", &empty, "--config", FIXTURE],
            "one policy at a time, and there are 3: payments, orders",
        ),
        (vec!["trust", "ledger", "--merge", &empty, "--config", FIXTURE], "give the policy document alone"),
        (
            vec!["trust", "ledger", "--merge", "no-such.json", "--config", FIXTURE],
            "no-such.json cannot be read",
        ),
        (
            vec!["vpc-endpoint", "--merge", &large, "--config", FIXTURE],
            "at most 20,480 are allowed; print the pattern form",
        ),
        (
            vec!["resource", "orders", "--merge", &policy, "--config", "config.yaml"],
            "say it with --behind orders/store=ID/STAGE",
        ),
        (
            vec!["resource", "--behind", "payments/hoot=a1b2c3d4e5/api", "--config", FIXTURE],
            "no api with a custom domain",
        ),
        (vec!["resource", "--behind", "payments", "--config", FIXTURE], "wanted SPOKE/API=ID/STAGE"),
    ] {
        let ran = run(&[&["policy"], args.as_slice()].concat());
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{args:?}: {}", ran.stderr);
    }
    let planned = run(&["plan", "--config", &no_organization]);
    assert!(planned.stdout.contains("`policy vpc-endpoint` will be refused"), "{}", planned.stdout);
    // The same role under two external ids, of which one is probably wrong.
    let twice = "account: '200000000001', role: 'spokeprobe'";
    let twice = file(
        "twice.yaml",
        &plain.replace("account: '200000000001'", twice).replace("200000000001", "200000000000"),
    );
    let planned = run(&["plan", "--config", &twice]);
    assert!(planned.stdout.contains("with different external ids"), "{}", planned.stdout);
    let trust = run(&["policy", "trust", "spoke-000", "--config", &twice]);
    assert_eq!(
        trust.json()["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"],
        json!(["spokeprobe-000", "spokeprobe-001"])
    );
    let hub = run(&["policy", "hub", "--config", &twice]).json();
    assert_eq!(hub["Statement"][0]["Resource"], "arn:aws:iam::200000000000:role/spokeprobe");
}

#[test]
fn an_external_id_from_the_environment_is_never_shown() {
    let at = folder("policy-secret");
    let text = fs::read_to_string(FIXTURE)
        .unwrap()
        .replace("external_id: spokeprobe-orders", "external_id: ${SPOKEPROBE_ID}");
    let config = at.join("config.yaml");
    fs::write(&config, text).unwrap();
    let config = config.to_str().unwrap();
    let environment = [("SPOKEPROBE_ID".to_owned(), "sesame-open".to_owned())];
    let ask = |args: &[&str]| crate::program::run_with(&[args, &["--config", config]].concat(), &environment);
    let printed = ask(&["policy", "trust", "orders"]);
    assert_eq!(printed.json()["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], "EXTERNAL_ID");
    assert!(printed.stderr.contains("EXTERNAL_ID stands for"), "{}", printed.stderr);
    let now = at.join("now.json");
    fs::write(&now, printed.stdout.replace("EXTERNAL_ID", "sesame-open")).unwrap();
    let now = now.to_str().unwrap();
    let same = ask(&["policy", "trust", "orders", "--against", now]);
    assert_eq!(same.status, Some(0), "{same:?}");
    assert!(!same.stderr.contains("lets everyone"), "{same:?}");
    let open = r#"{"Effect":"Allow","Principal":"*","Action":"sts:*"},"#;
    let text = fs::read_to_string(now).unwrap().replacen("[", &format!("[{open}"), 1);
    fs::write(at.join("open.json"), text).unwrap();
    let opened = ask(&["policy", "trust", "orders", "--against", at.join("open.json").to_str().unwrap()]);
    assert!(opened.stderr.contains("lets everyone assume the role"), "{opened:?}");
    let refused = ask(&["policy", "trust", "orders", "--merge", now]);
    assert_eq!(refused.status, Some(2));
    for ran in [printed, same, refused] {
        assert!(!ran.stdout.contains("sesame") && !ran.stderr.contains("sesame"), "{ran:?}");
    }
}
