//! The commands of the guides, walked as far as they go without an account: the documents cannot say what the program
//! does not do.
//!
//! A `yaml` block after `<!-- file: NAME -->` becomes that file in an empty folder. Then every `sh` block is run by a
//! shell in that folder, in order, if it calls the program and nothing of AWS, Terraform or containers; what it prints to
//! stdout stands in the `text` or `json` block after `<!-- prints -->`, where there is one.

use crate::documents::read;
use crate::program::folder;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Whoever calls these needs an account, a network or a daemon.
const OUTSIDE: [&str; 12] = [
    "aws ",
    "terraform",
    "docker",
    "buildah",
    "podman",
    "ecs-doctor",
    "curl",
    "git ",
    "cargo",
    "scripts/",
    "deploy/",
    "spokeprobe run",
];
/// These ask AWS, or whoever stands for it.
const ASKING: [&str; 4] = ["spokeprobe doctor", "spokeprobe call", "spokeprobe load ", "spokeprobe simulate"];

/// A fenced block: what was said right before it, its language and its text.
struct Block<'a> {
    said: &'a str,
    language: &'a str,
    text: String,
}

fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut found = Vec::new();
    let mut before = "";
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            let indent = line.len() - line.trim_start().len();
            let inner = lines.by_ref().take_while(|line| line.trim() != "```");
            let text =
                inner.fold(String::new(), |text, line| text + line.get(indent..).unwrap_or_default() + "\n");
            found.push(Block { said: before, language, text });
            before = "";
        } else if !line.trim().is_empty() {
            before = line.trim();
        }
    }
    found
}

/// Runs a document; how many commands of the program were run.
fn walk(document: &str) -> usize {
    let text = read(document);
    let at = folder(&format!("walked-{}", document.replace(['/', '.'], "-")));
    let binary = Path::new(env!("CARGO_BIN_EXE_spokeprobe")).parent().unwrap();
    let mut walked = 0;
    let mut printed: Option<String> = None;
    for block in blocks(&text) {
        if let Some(name) = block.said.strip_prefix("<!-- file: ").and_then(|rest| rest.strip_suffix(" -->"))
        {
            let path = at.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, &block.text).unwrap();
        } else if block.said == "<!-- prints -->" {
            let printed = printed
                .take()
                .unwrap_or_else(|| panic!("{document}: nothing was run before\n{}", block.text));
            for line in block.text.lines().filter(|line| line.trim() != "…") {
                assert!(
                    printed.contains(line.trim_end_matches('…')),
                    "{document} shows `{line}`, and there is\n{printed}"
                );
            }
        } else if block.language == "sh"
            && block.text.contains("spokeprobe ")
            && !OUTSIDE.iter().chain(&ASKING).any(|word| block.text.contains(word))
        {
            let output = Command::new("bash")
                .args(["-euo", "pipefail", "-c", &block.text])
                .current_dir(&at)
                .env_clear()
                .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display()))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{document}:\n{}\n{errors}", block.text);
            printed = Some(String::from_utf8_lossy(&output.stdout).into_owned());
            walked += block.text.lines().filter(|line| line.starts_with("spokeprobe ")).count();
        }
    }
    walked
}

#[test]
fn the_afternoon_guide_goes_as_far_as_it_can_without_an_account() {
    assert!(walk("docs/getting-started.md") >= 11);
}

#[test]
fn a_shown_line_that_is_not_printed_is_found() {
    let found = blocks(
        "a\n\n<!-- file: x.yaml -->\n```yaml\nhub: 1\n```\n\n1. b\n   ```sh\n   spokeprobe plan\n   ```\n",
    );
    assert_eq!(found.len(), 2);
    assert_eq!(
        (found[0].said, found[0].language, found[0].text.as_str()),
        ("<!-- file: x.yaml -->", "yaml", "hub: 1\n")
    );
    assert_eq!((found[1].language, found[1].text.as_str()), ("sh", "spokeprobe plan\n"));
}
