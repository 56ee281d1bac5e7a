//! Stories of whole configurations. The many single mistakes are in `tests/configs/invalid`.

use super::*;
use crate::domain::api::{Addressing, ApiName};
use crate::domain::expectation::ExpectedRefusal;
use crate::domain::outcome::Reason;
use crate::domain::target::Cadence;
use proptest::prelude::*;
use std::time::Duration;

const FULL: &str = include_str!("../../tests/configs/full.yaml");

fn environment(name: &str) -> Option<String> {
    match name {
        "EXTERNAL_ID" => Some("external-sesame".into()),
        "TOKEN" => Some("token-sesame".into()),
        "SPOKEPROBE_ID" => Some("own-sesame".into()),
        _ => None,
    }
}

fn documents(main: &str) -> Documents {
    let mut documents = Documents::of_main(Document::parse("main.yaml", main).unwrap());
    documents.files.insert("ca.pem".into(), Ok("-----BEGIN CERTIFICATE-----".into()));
    documents.files.insert("web.yaml".into(), Ok("http_server_config: {http2: true}".into()));
    documents.files.insert("narrow.json".into(), Ok("{\"Statement\": [ ]}".into()));
    documents
}

fn include(documents: &mut Documents, file: &str, text: &str, bounds: &[&str]) {
    let bounds = if bounds.is_empty() {
        Vec::new()
    } else {
        vec![bounds.iter().map(|a| a.parse().unwrap()).collect()]
    };
    let document = Document::parse(file, text);
    documents.included.push(IncludedDocument { file: file.into(), document, bounds, as_last_read: None });
}

fn problems(text: &str) -> Vec<String> {
    let problems = read(&documents(text), &environment).unwrap_err();
    problems.iter().map(ToString::to_string).collect()
}

/// A configuration around the probes of one api.
fn with_probes(probes: &str) -> String {
    format!(
        "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\nspokes:\n- name: a\n  account: '111122223333'\n  \
         apis:\n  - name: x\n    id: a1b2c3d4e5\n    stage: s\n    probes:\n{probes}"
    )
}

#[test]
fn every_key_arrives_in_its_type() {
    let config = read(&documents(FULL), &environment).unwrap();
    assert_eq!(config.web.config_file.as_deref(), Some(std::path::Path::new("web.yaml")));
    assert_eq!(config.web.notes.len(), 1);
    assert_eq!(config.hub.endpoint.url.as_ref().map(|url| (url.tls, url.port)), Some((false, 8080)));
    assert_eq!(config.hub.sts_endpoint_url.as_deref(), Some("http://127.0.0.1:5000"));
    assert_eq!(config.hub.endpoint.zones.values().map(|z| z.port).collect::<Vec<_>>(), [8443, 443]);
    assert_eq!(config.buckets, [0.1, 1.0]);
    assert_eq!(config.limits.requests_per_second, 50.5);
    let one = &config.spokes[0];
    assert_eq!(one.account.as_str(), "012345678901");
    assert_eq!(one.session.role_arn.to_string(), "arn:aws-us-gov:iam::012345678901:role/other");
    assert_eq!(one.session.session_policy.as_deref(), Some("{\"Statement\":[]}"));
    assert_eq!(one.labels.values().collect::<Vec<_>>(), ["007"]);
    let api = &one.apis[0];
    assert_eq!(api.addressing, Addressing::Alias);
    assert!(matches!(&api.api, ApiName::Id { stage, .. } if stage.as_str() == "v1"));
    let [rated, posted, put, guard, cross] = api.probes.as_slice() else { panic!() };
    assert_eq!(rated.cadence, Cadence::PerSecond(2.0));
    assert_eq!(rated.request.path_and_query, "/a%20b?q=1%2B1");
    assert!(rated.per_zone && rated.fresh_connection);
    assert_eq!(
        posted.request.body.as_ref().unwrap().expose(),
        "{\"b\":[1,2.5,null,true],\"a\":\"token-sesame\"}"
    );
    assert_eq!(posted.request.headers.len(), 2, "a configured content type stays the only one");
    assert_eq!(posted.expectation.headers, [("x-id".to_owned(), "7".to_owned())]);
    assert_eq!(posted.timeout, Duration::from_secs(60));
    assert_eq!(put.cadence, Cadence::Every(Duration::from_secs(5)));
    let refusal = ExpectedRefusal::By(vec![Reason::ResourcePolicy, Reason::Forbidden]);
    assert_eq!(guard.expectation.refusal, Some(refusal));
    assert_eq!(cross.identity.to_string(), "spoke:two");
    // A role from the defaults, with its path.
    let text = FULL.replace("    role: other\n", "");
    let config = read(&documents(&text), &environment).unwrap();
    assert_eq!(config.spokes[0].session.role_arn.name(), "probe");
}

