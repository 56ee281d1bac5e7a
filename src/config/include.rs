//! `include`: which further files there are, and which accounts they may name.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Place, Value};
use crate::config::shapes;
use crate::config::spoke;
use crate::domain::account::AccountId;

pub(crate) static BOUND: Section = Section {
    about: "Included files that may name certain accounts only.",
    keys: &[
        Key::required(
            "files",
            shapes::GLOB,
            "teams/*.yaml",
            "A path or a pattern, relative to the main file.",
        ),
        Key::required(
            "accounts",
            Shape::List(&shapes::ACCOUNT),
            "",
            "The only accounts that these files may name.",
        ),
    ],
};

/// A file that is included.
pub(crate) static INCLUDED: Section = Section {
    about: "An included file.",
    keys: &[Key::required("spokes", Shape::List(&Shape::Section(&spoke::SPOKE)), "", "Further spokes.")],
};

/// One item of `include`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// A path or a glob pattern, relative to the main file.
    pub pattern: String,
    /// The only accounts that the files may name, if they are bound.
    pub accounts: Option<Vec<AccountId>>,
    /// Where the item is.
    pub place: Place,
}

impl Include {
    /// Whether it may mean any number of files, none of them too. What is no pattern names one file that must be there.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.pattern.contains(['*', '?', '['])
    }
}

/// Reads `include`.
pub(crate) fn read(value: &Value<'_>) -> Vec<Include> {
    let items = value.items("a list of files").unwrap_or_default();
    items.iter().filter_map(read_item).collect()
}

fn read_item(item: &Value<'_>) -> Option<Include> {
    if !item.is_map() {
        return Some(Include { pattern: read_pattern(item)?, accounts: None, place: item.place() });
    }
    let fields = item.fields(&BOUND)?;
    let pattern = fields.get("files").and_then(|v| read_pattern(&v));
    let accounts = fields.get("accounts").and_then(|v| v.items("a list of accounts"))?;
    let read: Vec<AccountId> = accounts.iter().filter_map(|v| v.parsed(AccountId::WANTED)).collect();
    // An account that cannot be read must not make the bound wider or vanish.
    (read.len() == accounts.len()).then_some(())?;
    Some(Include { pattern: pattern?, accounts: Some(read), place: item.place() })
}

fn read_pattern(value: &Value<'_>) -> Option<String> {
    let wanted = shapes::GLOB.wanted();
    let text = value.text(&wanted)?.text;
    if text.is_empty() || text.contains('\0') || text.starts_with("s3:") || text.starts_with("env:") {
        return value.refuse(wanted, None);
    }
    Some(text)
}
