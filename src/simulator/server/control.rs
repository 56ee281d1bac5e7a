//! The control page: what the hub counted, for drills and tests. Loopback is for the caller to choose.

use crate::simulator::core::Hub;
use crate::simulator::reply::Reply;
use crate::simulator::wire::RawRequest;
use serde::Serialize;

pub(super) fn respond(hub: &Hub, request: &RawRequest) -> Reply {
    match (request.method.as_str(), request.path()) {
        ("GET" | "HEAD", "/counts") => json(&hub.counts()),
        ("GET" | "HEAD", "/totals") => json(&hub.totals()),
        (_, "/counts" | "/totals") => Reply::new(405, "text/plain", "only GET\n").with("Allow", "GET, HEAD"),
        _ => Reply::new(404, "text/plain", "only /counts and /totals are here\n"),
    }
}

fn json(value: &impl Serialize) -> Reply {
    match serde_json::to_vec(value) {
        Ok(body) => Reply::new(200, "application/json", body),
        Err(error) => Reply::new(500, "text/plain", error.to_string()),
    }
}
