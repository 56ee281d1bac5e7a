//! The only YAML user: places and values.
//!
//! The configuration is read in two passes over the same text. `tree` keeps the mark of every node, which a
//! deserializer forgets, and refuses what a configuration does not need (anchors, tags, merge keys, a second
//! document). `scalar` then asks serde_yaml what a single plain scalar means, so there is one opinion about
//! `010`, `yes` and `1e3`, and it is the one that readers of other tools' YAML are used to. A test reads
//! every example with both and compares. Whoever needs only values, as the simulator does, takes `from_str`.

mod problem;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

pub use problem::{Problem, nearest, shown};
pub use scalar::{ScalarValue, resolve};
pub use tree::{Entry, Kind, MAX_BYTES, MAX_DEPTH, MAX_NODES, Mark, Node, Scalar, parse};

/// Why a text is not YAML of the wanted shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Line from 1, if known.
    pub line: Option<usize>,
    /// Column from 1, if known.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The parser's own message ends with the place where it has one.
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Reads a whole document into a value; stops at the first error.
///
/// # Errors
/// When the text is not YAML, or not of the type's shape.
pub fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_yaml::from_str(without_bom(text)).map_err(|error| Error {
        line: error.location().map(|at| at.line()),
        column: error.location().map(|at| at.column()),
        message: error.to_string(),
    })
}

/// serde_yaml reads a byte order mark as part of the first key, and then misses that key.
fn without_bom(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}
