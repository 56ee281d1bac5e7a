//! The texts of a configuration as trees: the main file, included ones, and the files that values name.

use super::IncludeFailure;
use crate::domain::account::AccountId;
use crate::yaml::{self, Node, Problem};
use std::collections::BTreeMap;

/// A file as a tree with places.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The file as the user named it.
    pub file: String,
    pub(super) tree: Node,
}

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// When it is not YAML, or has what a configuration must not have.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Problem>> {
        Ok(Self { file: file.to_owned(), tree: yaml::parse(file, text)? })
    }
}

/// An included file, or why it cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub struct IncludedDocument {
    /// The file.
    pub file: String,
    /// Its tree, or its problems.
    pub document: Result<Document, Vec<Problem>>,
    /// The accounts it is bound to, one list per `include` that names it with `accounts`.
    pub bounds: Vec<Vec<AccountId>>,
    /// Set where the document is not what the file says now, but what it said when it was last read well.
    pub as_last_read: Option<AsLastRead>,
}

/// What belongs to a document that stands in for a broken file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsLastRead {
    /// What is wrong with the file now.
    pub problems: Vec<Problem>,
    /// The texts of the files that its values name, as they were then.
    pub files: BTreeMap<String, Result<String, String>>,
}

impl IncludedDocument {
    /// A document that stands in, as one that is in use; with what is to be said of spokes that gave way.
    pub(super) fn running_on(&self, displaced: Vec<Problem>) -> Option<IncludeFailure> {
        let last_read = self.as_last_read.as_ref()?;
        let wanted = "one without problems; its spokes keep running as last read";
        let mut problems = vec![Problem::of_file(&self.file, "a file that cannot be used now", wanted)];
        problems.extend(last_read.problems.iter().cloned());
        problems.extend(displaced);
        Some(self.failure(problems))
    }

    /// The file as one that cannot be read.
    pub(super) fn unreadable(&self, problems: &[Problem]) -> IncludeFailure {
        self.failure(problems.to_vec())
    }

    /// The file as one that is left out because of these problems.
    pub(super) fn failed_with(&self, problems: Vec<Problem>) -> IncludeFailure {
        let Some(last_read) = &self.as_last_read else { return self.failure(problems) };
        let mut all = last_read.problems.clone();
        let found = "a file that cannot be used now, and whose spokes as last read no longer fit to the rest";
        all.push(Problem::of_file(&self.file, found, "one without problems; its spokes are left out"));
        all.extend(problems);
        self.failure(all)
    }

    fn failure(&self, problems: Vec<Problem>) -> IncludeFailure {
        IncludeFailure { file: self.file.clone(), problems, names_unknown_spokes: false }
    }
}

/// All texts that make a configuration.
#[derive(Clone, PartialEq)]
pub struct Documents {
    /// The main file.
    pub main: Document,
    /// The included files, each once.
    pub included: Vec<IncludedDocument>,
    /// The texts of the files that values name (`ca_file`, `session_policy`, `config_file` of `web`) by path as
    /// written, or why they cannot be read.
    pub files: BTreeMap<String, Result<String, String>>,
}

impl std::fmt::Debug for Documents {
    /// Without the texts of named files: that of `web` holds hashes of passwords, perhaps a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Documents")
            .field("main", &self.main)
            .field("included", &self.included)
            .field("files", &self.files.keys())
            .finish()
    }
}

impl Documents {
    /// A configuration of one file that names no others.
    #[must_use]
    pub const fn of_main(main: Document) -> Self {
        Self { main, included: Vec::new(), files: BTreeMap::new() }
    }
}
