//! Included files as they were last read without problems: what stands in for one that is broken now.
//!
//! An included file may belong to another team. What they break must not take their spokes off the watch, and least
//! of all silently: the spokes go on as they were, and the file is shown as broken. The accounts that the main file
//! binds them to are always those of now.
//!
//! A pattern or a folder that cannot be listed names no file, so nothing can stand in for what it may hold: such a
//! reading is refused as a whole, unless the plan in use had the same gap.

use super::loading::LoadedPlan;
use super::texts::{Files, IncludedText, Texts};
use crate::config::{AsLastRead, Document, IncludedDocument};
use crate::yaml::Problem;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The last usable text of each included file.
#[derive(Clone, Default)]
pub struct LastRead {
    files: BTreeMap<String, Arc<Good>>,
    /// The patterns and folders that could not be listed for the plan in use.
    unlisted: BTreeSet<String>,
}

struct Good {
    text: Arc<str>,
    /// The files that its values name, as they were then.
    named: Files,
}

impl fmt::Debug for LastRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

impl LastRead {
    /// What is known once these texts are in use. Files that the configuration no longer names are forgotten, and
    /// with them their spokes.
    #[must_use]
    pub fn after(&self, texts: &Texts, loaded: &LoadedPlan) -> Self {
        let left_out = loaded.include_failures.iter().chain(&loaded.config.includes_as_last_read);
        let broken: BTreeSet<&str> = left_out.map(|failure| failure.file.as_str()).collect();
        let good = |included: &IncludedText| match &included.text {
            Ok(text) if !broken.contains(included.file.as_str()) => {
                let named = |name: &String| Some((name.clone(), texts.files.get(name)?.clone()));
                let named = included.names.iter().filter_map(named).collect();
                Some(Arc::new(Good { text: Arc::clone(text), named }))
            }
            _ => self.files.get(&included.file).cloned(),
        };
        let files =
            texts.included.iter().filter_map(|included| Some((included.file.clone(), good(included)?)));
        let unlisted = texts.included.iter().filter(|included| included.unlisted);
        Self { files: files.collect(), unlisted: unlisted.map(|included| included.file.clone()).collect() }
    }

    /// Why nothing is known of files that may be in use: the problems of what could be listed and cannot be now.
    pub(super) fn newly_unlisted(&self, texts: &Texts) -> Vec<Problem> {
        let new = |included: &&IncludedText| included.unlisted && !self.unlisted.contains(&included.file);
        let new = texts.included.iter().filter(new);
        new.filter_map(|included| included.text.as_ref().err()).flatten().cloned().collect()
    }

    /// True when there is something that can stand in for this file.
    pub(super) fn knows(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    /// The document that stands in for a text that has these problems now.
    pub(super) fn stand_in(&self, text: &IncludedText, problems: &[Problem]) -> Option<IncludedDocument> {
        let good = self.files.get(&text.file)?;
        let named = good.named.iter().map(|(name, text)| {
            let text = text.as_ref().map(ToString::to_string).map_err(Clone::clone);
            (name.clone(), text)
        });
        Some(IncludedDocument {
            file: text.file.clone(),
            document: Document::parse(&text.file, &good.text),
            bounds: text.bounds.clone(),
            as_last_read: Some(AsLastRead { problems: problems.to_vec(), files: named.collect() }),
        })
    }
}
