//! An entry as text for a terminal and as Markdown for the repository. The headings of the Markdown are what runbook
//! links point to: change them only together with the alerts.

use super::{Entry, Owner, Statement, Step};
use std::fmt::Write as _;

/// The narrowest text that still reads.
const NARROWEST: usize = 40;
/// How far what belongs to a heading is moved in.
const INDENT: usize = 2;

/// The entry as text, wrapped to `width` columns. Commands, statements, queries and addresses are not broken, so
/// that they can be copied.
#[must_use]
pub fn text(entry: &Entry, width: usize) -> String {
    let mut page = Text { out: String::new(), width: width.max(NARROWEST) };
    let reason = entry.reason;
    page.line(&format!("{} / {reason}", reason.outcome()));
    page.wrapped("", &format!("{} {}", reason.meaning(), entry.more));
    page.heading("How it is recognised");
    for evidence in entry.evidence {
        page.item("- ", &format!("{} ({})", evidence.sign, evidence.sureness.as_str()));
    }
    page.heading("Usual causes, most likely first");
    for cause in entry.causes {
        page.item("- ", cause);
    }
    page.heading("Who can change it");
    for owner in entry.owners {
        page.item("- ", owner.words());
    }
    page.heading("What to do");
    for (number, Step { text, command }) in (1..).zip(entry.steps) {
        page.item(&format!("{number}. "), text);
        if let Some(command) = command {
            page.line(&format!("     $ {command}"));
        }
    }
    if let Some(Statement { goes_into, json }) = entry.statement {
        page.heading("A statement that may be missing");
        page.wrapped("  ", &format!("It goes {goes_into} Replace the words in capitals."));
        for line in json.lines() {
            page.line(&format!("    {line}"));
        }
    }
    page.heading("What looks like it");
    for other in entry.looks_like {
        page.item("- ", other);
    }
    page.heading("In Prometheus");
    for query in entry.queries() {
        page.line(&format!("  {query}"));
    }
    if !entry.pages.is_empty() {
        page.heading("What AWS says");
        for found in entry.pages {
            page.item("- ", found.title);
            page.line(&format!("    {}", found.url));
        }
    }
    if has_next_step(entry) {
        page.out.push('\n');
        page.wrapped("", DOCTOR);
    }
    page.out
}

/// The next step, whatever the reason: the doctor fills in the names that are words in capitals here.
const DOCTOR: &str = "`spokeprobe doctor SPOKE` walks the path to one spoke, says at which step it stops and whose \
                      that is, and prints what to change with the names filled in.";

/// Where all is as it should be, there is nothing to walk for.
fn has_next_step(entry: &Entry) -> bool {
    entry.owners != [Owner::Nobody]
}

struct Text {
    out: String,
    width: usize,
}

impl Text {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        self.out.push('\n');
        self.line(heading);
    }

    fn item(&mut self, mark: &str, text: &str) {
        self.wrapped(&format!("{:INDENT$}{mark}", ""), text);
    }

    /// Words on lines of at most the width; the first begins with `first`, the others are as far in. A word that
    /// is longer than a line stays whole.
    fn wrapped(&mut self, first: &str, text: &str) {
        let indent = first.chars().count();
        let mut line = first.to_owned();
        let mut used = indent;
        let mut empty = true;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            if !empty && used + 1 + length > self.width {
                self.line(&line);
                line = " ".repeat(indent);
                (used, empty) = (indent, true);
            }
            if !empty {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
            empty = false;
        }
        self.line(&line);
    }
}

/// The entry as the file `docs/reasons/REASON.md`.
#[must_use]
pub fn markdown(entry: &Entry) -> String {
    let mut page = String::new();
    // Writing to a String does not fail.
    let _infallible = write_markdown(&mut page, entry);
    page
}

fn write_markdown(page: &mut String, entry: &Entry) -> std::fmt::Result {
    let reason = entry.reason;
    writeln!(page, "<!-- Made from src/explain by the test `reasons`; do not edit by hand. -->\n")?;
    writeln!(page, "# `{reason}`\n")?;
    writeln!(page, "Outcome `{}`. {} {}\n", reason.outcome(), reason.meaning(), entry.more)?;
    writeln!(page, "## Evidence\n")?;
    for evidence in entry.evidence {
        writeln!(page, "- {} *({})*", evidence.sign, evidence.sureness.as_str())?;
    }
    writeln!(page, "\n## Causes\n\nMost likely first:\n")?;
    for cause in entry.causes {
        writeln!(page, "- {cause}")?;
    }
    writeln!(page, "\n## Owner\n")?;
    for owner in entry.owners {
        writeln!(page, "- `{}`: {}", owner.as_str(), owner.words())?;
    }
    writeln!(page, "\n## What to do\n")?;
    for (number, Step { text, command }) in (1..).zip(entry.steps) {
        writeln!(page, "{number}. {text}")?;
        if let Some(command) = command {
            writeln!(page, "\n   ```sh\n   {command}\n   ```\n")?;
        }
    }
    if let Some(Statement { goes_into, json }) = entry.statement {
        writeln!(page, "\n## Statement\n\nThis may be what is missing. It goes {goes_into}\n")?;
        writeln!(page, "Replace the words in capitals.\n\n```json\n{json}\n```")?;
    }
    writeln!(page, "\n## Looks like it\n")?;
    for other in entry.looks_like {
        writeln!(page, "- {other}")?;
    }
    writeln!(page, "\n## Metrics\n\n```promql")?;
    for query in entry.queries() {
        writeln!(page, "{query}")?;
    }
    writeln!(page, "```")?;
    if !entry.pages.is_empty() {
        writeln!(page, "\n## AWS pages\n")?;
        for found in entry.pages {
            writeln!(page, "- [{}]({})", found.title, found.url)?;
        }
    }
    if has_next_step(entry) {
        writeln!(page, "\n{DOCTOR}")?;
    }
    writeln!(
        page,
        "\nThe same in a terminal: `spokeprobe explain {reason}`. All reasons: [index](README.md)."
    )
}
