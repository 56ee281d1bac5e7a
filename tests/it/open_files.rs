//! An agent that may open few files: it stays healthy to whoever asks, sends what it can, and blames nobody for the rest.

use crate::program::{folder, free_address, get, run};
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Takes connections and requests, and never answers.
fn silent() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _read = stream.read(&mut [0; 1_024]);
            held.push(stream);
        }
    });
    port
}

#[test]
fn with_64_open_files_the_agent_is_healthy_and_says_that_it_is_overloaded() {
    let folder = folder("open-files");
    let (listen, port) = (free_address(), silent());
    let mut text = format!(
        "hub:\n  region: eu-west-1\n  endpoint: {{id: vpce-0123456789abcdef0, url: 'http://127.0.0.1:{port}'}}\n\
         web: {{listen: '{listen}'}}\n\
         spokes:\n  - name: payments\n    account: \"012345678901\"\n    apis:\n      - name: hoot\n        id: \
         a1b2c3d4e5\n        stage: api\n        probes:\n"
    );
    for number in 0..60 {
        writeln!(
            text,
            "          - {{name: p{number}, request: GET /{number}, as: anonymous, every: 1s, timeout: 60s}}"
        )
        .unwrap();
    }
    let config = folder.join("config.yaml");
    std::fs::write(&config, text).unwrap();
    // The hard limit too, so that it cannot be raised.
    let script = "ulimit -n 64 && exec \"$0\" run --config \"$1\"";
    let mut agent = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_spokeprobe"), config.to_str().unwrap()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sum = |page: &str, labels: &str| -> f64 {
        let lines = page.lines().filter(|line| line.starts_with("spokeprobe_requests_total{"));
        let lines = lines.filter(|line| line.contains(labels));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    };
    let mut page = String::new();
    for _ in 0..100 {
        std::thread::sleep(Duration::from_millis(100));
        if let Some((200, metrics)) = get(listen, "/metrics") {
            page = metrics;
            if sum(&page, "reason=\"overloaded\"") >= 60.0 {
                break;
            }
        }
    }
    let healthy = run(&["healthcheck", "--address", &listen.to_string()]).status;
    agent.kill().unwrap();
    agent.wait().unwrap();
    let overloaded = sum(&page, "reason=\"overloaded\"");
    assert!(overloaded >= 60.0, "{overloaded} are overloaded: {page}");
    assert_eq!(healthy, Some(0), "whoever asks how it is, is answered");
    let blamed = sum(&page, "outcome=\"unreachable\"") + sum(&page, "outcome=\"failed\"");
    assert!(blamed < 0.5, "the far side has no part in it: {page}");
    let timed = page.lines().filter(|line| line.starts_with("spokeprobe_request_duration_seconds_count"));
    assert!(timed.into_iter().all(|line| !line.contains("unsent")), "what was not sent took no time: {page}");
    let in_flight = page.lines().find(|line| line.starts_with("spokeprobe_in_flight_requests "));
    let in_flight: f64 = in_flight.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap();
    assert!((25.0..=30.0).contains(&in_flight), "{in_flight}");
}
