//! Reading the configuration for a command, and telling what is wrong with it.

use super::{ConfigArgs, output};
use crate::config::IncludeFailure;
use crate::credentials::{self, SdkSessions};
use crate::domain::count;
use crate::domain::region::Region;
use crate::seams::{Clock, SystemClock, TokioWait, Transport};
use crate::sources::{self, LoadedPlan, Outside, Reader, Source as _};
use crate::transport::{self, HttpTransport};
use crate::yaml::Problem;
use serde_json::{Value, json};
use std::sync::Arc;

/// Reads the configuration for a command that checks it: everything there is to say comes back. One that cannot be used
/// is reported, as JSON too where the command's result would be.
pub(super) async fn read(args: &ConfigArgs, as_json: bool) -> Option<LoadedPlan> {
    let loaded = match reader(args) {
        Ok(reader) => match reader.read().await {
            Ok(texts) => sources::load_plan_of(&texts, &sources::process_environment),
            Err(unreadable) => Err(vec![*unreadable.problem]),
        },
        Err(problems) => Err(problems),
    };
    loaded.map_err(|problems| refuse(&problems, as_json)).ok()
}

/// Says why the configuration cannot be used: on stderr for people, and where JSON is asked for also on stdout.
pub(super) fn refuse(problems: &[Problem], as_json: bool) {
    if as_json {
        let problems: Vec<Value> = problems.iter().map(problem_json).collect();
        output::json(&json!({ "problems": problems }));
    }
    report(problems);
}

/// A problem by its parts; without line and column where a file as a whole is meant.
fn problem_json(problem: &Problem) -> Value {
    let Problem { file, line, column, path, found, wanted, hint } = problem;
    let [line, column] = [line, column].map(|number| (*number > 0).then_some(*number));
    json!({
        "file": file,
        "line": line,
        "column": column,
        "path": path,
        "found": found,
        "wanted": wanted,
        "hint": hint,
    })
}

/// What reads the configuration, now and again.
pub(super) fn reader(args: &ConfigArgs) -> Result<Reader, Vec<Problem>> {
    Reader::new(&args.config, Arc::new(sources::process_environment), outside)
}

/// What S3 is asked with before there is a configuration: the machine's own trust, and the credentials that the
/// agent has by itself.
fn outside(region: Region) -> Result<Outside, String> {
    let clock = SystemClock::start();
    let wait = Arc::new(TokioWait::new(clock));
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let transport: Arc<dyn Transport> = Arc::new(
        HttpTransport::new(&transport::Settings::default(), Arc::clone(&clock))
            .map_err(|problem| problem.to_string())?,
    );
    let settings =
        credentials::Settings { region, sts_endpoint_url: None, hub_role_arn: None, environment: None };
    let sessions = Arc::new(SdkSessions::new(&settings, Arc::clone(&transport), Arc::clone(&clock)));
    Ok(Outside { transport, sessions, clock, wait })
}

/// Says what a configuration that runs has that is probably not meant, and what of it does not run.
pub(super) fn log_oddities(loaded: &LoadedPlan) {
    for warning in &loaded.warnings {
        tracing::warn!(path = %warning.path, "{}", warning.message);
    }
    log_left_out(&loaded.include_failures);
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
    output::note(&format!("{} in the configuration", count::of(problems.len(), "problem")));
}
