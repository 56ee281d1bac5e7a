//! Habits that a test keeps, so that no reviewer has to: the direction of imports, the homes of crates, and
//! what every file looks like. ARCHITECTURE.md says why.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules of ours a module may name: the level table of ARCHITECTURE.md. A module is allowed itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("yaml", &[]),
    ("seams", &["domain"]),
    ("schedule", &["domain"]),
    ("signing", &["domain"]),
    ("classify", &["domain"]),
    ("explain", &["domain"]),
    ("recording", &["domain"]),
    ("transport", &["domain", "seams"]),
    ("endpoint", &["domain", "seams", "recording"]),
    ("credentials", &["domain", "seams", "recording", "explain"]),
    ("members", &["domain", "seams", "recording"]),
    ("web", &["domain", "yaml", "recording"]),
    ("simulator", &["domain", "yaml", "seams"]),
    (
        "attempt",
        &[
            "domain",
            "seams",
            "schedule",
            "signing",
            "classify",
            "explain",
            "recording",
            "transport",
            "endpoint",
            "credentials",
        ],
    ),
    (
        "diagnosis",
        &[
            "domain",
            "seams",
            "schedule",
            "signing",
            "classify",
            "recording",
            "endpoint",
            "credentials",
            "attempt",
        ],
    ),
    ("isolation", &["domain", "seams", "schedule", "recording", "endpoint", "credentials", "attempt"]),
    (
        "pacing",
        &["domain", "seams", "schedule", "recording", "endpoint", "credentials", "attempt", "diagnosis"],
    ),
    ("load", &["domain", "seams", "schedule", "recording", "credentials", "attempt", "pacing"]),
    (
        "config",
        &[
            "domain",
            "yaml",
            "load",
            "schedule",
            "transport",
            "endpoint",
            "credentials",
            "members",
            "web",
            "recording",
        ],
    ),
    (
        "plan",
        &[
            "domain",
            "yaml",
            "schedule",
            "transport",
            "endpoint",
            "credentials",
            "members",
            "web",
            "recording",
            "diagnosis",
            "isolation",
            "load",
            "config",
        ],
    ),
    ("policy", &["domain", "config", "plan"]),
    ("sources", &["domain", "yaml", "seams", "credentials", "signing", "config", "plan"]),
    (
        "app",
        &[
            "domain",
            "seams",
            "schedule",
            "signing",
            "classify",
            "explain",
            "recording",
            "transport",
            "endpoint",
            "credentials",
            "members",
            "web",
            "attempt",
            "diagnosis",
            "isolation",
            "pacing",
            "load",
            "config",
            "plan",
            "policy",
            "sources",
        ],
    ),
];

/// Each heavy crate has one home. A path ending in `.rs` is a single file.
const HOMES: &[(&str, &[&str])] = &[
    ("reqwest", &["src/transport"]),
    ("hickory_resolver", &["src/transport"]),
    ("aws_config", &["src/credentials"]),
    ("aws_sdk_sts", &["src/credentials"]),
    ("aws_sigv4", &["src/signing"]),
    ("prometheus", &["src/recording"]),
    ("hdrhistogram", &["src/recording"]),
    ("serde_yaml", &["src/yaml"]),
    ("saphyr_parser", &["src/yaml"]),
    ("axum", &["src/web"]),
    ("flate2", &["src/web"]),
    ("maud", &["src/web"]),
    ("clap", &["src/cli"]),
    ("terminal_size", &["src/cli"]),
    ("httparse", &["src/simulator"]),
    ("rcgen", &["src/simulator"]),
    ("hyper", &["src/transport", "src/web"]),
    ("hyper_util", &["src/transport", "src/web"]),
    ("tower", &["src/transport"]),
    ("rustls", &["src/transport", "src/simulator", "src/web"]),
    ("hmac", &["src/simulator", "src/web"]),
    ("x509_parser", &["src/endpoint", "src/web"]),
    ("bcrypt", &["src/web"]),
    ("base64", &["src/web"]),
    ("rustix", &["src/seams"]),
];

/// Parts of `domain` that the simulator may speak: what AWS itself has. `in_memory` stands behind the seams
/// and so speaks their types too.
const SIMULATOR_DOMAIN: &[&str] = &["account", "arn", "region", "api"];

const LINES_AT_MOST: usize = 500;

struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    fn name(&self) -> String {
        self.path.to_string_lossy().replace('\\', "/")
    }

    /// The product code: without the tests at the end, and without comments.
    fn code(&self) -> String {
        if self.path.file_name().is_some_and(|name| name == "tests.rs") || self.name().contains("/tests/") {
            return String::new();
        }
        let text = self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        text.lines().filter(|line| !line.trim_start().starts_with("//")).fold(
            String::new(),
            |mut code, line| {
                code.push_str(line);
                code.push('\n');
                code
            },
        )
    }

    fn module(&self) -> String {
        let name = self.name();
        let rest = name.strip_prefix("src/").unwrap_or(&name);
        rest.split(['/', '.']).next().unwrap_or_default().to_owned()
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(!found.is_empty());
    found
}

