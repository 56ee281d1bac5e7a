//! Any source of a configuration, read on demand.

use super::files;
use super::gathering::{Memory, gather};
use super::s3;
use super::texts::{Files, Texts};
use crate::config::{self, Document, Environment};
use crate::domain::region::Region;
use crate::seams::{Clock, Sessions, Transport, Wait};
use crate::yaml::{MAX_BYTES, Problem};
use futures_util::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The longest time for all of a reading. A disk of the network may never answer.
const READING_TIMEOUT: Duration = Duration::from_secs(60);
/// How often files are looked at unless the user says otherwise.
const EVERY_FILE: Duration = Duration::from_secs(30);
/// How often objects are: each look is a request that is paid for.
const EVERY_OBJECT: Duration = Duration::from_secs(60);

/// Something that a configuration can be read from, again and again.
pub trait Source: Send + Sync {
    /// Its name, as the user gave it.
    fn name(&self) -> &str;

    /// Reads everything once.
    fn read(&self) -> BoxFuture<'_, Result<Texts, Unreadable>>;
}

/// The main text cannot be had at the moment: nothing is known of what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What was found instead.
    pub problem: Box<Problem>,
}

impl Unreadable {
    /// A source of this name that cannot be read.
    #[must_use]
    pub fn new(name: &str, why: &str) -> Self {
        let found = format!("a configuration that cannot be read ({why})");
        let problem = Problem::of_file(name, found, "the configuration; name another with --config");
        Self { problem: Box::new(problem) }
    }
}

/// What it takes to ask S3.
#[derive(Clone)]
pub struct Outside {
    /// The network.
    pub transport: Arc<dyn Transport>,
    /// The hub's own credentials.
    pub sessions: Arc<dyn Sessions>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// Waiting between tries.
    pub wait: Arc<dyn Wait>,
}

/// The environment, as something that can be kept.
type KeptEnvironment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Reads what `--config` names: a path, `env:NAME` or `s3://bucket/key`.
pub struct Reader {
    name: String,
    origin: Origin,
    environment: KeptEnvironment,
}

enum Origin {
    File(PathBuf, Arc<Mutex<Memory>>),
    Variable,
    Object(Box<tokio::sync::Mutex<s3::Folder>>),
}

impl Reader {
    /// A reader of a source. `outside` is asked for only by an object in S3, with the region it is in.
    ///
    /// # Errors
    /// When the argument names nothing that can be read, or the network cannot be set up.
    pub fn new(
        config_arg: &str,
        environment: KeptEnvironment,
        outside: impl FnOnce(Region) -> Result<Outside, String>,
    ) -> Result<Self, Vec<Problem>> {
        let origin = if config_arg.starts_with("s3://") {
            let location =
                s3::Location::parse(config_arg, &*environment).map_err(|problem| vec![*problem])?;
            let outside = outside(location.region().clone())
                .map_err(|why| vec![Problem::of_file(config_arg, why, "a network to ask S3 over")])?;
            Origin::Object(Box::new(tokio::sync::Mutex::new(s3::Folder::new(location, outside))))
        } else if config_arg.starts_with("env:") {
            Origin::Variable
        } else {
            Origin::File(PathBuf::from(config_arg), Arc::default())
        };
        Ok(Self { name: config_arg.to_owned(), origin, environment })
    }

    /// How often it is worth looking whether something has changed; `None` for what cannot change.
    #[must_use]
    pub const fn looked_at_every(&self) -> Option<Duration> {
        match self.origin {
            Origin::File(..) => Some(EVERY_FILE),
            Origin::Object(_) => Some(EVERY_OBJECT),
            Origin::Variable => None,
        }
    }

    async fn read_now(&self) -> Result<Texts, Unreadable> {
        match &self.origin {
            Origin::Object(folder) => folder.lock().await.read(&self.name, &*self.environment).await,
            Origin::Variable => read_here(&self.name, &*self.environment),
            Origin::File(path, memory) => {
                let (name, path) = (self.name.clone(), path.clone());
                let (memory, environment) = (Arc::clone(memory), Arc::clone(&self.environment));
                let reading = tokio::task::spawn_blocking(move || {
                    // A disk that hangs holds this lock: the readings after it do not wait with it.
                    let Ok(mut memory) = memory.try_lock() else {
                        return Err(Unreadable::new(&name, "an earlier reading of it has not ended"));
                    };
                    read_file(&name, &path, &mut memory, &*environment)
                });
                reading.await.unwrap_or_else(|_| Err(Unreadable::new(&self.name, "reading it failed")))
            }
        }
    }
}

impl Source for Reader {
    fn name(&self) -> &str {
        &self.name
    }

    fn read(&self) -> BoxFuture<'_, Result<Texts, Unreadable>> {
        Box::pin(async {
            match tokio::time::timeout(READING_TIMEOUT, self.read_now()).await {
                Ok(texts) => texts,
                Err(_) => Err(Unreadable::new(&self.name, "it does not come in time")),
            }
        })
    }
}

/// Reads a path or a variable, at once.
pub(super) fn read_here(config_arg: &str, environment: Environment<'_>) -> Result<Texts, Unreadable> {
    if config_arg.starts_with("s3://") {
        let found = "an object in S3 where the network is not asked";
        let problem = Problem::of_file(config_arg, found, "a path or env:NAME");
        return Err(Unreadable { problem: Box::new(problem) });
    }
    let Some(name) = config_arg.strip_prefix("env:") else {
        return read_file(config_arg, Path::new(config_arg), &mut Memory::default(), environment);
    };
    match environment(name) {
        Some(text) => Ok(without_folder(config_arg, &text, environment)),
        None => {
            let found = format!("no environment variable `{name}`");
            let problem = Problem::of_file(config_arg, found, "one that holds the configuration");
            Err(Unreadable { problem: Box::new(problem) })
        }
    }
}

fn read_file(
    name: &str,
    path: &Path,
    memory: &mut Memory,
    environment: Environment<'_>,
) -> Result<Texts, Unreadable> {
    let text = files::read(path, MAX_BYTES).map_err(|why| Unreadable::new(name, &why))?;
    Ok(gather(name, text, &mut files::Folder::of(path), memory, environment))
}

/// The texts of a configuration that is no file.
pub(super) fn without_folder(name: &str, text: &str, environment: Environment<'_>) -> Texts {
    let main = (name.to_owned(), Arc::from(text));
    let Ok(document) = Document::parse(name, text) else {
        // Parsing it again says what is wrong.
        return Texts::of_main(name, text);
    };
    let references = config::references(&document, true, environment);
    let problems = references.includes.first().map(|include| {
        let hint = "put the spokes into `spokes`".to_owned();
        let found = "`include` in a configuration that is no file";
        include.place.problem(found, "a configuration without it", Some(hint))
    });
    let files: Files = references
        .files
        .into_iter()
        .chain(references.local_files)
        .map(|name| {
            let text = files::absolute(&name);
            (name, text)
        })
        .collect();
    Texts::new(main, Vec::new(), files, problems.into_iter().collect(), Vec::new())
}
