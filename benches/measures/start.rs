//! From exec to readiness and to the first result, as an operator sees it: over HTTP.

use crate::Effort;
use crate::attempts::outside_for;
use crate::clock::StopWatch;
use crate::figure::Figure;
use crate::fleet::Fleet;
use crate::process::{free_address, wait_for};

const MILLISECONDS: f64 = 1e3;

pub(crate) fn measure(effort: Effort) -> Vec<Figure> {
    // A rate, so that the target's place within an interval of seconds is not what is measured.
    let one = Fleet::new(1, 1, 1, "rate: 50/s");
    let (ready, result) = starts("start-one", one, effort.batches());
    let many = Fleet::new(100, 2, 5, "every: 30s");
    let (ready_many, result_many) = starts("start-many", many, effort.batches() / 2 + 1);
    let figure =
        |name: &str, values: &[f64], includes: &str| Figure::of(name, values, MILLISECONDS, "ms", includes);
    vec![
        figure(
            "start to ready, 1 target",
            &ready,
            "from exec to a 200 of `/-/ready`, asked every 2 ms: configuration, trust store, hub credentials, \
             AssumeRole",
        ),
        figure(
            "start to the first ok, 1 target",
            &result,
            "from exec to an `ok` in `/metrics`: the above, the arrival (50/s), connection and TLS handshake",
        ),
        figure(
            "start to ready, 1,000 targets",
            &ready_many,
            "the same, with 100 roles, at most 10 asked for at once",
        ),
        figure(
            "start to the first ok, 1,000 targets",
            &result_many,
            "the first of 1,000 targets that are spread over 30 s",
        ),
    ]
}

/// The seconds to readiness and to the first result of so many starts.
fn starts(name: &str, fleet: Fleet, times: usize) -> (Vec<f64>, Vec<f64>) {
    let listen = free_address();
    let (hub, path) = outside_for(name, fleet, listen);
    let (mut ready, mut result) = (Vec::new(), Vec::new());
    for _ in 0..times {
        // A fresh process for each way of asking, so that neither waits for the other's answer.
        for (path_asked, is_right, taken) in
            [("/-/ready", is_ready as fn(u16, &str) -> bool, &mut ready), ("/metrics", has_ok, &mut result)]
        {
            let watch = StopWatch::start();
            let agent = hub.start_agent(&path, false);
            wait_for(listen, path_asked, is_right);
            taken.push(watch.elapsed().as_secs_f64());
            drop(agent);
        }
    }
    (ready, result)
}

fn is_ready(status: u16, _body: &str) -> bool {
    status == 200
}

fn has_ok(_status: u16, body: &str) -> bool {
    body.lines().any(|line| {
        line.starts_with("spokeprobe_requests_total{")
            && line.contains("outcome=\"ok\"")
            && !line.ends_with(" 0")
    })
}
