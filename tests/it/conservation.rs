//! The law of conservation: what the hub read is what the agent sent, to the last request, whatever it was sent
//! for: attempts of targets, their quick retries, attempts of loads, twins, checks of isolation.

use spokeprobe::domain::api::ApiName;
use spokeprobe::domain::outcome::{Outcome, Reason};
use spokeprobe::domain::target::Target;
use spokeprobe::recording::Recorder;
use spokeprobe::simulator::Counts;
use std::collections::BTreeMap;

/// What a drained agent sent to one api.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Attempts of targets and of loads that were answered, or whose answer broke off or never came.
    pub(crate) attempts: u64,
    /// Attempts whose connection was reset, and first tries that were retried.
    pub(crate) cut_off: u64,
    /// Twins that were answered.
    pub(crate) twins: u64,
    /// Checks of isolation that were answered.
    pub(crate) checks: u64,
    /// Twins and checks that were cut off.
    pub(crate) others_cut_off: u64,
}

impl Sent {
    fn count(&mut self, reason: Reason, attempts: u64) {
        match (reason.outcome(), reason) {
            (Outcome::Unsent, _) => {}
            (Outcome::Unreachable, Reason::Reset) => self.cut_off += attempts,
            _ => self.attempts += attempts,
        }
    }

    /// What was read for certain.
    fn answered(&self) -> u64 {
        self.attempts + self.twins + self.checks
    }

    /// What may have been read.
    fn all(&self) -> u64 {
        self.answered() + self.cut_off + self.others_cut_off
    }
}

/// What the agent sent, by the id of the api.
pub(crate) fn sent_by_api(recorder: &Recorder) -> BTreeMap<String, Sent> {
    let mut apis: BTreeMap<String, Sent> = BTreeMap::new();
    let snapshot = recorder.snapshot();
    for status in &snapshot.targets {
        let sent = apis.entry(api_id(&status.target)).or_default();
        sent.cut_off += status.counts.retries;
        sent.twins += status.counts.twins.answered;
        sent.others_cut_off += status.counts.twins.cut_off;
        status.counts.results.iter().for_each(|result| sent.count(result.reason, result.count));
    }
    for load in &snapshot.loads {
        let driven = snapshot.targets.iter().find(|status| Some(&status.target.id) == load.target.as_ref());
        let sent = apis.entry(api_id(&driven.expect("a load drives a probe").target)).or_default();
        load.results.iter().for_each(|result| sent.count(result.reason, result.count));
    }
    for checks in snapshot.isolation.iter().flat_map(|isolation| &isolation.attempts) {
        assert_eq!(checks.begun, checks.ended, "a check neither ended nor was it given up");
        let sent = apis.entry(api_id(&checks.api)).or_default();
        sent.checks += checks.answered;
        sent.others_cut_off += checks.cut_off;
    }
    apis
}

/// In memory nothing is ever lost on the way: both sides counted exactly the same.
pub(crate) fn both_counted_the_same(recorder: &Recorder, counts: &Counts) {
    let apis = sent_by_api(recorder);
    for (api, sent) in &apis {
        assert_eq!(sent.all(), counts.of_api(api), "{api}: {sent:?} and what the hub read");
    }
    let all: u64 = apis.values().map(Sent::all).sum();
    assert_eq!(all, counts.total(), "the hub was asked for an api that is nobody's");
}

/// Over sockets what was cut off may or may not have been read.
pub(crate) fn both_counted_alike(recorder: &Recorder, counts: &Counts) {
    for (api, sent) in sent_by_api(recorder) {
        let read = counts.of_api(&api);
        assert!((sent.answered()..=sent.all()).contains(&read), "{api}: the hub read {read} of {sent:?}");
    }
}

fn api_id(target: &Target) -> String {
    match &target.api {
        ApiName::Id { id, .. } => id.to_string(),
        ApiName::Domain { .. } => panic!("no domain names here"),
    }
}
