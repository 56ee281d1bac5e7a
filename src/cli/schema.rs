//! `spokeprobe schema`: the forms of what people write and of what `load` prints.

use super::{Exit, load, output};
use clap::{Args, ValueEnum};

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  spokeprobe schema > spokeprobe.schema.json    for an editor that checks YAML while you type
  spokeprobe schema load-report                 for whoever reads the reports of loads")]
pub(super) struct SchemaArgs {
    /// Of which document
    #[arg(value_enum, value_name = "DOCUMENT", default_value_t = Form::Configuration)]
    of: Form,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// The configuration
    Configuration,
    /// What `load --json` prints
    LoadReport,
    /// What `load --dry-run --json` prints
    LoadDryRun,
}

pub(super) fn schema(args: &SchemaArgs) -> Exit {
    match args.of {
        Form::Configuration => output::json(&crate::config::json_schema()),
        Form::LoadReport => output::result(load::REPORT_SCHEMA),
        Form::LoadDryRun => output::result(load::DRY_RUN_SCHEMA),
    }
    Exit::Expected
}
