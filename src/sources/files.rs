//! The folder of the main file: one file within a bound, and what a pattern of `include` matches there.

use super::MAX_NAMED_FILE_BYTES;
use super::gathering::{MAX_FILES, Shelf, Unseen};
use crate::config::Include;
use crate::yaml::{MAX_BYTES, Problem};
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The text of a file of at most `max_bytes`; or why not, without the text.
pub(super) fn read(path: &Path, max_bytes: usize) -> Result<Arc<str>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a folder".to_owned());
    }
    // The length is not believed: devices and files that grow have none.
    let mut bytes = Vec::new();
    let bound = u64::try_from(max_bytes).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() > max_bytes {
        return Err(format!("it has more than {max_bytes} bytes"));
    }
    text(bytes)
}

/// Bytes as a text, or the line at which they are none.
pub(super) fn text(bytes: Vec<u8>) -> Result<Arc<str>, String> {
    String::from_utf8(bytes).map(Into::into).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = valid.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("it is not UTF-8 at line {line}")
    })
}

/// The files beside a main file.
pub(super) struct Folder {
    main: PathBuf,
    folder: PathBuf,
}

impl Folder {
    pub(super) fn of(main: &Path) -> Self {
        Self { main: main.to_owned(), folder: main.parent().map(Path::to_path_buf).unwrap_or_default() }
    }
}

impl Shelf for Folder {
    fn matches(&mut self, include: &Include) -> Vec<Result<String, Unseen>> {
        if !include.is_pattern() {
            return vec![Ok(literal(&self.folder, &include.pattern))];
        }
        let pattern = if Path::new(&include.pattern).is_absolute() || self.folder.as_os_str().is_empty() {
            include.pattern.clone()
        } else {
            // The folder is a name, whatever characters it has; only the rest is a pattern.
            format!("{}/{}", glob::Pattern::escape(&self.folder.to_string_lossy()), include.pattern)
        };
        match glob::glob(&pattern) {
            Ok(paths) => paths
                .take(MAX_FILES)
                .filter(|path| !path.as_ref().is_ok_and(|path| path.is_dir()))
                .map(|path| path.map_err(|error| unseen(&error)).and_then(named))
                .collect(),
            Err(error) => vec![Err(invalid_pattern(include, error.msg))],
        }
    }

    fn is_main(&self, name: &str) -> bool {
        let path = Path::new(name);
        match (path.canonicalize(), self.main.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => path == self.main,
        }
    }

    fn included(&mut self, name: &str) -> Result<Arc<str>, String> {
        read(Path::new(name), MAX_BYTES)
    }

    fn named(&mut self, name: &str) -> Result<Arc<str>, String> {
        read(&self.folder.join(name), MAX_NAMED_FILE_BYTES)
    }

    fn local(&mut self, name: &str) -> Result<Arc<str>, String> {
        absolute(name)
    }
}

/// A file that is named from elsewhere than a folder, a variable or a bucket: by absolute path only.
pub(super) fn absolute(name: &str) -> Result<Arc<str>, String> {
    if Path::new(name).is_absolute() {
        read(Path::new(name), MAX_NAMED_FILE_BYTES)
    } else {
        Err("a configuration that is no file names others by absolute path".to_owned())
    }
}

/// The name of a file that is named without a pattern, whether it is there or not; the same that a pattern finds it by,
/// so that it is one file with one set of bounds.
fn literal(folder: &Path, written: &str) -> String {
    let relative = !Path::new(written).is_absolute();
    let below = if relative { folder.to_string_lossy() } else { "".into() };
    let root = if below.starts_with('/') || !relative { "/" } else { "" };
    let mut path = PathBuf::from(root);
    let written = written.split('/').filter(|part| *part != ".");
    path.extend(below.split('/').chain(written).filter(|part| !part.is_empty()));
    path.to_string_lossy().into_owned()
}

/// The problem of a pattern that is none.
pub(super) fn invalid_pattern(include: &Include, why: &str) -> Unseen {
    let found = format!("an invalid pattern ({why})");
    let problem = include.place.problem(found, "a pattern such as spokes.d/*.yaml", None);
    Unseen { file: include.pattern.clone(), problems: vec![problem] }
}

/// A name is a text here: it stands in logs, labels and problems.
fn named(path: PathBuf) -> Result<String, Unseen> {
    path.into_os_string().into_string().map_err(|name| {
        let file = name.to_string_lossy().into_owned();
        let problem = Problem::of_file(&file, "a name that is not UTF-8", "a file with another name");
        Unseen { file, problems: vec![problem] }
    })
}

/// What a pattern meets and cannot open: a folder on its way.
fn unseen(error: &glob::GlobError) -> Unseen {
    let file = error.path().display().to_string();
    let found = format!("a file that cannot be looked at ({})", error.error());
    let problem = Problem::of_file(&file, found, "a readable file");
    Unseen { file, problems: vec![problem] }
}