/// The words that follow `prefix` in the code, as far as they are identifiers.
fn words_after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rest = &code[at + prefix.len()..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (end > 0).then(|| &rest[..end])
    })
}

fn fail_if_any(findings: &BTreeSet<String>) {
    let mut text = String::new();
    for finding in findings {
        writeln!(text, "{finding}").unwrap();
    }
    assert!(findings.is_empty(), "\n{text}");
}

fn import_findings(source: &Source) -> BTreeSet<String> {
    let module = source.module();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return BTreeSet::new();
    };
    let code = source.code();
    let mut findings: BTreeSet<String> = words_after(&code, "crate::")
        .filter(|word| *word != module && !allowed.contains(word))
        .filter(|word| MAY_IMPORT.iter().any(|(name, _)| name == word) || *word == "cli")
        .map(|word| format!("{}: `{module}` must not import `{word}` (see the level table)", source.name()))
        .collect();
    if module == "simulator" && !source.name().contains("in_memory") {
        findings.extend(
            words_after(&code, "crate::domain::")
                .filter(|part| !SIMULATOR_DOMAIN.contains(part))
                .map(|part| format!("{}: the simulator must not know domain::{part}", source.name())),
        );
    }
    findings
}

#[test]
fn imports_go_down_the_level_table() {
    fail_if_any(&sources("src").iter().flat_map(import_findings).collect());
}

#[test]
fn the_import_check_catches_a_wrong_direction() {
    let wrong = |path: &str, text: &str| {
        !import_findings(&Source { path: path.into(), text: text.into() }).is_empty()
    };
    assert!(wrong("src/domain/arn.rs", "use crate::transport::HttpTransport;"));
    assert!(wrong("src/classify/mod.rs", "use crate::seams::Clock;"));
    assert!(wrong("src/app/mod.rs", "use crate::simulator::Hub;"));
    assert!(wrong("src/simulator/core.rs", "use crate::domain::outcome::Reason;"));
    assert!(!wrong("src/attempt/mod.rs", "use crate::signing::sign_request;"));
}

#[test]
fn every_module_has_a_level() {
    let modules: BTreeSet<String> = sources("src").iter().map(Source::module).collect();
    let known: BTreeSet<String> = MAY_IMPORT
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(["cli", "lib", "main"].map(String::from))
        .collect();
    assert_eq!(modules, known);
}

#[test]
fn heavy_crates_stay_at_home() {
    let mut findings = BTreeSet::new();
    for source in sources("src") {
        let code = source.code();
        for (name, homes) in HOMES {
            let at_home = homes.iter().any(|home| source.name().starts_with(home));
            if !at_home && words_after(&code, &format!("{name}::")).next().is_some() {
                findings.insert(format!("{}: `{name}` lives in {}", source.name(), homes.join(", ")));
            }
        }
    }
    fail_if_any(&findings);
}

#[test]
fn only_recording_names_a_metric() {
    let findings = sources("src")
        .iter()
        // `explain` writes queries for people; `reasons` holds their names to the README's table.
        .filter(|source| !["recording", "explain"].contains(&source.module().as_str()))
        .filter(|source| source.code().contains("\"spokeprobe_"))
        .map(|source| format!("{}: names a metric; only `recording` does", source.name()))
        .collect();
    fail_if_any(&findings);
}

#[test]
fn files_say_what_they_are_and_stay_short() {
    let mut findings = BTreeSet::new();
    for source in sources("src").iter().chain(&sources("tests")) {
        let name = source.name();
        if !source.text.starts_with("//!") {
            findings.insert(format!("{name}: begin with `//!` and what lives here"));
        }
        let lines = source.text.lines().count();
        if lines > LINES_AT_MOST {
            findings.insert(format!("{name}: {lines} lines; split it by subject (at most {LINES_AT_MOST})"));
        }
        let stem = source.path.file_stem().unwrap_or_default().to_string_lossy();
        if ["utils", "util", "common", "helpers", "misc"].contains(&&*stem) {
            findings.insert(format!("{name}: name the file after its subject"));
        }
        for leftover in ["TO\u{44}O", "FIX\u{4d}E", "XX\u{58}"] {
            if source.text.contains(leftover) {
                findings.insert(format!("{name}: {leftover} left behind; do it or file it"));
            }
        }
    }
    fail_if_any(&findings);
}

#[test]
fn no_test_file_is_forgotten() {
    let main = include_str!("main.rs");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let findings = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|module| module != "main" && !main.contains(&format!("mod {module};")))
        .map(|module| format!("tests/it/main.rs: `mod {module};` is missing"))
        .collect();
    fail_if_any(&findings);
}
