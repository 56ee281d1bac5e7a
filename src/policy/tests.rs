//! The policies of small configurations, and what is read of those in use.

use super::arns::literal;
use super::*;
use crate::sources::{LoadedPlan, load_plan_text};
use serde_json::{Value, json};

const HEAD: &str = "hub: {region: cn-north-1, role_arn: 'arn:aws-cn:iam::111122223333:role/hub', \
                    endpoint: {id: vpce-0a1b2c3d}}\n";

fn load(spokes: &str) -> LoadedPlan {
    load_plan_text("test", &format!("{HEAD}spokes:\n{spokes}"), &|_| None).unwrap()
}

fn subject(spokes: &str) -> Subject {
    let loaded = load(spokes);
    Subject::new(&loaded.config, &loaded.plan, &[])
}

/// A spoke in an account of digits, with one api and these probes.
fn spoke(name: &str, digit: u8, more: &str, probes: &str) -> String {
    format!(
        "- {{name: {name}, account: '{}', {more}apis: [{{name: x, id: abcdefghi{digit}, stage: s, probes: [{probes}]}}]}}\n",
        digit.to_string().repeat(12),
    )
}

const HELLO: &str = "{name: hello, request: GET /}";

fn sids(policy: &Policy) -> Vec<&str> {
    policy.document.sids().collect()
}

#[test]
fn arns_follow_the_partition_and_take_no_character_for_a_wildcard() {
    let subject = subject(&spoke("one", 1, "", "{name: a, request: 'GET /a/*/b?x=*'}"));
    let policy = &subject.permission_policies(false)[0];
    assert_eq!(
        policy.document.statements[0]["Resource"],
        "arn:aws-cn:execute-api:cn-north-1:111111111111:abcdefghi1/s/GET/a/${*}/b"
    );
    assert_eq!(literal("a*b?c$d"), "a${*}b${?}c${$}d");
    assert_eq!(
        subject.trust_policies(PrincipalForm::Condition).unwrap()[0].document.statements[0]["Principal"]["AWS"],
        "arn:aws-cn:iam::111122223333:root"
    );
}

#[test]
fn guards_and_expected_refusals_grant_nothing() {
    let probes = format!(
        "{HELLO}, {{name: guard, request: DELETE /, expect: {{denied: true}}}}, {{name: unsigned, request: PUT /, as: \
         anonymous, expect: {{denied: true}}}}, {{name: refused, request: PATCH /, expect: {{status: [401, 403]}}}}, \
         {{name: missing, request: GET /no, expect: {{status: 404}}}}"
    );
    let subject = subject(&spoke("one", 1, "", &probes));
    let all = [
        subject.endpoint_policy(false).unwrap(),
        subject.permission_policies(false).remove(0),
        subject.resource_policies(PrincipalForm::Condition).unwrap().remove(0),
    ];
    for policy in all {
        let resources = policy.document.statements[0]["Resource"].as_array().unwrap();
        let ends: Vec<&str> =
            resources.iter().map(|arn| arn.as_str().unwrap().split("/s/").nth(1).unwrap()).collect();
        assert_eq!((ends, policy.document.statements.len()), (vec!["GET/", "GET/no"], 1));
    }
    let isolating = subject.permission_policies(true);
    assert_eq!(sids(&isolating[0]), ["SpokeprobeInvoke", "SpokeprobeIsolation"]);
    assert!(isolating[0].document.statements[1]["Resource"].as_str().unwrap().ends_with("/DELETE/"));
}

#[test]
fn what_one_probe_needs_and_another_wants_refused_is_named() {
    let probes = format!("{HELLO}, {{name: guard, request: GET /, expect: {{denied: true}}}}");
    let loaded = load(&spoke("one", 1, "", &probes));
    let subject = Subject::new(&loaded.config, &loaded.plan, &[]);
    let notes = subject.endpoint_policy(false).unwrap().notes;
    assert!(notes[0].contains("another expects it to be refused"), "{notes:?}");
    assert!(warnings(&loaded.config, &loaded.plan)[0].message.contains("no policy gives both"));
    // What it needs is not granted a second time.
    assert_eq!(sids(&subject.permission_policies(true)[0]), ["SpokeprobeInvoke"]);
}

