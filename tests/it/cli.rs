//! The command line as users and scripts meet it: exit statuses, what goes to stdout and what to stderr, and
//! the program against a simulated hub in another process.

use crate::program::{SimulatedHub, Started, folder, free_address, get, get_by_name, program, run, run_with};
use serde_json::{Value, json};
use std::net::TcpListener;
use std::time::Duration;

const COMMANDS: [&str; 12] = [
    "run",
    "demo",
    "plan",
    "call",
    "load",
    "simulate",
    "schema",
    "explain",
    "policy",
    "healthcheck",
    "completions",
    "man",
];

#[test]
fn the_help_of_every_command_has_an_example() {
    let help = run(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (Some(0), ""));
    for command in COMMANDS {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
        let own = run(&[command, "--help"]);
        assert_eq!((own.status, own.stderr.as_str()), (Some(0), ""), "{command}");
        assert!(own.stdout.contains("Example"), "{command}: {}", own.stdout);
        let named = own.stdout.contains(&format!("spokeprobe {command}")) || command == "healthcheck";
        assert!(named, "{command}: an example is a line to copy");
    }
    assert!(
        help.stdout.contains("Exit status: 0 as expected; 1 it ran, and something is not as expected; 2")
    );
}

#[test]
fn usage_errors_exit_with_2_and_say_what_was_wanted() {
    for (args, wanted) in [
        (&["fly"][..], "unrecognized subcommand"),
        (&["call"], "<METHOD>"),
        (&["load"], "<SPOKE/API/PROBE>"),
        (&["load", "payments/hoot/hello"], "no rate: give --rate and --for, or --stage"),
        (&["load", "--name", "nightly"], "no load `nightly` in the configuration; it has none"),
        (
            &["load", "orders/store/search", "--rate", "1/s", "--for", "1m"],
            "add it to spokes.orders.apis.store",
        ),
        (
            &["load", "payments/hoot/hello", "--rate", "1/s", "--for", "1m", "--baseline", "no-such.json"],
            "no-such.json",
        ),
        (
            &["load", "payments/hoot/hello", "--rate", "1/s", "--for", "1m", "--html", "no-such/folder"],
            "cannot be written",
        ),
        (&["call", "a/b", "BREW", "/"], "wanted one of GET, HEAD, POST"),
        (
            &["call", "a/b", "GET", "/", "--timeout-seconds", "0"],
            "wanted a whole number of seconds from 1 to 300",
        ),
        (
            &["healthcheck", "--address", "localhost:10403"],
            "wanted an address and a port, such as 127.0.0.1:10403",
        ),
        (&["doctor", "nope"], "error: no spoke nope in the configuration; there are payments, orders"),
        (
            &["doctor", "--probe", "hoot/nope"],
            "error: no probe hoot/nope in the configuration; there are payments/hoot/hello, ",
        ),
        (
            &["load", "--name", "nightly", "--for", "3s"],
            "'--name <NAME>' cannot be used with '--for <DURATION>'",
        ),
        (&["call", "a/b", "GET", "/", "--as", "nobody"], "nobody"),
        (&["demo", "--for", "soon"], "wanted a duration such as"),
        (&["plan", "--config", "no-such-file.yaml"], "no-such-file.yaml"),
        (&["plan", "--config", "env:NOT_SET"], "no environment variable `NOT_SET`"),
        (&["--log", "a=b=c", "plan", "--config", "config.yaml"], "wanted a level such as info"),
        (&["simulate", "--world", "config.yaml"], "config.yaml"),
    ] {
        let ran = run(args);
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(2), ""), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn plan_prints_the_example_as_text_and_json() {
    let text = run(&["plan", "--config", "config.yaml"]);
    assert_eq!((text.status, text.stderr.as_str()), (Some(0), ""));
    assert!(text.stdout.contains("payments/hoot/unsigned-is-refused"), "{}", text.stdout);
    assert!(!text.stdout.contains('\u{1b}'), "plain text where there is no terminal");
    let ran = run(&["plan", "--config", "config.yaml", "--json"]);
    assert_eq!(ran.status, Some(0));
    let json = ran.json();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        [
            "targets",
            "requests_per_second",
            "account_quota",
            "loads",
            "time_series",
            "time_series_worst",
            "samples",
            "roles",
            "sts_calls_per_hour",
            "monthly_cost_usd",
            "warnings",
            "include_failures",
        ]
    );
    assert_eq!(json["targets"][0]["probe"], "hello");
    let content = std::fs::read_to_string("config.yaml").unwrap();
    let same = run_with(&["plan", "--config", "env:THE_CONFIG", "--json"], &[("THE_CONFIG".into(), content)]);
    assert_eq!(same.json(), json);
}

