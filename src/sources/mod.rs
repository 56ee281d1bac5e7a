//! Where texts come from: the configuration's file or variable, included files, files that values name.
//!
//! The only part of the way from text to plan that touches the outside. It finds and reads within bounds,
//! hands the texts to `config`, and never interprets a value. `load_plan` goes the whole way.

mod files;
mod include;
#[cfg(test)]
mod tests;

use crate::config::{self, Config, Document, Documents, Environment, IncludeFailure};
use crate::plan::{self, Estimate, Plan, Warning};
use crate::yaml::{MAX_BYTES, Problem};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The configuration that is read unless another is named.
pub const DEFAULT_CONFIG: &str = "config.yaml";

/// The largest file that a value may name.
const MAX_NAMED_FILE_BYTES: usize = 1024 * 1024;

/// All texts of a configuration, with what was odd about finding them.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The texts.
    pub documents: Documents,
    /// Patterns of `include` that match nothing.
    pub warnings: Vec<Warning>,
}

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

/// Looks a name up in the environment of this process; what is not UTF-8 is not set.
#[must_use]
pub fn process_environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is where the environment enters")]
    std::env::var(name).ok()
}

/// Reads all texts of a configuration: a path or `env:NAME`.
///
/// # Errors
/// When the main text cannot be read or is no YAML, or comes from where no configuration can come from.
pub fn load(config_arg: &str, environment: Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    if config_arg.starts_with("s3://") {
        let found = "an S3 object, which is not available in this version";
        return Err(vec![Problem::of_file(config_arg, found, "a path or env:NAME")]);
    }
    if let Some(name) = config_arg.strip_prefix("env:") {
        return match environment(name) {
            Some(text) => load_text(config_arg, &text, environment),
            None => {
                let found = format!("no environment variable `{name}`");
                Err(vec![Problem::of_file(config_arg, found, "one that holds the configuration")])
            }
        };
    }
    let path = Path::new(config_arg);
    let text = files::read(path, MAX_BYTES).map_err(|why| {
        let found = format!("a file that cannot be read ({why})");
        vec![Problem::of_file(config_arg, found, "the configuration; name another with --config")]
    })?;
    let main = Document::parse(config_arg, &text)?;
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Ok(follow(main, path, &folder, environment))
}

/// Reads a configuration that is no file: it has no folder, so it can name files by absolute path only, and
/// include none.
///
/// # Errors
/// When the text is no YAML, or includes files.
pub fn load_text(name: &str, text: &str, environment: Environment<'_>) -> Result<Loaded, Vec<Problem>> {
    let main = Document::parse(name, text)?;
    let references = config::references(&main, true, environment);
    if let Some(include) = references.includes.first() {
        let hint = "put the spokes into `spokes`".to_owned();
        let found = "`include` in a configuration that is no file";
        return Err(vec![include.place.problem(found, "a configuration without it", Some(hint))]);
    }
    let files = named_files(references.files, Path::new(""), |name| {
        if Path::new(name).is_absolute() {
            Ok(())
        } else {
            Err("a configuration that is no file names others by absolute path".to_owned())
        }
    });
    Ok(Loaded { documents: Documents { main, included: Vec::new(), files }, warnings: Vec::new() })
}

/// Goes the whole way from an argument to a plan.
///
/// # Errors
/// All problems of the main file, and then those of included files with them.
pub fn load_plan(config_arg: &str, environment: Environment<'_>) -> Result<LoadedPlan, Vec<Problem>> {
    finish(load(config_arg, environment)?, environment)
}

/// Goes the whole way from a text to a plan.
///
/// # Errors
/// As `load_text` and `load_plan`.
pub fn load_plan_text(
    name: &str,
    text: &str,
    environment: Environment<'_>,
) -> Result<LoadedPlan, Vec<Problem>> {
    finish(load_text(name, text, environment)?, environment)
}

fn finish(loaded: Loaded, environment: Environment<'_>) -> Result<LoadedPlan, Vec<Problem>> {
    let config = config::read(&loaded.documents, environment)?;
    // A plan may have no target only because its included files were left out; then they are the news.
    let plan = plan::plan(&config).map_err(|mut problems| {
        problems.extend(config.include_failures.iter().flat_map(|failure| failure.problems.clone()));
        problems
    })?;
    let estimate = plan::estimate(&plan);
    let warnings = loaded.warnings.into_iter().chain(plan.warnings.iter().cloned()).collect();
    let include_failures = config.include_failures.clone();
    Ok(LoadedPlan { config, plan, estimate, include_failures, warnings })
}

/// Reads what the main document names.
fn follow(main: Document, path: &Path, folder: &Path, environment: Environment<'_>) -> Loaded {
    let references = config::references(&main, true, environment);
    let (included, warnings) = include::find(&references.includes, path, folder);
    let mut named = references.files;
    for document in included.iter().filter_map(|included| included.document.as_ref().ok()) {
        named.extend(config::references(document, false, environment).files);
    }
    let files = named_files(named, folder, |_| Ok(()));
    Loaded { documents: Documents { main, included, files }, warnings }
}

/// The texts of the files that values name, or why they cannot be read.
fn named_files(
    names: impl IntoIterator<Item = String>,
    folder: &Path,
    permit: impl Fn(&str) -> Result<(), String>,
) -> BTreeMap<String, Result<String, String>> {
    let read = |name: &str| {
        permit(name)?;
        files::read(&folder.join(PathBuf::from(name)), MAX_NAMED_FILE_BYTES)
    };
    names
        .into_iter()
        .map(|name| {
            let text = read(&name);
            (name, text)
        })
        .collect()
}
