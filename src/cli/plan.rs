//! `spokeprobe plan`

use super::{ConfigArgs, Exit, configuration, output};
use crate::{plan, policy};
use clap::Args;

/// Arguments of `plan`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe plan                                  check ./config.yaml
  spokeprobe plan --config /etc/spokeprobe.yaml --json | jq .time_series

Touches no network, but for a configuration in S3. Exit status: 0 for a sound configuration, 2 for one with problems, also in an
included file that `run` would merely leave out.

With --json a configuration that cannot be used gives {\"problems\": [{file, line, column, path, found, wanted,
hint}, ...]} on stdout, as do call, doctor, load and policy; the text goes to stderr either way.")]
pub(super) struct PlanArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn plan(args: PlanArgs) -> Exit {
    let Some(loaded) = configuration::read(&args.config, args.json).await else { return Exit::Usage };
    let mut warnings = loaded.warnings.clone();
    warnings.extend(policy::warnings(&loaded.config, &loaded.plan));
    let report = plan::report::report(&loaded.plan, &loaded.estimate, &loaded.include_failures, &warnings);
    if args.json {
        match serde_json::to_value(&report) {
            Ok(value) => output::json(&value),
            Err(error) => {
                output::error(&format!("the plan cannot be printed: {error}"));
                return Exit::Unexpected;
            }
        }
    } else {
        output::result(&report.text());
    }
    for failure in &loaded.include_failures {
        configuration::report(&failure.problems);
    }
    if loaded.include_failures.is_empty() { Exit::Expected } else { Exit::Usage }
}
