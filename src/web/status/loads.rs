//! The loads, as `GET /api/v1/status` shows them.

use crate::recording::{LoadPercentiles, LoadRun, LoadStatus};
use crate::web::status::rfc3339;
use serde::Serialize;

/// A load that is announced or runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadView {
    /// Its name.
    pub name: String,
    /// The probe that it drives: `SPOKE/API/PROBE`.
    pub target: Option<String>,
    /// Whether it runs now.
    pub running: bool,
    /// While it runs: since when.
    pub since: Option<String>,
    /// The rate that is asked for now, in arrivals a second; 0 while it does not run.
    pub rate_asked: f64,
    /// Its last run that is over.
    pub last: Option<LoadRunView>,
}

/// A run that is over. due = sent + missed + unsent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadRunView {
    /// When.
    pub ended_at: Option<String>,
    /// How: `completed`, the guard that stopped it, or `abandoned`.
    pub ended: &'static str,
    /// Arrivals that became due.
    pub due: u64,
    /// Attempts that were handed to the network.
    pub sent: u64,
    /// Arrivals that were not made.
    pub missed: u64,
    /// Attempts that could not be sent for want of a session.
    pub unsent: u64,
    /// Attempts in flight that were given up.
    pub aborted: u64,
    /// Attempts that were not as expected.
    pub unexpected: u64,
    /// Response times, from due; `null` where nothing was sent and ended.
    pub response: Option<LoadLatencyView>,
}

/// Response times of a run in seconds, from due to the last byte.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LoadLatencyView {
    /// The samples that this rests on.
    pub samples: u64,
    /// Half were not slower.
    pub p50_seconds: f64,
    /// 90 % were not slower.
    pub p90_seconds: f64,
    /// 99 % were not slower.
    pub p99_seconds: f64,
    /// 99.9 % were not slower.
    pub p999_seconds: f64,
    /// The slowest.
    pub max_seconds: f64,
}

pub(super) fn view(load: &LoadStatus) -> LoadView {
    let LoadStatus { name, target, running, since, rate_asked, last, results: _results } = load;
    LoadView {
        name: name.to_string(),
        target: target.as_ref().map(ToString::to_string),
        running: *running,
        since: since.and_then(rfc3339),
        rate_asked: *rate_asked,
        last: last.as_ref().map(run_view),
    }
}

fn run_view(run: &LoadRun) -> LoadRunView {
    let LoadRun { ended_at, end, due, sent, missed, unsent, aborted, unexpected, response } = *run;
    LoadRunView {
        ended_at: ended_at.and_then(rfc3339),
        ended: end.as_str(),
        due,
        sent,
        missed,
        unsent,
        aborted,
        unexpected,
        response: (response.count > 0).then(|| latency_view(response)),
    }
}

const fn latency_view(response: LoadPercentiles) -> LoadLatencyView {
    let LoadPercentiles { count, p50, p90, p99, p999, max } = response;
    LoadLatencyView {
        samples: count,
        p50_seconds: p50.as_secs_f64(),
        p90_seconds: p90.as_secs_f64(),
        p99_seconds: p99.as_secs_f64(),
        p999_seconds: p999.as_secs_f64(),
        max_seconds: max.as_secs_f64(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::load::Guard;
    use crate::domain::moment::Moment;
    use crate::domain::outcome::Reason;
    use crate::recording::LoadInfo;
    use crate::recording::examples::{recorder, seen, target, wall};
    use serde_json::json;
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_load_is_seen_waiting_running_and_stopped() {
        let recorder = recorder();
        let info = LoadInfo { name: "night".parse().unwrap(), target: target("payments/hoot/hello").id };
        recorder.set_loads(std::slice::from_ref(&info));
        let shown = || {
            let loads: Vec<_> = recorder.snapshot().loads.iter().map(view).collect();
            serde_json::to_value(loads).unwrap()
        };
        assert_eq!(
            shown(),
            json!([{"name": "night", "target": "payments/hoot/hello", "running": false, "since": null,
                    "rate_asked": 0.0, "last": null}])
        );
        let run = recorder.begin_load(&info.name, Moment::ZERO);
        run.began_at(wall(SECOND));
        run.due(3);
        run.missed(crate::domain::observation::MissCause::Overloaded, 1);
        run.sent();
        run.ended(&seen(Reason::Rate, Some(429), Duration::ZERO, SECOND));
        run.sent();
        run.aborted();
        run.second_over(Moment::ZERO + SECOND, 3.0);
        assert_eq!(
            shown(),
            json!([{"name": "night", "target": "payments/hoot/hello", "running": true,
                    "since": "2026-01-01T00:00:01.000Z", "rate_asked": 3.0, "last": null}])
        );
        run.stopped(Guard::Throttled);
        run.over();
        assert_eq!(
            shown(),
            json!([{"name": "night", "target": "payments/hoot/hello", "running": false, "since": null,
                    "rate_asked": 0.0, "last": {
                        "ended_at": "2026-01-01T00:00:02.000Z", "ended": "throttled", "due": 3, "sent": 2,
                        "missed": 1, "unsent": 0, "aborted": 1, "unexpected": 1,
                        "response": {"samples": 1, "p50_seconds": 1.0, "p90_seconds": 1.0,
                            "p99_seconds": 1.0, "p999_seconds": 1.0, "max_seconds": 1.0}}}])
        );
        // A run whose driver went away is not called complete.
        drop(recorder.begin_load(&info.name, Moment::ZERO));
        assert_eq!(shown()[0]["last"]["ended"], "abandoned");
        assert_eq!(shown()[0]["last"]["response"], json!(null));
    }
}
