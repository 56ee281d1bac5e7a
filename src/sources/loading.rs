//! From texts to a plan.

use super::last_read::LastRead;
use super::reader;
use super::texts::{IncludedText, Texts};
use crate::config::{self, Config, Document, Documents, Environment, IncludeFailure, IncludedDocument};
use crate::plan::{self, Estimate, Plan, Warning};
use crate::yaml::Problem;
use std::collections::BTreeMap;

/// Leaving out one file may make another unusable, and so on; a chain that is longer than this stays left out.
const ROUNDS: usize = 8;

/// A configuration that has gone the whole way.
#[derive(Debug, Clone)]
pub struct LoadedPlan {
    /// The configuration, for commands that need more than targets.
    pub config: Config,
    /// What runs.
    pub plan: Plan,
    /// What it asks of others.
    pub estimate: Estimate,
    /// Included files that were left out: `run` goes on, `plan` exits with 2.
    pub include_failures: Vec<IncludeFailure>,
    /// All warnings: those of the plan and those of finding files.
    pub warnings: Vec<Warning>,
}

/// Goes the whole way from a path or `env:NAME` to a plan, at once. An object in S3 takes a [`super::Reader`].
///
/// # Errors
/// All problems of the main file, and then those of included files with them.
pub fn load_plan(config_arg: &str, environment: Environment<'_>) -> Result<LoadedPlan, Vec<Problem>> {
    let texts = reader::read_here(config_arg, environment).map_err(|unreadable| vec![*unreadable.problem])?;
    load_plan_of(&texts, environment)
}

/// Goes the whole way from a text to a plan. A configuration that is no file has no folder, so it can name files by
/// absolute path only, and include none.
///
/// # Errors
/// When the text is no YAML, or includes files; all problems of what it says.
pub fn load_plan_text(
    name: &str,
    text: &str,
    environment: Environment<'_>,
) -> Result<LoadedPlan, Vec<Problem>> {
    load_plan_of(&reader::without_folder(name, text, environment), environment)
}

/// Goes from texts to a plan, at the start: included files with problems are left out.
///
/// # Errors
/// All problems of the main text, and then those of included ones with them.
pub fn load_plan_of(texts: &Texts, environment: Environment<'_>) -> Result<LoadedPlan, Vec<Problem>> {
    finish(config::read(&documents(texts, &|_| None)?, environment)?, texts)
}

/// Goes from texts to a plan while another runs: an included file with problems stands as it was last read.
///
/// # Errors
/// As [`load_plan_of`]; and the problems of a pattern or a folder of `include` that cannot be listed, unless the plan in
/// use was made without it: its spokes would be removed because they cannot be seen.
pub fn load_plan_again(
    texts: &Texts,
    last_read: &LastRead,
    environment: Environment<'_>,
) -> Result<LoadedPlan, Vec<Problem>> {
    let unlisted = last_read.newly_unlisted(texts);
    if !unlisted.is_empty() {
        return Err(unlisted);
    }
    // What is wrong now with the files that stand as they were.
    let mut stale: BTreeMap<String, Vec<Problem>> = BTreeMap::new();
    for _round in 0..ROUNDS {
        let substitute = |text: &IncludedText| last_read.stand_in(text, stale.get(&text.file)?);
        let config = config::read(&documents(texts, &substitute)?, environment)?;
        let replaceable =
            |failure: &&IncludeFailure| !stale.contains_key(&failure.file) && last_read.knows(&failure.file);
        let failures: Vec<_> = config.include_failures.iter().filter(replaceable).collect();
        // A file that names a spoke of a broken one is well again once that stands as it was: one team's mistake must
        // not hold the others' changes up.
        let some_are_broken = failures.iter().any(|failure| !failure.names_unknown_spokes);
        let more: Vec<_> = failures
            .into_iter()
            .filter(|failure| !(some_are_broken && failure.names_unknown_spokes))
            .map(|failure| (failure.file.clone(), failure.problems.clone()))
            .collect();
        if more.is_empty() {
            return finish(config, texts);
        }
        stale.extend(more);
    }
    let substitute = |text: &IncludedText| last_read.stand_in(text, stale.get(&text.file)?);
    finish(config::read(&documents(texts, &substitute)?, environment)?, texts)
}

/// Parses all texts. `substitute` may give another document for an included text.
fn documents(
    texts: &Texts,
    substitute: &dyn Fn(&IncludedText) -> Option<IncludedDocument>,
) -> Result<Documents, Vec<Problem>> {
    let main = Document::parse(&texts.main.0, &texts.main.1)?;
    if !texts.problems.is_empty() {
        return Err(texts.problems.clone());
    }
    let (mut included, mut stand_ins) = (Vec::new(), Vec::new());
    for text in &texts.included {
        match substitute(text) {
            // After all others: what is read now goes before what was read once.
            Some(document) => stand_ins.push(document),
            None => included.push(IncludedDocument {
                file: text.file.clone(),
                document: match &text.text {
                    Ok(found) => Document::parse(&text.file, found),
                    Err(problems) => Err(problems.clone()),
                },
                bounds: text.bounds.clone(),
                as_last_read: None,
            }),
        }
    }
    included.append(&mut stand_ins);
    let files = texts.files.iter().map(|(name, text)| {
        let text = text.as_ref().map(ToString::to_string).map_err(Clone::clone);
        (name.clone(), text)
    });
    Ok(Documents { main, included, files: files.collect() })
}

fn finish(config: Config, texts: &Texts) -> Result<LoadedPlan, Vec<Problem>> {
    // A plan may have no target only because its included files were left out; then they are the news.
    let plan = plan::plan(&config).map_err(|mut problems| {
        problems.extend(config.include_failures.iter().flat_map(|failure| failure.problems.clone()));
        problems
    })?;
    let estimate = plan::estimate(&plan);
    let warnings = texts.warnings.iter().chain(&plan.warnings).cloned().collect();
    let include_failures = config.include_failures.clone();
    Ok(LoadedPlan { config, plan, estimate, include_failures, warnings })
}
