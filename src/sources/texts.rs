//! What one reading of a configuration found: all its texts, and a digest by which two readings are compared.
//!
//! Texts are what `gathering` collects from a disk or a bucket and what the rest of `sources` parses. A digest
//! covers all of them, also why one could not be read, so that a file that comes back is a change.

use crate::domain::account::AccountId;
use crate::plan::Warning;
use crate::yaml::Problem;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// SHA-256 of all texts of one reading.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of one text.
    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// The first bytes, enough to tell two contents apart in a log.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// All texts of a configuration as one reading found them.
#[derive(Clone)]
pub struct Texts {
    /// The main text, with the name that the user gave it.
    pub(super) main: (String, Arc<str>),
    /// The included ones, each once.
    pub(super) included: Vec<IncludedText>,
    /// Those that values name, by name as written, or why they cannot be read.
    pub(super) files: Files,
    /// What makes the whole configuration unusable before it is parsed.
    pub(super) problems: Vec<Problem>,
    /// What was odd about finding them.
    pub(super) warnings: Vec<Warning>,
    digest: Digest,
}

/// The files that values name, by name as written.
pub(super) type Files = BTreeMap<String, Result<Arc<str>, String>>;

/// An included text, or why it cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IncludedText {
    pub(super) file: String,
    pub(super) text: Result<Arc<str>, Vec<Problem>>,
    /// The accounts it is bound to, one list per `include` that names it with `accounts`.
    pub(super) bounds: Vec<Vec<AccountId>>,
    /// The files that its values name.
    pub(super) names: Vec<String>,
    /// True for a pattern or a folder that cannot be listed: which files it stands for is not known.
    pub(super) unlisted: bool,
}

impl Texts {
    pub(super) fn new(
        main: (String, Arc<str>),
        included: Vec<IncludedText>,
        files: Files,
        problems: Vec<Problem>,
        warnings: Vec<Warning>,
    ) -> Self {
        let mut hash = Sha256::new();
        // The length goes before each part, so that no two readings of different parts read alike.
        let mut add = |part: &str| {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        };
        add(&main.1);
        for included in &included {
            add(&included.file);
            match &included.text {
                Ok(text) => add(text),
                Err(problems) => problems.iter().for_each(|problem| add(&problem.to_string())),
            }
        }
        for (name, text) in &files {
            add(name);
            match text {
                Ok(text) => add(text),
                Err(why) => add(why),
            }
        }
        let digest = Digest(hash.finalize().into());
        Self { main, included, files, problems, warnings, digest }
    }

    /// A configuration of one text that names no others: what tests and the demo have.
    #[must_use]
    pub fn of_main(name: &str, text: &str) -> Self {
        Self::new((name.to_owned(), text.into()), Vec::new(), Files::new(), Vec::new(), Vec::new())
    }

    /// What tells this reading from others.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Texts hold what a configuration holds; a log needs only which they are.
impl fmt::Debug for Texts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts")
            .field("main", &self.main.0)
            .field("included", &self.included.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}
