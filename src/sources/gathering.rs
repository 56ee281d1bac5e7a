//! From the main text to all texts: follows `include` and the files that values name, over any kind of shelf.
//!
//! A shelf is where names lead to texts: a folder, or the keys of a bucket below a prefix. What a text names is
//! found by parsing it, which is the dear part of a reading; it is remembered by the text's digest, so that
//! looking at an unchanged configuration again costs reading and hashing only.

use super::texts::{Digest, Files, IncludedText, Texts};
use crate::config::{self, Document, Environment, Include, References};
use crate::domain::account::AccountId;
use crate::plan::Warning;
use crate::yaml::Problem;
use std::collections::HashMap;
use std::sync::Arc;

/// More included files than this is a pattern gone wrong.
pub(super) const MAX_FILES: usize = 10_000;
/// All texts together: two readings are in memory while they are compared.
const MAX_TOTAL_BYTES: usize = 64 * 1024 * 1024;

/// Where names lead to texts.
pub(super) trait Shelf {
    /// The names of the texts that one `include` means, or what cannot be looked at and why. What is no pattern means
    /// the text of that name, whether there is one or not.
    fn matches(&mut self, include: &Include) -> Vec<Result<String, Unseen>>;
    /// True for what is no further text but the main one, which a pattern such as `*.yaml` names too.
    fn is_main(&self, name: &str) -> bool;
    /// The text of a name that `matches` gave, or why it cannot be read.
    fn included(&mut self, name: &str) -> Result<Arc<str>, String>;
    /// The text that a value names, as written, or why it cannot be read.
    fn named(&mut self, name: &str) -> Result<Arc<str>, String>;
    /// The text of a file on this machine, by absolute path, or why it cannot be read.
    fn local(&mut self, name: &str) -> Result<Arc<str>, String>;
}

/// What one `include` means and what cannot be looked at. It leads to texts that are not known now, and that may all be
/// there.
pub(super) struct Unseen {
    /// A pattern or a folder.
    pub(super) file: String,
    pub(super) problems: Vec<Problem>,
}

/// What texts name outside themselves, by digest.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: HashMap<(bool, Digest), Arc<References>>,
}

impl Memory {
    /// What a text names. A text that is no YAML names nothing; parsing it again says what is wrong.
    fn references(
        &self,
        kept: &mut Self,
        file: &str,
        text: &str,
        is_main: bool,
        environment: Environment<'_>,
    ) -> Arc<References> {
        let key = (is_main, Digest::of(text));
        let found = self.known.get(&key).cloned().unwrap_or_else(|| {
            let read = |document: Document| config::references(&document, is_main, environment);
            Arc::new(Document::parse(file, text).map(read).unwrap_or_default())
        });
        kept.known.insert(key, Arc::clone(&found));
        found
    }
}

/// Collects all texts of a configuration.
pub(super) fn gather(
    file: &str,
    text: Arc<str>,
    shelf: &mut dyn Shelf,
    memory: &mut Memory,
    environment: Environment<'_>,
) -> Texts {
    // Only what this reading has seen is kept.
    let mut kept = Memory::default();
    let main = memory.references(&mut kept, file, &text, true, environment);
    let mut budget = MAX_TOTAL_BYTES.saturating_sub(text.len());
    let mut within = |text: Result<Arc<str>, String>| {
        let text = text?;
        match budget.checked_sub(text.len()) {
            Some(rest) => {
                budget = rest;
                Ok(text)
            }
            None => Err(format!("all files together have more than {MAX_TOTAL_BYTES} bytes")),
        }
    };
    let (names, failures, warnings) = find(&main.includes, shelf);
    let mut named: Vec<String> = main.files.iter().cloned().collect();
    let mut included = Vec::with_capacity(names.len() + failures.len());
    for (name, bounds) in names {
        let text = within(shelf.included(&name)).map_err(|why| {
            let found = format!("a file that cannot be read ({why})");
            vec![Problem::of_file(&name, found, "a readable file with `spokes`")]
        });
        let references = text
            .as_ref()
            .map(|text| memory.references(&mut kept, &name, text, false, environment))
            .unwrap_or_default();
        let names: Vec<String> = references.files.iter().cloned().collect();
        named.extend(names.iter().cloned());
        included.push(IncludedText { file: name, text, bounds, names, unlisted: false });
    }
    included.extend(failures);
    let mut files = Files::new();
    for name in named {
        files.entry(name).or_insert_with_key(|name| within(shelf.named(name)));
    }
    // After the others: a name that another key has too is read as that key may read it.
    for name in &main.local_files {
        files.entry(name.clone()).or_insert_with(|| within(shelf.local(name)));
    }
    *memory = kept;
    Texts::new((file.to_owned(), text), included, files, Vec::new(), warnings)
}

/// A name and the accounts that each `include` binds it to.
type Bound = (String, Vec<Vec<AccountId>>);

/// All included texts in the order of the patterns, then by name; those that cannot be looked at; and patterns
/// that match nothing.
fn find(includes: &[Include], shelf: &mut dyn Shelf) -> (Vec<Bound>, Vec<IncludedText>, Vec<Warning>) {
    let mut found: Vec<Bound> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut failures: Vec<IncludedText> = Vec::new();
    let mut warnings = Vec::new();
    for include in includes {
        let mut matched = false;
        for name in shelf.matches(include) {
            matched = true;
            match name {
                Ok(name) => {
                    // A file that several patterns name is bound by all of them.
                    let bound = include.accounts.clone();
                    if let Some(at) = places.get(&name) {
                        found[*at].1.extend(bound);
                    } else if !shelf.is_main(&name) && found.len() < MAX_FILES {
                        places.insert(name.clone(), found.len());
                        found.push((name, bound.into_iter().collect()));
                    }
                }
                Err(unseen) => failures.push(IncludedText {
                    file: unseen.file,
                    text: Err(unseen.problems),
                    bounds: Vec::new(),
                    names: Vec::new(),
                    unlisted: true,
                }),
            }
        }
        if !matched {
            let message = format!("`{}` matches no file; correct it, or add the file", include.pattern);
            warnings.push(Warning { path: include.place.path.clone(), message });
        }
    }
    if found.len() >= MAX_FILES {
        let message = format!("only the first {MAX_FILES} files are read; use fewer, larger ones");
        warnings.push(Warning { path: "include".to_owned(), message });
    }
    (found, failures, warnings)
}
