//! From texts to a plan.

use super::reader;
use super::texts::Texts;
use crate::config::{self, Config, Document, Documents, Environment, IncludeFailure, IncludedDocument};
use crate::plan::{self, Estimate, Plan, Warning};
use crate::yaml::Problem;

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
    let texts = reader::read_here(config_arg, environment).map_err(|unreadable| vec![unreadable.problem])?;
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
    finish(config::read(&documents(texts)?, environment)?, texts)
}

/// Parses all texts.
fn documents(texts: &Texts) -> Result<Documents, Vec<Problem>> {
    let main = Document::parse(&texts.main.0, &texts.main.1)?;
    if !texts.problems.is_empty() {
        return Err(texts.problems.clone());
    }
    let included = texts.included.iter().map(|text| IncludedDocument {
        file: text.file.clone(),
        document: match &text.text {
            Ok(found) => Document::parse(&text.file, found),
            Err(problems) => Err(problems.clone()),
        },
        bounds: text.bounds.clone(),
    });
    let included = included.collect();
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