#[test]
fn what_came_from_the_environment_never_shows() {
    let config = read(&documents(FULL), &environment).unwrap();
    assert!(!format!("{config:?}").contains("sesame"));
    // In problems neither, wherever it stands.
    let text = FULL
        .replace("name: one", "name: ${TOKEN}x_")
        .replace("account: 012345678901", "account: ${TOKEN}")
        .replace("request: PUT /", "request: '${TOKEN}'")
        .replace("duration: 12h", "duration: ${TOKEN}")
        .replace("status: open", "status: '${TOKEN}'")
        .replace("in_flight: 10", "in_flight: '${TOKEN}'")
        .replace("cidrs: [203.0.113.0/24]", "cidrs: ['${TOKEN}']")
        .replace("timeout: 1m", "timeout: ${TOKEN}");
    let problems = problems(&text);
    assert!(problems.len() >= 8, "{problems:#?}");
    for problem in &problems {
        assert!(!problem.contains("sesame"), "{problem}");
    }
}

#[test]
fn head_has_no_body_to_look_at() {
    let text = with_probes("    - {name: p, request: HEAD /, expect: {json: {a: 1}}}\n");
    assert!(problems(&text)[0].contains("probes.p.expect.json: found a body expected of HEAD"));
}

#[test]
fn a_number_from_the_environment_is_a_number() {
    let environment = |name: &str| (name == "LIMIT").then(|| "7".to_owned());
    let text = with_probes("    - {name: p, request: GET /}\n") + "limits: {in_flight: \"x\"}\n";
    let text = text.replace("{in_flight: \"x\"}", "\n  in_flight: ${LIMIT}");
    let config = read(&documents(&text), &environment).unwrap();
    assert_eq!(config.limits.in_flight, 7);
}

#[test]
fn problems_are_sorted_and_complete_although_the_hub_cannot_be_read() {
    let text = "spokes:\n- {name: A, account: 12}\nhub: {region: x, endpoint: {id: y}}\nextra: 1\n";
    let problems = problems(text);
    let places: Vec<&str> = problems.iter().map(|p| p.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        ["main.yaml:2:10", "main.yaml:2:22", "main.yaml:3:15", "main.yaml:3:33", "main.yaml:4:1"]
    );
}

#[test]
fn an_empty_or_odd_document_is_a_problem_not_a_panic() {
    for text in
        ["", "~", "[]", "text", "hub:", "spokes: {}", "hub: []\nspokes: [1, [], ~, {}]\ninclude: [{}, 1]"]
    {
        assert!(!problems(text).is_empty(), "{text}");
    }
}

#[test]
fn an_addressing_needs_what_it_is_made_of() {
    let base = with_probes("    - {name: p, request: GET /}\n");
    for style in ["endpoint_dns", "api_id_header"] {
        let text = base.replace("    stage: s\n", &format!("    stage: s\n    addressing: {style}\n"));
        assert!(problems(&text)[0].contains("hub.endpoint.dns_name"), "{style}");
    }
    for style in ["alias", "api_id_header"] {
        let domain = format!("    domain: a.example.com\n    addressing: {style}\n");
        let text = base.replace("    id: a1b2c3d4e5\n    stage: s\n", &domain);
        assert!(problems(&text).iter().any(|problem| problem.contains("custom domain name")), "{style}");
    }
}

