//! From the patterns of `include` to documents, each file once.

use crate::config::{Document, Include, IncludedDocument};
use crate::domain::account::AccountId;
use crate::plan::Warning;
use crate::sources::files;
use crate::yaml::{MAX_BYTES, Problem};
use std::path::{Path, PathBuf};

/// More included files than this is a pattern gone wrong.
const MAX_FILES: usize = 10_000;

/// All included files in the order of the patterns, then by name; and patterns that match nothing.
pub(super) fn find(
    includes: &[Include],
    main: &Path,
    folder: &Path,
) -> (Vec<IncludedDocument>, Vec<Warning>) {
    let mut found: Vec<(PathBuf, Vec<Vec<AccountId>>)> = Vec::new();
    let mut failures: Vec<IncludedDocument> = Vec::new();
    let mut warnings = Vec::new();
    for include in includes {
        let mut matched = false;
        for path in matches(include, folder) {
            match path {
                Ok(path) => {
                    matched = true;
                    if same_file(&path, main) || path.is_dir() || found.len() >= MAX_FILES {
                        continue;
                    }
                    // A file that several patterns name is bound by all of them.
                    let bound = include.accounts.clone();
                    match found.iter_mut().find(|(known, _)| *known == path) {
                        Some((_, bounds)) => bounds.extend(bound),
                        None => found.push((path, bound.into_iter().collect())),
                    }
                }
                Err((file, problems)) => {
                    matched = true;
                    failures.push(IncludedDocument { file, document: Err(problems), bounds: Vec::new() });
                }
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
    let mut included: Vec<IncludedDocument> =
        found.into_iter().map(|(path, bounds)| read(&path, bounds)).collect();
    included.extend(failures);
    (included, warnings)
}

/// The files of one pattern, or why one cannot be looked at.
fn matches(include: &Include, folder: &Path) -> Vec<Result<PathBuf, (String, Vec<Problem>)>> {
    let pattern = if Path::new(&include.pattern).is_absolute() || folder.as_os_str().is_empty() {
        include.pattern.clone()
    } else {
        // The folder is a name, whatever characters it has; only the rest is a pattern.
        format!("{}/{}", glob::Pattern::escape(&folder.to_string_lossy()), include.pattern)
    };
    match glob::glob(&pattern) {
        Ok(paths) => paths
            .take(MAX_FILES)
            .map(|path| {
                path.map_err(|error| {
                    let file = error.path().display().to_string();
                    let found = format!("a file that cannot be looked at ({})", error.error());
                    let problem = Problem::of_file(&file, found, "a readable file");
                    (file, vec![problem])
                })
            })
            .collect(),
        Err(error) => {
            let found = format!("an invalid pattern ({})", error.msg);
            let problem = include.place.problem(found, "a pattern such as spokes.d/*.yaml", None);
            vec![Err((include.pattern.clone(), vec![problem]))]
        }
    }
}

fn read(path: &Path, bounds: Vec<Vec<AccountId>>) -> IncludedDocument {
    let file = path.display().to_string();
    let document = match files::read(path, MAX_BYTES) {
        Ok(text) => Document::parse(&file, &text),
        Err(why) => {
            let found = format!("a file that cannot be read ({why})");
            Err(vec![Problem::of_file(&file, found, "a readable file with `spokes`")])
        }
    };
    IncludedDocument { file, document, bounds }
}

/// A pattern such as `*.yaml` names the main file too.
fn same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
