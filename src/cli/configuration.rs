//! Reading the configuration for a command, and telling what is wrong with it.

use super::{ConfigArgs, output};
use crate::config::IncludeFailure;
use crate::credentials::{self, SdkSessions};
use crate::domain::region::Region;
use crate::seams::{Clock, SystemClock, TokioWait, Transport};
use crate::sources::{self, LoadedPlan, Outside, Reader, Source as _};
use crate::transport::{self, HttpTransport};
use crate::yaml::Problem;
use std::sync::Arc;

/// Reads the configuration for a command that checks it: everything there is to say comes back.
pub(super) async fn read(args: &ConfigArgs) -> Option<LoadedPlan> {
    let loaded = match reader(args) {
        Ok(reader) => match reader.read().await {
            Ok(texts) => sources::load_plan_of(&texts, &sources::process_environment),
            Err(unreadable) => Err(vec![*unreadable.problem]),
        },
        Err(problems) => Err(problems),
    };
    loaded.map_err(|problems| report(&problems)).ok()
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
    let (count, s) = (problems.len(), if problems.len() == 1 { "" } else { "s" });
    output::note(&format!("{count} problem{s} in the configuration"));
}
