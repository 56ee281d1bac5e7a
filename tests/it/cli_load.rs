//! `spokeprobe load` as people and scripts meet it, against a simulated hub in another process.

use crate::program::{Ran, SimulatedHub, Started, free_address, get, run, run_with};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Requests that the hub counted at an api by which the role of payments calls.
fn counted(hub: &SimulatedHub) -> u64 {
    let counts = hub.counts();
    let rows = counts["requests"].as_array().unwrap().iter();
    rows.filter(|row| row["api"] == "a1b2c3d4e5").map(|row| row["count"].as_u64().unwrap()).sum()
}

fn load(hub: &SimulatedHub, args: &[&str]) -> Ran {
    run_with(&[&["load", "--config", &hub.config()], args].concat(), &hub.environment)
}

#[test]
fn a_run_sends_what_it_reports_and_a_dry_run_sends_nothing() {
    let hub = SimulatedHub::start("load-run");
    let asked = ["payments/hoot/hello", "--rate", "20/s", "--for", "2s"];
    let dry = load(&hub, &[&asked[..], &["--dry-run"]].concat());
    assert_eq!(dry.status, Some(0), "{dry:?}");
    for wanted in [
        "payments/hoot/hello, account 012345678901",
        "GET https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/api/, signed as arn:aws:iam::012345678901:role/",
        "20/s for 2s",
        "40 in 2s",
        "0.2% of the account's quota of 10000/s",
        "of 100/s (limits.requests_per_second_per_account)",
        "errors 10%, throttled 1%, missed 5%, p99 off, over 10s",
    ] {
        assert!(dry.stdout.contains(wanted), "{wanted}: {}", dry.stdout);
    }
    assert!(dry.stderr.contains("nothing was sent"));
    let dry = load(&hub, &[&asked[..], &["--dry-run", "--json"]].concat()).json();
    assert_eq!(
        (&dry["dry_run"], &dry["requests"], &dry["peak_per_second"]),
        (&json!(true), &json!(40.0), &json!(20.0))
    );
    let schema = run(&["schema", "load-dry-run"]).json();
    let keys: std::collections::BTreeSet<&str> =
        dry.as_object().unwrap().keys().map(String::as_str).collect();
    let named = schema["required"].as_array().unwrap().iter().map(|key| key.as_str().unwrap()).collect();
    assert_eq!(keys, named, "the published schema names all of it");
    assert_eq!(schema["properties"].as_object().unwrap().len(), keys.len());
    assert_eq!(counted(&hub), 0);

    let (page, log) = (hub.folder.join("run.html"), hub.folder.join("run.hlog"));
    let files = ["--html", page.to_str().unwrap(), "--hlog", log.to_str().unwrap()];
    let ran = load(&hub, &[&asked[..], &files, &["--json", "--guard", "missed=off"]].concat());
    let report = ran.json();
    assert_eq!(report["due"], json!(40));
    assert_eq!(report["end"], json!({"how": "completed"}));
    assert_eq!(report["sent"].as_u64().unwrap() + report["missed"].as_u64().unwrap(), 40);
    assert_eq!(counted(&hub), report["sent"].as_u64().unwrap(), "both sides counted the same");
    assert!(report["latency"]["response"]["p99_seconds"].as_f64().unwrap() > 0.0);
    // Where the machine was held up, arrivals are missed: then it is not as expected.
    let expected = report["missed"] == 0;
    assert_eq!(
        (report["verdict"]["expected"].as_bool(), ran.status),
        (Some(expected), Some(i32::from(!expected)))
    );
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>"), "{}", &page[..40]);
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.starts_with("#[Histogram log format version 1.3]") && log.contains("Tag=response"), "{log}");
    // Neither secrets nor the token of the session are in anything that was written.
    assert!(!format!("{ran:?}{page}").to_lowercase().contains("x-amz-security-token"));
}

#[test]
fn a_signal_ends_a_run_with_its_report_and_a_second_one_at_once() {
    let hub = SimulatedHub::start("load-signal");
    let config = hub.config();
    for (signals, args, sooner_than) in
        [(&["USR1"][..], &["--ramp-down", "1s"][..], 20), (&["INT", "TERM"], &["--ramp-down", "1m"], 20)]
    {
        let asked = ["load", "payments/hoot/hello", "--rate", "10/s", "--for", "2m", "--config", &config];
        let mut run = Started::new(&[&asked[..], args].concat(), &hub.environment);
        std::thread::sleep(SECOND * 2);
        for signal in signals {
            run.signal(signal);
            std::thread::sleep(Duration::from_millis(300));
        }
        let status = run.ended_within(SECOND * sooner_than).expect("it ends soon");
        assert_eq!(status.code(), Some(1), "{signals:?}");
    }
}

