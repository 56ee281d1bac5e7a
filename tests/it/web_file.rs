//! The web configuration file as the program meets it: read by `plan` and `run`, found by `healthcheck`.

use crate::program::{SimulatedHub, Started, folder, free_address, get, run, run_with};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A certificate that nobody else knows, with its key.
fn write_certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["agent.internal".to_owned()]).unwrap();
    std::fs::write(folder.join("server.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("server.key"), made.signing_key.serialize_pem()).unwrap();
}

/// The example of the documentation, beside a certificate.
fn write_example(folder: &Path) {
    std::fs::copy("deploy/prometheus/web.yaml", folder.join("web.yaml")).unwrap();
    write_certificate(folder);
}

/// The example configuration, with the web configuration file `web.yaml`.
fn write_configuration(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string("config.yaml").unwrap();
    let listen = "\nweb:\n  listen: 0.0.0.0:10403\n";
    assert!(text.contains(listen));
    let text = text.replace(listen, "\nweb:\n  listen: 127.0.0.1:0\n  config_file: web.yaml\n");
    std::fs::write(folder.join("config.yaml"), text).unwrap();
    folder.join("config.yaml")
}

#[test]
fn an_agent_with_tls_and_passwords_is_healthy_to_its_own_health_check() {
    let hub = SimulatedHub::start("web-file-run");
    let listen = free_address();
    let config = hub.folder.join("run.yaml");
    let text = std::fs::read_to_string(hub.config()).unwrap();
    std::fs::write(&config, format!("{text}\nweb: {{listen: '{listen}', config_file: web.yaml}}\n")).unwrap();
    write_example(&hub.folder);
    let address = listen.to_string();
    let mut agent = Started::new(&["run", "--config", config.to_str().unwrap()], &hub.environment);
    let healthy = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        run(&["healthcheck", "--address", &address]).status == Some(0)
    });
    assert!(healthy);
    let asked_at_once = run(&["healthcheck", "--address", &address, "--tls", "--json"]);
    assert_eq!(asked_at_once.json()["healthy"], true, "{asked_at_once:?}");
    // Whoever speaks plain HTTP is told, and gets nothing else.
    let (status, answer) = get(listen, "/metrics").unwrap();
    assert_eq!((status, answer.as_str()), (400, "This port speaks https only.\r\n"));
    agent.signal("TERM");
    assert_eq!(agent.ended_within(Duration::from_secs(10)).and_then(|status| status.code()), Some(0));
    assert_eq!(run(&["healthcheck", "--address", &address]).status, Some(1));
}

#[test]
fn a_file_with_problems_ends_plan_and_run_with_2_and_all_of_them() {
    let folder = folder("web-file-problems");
    let config = write_configuration(&folder);
    std::fs::write(
        folder.join("web.yaml"),
        "tls_server_config: {cert_file: server.crt}\nbasic_auth_users: {a: b}\n",
    )
    .unwrap();
    for command in ["plan", "run"] {
        let ran = run_with(&[command, "--config", config.to_str().unwrap()], &[]);
        assert_eq!(ran.status, Some(2), "{command}: {ran:?}");
        for part in [
            "web.yaml:1:20: tls_server_config: found neither `key_file`",
            "web.yaml:2:23: basic_auth_users.a",
        ] {
            assert!(ran.stderr.contains(part), "{command}, {part}: {}", ran.stderr);
        }
    }
    // What the file names is looked at where it is used.
    write_example(&folder);
    std::fs::remove_file(folder.join("server.key")).unwrap();
    let plan = run_with(&["plan", "--config", config.to_str().unwrap()], &[]);
    assert_eq!(plan.status, Some(0), "{plan:?}");
    let ran = run_with(&["run", "--config", config.to_str().unwrap()], &[]);
    assert_eq!(ran.status, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("tls_server_config.key_file: found a file that cannot be read"),
        "{}",
        ran.stderr
    );
    // Each problem is an error of its own, and they are counted, wherever they are found.
    let ca = "tls_server_config: {cert_file: server.crt, key_file: server.key, client_ca_file: ca.crt, \
              client_auth_type: RequireAndVerifyClientCert}\n";
    std::fs::write(folder.join("web.yaml"), ca).unwrap();
    let ran = run_with(&["run", "--config", config.to_str().unwrap()], &[]);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!((ran.status, errors.len()), (Some(2), 2), "{ran:?}");
    assert!(errors.iter().all(|line| line.contains("found a file that cannot be read")), "{errors:?}");
    assert!(ran.stderr.ends_with("\n2 problems in the configuration\n"), "{}", ran.stderr);
}

#[test]
fn what_has_no_effect_is_a_warning_of_plan() {
    let folder = folder("web-file-warnings");
    let config = write_configuration(&folder);
    std::fs::write(folder.join("web.yaml"), "http_server_config: {http2: true}\n").unwrap();
    let plan = run_with(&["plan", "--config", config.to_str().unwrap()], &[]);
    assert!(plan.status == Some(0) && (plan.stdout + &plan.stderr).contains("HTTP/1.1 only"));
}
