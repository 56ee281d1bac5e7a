//! What is wrong with a file, where, and what would be right.

use std::fmt;

/// Longest part of a text that a problem repeats.
const SHOWN_CHARACTERS: usize = 60;

/// One problem, printed as `FILE:LINE:COLUMN: PATH: found WHAT, wanted WHAT, HINT`.
///
/// Problems are ordered by place. They never hold a value that came from the environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file as the user named it.
    pub file: String,
    /// Line from 1; 0 when the file as a whole is meant.
    pub line: usize,
    /// Column from 1; 0 when the file as a whole is meant.
    pub column: usize,
    /// The path in the document, such as `spokes.payments.account`; empty for the document itself.
    pub path: String,
    /// What was found, in words that follow "found".
    pub found: String,
    /// What was wanted, in words that follow "wanted".
    pub wanted: String,
    /// What to do, if there is something to add.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of a file as a whole, for example that it cannot be read.
    #[must_use]
    pub fn of_file(file: &str, found: impl Into<String>, wanted: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            path: String::new(),
            found: found.into(),
            wanted: wanted.into(),
            hint: None,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        if !self.path.is_empty() {
            write!(f, ": {}", self.path)?;
        }
        write!(f, ": found {}, wanted {}", self.found, self.wanted)?;
        match &self.hint {
            Some(hint) => write!(f, ", {hint}"),
            None => Ok(()),
        }
    }
}

/// A text from a file for a problem: short, on one line, without anything that moves a terminal's cursor.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_CHARACTERS)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}

/// The word that a misspelt one was probably meant to be.
#[must_use]
pub fn nearest<'a>(written: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    words
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(&written, &word.to_lowercase()), word))
        // A third of the letters may differ: `tiemout` is `timeout`, `colour` is not `every`.
        .filter(|(distance, word)| *distance <= word.chars().count().div_ceil(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
