//! How a fault of the world spoils an answer that is ready.

use super::reply::{Reply, WireFault};
use super::world::Fault;
use std::time::Duration;

/// Spoils an answer. Ids are added later, except to a proxy's page, which is no answer of the gateway.
pub(super) fn apply_fault(reply: &mut Reply, fault: Fault) {
    match fault {
        Fault::Wire(fault) => {
            if fault == WireFault::Hang {
                reply.delay = Duration::ZERO;
            }
            if fault.leaves_a_status() {
                *reply = Reply { delay: reply.delay, ..Reply::new(200, "application/octet-stream", "") };
            }
            reply.fault = Some(fault);
        }
        Fault::HugeHeader(bytes) => reply.headers.push(("X-Padding".into(), vec![b'x'; bytes])),
        Fault::NotUtf8 => {
            reply.headers.push(("X-Binary".into(), vec![0xff, 0xfe, 0xe9]));
            reply.body = b"{\"hello\":\"\xff\xfe\xe9\"}".to_vec();
        }
        Fault::Html(status) => {
            let page = format!("<html><head><title>{status}</title></head><body>proxy error</body></html>\n");
            *reply = Reply { delay: reply.delay, ..Reply::new(status, "text/html", page) };
        }
    }
}
