//! `web.config_file`: TLS, client certificates, passwords and a rate limit, as one file in the form of the Prometheus
//! exporter toolkit.
//!
//! ```text
//! file          the file as values, every one checked           reading       values with places, from the YAML tree
//! tls_section   its section on TLS, names mapped to rustls'     users         passwords' hashes
//! certificates  the section and its files as rustls takes them  logins        remembers logins, rations guesses
//! client_certificates  which certificates of clients are let in
//! authenticate  what a request must show
//! ```
//!
//! The file and what it names are looked at every second and read again when they changed, so that a certificate is
//! renewed and a user removed without a restart. A file that is broken then changes nothing and is named in the
//! log once; whether TLS is spoken at all cannot change while the agent runs.

pub(super) mod authenticate;
mod certificates;
mod client_certificates;
mod file;
mod logins;
mod reading;
#[cfg(test)]
mod tests;
mod tls_section;
mod users;

pub use file::{Note, check_file};

use crate::web::bucket::Bucket;
use crate::yaml::Problem;
use arc_swap::ArcSwap;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use certificates::Tls;
use file::RateLimit;
use logins::Logins;
use rustls::ServerConfig;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use users::Users;

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The largest file that is read: the web configuration file and every one that it names.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// What the file says now.
#[derive(Debug)]
struct Rules {
    tls: Option<Tls>,
    headers: Vec<(HeaderName, HeaderValue)>,
    users: Users,
    limit: Option<(RateLimit, Arc<Bucket>)>,
}

/// The file, kept as last read.
#[derive(Debug)]
pub(super) struct Protection {
    path: PathBuf,
    rules: ArcSwap<Rules>,
    seen: Mutex<Seen>,
    logins: Logins,
}

/// What the last look found.
#[derive(Debug)]
struct Seen {
    stamps: Stamps,
    /// Problems that the log has already, while the files are broken.
    told: Option<Vec<Problem>>,
}

/// Whether a file is still the one that was read, without reading it.
type Stamp = (u64, u64, i64, i64, i64, i64);

impl Protection {
    /// Reads the file and all that it names.
    ///
    /// # Errors
    /// All problems.
    pub(super) fn load(path: &Path) -> Result<Self, Vec<Problem>> {
        let shown = path.display().to_string();
        let (stamps, rules) = read(path, None);
        let logins = Logins::new().map_err(|why| vec![Problem::of_file(&shown, why, "random numbers")])?;
        let seen = Mutex::new(Seen { stamps, told: None });
        Ok(Self { path: path.to_owned(), rules: ArcSwap::from_pointee(rules?), seen, logins })
    }

    /// True when connections are secured; that does not change.
    #[cfg(test)]
    pub(super) fn has_tls(&self) -> bool {
        self.rules.load().tls.is_some()
    }

    /// What a connection from this peer is secured with, and whether a certificate that it shows will have been
    /// checked. Nothing without TLS.
    pub(super) fn tls_for(&self, peer: IpAddr) -> Option<(Arc<ServerConfig>, bool)> {
        let rules = self.rules.load();
        let tls = rules.tls.as_ref()?;
        let config = if peer.to_canonical().is_loopback() { &tls.for_loopback } else { &tls.config };
        Some((Arc::clone(config), tls.client_auth.verifies()))
    }

    /// Sets the headers of the file; they stand for what this server would set.
    pub(super) fn set_headers(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.rules.load().headers {
            headers.insert(name.clone(), value.clone());
        }
    }

    /// Reads the files again if one of them changed. It touches the disk, so it belongs on a thread that may wait.
    pub(super) fn look(&self) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // While the files are broken they are read each time: what was wrong may be no matter of their content.
        if seen.told.is_none() && seen.stamps.iter().all(|(path, stamp)| Stamp::of(path) == *stamp) {
            return;
        }
        let now = self.rules.load_full();
        let (stamps, read) = read(&self.path, Some(&now));
        seen.stamps = stamps;
        let read = read.and_then(|rules| match (&now.tls, &rules.tls) {
            (Some(_), Some(_)) | (None, None) => Ok(rules),
            (had, _) => {
                let found = if had.is_some() { "no TLS, which is on" } else { "TLS, which is off" };
                let shown = self.path.display().to_string();
                Err(vec![Problem::of_file(&shown, found, "the same, or a restart of the agent")])
            }
        });
        match read {
            Ok(rules) => {
                self.rules.store(Arc::new(rules));
                seen.told = None;
                tracing::info!(file = %self.path.display(), "the web configuration file was read again");
            }
            Err(problems) => {
                if seen.told.as_ref() != Some(&problems) {
                    for problem in &problems {
                        tracing::error!("{problem}");
                    }
                    tracing::error!(
                        file = %self.path.display(),
                        "the web configuration file cannot be used; what was read before stays in force"
                    );
                    seen.told = Some(problems);
                }
            }
        }
    }
}

/// Whether a stamp is of the same file with the same content.
trait OfFile: Sized {
    fn of(path: &Path) -> Option<Self>;
}

impl OfFile for Stamp {
    /// Links are followed: secrets of Kubernetes are links that change where they point.
    fn of(path: &Path) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let data = std::fs::metadata(path).ok()?;
        Some((data.ino(), data.size(), data.mtime(), data.mtime_nsec(), data.ctime(), data.ctime_nsec()))
    }
}

/// Every file that was looked at; nothing for one that is not there.
type Stamps = Vec<(PathBuf, Option<Stamp>)>;

/// Reads the file and what it names, with the stamps from before they were read.
fn read(path: &Path, before: Option<&Rules>) -> (Stamps, Result<Rules, Vec<Problem>>) {
    let mut stamps = vec![(path.to_owned(), Stamp::of(path))];
    let rules = read_rules(path, before, &mut stamps);
    (stamps, rules)
}

fn read_rules(path: &Path, before: Option<&Rules>, stamps: &mut Stamps) -> Result<Rules, Vec<Problem>> {
    let shown = path.display().to_string();
    let text = bytes_of(path).and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()));
    let text = text.map_err(|why| {
        let found = format!("a file that cannot be read ({why})");
        vec![Problem::of_file(&shown, found, "the web configuration file")]
    })?;
    let file = file::read(&shown, &text)?;
    for note in &file.notes {
        tracing::debug!(file = %shown, path = %note.path, "{}", note.message);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut read = |name: &str| {
        let named = folder.join(name);
        stamps.push((named.clone(), Stamp::of(&named)));
        bytes_of(&named)
    };
    let tls = file.tls.as_ref().map(|section| certificates::build(section, &mut read)).transpose()?;
    let limit = file.rate_limit.map(|limit| {
        let kept = before.and_then(|before| before.limit.as_ref()).filter(|(before, _)| *before == limit);
        kept.cloned().unwrap_or_else(|| (limit, Arc::new(Bucket::new(limit.burst))))
    });
    Ok(Rules { tls, headers: file.headers, users: Users::new(file.users), limit })
}

/// The content of a regular file within the bound.
fn bytes_of(path: &Path) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Vec<u8>> {
        // Before it is opened: opening a pipe waits for somebody who writes.
        let is_file = |metadata: std::fs::Metadata| metadata.is_file();
        if !std::fs::metadata(path).map(is_file)? {
            return Err(io::Error::other("it is no regular file"));
        }
        let file = File::open(path)?;
        let mut bytes = Vec::new();
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_FILE_BYTES) {
            return Err(io::Error::other(format!("it has more than {MAX_FILE_BYTES} bytes")));
        }
        Ok(bytes)
    };
    read().map_err(|error| error.to_string())
}
