//! What cannot change while the agent runs. Pure.

use super::{NeedsRestart, ReconcileProblem};
use crate::plan::Settings;
use std::fmt;

/// Compares the settings that parts have taken for good.
///
/// # Errors
/// All keys that differ.
pub(super) fn check(old: &Settings, new: &Settings) -> Result<(), ReconcileProblem> {
    let mut keys = Vec::new();
    let mut compare = |key, old: String, new: String| {
        if old != new {
            keys.push(NeedsRestart { key, old, new });
        }
    };
    let buckets = |settings: &Settings| format!("{:?}", settings.recording.buckets);
    compare("metrics.buckets", buckets(old), buckets(new));
    compare("web.listen", old.web.listen.to_string(), new.web.listen.to_string());
    let status = |settings: &Settings| format!("{:?}", settings.web.status).to_lowercase();
    compare("web.status", status(old), status(new));
    // What the file says is followed while the agent runs; which file it is, is not: a listener that began without
    // TLS would have to serve both until the last connection ends.
    let file = |settings: &Settings| or_none(&settings.web.config_file.as_ref().map(|path| path.display()));
    compare("web.config_file", file(old), file(new));
    // The scope of every signature, and the names of all apis.
    compare("hub.region", old.endpoint.region.to_string(), new.endpoint.region.to_string());
    compare("hub.role_arn", or_none(&old.credentials.hub_role_arn), or_none(&new.credentials.hub_role_arn));
    let sts = |settings: &Settings| or_none(&settings.credentials.sts_endpoint_url);
    compare("hub.sts.endpoint_url", sts(old), sts(new));
    if keys.is_empty() { Ok(()) } else { Err(ReconcileProblem::Restart(keys)) }
}

fn or_none<T: fmt::Display>(value: &Option<T>) -> String {
    value.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
}
