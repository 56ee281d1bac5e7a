//! How large the policies of small and large configurations are, and what they look like: the table and the examples of
//! `docs/policies.md`; and what IAM would refuse is told before.

use crate::documents::part;
use crate::program::{folder, run};
use spokeprobe::policy::{Policy, PrincipalForm, Subject, grouped};
use spokeprobe::sources::{self, LoadedPlan};
use std::fmt::Write as _;

const ORGANIZATION: &str = "organization: {id: o-a1b2c3d4e5},";

/// Spokes of one api with two probes each.
pub(crate) fn spokes(count: usize, head: &str) -> String {
    let mut text = format!(
        "hub: {{region: eu-west-1, role_arn: 'arn:aws:iam::111122223333:role/hub', {head} endpoint: {{id: vpce-0123456789abcdef0}}}}\n\
         defaults: {{every: 5m}}\nisolation: {{}}\nspokes:\n"
    );
    for number in 0..count {
        writeln!(
            text,
            "- {{name: spoke-{number:03}, account: '{:012}', external_id: spokeprobe-{number:03}, apis: [{{name: hoot, id: \
             a{number:09}, stage: api, probes: [{{name: hello, request: GET /}}, {{name: greet, request: POST /greet}}]}}]}}",
            200_000_000_000_usize + number
        )
        .unwrap();
    }
    text
}

fn load(count: usize) -> LoadedPlan {
    sources::load_plan_text("policies.yaml", &spokes(count, ORGANIZATION), &|_| None).unwrap()
}

fn subject(loaded: &LoadedPlan) -> Subject {
    Subject::new(&loaded.config, &loaded.plan, &[])
}

/// All policies of one kind, each checked against its limit, and the rows of the table that tell of them.
struct Sizes {
    endpoint: String,
    trust: String,
    permissions: String,
    isolation: String,
    resource: String,
    hub: String,
}

fn sizes(count: usize) -> Sizes {
    let loaded = load(count);
    let subject = subject(&loaded);
    let largest = |policies: &[Policy]| {
        for policy in policies {
            policy.limit.check(&policy.document.to_value()).unwrap();
        }
        let sizes = policies.iter().map(|policy| policy.limit.size(&policy.document.to_value()));
        let sid = |policy: &Policy, wanted: &str| policy.document.sids().any(|sid| sid == wanted);
        let pattern = policies.iter().any(|policy| {
            sid(policy, "SpokeprobePattern")
                || policy.document.to_value().to_string().contains(":*:*/api/GET/")
        });
        format!("{}{}", grouped(sizes.max().unwrap()), if pattern { " (pattern)" } else { "" })
    };
    let hub = subject.hub_policies().unwrap();
    // Nobody is lost between the parts.
    let text: String = hub.iter().map(|policy| policy.document.to_value().to_string()).collect();
    for number in 0..count {
        let arn = format!("\"arn:aws:iam::{:012}:role/spokeprobe\"", 200_000_000_000_usize + number);
        assert_eq!(text.matches(&arn).count(), 1, "{arn}");
    }
    let parts = if hub.len() > 1 { format!("{} parts of up to ", hub.len()) } else { String::new() };
    Sizes {
        endpoint: largest(&[subject.endpoint_policy(false).unwrap()]),
        trust: largest(&subject.trust_policies(PrincipalForm::Condition).unwrap()),
        permissions: largest(&subject.permission_policies(false)),
        isolation: largest(&subject.permission_policies(true)),
        resource: largest(&subject.resource_policies(PrincipalForm::Condition).unwrap()),
        hub: parts + &largest(&hub),
    }
}

#[test]
fn sizes_at_three_ten_a_hundred_and_four_hundred_spokes() {
    let all = [3, 10, 100, 400].map(sizes);
    // What the issue of the pattern form is about: it begins where naming each role ends.
    assert!(!all[1].endpoint.contains("pattern") && all[2].endpoint.contains("pattern"));
    let mut table = String::from(
        "| policy | limit | 3 spokes | 10 spokes | 100 spokes | 400 spokes |\n|---|---|---|---|---|---|\n",
    );
    type Row = (&'static str, &'static str, fn(&Sizes) -> &String);
    let rows: [Row; 6] = [
        ("`vpc-endpoint`", "20,480 with white space", |sizes| &sizes.endpoint),
        ("`trust`, each", "2,048; 4,096 after a raise", |sizes| &sizes.trust),
        ("`permissions`, each", "10,240 inline, 6,144 managed", |sizes| &sizes.permissions),
        ("`permissions --isolation`, each", "the same", |sizes| &sizes.isolation),
        ("`resource`, each", "8,192", |sizes| &sizes.resource),
        ("`hub`", "the same as `permissions`", |sizes| &sizes.hub),
    ];
    for (name, limit, of) in rows {
        let cells: Vec<&str> = all.iter().map(|sizes| of(sizes).as_str()).collect();
        writeln!(table, "| {name} | {limit} | {} |", cells.join(" | ")).unwrap();
    }
    part("docs/policies.md", "sizes", &table);
}

