//! Reading the configuration for a command, and telling what is wrong with it.

use super::{ConfigArgs, output};
use crate::config::IncludeFailure;
use crate::plan::Plan;
use crate::sources::{self, LoadedPlan};
use crate::yaml::Problem;

/// Reads the configuration for a command that checks it: everything there is to say comes back.
pub(super) fn read(args: &ConfigArgs) -> Option<LoadedPlan> {
    match sources::load_plan(&args.config, &sources::process_environment) {
        Ok(loaded) => Some(loaded),
        Err(problems) => {
            report(&problems);
            None
        }
    }
}

/// Reads the configuration for a command that runs: warnings and files left out go to the log.
pub(super) fn load(args: &ConfigArgs) -> Option<Plan> {
    let LoadedPlan { plan, include_failures, warnings, .. } = read(args)?;
    for warning in &warnings {
        tracing::warn!(path = %warning.path, "{}", warning.message);
    }
    log_left_out(&include_failures);
    Some(plan)
}

/// Names the included files that are left out, with their problems.
pub(super) fn log_left_out(failures: &[IncludeFailure]) {
    for failure in failures {
        tracing::error!(file = %failure.file, "left out, the rest runs");
        for problem in &failure.problems {
            tracing::error!("{problem}");
        }
    }
}

/// Prints problems to stderr, one a line.
pub(super) fn report(problems: &[Problem]) {
    for problem in problems {
        output::error(&problem.to_string());
    }
    let (count, s) = (problems.len(), if problems.len() == 1 { "" } else { "s" });
    output::note(&format!("{count} problem{s} in the configuration"));
}
