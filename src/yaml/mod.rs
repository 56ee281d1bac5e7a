//! The only YAML user: places and values.

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

/// Reads a whole document into a value; stops at the first error.
///
/// # Errors
/// When the text is not YAML, or not of the type's shape.
pub fn from_str<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_yaml::from_str(text.strip_prefix('\u{feff}').unwrap_or(text)).map_err(|error| Error {
        line: error.location().map(|at| at.line()),
        column: error.location().map(|at| at.column()),
        message: error.to_string(),
    })
}
