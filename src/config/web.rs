//! The `web` and `metrics` sections: the agent's own HTTP server and its histograms.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::Value;
use crate::config::shapes;
use crate::web::StatusAccess;
use std::net::{Ipv4Addr, SocketAddr};

/// The port of the agent's own server.
pub const DEFAULT_PORT: u16 = 10_403;
/// Upper bounds of the latency histograms in seconds, unless configured.
pub const DEFAULT_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// More buckets than this cost more series than they tell.
const MAX_BUCKETS: usize = 50;

pub(crate) static WEB: Section = Section {
    about: "The agent's own HTTP server.",
    keys: &[
        Key::optional(
            "listen",
            shapes::LISTEN,
            "0.0.0.0:10403",
            "The address to listen on, default 0.0.0.0:10403, where page and status stay closed (see `status`).",
        ),
        Key::optional(
            "status",
            Shape::Word(&["auto", "open"]),
            "auto",
            "auto closes the status page and API on a listener that is not loopback; open does \
             not. They name accounts, roles and open doors.",
        ),
    ],
    later: &["config_file"],
};

pub(crate) static METRICS: Section = Section {
    about: "Metrics.",
    keys: &[Key::optional(
        "buckets",
        Shape::List(&Shape::Number(0.0, 3_600.0)),
        "",
        "Upper bounds of the latency histograms in seconds, ascending, at most 50.",
    )],
    later: &[],
};

/// The web server, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Who may read the status.
    pub status: StatusAccess,
}

impl Default for Web {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
        Self { listen, status: StatusAccess::Auto }
    }
}

/// Reads the `web` section.
pub(crate) fn read(value: &Value<'_>) -> Option<Web> {
    let fields = value.fields(&WEB)?;
    let default = Web::default();
    let listen = fields.get("listen").and_then(|v| {
        let wanted = shapes::LISTEN.wanted();
        let text = v.text(&wanted)?.text;
        text.parse().ok().or_else(|| v.refuse(wanted, None))
    });
    let status = match fields.get("status").and_then(|v| v.word(&["auto", "open"])) {
        Some("open") => StatusAccess::Open,
        _ => StatusAccess::Auto,
    };
    Some(Web { listen: listen.unwrap_or(default.listen), status })
}

/// Reads `metrics.buckets`.
pub(crate) fn read_buckets(value: &Value<'_>) -> Option<Vec<f64>> {
    let buckets = value.fields(&METRICS)?.get("buckets")?;
    let items = buckets.items("a list of seconds")?;
    let numbers: Option<Vec<f64>> = items.iter().map(|item| item.number(0.0, 3_600.0)).collect();
    let numbers = numbers?;
    if numbers.is_empty() || numbers.len() > MAX_BUCKETS {
        return buckets.problem(format!("{} buckets", numbers.len()), "1 to 50", None);
    }
    if numbers.windows(2).any(|pair| pair[0] >= pair[1]) {
        return buckets.problem("buckets out of order", "ascending numbers, each once", None);
    }
    Some(numbers)
}
