//! The `web` and `metrics` sections: the agent's own HTTP server and its histograms. The file that
//! `web.config_file` names is read by `web` itself; here its text is only checked.

use crate::config::FileReader;
use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::Value;
use crate::config::shapes;
use crate::web;
use crate::web::StatusAccess;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

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
            "config_file",
            shapes::FILE,
            "web.yaml",
            "TLS, client certificates, passwords (bcrypt) and a rate limit, as a file in the form of the Prometheus \
             exporter toolkit's web configuration. It is looked at every second.",
        ),
        Key::optional(
            "status",
            Shape::Word(&["auto", "open"]),
            "auto",
            "Who may read the status page and API, which name accounts, roles and open doors: auto closes them on a \
             listener that is not loopback, open does not, default auto. A password of `config_file` opens them too.",
        ),
    ],
};

pub(crate) static METRICS: Section = Section {
    about: "Metrics.",
    keys: &[Key::optional(
        "buckets",
        Shape::List(&Shape::Number(0.0, 3_600.0)),
        "",
        "Upper bounds of the latency histograms in seconds, ascending, at most 50, default \
         0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 30.",
    )],
};

/// The web server, as configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// The address to listen on.
    pub listen: SocketAddr,
    /// Who may read the status.
    pub status: StatusAccess,
    /// The web configuration file, as a path from where the agent runs.
    pub config_file: Option<PathBuf>,
    /// What there is to say about that file.
    pub notes: Vec<web::Note>,
}

impl Default for Web {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT));
        Self { listen, status: StatusAccess::Auto, config_file: None, notes: Vec::new() }
    }
}

/// Reads the `web` section.
pub(crate) fn read(value: &Value<'_>, files: FileReader<'_>) -> Option<Web> {
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
    let file = fields.get("config_file").and_then(|v| config_file(&v, files));
    let (config_file, notes) = file.map_or((None, Vec::new()), |(path, notes)| (Some(path), notes));
    Some(Web { listen: listen.unwrap_or(default.listen), status, config_file, notes })
}

/// The path of the web configuration file, once its text has no problems. Its certificates are not looked at: where a
/// configuration is checked, their keys have no business.
fn config_file(value: &Value<'_>, files: FileReader<'_>) -> Option<(PathBuf, Vec<web::Note>)> {
    let written = value.text("a path")?.text;
    let main = value.context.file;
    if is_in_s3(main) && !is_beside_the_agent(main, &written) {
        let hint = "it is read again while the agent runs, with its keys, which do not belong into a bucket";
        return value.refuse("an absolute path on the machine the agent runs on", Some(hint));
    }
    let text = files(value)?;
    // A configuration from a variable has no folder; then the path is absolute, or `files` has refused it.
    let path = Path::new(main).parent().unwrap_or(Path::new("")).join(&written);
    match web::check_file(&path.display().to_string(), &text) {
        Ok(notes) => Some((path, notes)),
        Err(problems) => {
            problems.into_iter().for_each(|problem| value.context.note(problem));
            None
        }
    }
}

fn is_in_s3(main: &str) -> bool {
    main.starts_with("s3://")
}

/// True when the web file is on the machine of the agent and the main text is in a bucket: no other key leads from a
/// bucket to a disk.
pub(super) fn is_beside_the_agent(main: &str, written: &str) -> bool {
    is_in_s3(main) && Path::new(written).is_absolute()
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