#[test]
fn a_rate_counts_in_all_zones_against_the_opt_in() {
    let text = FULL.replace("rate: 2/s", "rate: 3/s");
    assert!(
        problems(&text)[0]
            .contains("found `3/s` in each of 2 zones, wanted at most the api's `max_rate` of 5/s")
    );
    let text = FULL.replace("        max_rate: 300/m\n", "");
    assert!(problems(&text)[0].contains("`rate` on an api without `max_rate`"));
}

const MAIN: &str = "hub: {region: eu-west-1, endpoint: {id: vpce-0a1b2c3d}}\nspokes:\n- {name: a, account: '111122223333'}\n";

fn spoke_file(name: &str, account: &str, more: &str) -> String {
    format!("spokes:\n- name: {name}\n  account: '{account}'\n{more}")
}

#[test]
fn a_bad_include_is_left_out_and_the_rest_stays() {
    let mut documents = documents(MAIN);
    let cross = "  apis:\n  - {name: x, id: a1b2c3d4e5, stage: s, probes: [{name: p, request: GET /, as: 'spoke:NAME'}]}\n";
    include(&mut documents, "good.yaml", &spoke_file("b", "222233334444", ""), &["222233334444"]);
    include(&mut documents, "bound.yaml", &spoke_file("c", "333333333333", ""), &["222233334444"]);
    include(&mut documents, "twice.yaml", &spoke_file("a", "222233334444", ""), &[]);
    include(&mut documents, "syntax.yaml", "spokes: [", &[]);
    include(&mut documents, "more.yaml", "hub: {}\nspokes: []\n", &[]);
    include(
        &mut documents,
        "environment.yaml",
        &spoke_file("d", "222233334444", "  external_id: ${TOKEN}\n"),
        &[],
    );
    include(
        &mut documents,
        "own.yaml",
        &spoke_file("e", "222233334444", "  external_id: ${SPOKEPROBE_ID}\n"),
        &[],
    );
    include(
        &mut documents,
        "outside.yaml",
        &spoke_file("f", "222233334444", "  session_policy: ../narrow.json\n"),
        &[],
    );
    include(
        &mut documents,
        "needs-d.yaml",
        &spoke_file("g", "222233334444", &cross.replace("NAME", "d")),
        &[],
    );
    include(
        &mut documents,
        "needs-g.yaml",
        &spoke_file("h", "222233334444", &cross.replace("NAME", "g")),
        &[],
    );
    include(
        &mut documents,
        "needs-b.yaml",
        &spoke_file("i", "222233334444", &cross.replace("NAME", "b")),
        &[],
    );
    let config = read(&documents, &environment).unwrap();
    let names: Vec<&str> = config.spokes.iter().map(|spoke| spoke.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "e", "i"]);
    let failed: Vec<&str> = config.include_failures.iter().map(|failure| failure.file.as_str()).collect();
    assert_eq!(
        failed,
        [
            "bound.yaml",
            "twice.yaml",
            "syntax.yaml",
            "more.yaml",
            "environment.yaml",
            "outside.yaml",
            "needs-d.yaml",
            "needs-g.yaml"
        ]
    );
    assert!(config.include_failures.iter().all(|failure| !failure.problems.is_empty()));
}

#[test]
fn a_probe_that_needs_a_left_out_spoke_is_left_out_too() {
    let probe = "  apis:\n  - {name: x, id: a1b2c3d4e5, stage: s, probes: [{name: p, request: GET /, as: 'spoke:b'}]}\n";
    let main = MAIN.replace(
        "- {name: a, account: '111122223333'}\n",
        &format!("- name: a\n  account: '111122223333'\n{probe}"),
    );
    assert!(problems(&main)[0].contains("found `spoke:b`, a spoke that is not known"));
    let mut documents = documents(&main);
    include(&mut documents, "bad.yaml", "spokes: [", &[]);
    let config = read(&documents, &environment).unwrap();
    assert_eq!(config.left_out.len(), 1);
    assert!(config.spokes[0].apis[0].probes.is_empty());
}

