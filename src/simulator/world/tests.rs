//! Tests of reading and changing a world.

use super::*;
use std::time::{Duration, SystemTime};

const SMALL: &str = r#"
region: eu-west-1
hub: {account: "111122223333", role: spokeprobe-hub}
endpoint: {id: vpce-0123456789abcdef0}
accounts:
  - id: "111122223333"
    roles: [{name: spokeprobe-hub}]
  - id: "012345678901"
    apis:
      - id: a1b2c3d4e5
        stages: [api]
        routes: [{method: GET, path: /, authorization: AWS_IAM, integration: {json: {hello: world}}}]
"#;

#[test]
fn the_default_world_and_names() {
    let world = World::default_world().unwrap();
    assert!(world.apis().count() >= 15, "{}", world.apis().count());
    assert_eq!(world.api_name("a1b2c3d4e5"), "a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com");
    assert_eq!(
        world.alias_name("a1b2c3d4e5"),
        "a1b2c3d4e5-vpce-0123456789abcdef0.execute-api.eu-west-1.amazonaws.com"
    );
}

#[test]
fn a_wrong_form_is_refused_with_its_place() {
    let error =
        World::parse(&SMALL.replace("stages: [api]", "stages: [api]\n        colour: red")).unwrap_err();
    assert!(error.to_string().contains("colour"), "{error}");
    assert!(error.to_string().starts_with(|c: char| c.is_ascii_digit()), "{error}");
}

#[test]
fn all_problems_of_meaning_come_at_once() {
    let text = SMALL
        .replace("vpce-0123456789abcdef0", "vpce-x")
        .replace("a1b2c3d4e5", "A1")
        .replace("role: spokeprobe-hub", "role: nobody")
        .replace("path: /", "path: x")
        + "timeline: [{after: 1s, change: {fault: {api: zzzzzzzzzz, to: reset}}}]\n";
    let problems = World::parse(&text).unwrap_err().problems;
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn the_timeline_sets_repeats_and_ends() {
    let text = SMALL.to_owned()
        + "timeline:
  - {after: 10s, every: 60s, change: {fault: {api: a1b2c3d4e5, to: reset}}}
  - {after: 40s, every: 60s, change: {fault: {api: a1b2c3d4e5}}}
  - {after: 20s, change: {latency: {api: a1b2c3d4e5, to: 2s}}}
";
    let mut world = World::parse(&text).unwrap();
    let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let mut progress = Progress::from(start, &world);
    for (at, faulty, latency) in [
        (0, false, 0),
        (9, false, 0),
        (10, true, 0),
        (39, true, 2),
        (41, false, 2),
        (71, true, 2),
        (6041, false, 2),
    ] {
        progress.advance(&mut world, start + Duration::from_secs(at));
        let (_, api) = world.api("a1b2c3d4e5").unwrap();
        assert_eq!((api.fault.is_some(), api.latency.get().as_secs()), (faulty, latency), "at {at}");
    }
}

#[test]
fn the_demos_configuration_names_what_the_world_has() {
    let world = World::default_world().unwrap();
    let text = crate::simulator::DEMO_CONFIGURATION;
    let value: serde_json::Value = crate::yaml::from_str(text).unwrap();
    let spokes = value["spokes"].as_array().unwrap();
    let mut targets = 0;
    for spoke in spokes {
        let account = spoke["account"].as_str().unwrap();
        assert!(world.role(account, "spokeprobe").is_some(), "{account}");
        for api in spoke["apis"].as_array().unwrap() {
            let (owner, known) = world.api(api["id"].as_str().unwrap()).unwrap();
            assert!(owner.id == account && owner.name.as_deref() == spoke["name"].as_str(), "{account}");
            assert!(known.stages.iter().any(|stage| Some(stage.as_str()) == api["stage"].as_str()));
            targets += api["probes"].as_array().unwrap().len();
        }
    }
    assert_eq!((spokes.len(), targets), (22, 50));
    for name in ["URL", "CA", "STS"] {
        assert!(text.contains(&format!("${{SPOKEPROBE_DEMO_{name}}}")), "{name}");
    }
}
