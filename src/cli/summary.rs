//! The end of a demo: what each target came to, and whether the agent's counts agree with the simulator's.

use super::output::{self, Colour, paint_result};
use crate::domain::api::ApiName;
use crate::domain::count;
use crate::domain::outcome::{Outcome, Reason};
use crate::domain::target::Target;
use crate::recording::{IsolationStatus, PairState, Recorder, TargetStatus};
use crate::simulator::Counts;
use serde_json::json;
use std::collections::BTreeMap;

/// What a demo came to.
pub(super) struct Summary {
    targets: Vec<TargetStatus>,
    apis: Vec<ApiBalance>,
    imbalances: usize,
    isolation: Option<IsolationStatus>,
}

/// The requests of one api, counted on both sides.
struct ApiBalance {
    /// As `spoke/api`.
    name: String,
    id: String,
    /// The agent's attempts of which a request reached the simulator, twins included.
    sent: u64,
    /// Those of them that were twins.
    twins: u64,
    /// Attempts without an answer: whether their request was read, only the simulator knows.
    perhaps_read: u64,
    /// What the simulator read.
    read: u64,
}

impl ApiBalance {
    /// Adds attempts that ended for this reason.
    fn count(&mut self, reason: Reason, attempts: u64) {
        match (reason.outcome(), reason) {
            (Outcome::Unsent, _) => {}
            // Cut off before or after the request was read.
            (Outcome::Unreachable, Reason::Reset | Reason::Protocol) => self.perhaps_read += attempts,
            (Outcome::Unreachable, _) => {}
            _ => self.sent += attempts,
        }
    }

    fn agrees(&self) -> bool {
        (self.sent..=self.sent + self.perhaps_read).contains(&self.read)
    }
}

impl Summary {
    /// Compares a drained recorder with the counts of the simulator it probed.
    pub(super) fn new(recorder: &Recorder, counted: &Counts) -> Self {
        let snapshot = recorder.snapshot();
        let mut apis: BTreeMap<String, ApiBalance> = BTreeMap::new();
        for status in &snapshot.targets {
            let target = &status.target;
            let id = api_id(target);
            let api = apis.entry(id.clone()).or_insert_with(|| ApiBalance {
                name: format!("{}/{}", target.id.spoke, target.id.api),
                read: counted.of_api(&id),
                id,
                sent: 0,
                twins: 0,
                perhaps_read: 0,
            });
            // The first try of a quick retry may have been read before its connection closed.
            api.perhaps_read += status.counts.retries;
            // Twins are in no other count of the agent, but the simulator cannot know them.
            api.sent += status.counts.twins.answered;
            api.perhaps_read += status.counts.twins.cut_off;
            api.twins += status.counts.twins.sent;
            status.counts.results.iter().for_each(|result| api.count(result.reason, result.count));
        }
        // Checks of isolation are no attempts of any target, but the simulator counts them as well.
        for checks in snapshot.isolation.iter().flat_map(|isolation| &isolation.attempts) {
            if let Some(api) = apis.get_mut(&api_id(&checks.api)) {
                api.sent += checks.answered;
                api.perhaps_read += checks.cut_off + (checks.begun - checks.ended);
            }
        }
        // Nor are attempts of loads, which count for themselves.
        for load in &snapshot.loads {
            let driven =
                snapshot.targets.iter().find(|status| Some(&status.target.id) == load.target.as_ref());
            if let Some(api) = driven.and_then(|status| apis.get_mut(&api_id(&status.target))) {
                load.results.iter().for_each(|result| api.count(result.reason, result.count));
                api.perhaps_read += load.last.as_ref().map_or(0, |run| run.aborted);
            }
        }
        Self {
            targets: snapshot.targets,
            apis: apis.into_values().collect(),
            imbalances: recorder.imbalances().len(),
            isolation: snapshot.isolation,
        }
    }

    /// True when both sides counted the same and the agent's own books balance.
    pub(super) fn agrees(&self) -> bool {
        self.imbalances == 0 && self.apis.iter().all(ApiBalance::agrees)
    }