#[test]
fn spokes_that_share_a_role_or_an_api_share_its_policy() {
    let one = spoke("one", 1, "external_id: first, ", HELLO);
    let two =
        spoke("two", 1, "external_id: first, session_tags: {b: x, a: y}, ", "{name: post, request: POST /}");
    let subject = subject(&(one + &two));
    let trust = subject.trust_policies(PrincipalForm::Condition).unwrap();
    assert_eq!(trust.len(), 1);
    assert_eq!(trust[0].keys, ["one", "two"]);
    assert_eq!(sids(&trust[0]), ["SpokeprobeTrust", "SpokeprobeTags"]);
    assert_eq!(trust[0].document.statements[0]["Condition"]["StringEquals"]["sts:ExternalId"], "first");
    let tags = &trust[0].document.statements[1]["Condition"];
    assert_eq!(tags["ForAllValues:StringEquals"]["aws:TagKeys"], json!(["a", "b"]));
    assert!(tags.get("StringEquals").is_none(), "sts:TagSession has no external id");
    let resource = subject.resource_policies(PrincipalForm::Condition).unwrap();
    assert_eq!(
        (resource.len(), resource[0].keys.as_slice()),
        (1, ["one/x".to_owned(), "two/x".to_owned()].as_slice())
    );
    assert_eq!(sids(&resource[0]), ["SpokeprobeRoleOne"]);
    assert_eq!(resource[0].document.statements[0]["Resource"].as_array().unwrap().len(), 2);
    let hub = subject.hub_policies().unwrap();
    assert_eq!(sids(&hub[0]), ["SpokeprobeAssume", "SpokeprobeTags"]);
}

#[test]
fn a_role_without_external_id_beside_one_with_it_asks_for_none() {
    let both = spoke("one", 1, "external_id: first, ", HELLO) + &spoke("two", 1, "", HELLO);
    let loaded = load(&both);
    let trust =
        Subject::new(&loaded.config, &loaded.plan, &[]).trust_policies(PrincipalForm::Condition).unwrap();
    assert!(!trust[0].document.to_value().to_string().contains("ExternalId"));
    assert!(trust[0].notes[0].contains("none can be asked for"));
    assert!(
        warnings(&loaded.config, &loaded.plan).iter().any(|warning| warning.message.contains("external ids"))
    );
}

#[test]
fn a_spoke_that_nobody_signs_as_gets_nothing() {
    let idle = spoke("idle", 2, "", "{name: no, request: GET /, as: anonymous, expect: {denied: true}}");
    let subject = subject(&(spoke("one", 1, "", HELLO) + &idle));
    assert_eq!(subject.unused_spokes(), ["idle".parse().unwrap()]);
    assert_eq!(subject.trust_policies(PrincipalForm::Condition).unwrap().len(), 1);
    assert!(!subject.hub_policies().unwrap()[0].document.to_value().to_string().contains("222222222222"));
    assert_eq!(subject.resource_policies(PrincipalForm::Condition).unwrap().len(), 1);
}

#[test]
fn names_of_statements_are_told_apart_and_do_not_depend_on_others() {
    let of = |name: &str| super::sids::of_role(&name.parse().unwrap());
    assert_eq!(of("payments-eu"), "SpokeprobeRolePaymentsEu");
    assert_eq!(of("a1"), "SpokeprobeRoleA1");
    let names = ["a1", "a-1", "a--1", "a-", "a", "ab", "a-b", "1a", "1-a", "a-b-", "a1-"];
    let mut all: Vec<String> = names.map(of).to_vec();
    assert!(all.iter().all(|sid| sid.bytes().all(|byte| byte.is_ascii_alphanumeric())), "{all:?}");
    all.sort();
    all.dedup();
    assert_eq!(all.len(), names.len());
}