#[test]
fn a_broken_configuration_prints_all_its_problems_and_runs_nothing() {
    let file = "tests/configs/invalid/ten-mistakes.yaml";
    for command in [
        &["plan"][..],
        &["plan", "--json"],
        &["run"],
        &["call", "payments/hoot", "GET", "/"],
        &["call", "payments/hoot", "GET", "/", "--json"],
        &["doctor", "--json"],
        &["policy", "hub", "--json"],
        &["load", "--name", "nightly", "--json"],
    ] {
        let args: Vec<&str> = command.iter().copied().chain(["--config", file]).collect();
        let ran = run(&args);
        assert_eq!(ran.status, Some(2), "{args:?}");
        if command.contains(&"--json") {
            let json = ran.json();
            let problems = json["problems"].as_array().unwrap();
            assert_eq!(problems.len(), 10, "{args:?}: {json}");
            let third = json!({
                "file": file,
                "line": 7,
                "column": 21,
                "path": "defaults.timeout",
                "found": "`31`",
                "wanted": "a duration from 100ms to 5m, such as 500ms, 10s, 1m or 1h",
                "hint": "add the unit",
            });
            assert_eq!(problems[2], third);
        } else {
            assert_eq!(ran.stdout, "", "{args:?}");
        }
        let told = ran.stderr.lines().filter(|line| line.starts_with(&format!("error: {file}:"))).count();
        assert_eq!(told, 10, "{}", ran.stderr);
        assert!(ran.stderr.contains("10 problems in the configuration\n"));
    }
    // A file as a whole has no line.
    let json = run(&["plan", "--json", "--config", "no-such-file.yaml"]).json();
    assert_eq!((&json["problems"][0]["line"], &json["problems"][0]["hint"]), (&Value::Null, &Value::Null));
    assert_eq!(json["problems"][0]["file"], "no-such-file.yaml");
}

#[test]
fn schema_completions_and_manual_are_what_they_should_be() {
    for (args, file) in [
        (&["schema"][..], "docs/config.schema.json"),
        (&["schema", "configuration"], "docs/config.schema.json"),
        (&["schema", "load-report"], "docs/load-report.schema.json"),
        (&["schema", "load-dry-run"], "docs/load-dry-run.schema.json"),
    ] {
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(run(args).json(), committed, "{file}");
    }
    assert_eq!(run(&["schema", "tea"]).status, Some(2));
    let bash = run(&["completions", "bash"]);
    assert_eq!(bash.status, Some(0));
    assert!(bash.stdout.contains("complete -F _spokeprobe"), "{}", bash.stdout);
    for shell in ["zsh", "fish"] {
        assert!(run(&["completions", shell]).stdout.contains("healthcheck"), "{shell}");
    }
    assert_eq!(run(&["completions", "tea"]).status, Some(2));
    let man = run(&["man"]);
    assert_eq!(man.status, Some(0));
    assert!(man.stdout.contains(".TH ") && COMMANDS.iter().all(|name| man.stdout.contains(name)));
}