#[test]
fn a_run_that_may_not_or_cannot_begin_sends_nothing_and_says_why() {
    let hub = SimulatedHub::start("load-refused");
    // The trust policy of this role refuses the agent.
    let text = std::fs::read_to_string(hub.config()).unwrap();
    let opted_in = text.replace("id: q7r8s9t0u1\n", "id: q7r8s9t0u1\n        max_rate: 5/s\n");
    assert_ne!(text, opted_in);
    std::fs::write(hub.config(), opted_in).unwrap();
    let refused = load(&hub, &["vendor/vendor/hello", "--rate", "1/s", "--for", "5s"]);
    assert_eq!((refused.status, refused.stdout.as_str()), (Some(1), ""), "{refused:?}");
    for wanted in ["the run does not begin, nothing was sent: assume_role_denied", "sts:AssumeRole"] {
        assert!(refused.stderr.contains(wanted), "{wanted}: {}", refused.stderr);
    }
    let stop = hub.folder.join("stop");
    std::fs::write(&stop, "").unwrap();
    let file = stop.to_str().unwrap();
    let stopped = load(&hub, &["payments/hoot/hello", "--rate", "1/s", "--for", "5s", "--stop-file", file]);
    assert_eq!(stopped.status, Some(1));
    assert!(stopped.stderr.contains("the stop file") && stopped.stderr.contains(file), "{}", stopped.stderr);
    assert_eq!(counted(&hub), 0);
}

#[test]
fn the_stop_file_stops_a_run_and_its_report_tells() {
    let hub = SimulatedHub::start("load-stop-file");
    let (stop, config) = (hub.folder.join("stop"), hub.config());
    let asked = ["load", "payments/hoot/hello", "--rate", "10/s", "--for", "2m", "--ramp-down", "0s"];
    let files = ["--config", &config, "--stop-file", stop.to_str().unwrap()];
    let mut run = Started::new(&[&asked[..], &files].concat(), &hub.environment);
    std::thread::sleep(SECOND * 2);
    std::fs::write(&stop, "").unwrap();
    assert_eq!(run.ended_within(SECOND * 20).expect("it ends soon").code(), Some(1));
    let told = run.stdout();
    assert!(told.contains("stopped on request after") && told.contains(": the stop file exists"), "{told}");
}

#[test]
fn a_baseline_of_the_same_run_is_compared_with() {
    let hub = SimulatedHub::start("load-baseline");
    let asked = ["payments/hoot/hello", "--rate", "10/s", "--for", "2s", "--json"];
    let first = load(&hub, &asked);
    let file = hub.folder.join("first.json");
    std::fs::write(&file, &first.stdout).unwrap();
    // So tolerant that a busy machine makes no difference.
    let how =
        ["--baseline", file.to_str().unwrap(), "--tolerance", "slower=1000%,by=10s,missed=100%,rate=100%"];
    let second = load(&hub, &[&asked[..], &how].concat());
    assert_eq!(second.json()["baseline"]["worse"], json!(false), "{second:?}");
    let stranger = load(&hub, &[&asked[..], &["--baseline", &hub.config()]].concat());
    assert_eq!(stranger.status, Some(2));
    assert!(
        stranger.stderr.contains("is no report of `spokeprobe load … --json`: no JSON"),
        "{}",
        stranger.stderr
    );
}

/// Sends a request without a body and gives the status.
fn post(address: SocketAddr, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "POST /-/loads/stop HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{headers}\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn an_agent_without_loads_takes_the_kill_switch_and_lives() {
    let hub = SimulatedHub::start("load-agent");
    let listen = free_address();
    let config = hub.folder.join("run.yaml");
    let text = std::fs::read_to_string(hub.config()).unwrap();
    std::fs::write(&config, format!("{text}\nweb: {{listen: '{listen}'}}\n")).unwrap();
    let mut agent = Started::new(&["run", "--config", config.to_str().unwrap()], &hub.environment);
    let ready = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        get(listen, "/-/ready").is_some_and(|(status, _)| status == 200)
    });
    assert!(ready);
    agent.signal("USR1");
    let (status, answer) = post(listen, "");
    assert!(status == 200 && answer.ends_with("stopped 0 loads\n"), "{answer}");
    assert_eq!(post(listen, "origin: null\r\n").0, 403);
    assert_eq!(get(listen, "/-/loads/stop").unwrap().0, 405);
    assert_eq!(get(listen, "/-/healthy").unwrap().0, 200, "SIGUSR1 did not end it");
    agent.signal("TERM");
    assert_eq!(agent.ended_within(SECOND * 10).expect("10 s are promised").code(), Some(0));
    assert!(agent.stderr().contains("SIGUSR1: loads are stopped"));
}

#[test]
fn plan_lists_loads() {
    let folder = crate::program::folder("load-plan");
    let config = folder.join("config.yaml");
    let text = std::fs::read_to_string("config.yaml").unwrap();
    // What the example shows as comments is a load that can be had by removing the marks.
    let text: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest)
                if ["loads:", "load:", "  - name: nightly"].contains(&rest)
                    || rest.starts_with("    ")
                    || rest.starts_with("  reuse")
                    || rest.starts_with("  stop")
                    || rest.starts_with("  cool")
                    || rest.starts_with("  in_flight") =>
            {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    std::fs::write(&config, text).unwrap();
    let ran = run(&["plan", "--config", config.to_str().unwrap(), "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let loads = ran.json()["loads"].clone();
    assert_eq!(
        loads,
        json!([{
            "name": "nightly", "probe": "payments/hoot/hello", "account": "012345678901", "at": "02:00",
            "duration_seconds": 390.0, "peak_per_second": 20.0, "requests": 6900.0, "share_of_quota": 0.002,
        }])
    );
    assert_eq!(ran.json()["warnings"], Value::Array(Vec::new()));
}