    /// The summary for people.
    pub(super) fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.targets.iter().map(row).collect();
        let header = ["TARGET", "DUE", "MISSED", "LAST", "REASON", "AS EXPECTED", "P50", "P99"];
        let (sent, read) = self.totals();
        let verdict = if self.agrees() {
            paint_result(Colour::Green, "they agree")
        } else {
            paint_result(Colour::Red, "THEY DO NOT AGREE")
        };
        let mut text = output::table(&header, &rows);
        text.push_str(&format!(
            "\n\nConservation: of the agent's requests {sent} were answered (checks of isolation included, and {} twins, {:.1} %)\n\
             and up to {} more may have been read before they were cut off; the simulator read {read}: {verdict}.",
            self.twins(),
            self.share_of_twins(),
            self.apis.iter().map(|api| api.perhaps_read).sum::<u64>(),
        ));
        for api in self.apis.iter().filter(|api| !api.agrees()) {
            text.push_str(&format!(
                "\n  {} ({}): answered {}, cut off {}, read {}",
                api.name, api.id, api.sent, api.perhaps_read, api.read
            ));
        }
        if self.imbalances > 0 {
            text.push_str(&format!(
                "\n  the books of {} do not balance",
                count::of(self.imbalances, "target")
            ));
        }
        if let Some(isolation) = &self.isolation {
            let states =
                PairState::ALL.map(|state| format!("{} {}", isolation.counts.of(state), state.as_str()));
            text.push_str(&format!(
                "\nIsolation: {} checks of {} pairs of a role and a foreign api: {}.",
                checks(isolation),
                isolation.counts.total(),
                states.join(", "),
            ));
        }
        text
    }

    /// The summary for programs.
    pub(super) fn json(&self) -> serde_json::Value {
        let (sent, read) = self.totals();
        json!({
            "targets": self.targets.iter().map(target_json).collect::<Vec<_>>(),
            "conservation": {
                "agrees": self.agrees(),
                "answered": sent,
                "twins": self.twins(),
                "isolation_checks": self.isolation.as_ref().map_or(0, checks),
                "read_by_simulator": read,
                "targets_out_of_balance": self.imbalances,
                "apis": self.apis.iter().map(|api| json!({
                    "api": api.name,
                    "id": api.id,
                    "answered": api.sent,
                    "cut_off": api.perhaps_read,
                    "read_by_simulator": api.read,
                    "agrees": api.agrees(),
                })).collect::<Vec<_>>(),
            },
        })
    }

    fn twins(&self) -> u64 {
        self.apis.iter().map(|api| api.twins).sum()
    }

    /// In percent of what was answered.
    fn share_of_twins(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "requests of a demo")]
        let share = self.twins() as f64 / self.totals().0.max(1) as f64;
        100.0 * share
    }

    fn totals(&self) -> (u64, u64) {
        (self.apis.iter().map(|api| api.sent).sum(), self.apis.iter().map(|api| api.read).sum())
    }
}

fn checks(isolation: &IsolationStatus) -> u64 {
    isolation.attempts.iter().map(|api| api.begun).sum()
}

fn api_id(target: &Target) -> String {
    match &target.api {
        ApiName::Id { id, .. } => id.to_string(),
        ApiName::Domain { domain, .. } => domain.to_string(),
    }
}

fn row(status: &TargetStatus) -> Vec<String> {
    let ms = |seconds: f64| format!("{:.1} ms", seconds * 1_000.0);
    let (outcome, reason, expected) = match &status.last {
        None => ("-".to_owned(), "-".to_owned(), "-".to_owned()),
        Some(last) => {
            let expected = if last.expected { "yes" } else { "NO" };
            (last.reason.outcome().to_string(), last.reason.to_string(), expected.to_owned())
        }
    };
    vec![
        status.target.id.to_string(),
        status.counts.due.to_string(),
        status.counts.missed_total().to_string(),
        outcome,
        reason,
        expected,
        status.latency.as_ref().map_or_else(|| "-".into(), |latency| ms(latency.p50_seconds)),
        status.latency.as_ref().map_or_else(|| "-".into(), |latency| ms(latency.p99_seconds)),
    ]
}

fn target_json(status: &TargetStatus) -> serde_json::Value {
    let id = &status.target.id;
    let last = status.last.as_ref();
    json!({
        "spoke": id.spoke.as_str(),
        "api": id.api.as_str(),
        "probe": id.probe.as_str(),
        "zone": id.zone.as_ref().map(ToString::to_string),
        "due": status.counts.due,
        "missed": status.counts.missed_total(),
        "outcome": last.map(|last| last.reason.outcome().as_str()),
        "reason": last.map(|last| last.reason.as_str()),
        "expected": last.map(|last| last.expected),
        "code": last.and_then(|last| last.code),
        "diagnosis": status.diagnosis.as_ref().map(|known| json!({
            "reason": known.reason.as_str(),
            "because": known.because,
            "suspects": known.suspects,
        })),
        "twins": status.counts.twins.sent,
        "results": status.counts.results.iter().filter(|result| result.count > 0).map(|result| json!({
            "code": result.code,
            "outcome": result.reason.outcome().as_str(),
            "reason": result.reason.as_str(),
            "count": result.count,
        })).collect::<Vec<_>>(),
        "p50_seconds": status.latency.as_ref().map(|latency| latency.p50_seconds),
        "p99_seconds": status.latency.as_ref().map(|latency| latency.p99_seconds),
    })
}