#[test]
fn behind_a_domain_name_stand_words_until_the_api_is_said() {
    let text = "- {name: one, account: '111111111111', apis: [{name: x, domain: a.example.com, base_path: b, probes: \
                [{name: hello, request: GET /c}]}]}\n";
    let loaded = load(text);
    let policy = Subject::new(&loaded.config, &loaded.plan, &[]).permission_policies(false).remove(0);
    assert!(policy.has_placeholder);
    assert!(policy.document.statements[0]["Resource"].as_str().unwrap().ends_with(":API_ID/STAGE/GET/c"));
    let existing = Existing::parse(r#"{"Version": "2012-10-17", "Statement": []}"#).unwrap();
    let refused = merge(&existing, &policy).unwrap_err();
    let (found, way_out) = (refused.found, refused.way_out);
    assert!(
        found.ends_with(&format!("the custom domain name of {}", policy.unknown_apis.join(", "))),
        "{found}"
    );
    assert!(
        way_out.starts_with(&format!("say it with --behind {}=ID/STAGE", policy.unknown_apis[0])),
        "{way_out}"
    );
    let behind = ApiBehind {
        spoke: "one".parse().unwrap(),
        api: "x".parse().unwrap(),
        id: "a1b2c3d4e5".parse().unwrap(),
        stage: "live".parse().unwrap(),
    };
    let policy = Subject::new(&loaded.config, &loaded.plan, &[behind]).permission_policies(false).remove(0);
    assert!(!policy.has_placeholder);
    assert!(policy.document.statements[0]["Resource"].as_str().unwrap().ends_with(":a1b2c3d4e5/live/GET/c"));
}

#[test]
fn the_pattern_widens_until_it_fits() {
    let organization =
        "endpoint: {id: vpce-0a1b2c3d}, organization: {id: o-a1b2c3d4e5, paths: ['o-a1b2c3d4e5/r-1/*']}";
    let paths = |count: usize| -> String {
        let probes = (0..count).map(|n| format!("{{name: p{n}, request: GET /{}/{n}}}", "long".repeat(20)));
        let text = HEAD.replace("endpoint: {id: vpce-0a1b2c3d}", organization);
        let text = format!(
            "{text}defaults: {{every: 24h}}\nspokes:\n{}",
            spoke("one", 1, "", &probes.collect::<Vec<_>>().join(", "))
        );
        let loaded = load_plan_text("test", &text, &|_| None).unwrap();
        let policy = Subject::new(&loaded.config, &loaded.plan, &[]).endpoint_policy(true).unwrap();
        policy.limit.check(&policy.document.to_value()).unwrap();
        let condition = &policy.document.statements[0]["Condition"];
        assert_eq!(condition["ForAnyValue:StringLike"]["aws:PrincipalOrgPaths"], "o-a1b2c3d4e5/r-1/*");
        let resource = &policy.document.statements[0]["Resource"];
        resource.as_str().or(resource[0].as_str()).unwrap().to_owned()
    };
    assert!(paths(2).ends_with(
        ":*:*/s/GET/longlonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglonglong/0"
    ));
    assert!(paths(300).ends_with("cn-north-1:*:*/s/GET/*"));
}

#[test]
fn documents_are_read_however_a_tool_prints_them() {
    let document = r#"{"Version":"2012-10-17","Statement":{"Sid":"A","Effect":"Deny"}}"#;
    let escaped = document.replace('"', "\\\"");
    for text in [
        document.to_owned(),
        format!("\"{escaped}\""),
        escaped,
        json!({"PolicyDocument": document, "RoleName": "x"}).to_string(),
        format!(r#"{{"Role": {{"RoleName": "x", "AssumeRolePolicyDocument": {document}}}}}"#),
        json!({"VpcEndpoints": [{"VpcEndpointId": "vpce-1", "PolicyDocument": document}]}).to_string(),
    ] {
        let existing = Existing::parse(&text).unwrap_or_else(|refusal| panic!("{refusal}: {text}"));
        assert_eq!(existing.statements().len(), 1, "{text}");
        assert!(existing.remarks(Place::Trust, &Document::default())[0].contains("Deny"));
    }
    for text in
        ["", "[]", "{}", "null", "1", r#"{"Statement": 1}"#, r#"{"Statement": ["x"]}"#, r#""\"\\\"x\\\"\"""#]
    {
        assert!(Existing::parse(text).is_err(), "{text}");
    }
}

/// What comparing says of a statement of ours that was changed: missing, too wide.
fn changed(change: impl FnOnce(&mut Value)) -> (Vec<String>, Vec<String>) {
    let spokes =
        spoke("one", 1, "external_id: first, ", &format!("{HELLO}, {{name: post, request: POST /}}"));
    let policy = subject(&spokes).resource_policies(PrincipalForm::Condition).unwrap().remove(0);
    let mut document = policy.document.to_value();
    change(&mut document["Statement"][0]);
    let found = compare(&Existing::parse(&document.to_string()).unwrap(), &policy.document);
    let texts = |findings: Vec<Finding>| findings.into_iter().map(|finding| finding.text).collect();
    (texts(found.missing), texts(found.too_wide))
}

#[test]
fn a_changed_statement_is_told_by_what_it_lacks_and_what_it_adds() {
    let arn = "arn:aws-cn:execute-api:cn-north-1:111111111111:abcdefghi1/s";
    let (get, post, all) =
        (format!("{arn}/GET/"), format!("resource {arn}/POST/"), format!("resource {arn}/*"));
    let (post, all) = ([post.as_str()], [all.as_str()]);
    let none = (Vec::<String>::new(), Vec::<String>::new());
    let cases: Vec<(&str, Value, &[&str], &[&str])> = vec![
        ("/Principal", json!({"AWS": "111111111111"}), &[], &[]),
        ("/Principal", json!("*"), &[], &["principal *"]),
        (
            "/Principal/AWS",
            json!("AROAX"),
            &["principal account 111111111111"],
            &["principal AROAX, the unique id"],
        ),
        ("/Action", json!(["Execute-API:invoke"]), &[], &[]),
        ("/Action", json!("execute-api:*"), &[], &["action execute-api:*"]),
        ("/Resource", json!(get), &post, &[]),
        ("/Resource", json!(format!("{arn}/*")), &[], &all),
        ("/Effect", json!("Deny"), &["it does not allow"], &[]),
        ("/NotAction", json!("x"), &[], &["it has NotAction"]),
        ("/Condition/ArnEquals", Value::Null, &[], &["the condition arnlike aws:principalarn is not there"]),
        (
            "/Condition/ArnEquals/aws:PrincipalArn",
            json!("arn:aws-cn:iam::*:role/spokeprobe"),
            &[],
            &["value of arnlike"],
        ),
        (
            "/Condition/StringEquals/aws:SourceVpce",
            json!("vpce-1"),
            &["value of stringequals aws:sourcevpce vpce-0a1b2c3d"],
            &["value of stringequals aws:sourcevpce vpce-1"],
        ),
        (
            "/Condition/Bool",
            json!({"aws:SecureTransport": "true"}),
            &["a further condition narrows it: bool"],
            &[],
        ),
    ];
    assert_eq!(changed(|_| ()), none);
    for (at, value, missing, too_wide) in cases {
        let found = changed(|statement| {
            let (parent, key) = at.rsplit_once('/').unwrap();
            let parent = statement.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            if value.is_null() {
                parent.remove(key)
            } else {
                parent.insert(key.to_owned(), value.clone())
            };
        });
        let fits = |found: &[String], wanted: &[&str]| {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(text, begin)| text.starts_with(begin))
        };
        assert!(fits(&found.0, missing) && fits(&found.1, too_wide), "{at} {value}: {found:?}");
    }
    // The other name of the operator means the same.
    let renamed = changed(|statement| {
        let condition = statement["Condition"].as_object_mut().unwrap();
        let arns = condition.remove("ArnEquals").unwrap();
        condition.insert("ArnLike".to_owned(), arns);
    });
    assert_eq!(renamed, none);
}

#[test]
fn merging_refuses_a_version_that_knows_no_variables_only_where_one_is_used() {
    let old = Existing::parse(r#"{"Version": "2008-10-17", "Statement": []}"#).unwrap();
    let plain = subject(&spoke("one", 1, "", HELLO)).endpoint_policy(false).unwrap();
    assert_eq!(merge(&old, &plain).unwrap().document["Version"], "2008-10-17");
    let star = subject(&spoke("one", 1, "", "{name: a, request: 'GET /*'}")).endpoint_policy(false).unwrap();
    assert!(merge(&old, &star).unwrap_err().way_out.contains("2012-10-17"));
    assert_eq!(compare(&old, &star.document).missing.len(), 2);
}

#[test]
fn limits_are_told_before_aws_tells_them() {
    assert_eq!([7, 1_000, 20_480, 1_234_567].map(grouped), ["7", "1,000", "20,480", "1,234,567"]);
    let of = |count: usize| json!({"Statement": [{"Sid": "x".repeat(count)}]});
    let frame = of(0).to_string().len();
    for limit in [Limit::Endpoint, Limit::Resource, Limit::Identity] {
        assert!(limit.check(&of(limit.characters() - frame)).is_ok());
        assert!(limit.check(&of(limit.characters() - frame + 1)).is_err());
    }
    assert!(
        Limit::Trust.check(&of(4_096 - frame)).is_ok() && Limit::Trust.check(&of(4_097 - frame)).is_err()
    );
    assert!(Limit::Trust.remark(2_049).is_some() && Limit::Trust.remark(2_048).is_none());
    assert!(Limit::Identity.remark(6_145).is_some() && Limit::Identity.remark(6_144).is_none());
    // White space counts for the endpoint, so it goes where it would be too much.
    let (text, size) = Limit::Endpoint.printed(&of(100));
    assert_eq!((text.contains('\n'), size), (true, text.len()));
    assert!(!Limit::Endpoint.printed(&of(20_480 - frame)).0.contains('\n'));
}