#[test]
fn references_are_found_before_anything_is_checked() {
    let main = Document::parse("m", "include: [a/*.yaml, {files: b, accounts: ['111122223333']}]\nhub: {endpoint: {ca_file: c.pem}}\nspokes: [{session_policy: d.json}, 1]\n").unwrap();
    let references = references(&main, true, &environment);
    assert_eq!(references.includes.iter().map(|i| i.pattern.as_str()).collect::<Vec<_>>(), ["a/*.yaml", "b"]);
    assert_eq!(references.files.iter().collect::<Vec<_>>(), ["c.pem", "d.json"]);
    for (file, web_file, local) in
        [("s3://b/m", "/w.yaml", true), ("s3://b/m", "w.yaml", false), ("m", "/w.yaml", false)]
    {
        let text = format!("web: {{config_file: {web_file}}}\nhub: {{endpoint: {{ca_file: /c.pem}}}}\n");
        let found = super::references(&Document::parse(file, &text).unwrap(), true, &environment);
        assert_eq!(found.local_files.contains(web_file), local, "{file} {web_file}");
        assert_eq!(found.files.contains(web_file), !local, "{file} {web_file}");
        assert!(found.files.contains("/c.pem"));
    }
}

/// What is in the table is read, and what is read is in the table: a document with every key of the table
/// has no unknown key, and the full example above has them all.
#[test]
fn the_full_example_has_every_key_of_the_table() {
    // A key that excludes one that is there.
    const ELSEWHERE: &str = ".members.shard";
    fn check(section: &'static Section, nodes: &[&Node], path: &str) {
        for key in section.keys.iter().filter(|key| format!("{path}.{}", key.name) != ELSEWHERE) {
            let values: Vec<&Node> = nodes
                .iter()
                .filter_map(|node| match &node.kind {
                    Kind::Mapping(entries) => entries.iter().find(|e| e.key == key.name).map(|e| &e.value),
                    _ => None,
                })
                .collect();
            assert!(!values.is_empty(), "{path}.{}", key.name);
            let path = format!("{path}.{}", key.name);
            match &key.shape {
                Shape::Section(inner) => check(inner, &values, &path),
                Shape::List(Shape::Section(inner)) => {
                    let items = values.iter().flat_map(|node| match &node.kind {
                        Kind::Sequence(items) => items.iter().collect::<Vec<_>>(),
                        _ => Vec::new(),
                    });
                    check(inner, &items.collect::<Vec<_>>(), &path);
                }
                _ => {}
            }
        }
    }
    let document = Document::parse("full.yaml", FULL).unwrap();
    check(&MAIN_SECTION, &[&document.tree], "");
}

use super::MAIN as MAIN_SECTION;

proptest! {
    /// Whatever is broken, the answer is a configuration or problems, and no secret is in these.
    #[test]
    fn a_broken_configuration_never_panics_and_never_leaks(
        line in 0_usize..60,
        column in 0_usize..80,
        with in prop::sample::select(vec![
            "", "~", "[]", "{}", "- ", ": ", "\"", "'", "-1", "1e999", "\u{1b}[2J", "é", "${TOKEN}", "$${", "\t", "#", "a: b", "\n",
        ]),
    ) {
        let mut lines: Vec<String> = FULL.lines().map(str::to_owned).collect();
        let line = line % lines.len();
        let at = lines[line].char_indices().map(|(at, _)| at).nth(column).unwrap_or(lines[line].len());
        lines[line].insert_str(at, with);
        let Ok(main) = Document::parse("main.yaml", &lines.join("\n")) else { return Ok(()) };
        let mut broken = documents(FULL);
        broken.main = main;
        if let Err(problems) = read(&broken, &environment) {
            prop_assert!(!problems.is_empty());
            let printed: String = problems.iter().map(|problem| format!("{problem}\n")).collect();
            prop_assert!(!printed.contains("sesame"), "{}", printed);
            prop_assert!(!printed.contains('\u{1b}'), "{}", printed);
        }
    }
}