/// What is lost must not look like success: `policy … > next.json` on a full disk, and next.json is applied.
#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_is_an_error_and_a_reader_who_leaves_is_none() {
    let commands = [
        &["policy", "vpc-endpoint", "--config", "config.yaml"][..],
        &["policy", "permissions", "--json", "--config", "config.yaml"],
        &["plan", "--config", "config.yaml"],
        &["plan", "--json", "--config", "config.yaml"],
        &["schema"],
        &["schema", "load-report"],
        &["explain"],
        &["explain", "forbidden", "--json"],
        &["man"],
        &["completions", "bash"],
        &["load", "payments/hoot/hello", "--rate", "1/s", "--for", "1m", "--dry-run", "--json"],
        &["--help"],
        &["plan", "--help"],
        &["--version"],
    ];
    for args in commands {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = program(args, &[]);
        let ended = command.stdout(full).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{args:?}: {told}");
        let errors = told.lines().filter(|line| line.starts_with("error: ")).collect::<Vec<_>>();
        assert_eq!(errors, ["error: standard output: No space left on device (os error 28)"], "{args:?}");

        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = program(args, &[]);
        let ended = command.stdout(writer).output().unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(0), "{args:?}: {told}");
        assert!(!told.contains("error: "), "{args:?}: {told}");
    }
    // Nor does a full disk below the log change how a command ends.
    for (args, status) in [(&["plan", "--config", "no-such-file.yaml"][..], 2), (&["policy", "hub"], 0)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(program(args, &[]).stderr(full).output().unwrap().status.code(), Some(status), "{args:?}");
    }
    // What else is wrong keeps its own status.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let broken = ["plan", "--json", "--config", "tests/configs/invalid/ten-mistakes.yaml"];
    assert_eq!(program(&broken, &[]).stdout(full).status().unwrap().code(), Some(2));
}