#[test]
fn the_shown_policies_are_the_printed_ones() {
    let shown =
        |policy: &Policy| format!("```json\n{}\n```\n", policy.limit.printed(&policy.document.to_value()).0);
    let small = load(3);
    let small = subject(&small);
    let of_three = [
        ("vpc-endpoint", small.endpoint_policy(false).unwrap()),
        ("hub", small.hub_policies().unwrap().remove(0)),
        ("trust spoke-000", small.trust_policies(PrincipalForm::Condition).unwrap().remove(0)),
        ("permissions spoke-000", small.permission_policies(false).remove(0)),
        ("resource spoke-000", small.resource_policies(PrincipalForm::Condition).unwrap().remove(0)),
    ];
    let mut text = String::new();
    for (command, policy) in &of_three {
        writeln!(text, "`spokeprobe policy {command}`\n\n{}", shown(policy)).unwrap();
    }
    part("docs/policies.md", "three spokes", &text);
    let large = load(400);
    let large = subject(&large);
    let endpoint = large.endpoint_policy(false).unwrap();
    let text =
        format!("`spokeprobe policy vpc-endpoint`\n\n{}\nIt says on stderr:\n\n{}", shown(&endpoint), {
            endpoint.notes.iter().fold(String::new(), |text, note| text + "> " + note + "\n\n")
        });
    part("docs/policies.md", "four hundred spokes", &text);
}

/// What cannot work in AWS is said before anybody goes there: by `plan`, with the way out.
#[test]
fn what_iam_would_refuse_is_told_at_plan_time() {
    let at = folder("plan-refused");
    let long = "r".repeat(65);
    let plan = |name: &str, text: &str| {
        let path = at.join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        run(&["plan", "--config", path.to_str().unwrap()])
    };
    let two = spokes(2, ORGANIZATION);
    for (name, from, to, wanted) in [
        (
            "no-region",
            "region: eu-west-1, ",
            "",
            "hub: found no `region`, wanted a region code of the partition",
        ),
        (
            "secret-partition",
            "eu-west-1",
            "us-iso-east-1",
            "wanted a region code of the partition aws, aws-cn or aws-us-gov",
        ),
        ("sovereign-partition", "eu-west-1", "eusc-de-east-1", "wanted a region code of the partition"),
        (
            "moon-partition",
            "arn:aws:iam",
            "arn:moon:iam",
            "wanted a role ARN of the partition aws, aws-cn or aws-us-gov",
        ),
        (
            "two-partitions",
            "arn:aws:iam",
            "arn:aws-cn:iam",
            "wanted a role in the partition aws of the region",
        ),
        ("long-hub-role", "role/hub", &format!("role/{long}"), "wanted a role ARN"),
        (
            "long-role",
            "external_id",
            &format!("role: {long}, external_id"),
            "wanted a role name of 1 to 64 letters",
        ),
        (
            "long-session",
            "external_id",
            &format!("session_name: {long}, external_id"),
            "wanted 2 to 64 letters",
        ),
        ("same-name", "spoke-001", "spoke-000", "wanted each name once"),
        (
            "role-elsewhere",
            "external_id: spokeprobe-001",
            "role: 'arn:aws:iam::200000000000:role/spokeprobe'",
            "wanted a role in the spoke's own account",
        ),
    ] {
        let ran = plan(name, &two.replacen(from, to, 1));
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{name}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{name}: {}", ran.stderr);
    }
    // These can run, and only their policies cannot be made: a warning, and the command refuses.
    let roles = plan("one-role-two-ids", &two.replace("200000000001", "200000000000"));
    assert_eq!(roles.status, Some(0), "{roles:?}");
    assert!(roles.stdout.contains("with different external ids"), "{}", roles.stdout);
    let many = plan("four-hundred", &spokes(400, ""));
    assert_eq!(many.status, Some(0));
    assert!(many.stdout.contains("will be refused: "), "{}", many.stdout);
    assert!(many.stdout.contains("add `hub.organization.id`"), "{}", many.stdout);
}
