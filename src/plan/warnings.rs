//! What is allowed but probably not meant.

use crate::config::units::{duration_text, rate_text};
use crate::config::{Config, DEFAULT_BUCKETS};
use crate::domain::name::Name;
use crate::domain::target::Target;
use crate::plan::steady_rates;
use crate::plan::targets::control_of;
use crate::plan::{Plan, Warning, account_quota};
use crate::transport::OpenFiles;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Below this, an integration that takes its full 29 s reads as our timeout (API Gateway developer guide,
/// quotas: integration timeout).
const SHORTEST_QUIET_TIMEOUT: Duration = Duration::from_millis(29_500);

/// Role chaining caps a session (IAM user guide, "Role chaining").
const CHAINED_SESSION: Duration = Duration::from_secs(3_600);

/// The default of `metrics.buckets`; every one more is a time series for each target and outcome.
const USUAL_BUCKETS: usize = DEFAULT_BUCKETS.len();

/// All warnings, in the order of the configuration.
pub(super) fn warnings(config: &Config, plan: &Plan) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |path: String, message: String| warnings.push(Warning { path, message });
    for left_out in &config.left_out {
        let message = format!(
            "left out, because {} is not known while an included file is left out; mend that file",
            left_out.needs
        );
        warn(left_out.path.clone(), message);
    }
    for note in &config.web.notes {
        warn(format!("web.config_file: {}", note.path), note.message.clone());
    }
    if config.buckets.len() > USUAL_BUCKETS {
        let message = format!(
            "{} buckets: each is a time series for every target and outcome; {USUAL_BUCKETS} are enough for most",
            config.buckets.len()
        );
        warn("metrics.buckets".to_owned(), message);
    }
    if let Some(members) = &config.members
        && members.replicas_of_each() < members.replicas.get()
    {
        let message = format!(
            "{} replicas of each target are asked for, but there are only {} shards, so that each of them probes every target; lower `replicas`, or add shards",
            members.replicas,
            members.replicas_of_each()
        );
        warn("members.replicas".to_owned(), message);
    }
    for spoke in &config.spokes {
        if config.hub.role_arn.is_some() && spoke.session.duration > CHAINED_SESSION {
            let message = format!(
                "a session of {} is asked for, but from a role's session STS gives 1h at most; 1h \
             will be used",
                duration_text(spoke.session.duration)
            );
            warn(format!("{}.duration", spoke.place.path), message);
        }
    }
    // Controls are looked for within an api only, or a large fleet would compare everything with everything.
    let mut apis: HashMap<(&Name, &Name), Vec<&Target>> = HashMap::new();
    for target in &plan.targets {
        apis.entry((&target.id.spoke, &target.id.api)).or_default().push(target);
    }
    let mut seen = HashSet::new();
    for target in &plan.targets {
        // The zones of one probe share its warnings.
        let id = &target.id;
        if seen.insert((&id.spoke, &id.api, &id.probe)) {
            let siblings = apis.get(&(&id.spoke, &id.api)).map(Vec::as_slice).unwrap_or_default();
            of_target(target, siblings, &mut warn);
        }
    }
    of_connections(plan, &mut warn);
    let tenth = account_quota(&config.hub.region) / 10.0;
    for (account, rate) in steady_rates(plan) {
        if rate > tenth {
            let message = format!(
                "account {account} is asked {} in all, above a tenth of its quota for the region, which its \
                 real traffic shares; lower the rates",
                rate_text(rate)
            );
            warn("spokes".to_owned(), message);
        }
    }
    warnings
}

/// A hard limit of open files that some container hosts have; most grant far more.
const USUAL_OPEN_FILES: u64 = 4_096;

/// What the agent needs to have open, where that is more than usual.
fn of_connections(plan: &Plan, warn: &mut impl FnMut(String, String)) {
    let (names, in_flight) = plan.connections();
    let limit = OpenFiles::limit_for(names, in_flight);
    if limit > USUAL_OPEN_FILES {
        let message = format!(
            "{names} host names and up to {in_flight} requests in flight need a limit of {limit} open files; see that the \
             agent may raise its own so far (LimitNOFILE of systemd, ulimits.nofile of containers)"
        );
        warn("limits.in_flight".to_owned(), message);
    }
    let kept = OpenFiles::names_at_most();
    if names > kept {
        let message = format!(
            "{names} host names: idle connections are kept for {kept} of them, the others connect anew for each \
             attempt; with endpoint_dns all share one name"
        );
        warn("hub.endpoint.addressing".to_owned(), message);
    }
}

fn of_target(target: &Target, siblings: &[&Target], warn: &mut impl FnMut(String, String)) {
    let id = &target.id;
    let path = format!("spokes.{}.apis.{}.probes.{}", id.spoke, id.api, id.probe);
    if target.timeout < SHORTEST_QUIET_TIMEOUT {
        let message = format!(
            "the timeout of {} is under 29.5s, so an integration that runs into its own timeout will read as \
             ours; raise it, or use `expect: {{within: …}}` for a limit of your own",
            duration_text(target.timeout)
        );
        warn(format!("{path}.timeout"), message);
    }
    if target.expectation.is_guard() && control_of(target, siblings.iter().copied()).is_none() {
        let message = format!(
            "this guard has no positive control, so a missing route looks like a closed door; add a signed \
             probe of {} {} that expects a 2xx",
            target.request.method,
            target.request.path()
        );
        warn(path, message);
    }
}
