//! `spokeprobe explain`: what a reason means, who owns it, and what to do.

use super::{Exit, output};
use crate::domain::outcome::Reason;
use crate::explain::{self, Entry};
use crate::yaml::nearest;
use clap::Args;
use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::ErrorKind;
use serde_json::{Value, json};
use std::ffi::OsStr;

/// Wider lines are hard to read, however wide the terminal.
const WIDEST: usize = 100;

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe explain                       all reasons, one line each
  spokeprobe explain vpc_endpoint_policy   one of them, with what to do
  spokeprobe explain forbidden --json | jq -r '.steps[].command // empty'

How sure each sign is:
  documented    AWS writes so
  observed      a published capture of a real answer shows it
  derived       it follows from a general rule of AWS, or from an emulator
  unconfirmed   not established
  measured      the agent saw it itself

The same texts are in docs/reasons/.")]
pub(super) struct ExplainArgs {
    /// A reason as in the metrics, the log and the status; without it all are listed
    #[arg(value_name = "REASON", value_parser = ReasonParser, hide_possible_values = true)]
    reason: Option<Reason>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Reads a reason; its words are possible values, so that shells complete them.
#[derive(Clone)]
struct ReasonParser;

impl TypedValueParser for ReasonParser {
    type Value = Reason;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Reason, clap::Error> {
        let written = value.to_string_lossy();
        written.parse::<Reason>().map_err(|_| {
            // clap would list all the words, and what is meant drowns in them.
            let known = Reason::ALL.iter().map(|reason| reason.as_str());
            let hint = match nearest(&written, known) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "`spokeprobe explain` lists all reasons".to_owned(),
            };
            let shown: String = written.chars().filter(|c| !c.is_control()).take(80).collect();
            let text = format!("`{shown}` is no reason; {hint}\n");
            clap::Error::raw(ErrorKind::InvalidValue, text).with_cmd(command)
        })
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let words = Reason::ALL.iter();
        Some(Box::new(words.map(|reason| PossibleValue::new(reason.as_str()).help(reason.meaning()))))
    }
}

pub(super) fn explain(args: &ExplainArgs) -> Exit {
    match (args.reason, args.json) {
        (Some(reason), false) => output::result(&explain::text(explain::entry(reason), width())),
        (Some(reason), true) => output::json(&as_json(explain::entry(reason))),
        (None, false) => output::result(&list()),
        (None, true) => {
            output::json(&Reason::ALL.iter().map(|reason| as_json(explain::entry(*reason))).collect());
        }
    }
    Exit::Expected
}

fn width() -> usize {
    // Only a terminal has a width: what is piped into a file should not depend on the window.
    terminal_size::terminal_size_of(std::io::stdout())
        .map_or(WIDEST, |(terminal_size::Width(columns), _)| WIDEST.min(columns.into()))
}

fn list() -> String {
    let rows: Vec<Vec<String>> = Reason::ALL
        .iter()
        .map(|reason| {
            vec![
                reason.outcome().to_string(),
                reason.to_string(),
                explain::entry(*reason)
                    .owners
                    .iter()
                    .map(|owner| owner.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
                reason.meaning().to_owned(),
            ]
        })
        .collect();
    output::table(&["outcome", "reason", "owner", "meaning"], &rows)
}

fn as_json(entry: &Entry) -> Value {
    let evidence: Vec<Value> = entry
        .evidence
        .iter()
        .map(|evidence| json!({"sign": evidence.sign, "sureness": evidence.sureness.as_str()}))
        .collect();
    let steps: Vec<Value> =
        entry.steps.iter().map(|step| json!({"text": step.text, "command": step.command})).collect();
    let pages: Vec<Value> =
        entry.pages.iter().map(|page| json!({"title": page.title, "url": page.url})).collect();
    let statement = entry.statement.map(|statement| {
        let json: Option<Value> = serde_json::from_str(statement.json).ok();
        json!({"goes_into": statement.goes_into, "statement": json})
    });
    json!({
        "reason": entry.reason.as_str(),
        "outcome": entry.reason.outcome().as_str(),
        "meaning": entry.reason.meaning(),
        "more": entry.more,
        "evidence": evidence,
        "causes": entry.causes,
        "owners": entry.owners.iter().map(|owner| owner.as_str()).collect::<Vec<_>>(),
        "steps": steps,
        "statement": statement,
        "looks_like": entry.looks_like,
        "queries": entry.queries(),
        "aws_pages": pages,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Cli;
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_list_has_every_reason_once() {
        let list = list();
        assert_eq!(list.lines().count(), Reason::ALL.len() + 1);
        for reason in Reason::ALL {
            assert!(list.contains(&format!(" {reason} ")), "{reason}");
        }
    }

    #[test]
    fn a_slip_of_the_keys_gets_a_suggestion_and_the_status_of_a_usage_error() {
        let error = Cli::try_parse_from(["spokeprobe", "explain", "vpc_endpoint_polcy"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let text = error.to_string();
        assert!(text.contains("did you mean `vpc_endpoint_policy`?") && text.len() < 200, "{text}");
        let strange =
            Cli::try_parse_from(["spokeprobe", "explain", "\u{1b}[31mxyzzy"]).unwrap_err().to_string();
        assert!(strange.contains("lists all reasons") && !strange.contains('\u{1b}'), "{strange}");
        assert!(Cli::try_parse_from(["spokeprobe", "explain", "forbidden"]).is_ok());
    }

    #[test]
    fn shells_complete_the_reasons() {
        let mut script = Vec::new();
        clap_complete::generate(clap_complete::Shell::Bash, &mut Cli::command(), "spokeprobe", &mut script);
        let script = String::from_utf8(script).unwrap();
        for reason in Reason::ALL {
            assert!(script.contains(reason.as_str()), "{reason}");
        }
    }

    #[test]
    fn json_holds_the_statement_as_json() {
        let json = as_json(explain::entry(Reason::VpcEndpointPolicy));
        assert_eq!(json["statement"]["statement"]["Effect"], "Allow");
        assert_eq!(json["owners"][0], "hub");
        assert_eq!(as_json(explain::entry(Reason::Forbidden))["statement"], Value::Null);
    }
}