#[test]
fn call_does_what_the_articles_scripts_did() {
    let hub = SimulatedHub::start("cli-call");
    let config = hub.config();
    let call = |args: &[&str]| {
        let args: Vec<&str> = ["call"].iter().chain(args).copied().chain(["--config", &config]).collect();
        run_with(&args, &hub.environment)
    };
    // GET and POST, signed as the spoke's role. The environment is the SDK's own: a container's endpoint.
    for (args, body) in [
        (&["payments/hoot", "GET", "/"][..], json!({"hello": "world"})),
        (&["payments/hoot", "post", "/greet", "-d", r#"{"name":"buddy"}"#], json!({"hello": "buddy"})),
        (&["payments/hoot", "POST", "/greet"], json!({"hello": "stranger"})),
        (&["orders/orders", "GET", "/orders/7", "-H", "X-Team: shop"], json!({"state": "shipped"})),
    ] {
        let text = call(args);
        assert_eq!(text.status, Some(0), "{text:?}");
        let (first, rest) = text.stdout.split_once('\n').unwrap();
        assert_eq!(first, "200 OK");
        assert_eq!(serde_json::from_str::<Value>(rest).unwrap(), body);
        assert!(text.stderr.contains("ok / none"), "{}", text.stderr);
        let ran = call(&[args, &["--json"]].concat()).json();
        assert_eq!(
            (&ran["code"], &ran["outcome"], &ran["expected"]),
            (&json!(200), &json!("ok"), &json!(true))
        );
        assert_eq!(serde_json::from_str::<Value>(ran["body"].as_str().unwrap()).unwrap(), body);
    }
    // Refusals, each with its reason: it ran, and something is not as expected.
    for (args, reason) in [
        (&["payments/hoot", "GET", "/", "--as", "anonymous"][..], "vpc_endpoint_policy"),
        (&["orders/orders", "GET", "/", "--as", "spoke:payments"], "resource_policy"),
        (&["payments/hoot", "GET", "/", "--as", "hub"], "resource_or_identity_policy"),
        (&["ledger/ledger", "GET", "/"], "resource_policy"),
        (&["vendor/vendor", "GET", "/"], "assume_role_denied"),
    ] {
        let ran = call(&[args, &["--json"]].concat());
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert_eq!((&ran.json()["reason"], &ran.json()["expected"]), (&json!(reason), &json!(false)));
    }
    // What STS said is told once, with the name of the role, and not as a line of the log.
    let refused = call(&["vendor/vendor", "GET", "/"]);
    assert_eq!(refused.stderr.matches("is not authorized to perform").count(), 1, "{}", refused.stderr);
    assert!(!refused.stderr.contains("WARN"), "{}", refused.stderr);
    let named = "aws iam get-role --role-name spokeprobe";
    assert!(refused.stderr.contains(named) && !refused.stderr.contains("ROLE"), "{}", refused.stderr);
    let json = call(&["vendor/vendor", "GET", "/", "--json"]).json();
    assert!(json["refusal"]["what_to_do"].to_string().contains(named), "{json}");
    let unknown = call(&["payments/none", "GET", "/"]);
    assert_eq!(unknown.status, Some(2));
    assert!(unknown.stderr.contains("payments/hoot"), "{}", unknown.stderr);

    // However much is asked for, no token.
    let loud = call(&["payments/hoot", "GET", "/", "-v", "--log", "trace"]);
    assert_eq!(loud.status, Some(0), "{loud:?}");
    let said = format!("{}{}", loud.stdout, loud.stderr).to_lowercase();
    assert!(said.contains("x-amzn-requestid") && !said.contains("x-amz-security-token"), "{said}");
    assert!(!said.contains(&hub.printed["credentials_token"].as_str().unwrap().to_lowercase()), "{said}");

    // The hub counted each of them, under the identity that was meant.
    let counts = hub.counts();
    let of = |identity: &str| -> u64 {
        let rows = counts["requests"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["api"] == "a1b2c3d4e5" && row["identity"] == identity);
        rows.map(|row| row["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(of("arn:aws:iam::012345678901:role/spokeprobe"), 7);
    assert_eq!(of("anonymous"), 1);
    assert_eq!(of("arn:aws:iam::111122223333:role/spokeprobe-hub"), 1);
}

#[test]
fn run_serves_and_drains_when_it_is_told_to_end() {
    let hub = SimulatedHub::start("cli-run");
    let listen = free_address();
    let config = hub.folder.join("run.yaml");
    let text = std::fs::read_to_string(hub.config()).unwrap();
    std::fs::write(&config, format!("{text}\nweb: {{listen: '{listen}'}}\n")).unwrap();
    let address = listen.to_string();
    let healthcheck = || run(&["healthcheck", "--address", &address]);
    assert_eq!(healthcheck().status, Some(1), "nobody is there yet");

    let args = ["run", "--config", config.to_str().unwrap(), "--log-format", "json"];
    let mut agent = Started::new(&args, &hub.environment);
    let ready = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        get(listen, "/-/ready").is_some_and(|(status, _)| status == 200)
    });
    assert!(ready);
    assert_eq!((healthcheck().status, healthcheck().stdout.as_str()), (Some(0), "healthy\n"));

    // A second agent on the same address says so, and stops.
    let second = run_with(&["run", "--config", config.to_str().unwrap()], &hub.environment);
    assert_eq!(second.status, Some(2), "{second:?}");
    assert!(second.stderr.contains(&format!("address {address} is in use")), "{}", second.stderr);

    std::thread::sleep(Duration::from_secs(4));
    let metrics = get(listen, "/metrics").unwrap().1;
    assert!(
        metrics.contains("spokeprobe_up{api=\"hoot\",probe=\"hello\",spoke=\"payments\"} 1"),
        "{metrics}"
    );
    agent.signal("TERM");
    let status = agent.ended_within(Duration::from_secs(10)).expect("10 s are promised");
    assert_eq!(status.code(), Some(0));
    assert_eq!(healthcheck().status, Some(1));
    let log = agent.stderr();
    for line in log.lines() {
        let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        assert!(entry["level"].is_string(), "{line}");
    }
    assert!(log.contains("SIGTERM: draining") && log.contains("every attempt in flight has ended"), "{log}");
}

#[test]
fn demo_ends_by_itself_and_both_sides_agree() {
    let address = free_address().to_string();
    let ran = run(&["demo", "--for", "6s", "--listen", &address, "--json"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    let summary = ran.json();
    assert_eq!(summary["conservation"]["agrees"], json!(true));
    assert_eq!(summary["conservation"]["targets_out_of_balance"], json!(0));
    assert!(summary["conservation"]["answered"].as_u64() > Some(50));
    assert_eq!(summary["targets"].as_array().unwrap().len(), 50);
    assert!(ran.stderr.contains(&format!("http://{address}/metrics")));
}

/// As Compose runs it: its port is published, and the browser asks for it under the machine's name. On loopback a
/// foreign name stays one that DNS rebinding may have brought.
#[test]
fn the_page_of_a_demo_that_is_published_is_open() {
    for (ip, name, wanted) in [
        ("0.0.0.0", "demo.example:10403", 200),
        ("127.0.0.1", "demo.example:10403", 403),
        ("127.0.0.1", "localhost", 200),
    ] {
        let address = free_address();
        let listen = format!("{ip}:{}", address.port());
        let mut demo = Started::new(&["demo", "--for", "60s", "--listen", &listen], &[]);
        let answer = (0..300).find_map(|_| {
            std::thread::sleep(Duration::from_millis(100));
            get_by_name(address, name, "/")
        });
        assert_eq!(answer.map(|(status, _)| status), Some(wanted), "{listen} as {name}");
        demo.signal("TERM");
        assert!(demo.ended_within(Duration::from_secs(20)).is_some());
        let said = demo.stderr();
        assert!(said.contains(&format!("http://{address}/\n")), "{said}");
    }
}

#[test]
fn a_plan_with_an_included_file_that_is_not_there_exits_with_2() {
    let file = folder("cli-include").join("config.yaml");
    let text = std::fs::read_to_string("config.yaml").unwrap();
    let plan = |include: &str| {
        std::fs::write(&file, format!("{text}\ninclude: [{include}]\n")).unwrap();
        run(&["plan", "--config", file.to_str().unwrap()])
    };
    let named = plan("gone.yaml");
    assert_eq!(named.status, Some(2), "{named:?}");
    assert!(named.stderr.contains("gone.yaml") && named.stderr.contains("cannot be read"), "{named:?}");
    let pattern = plan("'gone/*.yaml'");
    assert_eq!(pattern.status, Some(0), "{pattern:?}");
    assert!(pattern.stdout.contains("`gone/*.yaml` matches no file"), "{pattern:?}");
}

/// Two shards of one api: one has all its targets and the other none, and each says what is its own.
#[test]
fn a_shard_says_how_much_of_the_plan_is_its_own() {
    let folder = folder("cli-shards");
    let file = folder.join("config.yaml");
    let mut own = Vec::new();
    for shard in ["1/2", "2/2"] {
        let listen = format!("web: {{listen: '{}'}}", free_address());
        let text = format!(
            "hub: {{region: eu-west-1, endpoint: {{id: vpce-0a1b2c3d}}}}\n{listen}\nmembers: {{shard: {shard}, replicas: \
             1}}\nspokes:\n- name: a\n  account: '111122223333'\n  apis: [{{name: x, id: a1b2c3d4e5, stage: s, probes: \
             [{{name: p, request: GET /}}, {{name: q, request: GET /q}}]}}]\n"
        );
        std::fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();
        let plan = run(&["plan", "--config", file]);
        assert!(!plan.stdout.contains("members.replicas"), "{plan:?}");
        let mut agent = Started::new(&["run", "--config", file, "--log-format", "json"], &[]);
        std::thread::sleep(Duration::from_secs(2));
        agent.signal("TERM");
        assert!(agent.ended_within(Duration::from_secs(15)).is_some());
        let log = agent.stderr();
        let entries = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let running =
            entries.into_iter().find(|entry| entry.to_string().contains("\"running\"")).expect(&log);
        let field = |name: &str| [&running, &running["fields"]].into_iter().find_map(|at| at[name].as_u64());
        assert_eq!(field("of"), Some(2), "{running}");
        let targets = field("targets").unwrap();
        assert!(plan.stdout.contains(&format!("this shard: {targets} of 2 targets")), "{plan:?}");
        assert_eq!(field("roles"), Some(targets.min(1)), "{running}");
        own.push(targets);
        std::fs::write(file, text.replace("replicas: 1", "replicas: 3")).unwrap();
        let plan = run(&["plan", "--config", file]);
        assert!(plan.stdout.contains("members.replicas: 3 replicas of each target"), "{plan:?}");
    }
    own.sort_unstable();
    assert_eq!(own, [0, 2]);
}

#[test]
fn a_port_in_use_is_a_clear_error() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap().to_string();
    let config = folder("cli-port").join("config.yaml");
    let text = std::fs::read_to_string("config.yaml").unwrap().replace("0.0.0.0:10403", &address);
    std::fs::write(&config, text).unwrap();
    for args in [
        &["run", "--config", config.to_str().unwrap()][..],
        &["demo", "--for", "1s", "--listen", &address],
        &["simulate", "--listen", &address],
    ] {
        let ran = run(args);
        assert_eq!(ran.status, Some(2), "{args:?}: {ran:?}");
        assert!(ran.stderr.contains(&address) && ran.stderr.contains("in use"), "{args:?}: {}", ran.stderr);
    }
}
