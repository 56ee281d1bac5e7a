//! The table of keys: which keys a section has, what they hold, what they mean.
//!
//! One source of truth for three uses: `reader` finds unknown and missing keys with it, `schema` prints it
//! as JSON Schema for editors, and problems take their "wanted" from it. The sections themselves stand
//! beside the code that reads them.

/// A map with known keys.
#[derive(Debug)]
pub(crate) struct Section {
    /// What it is, for people.
    pub(crate) about: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// A key of a section.
#[derive(Debug)]
pub(crate) struct Key {
    /// The key.
    pub(crate) name: &'static str,
    /// What it means, with unit, range and default.
    pub(crate) about: &'static str,
    /// What it holds.
    pub(crate) shape: Shape,
    /// True when it must be there.
    pub(crate) required: bool,
    /// An example as it would be written, empty for sections.
    pub(crate) example: &'static str,
}

/// What a key holds.
#[derive(Debug)]
pub(crate) enum Shape {
    /// A text, by a regular expression (for the schema) and in words.
    Text {
        /// Empty for any text.
        pattern: &'static str,
        /// Follows "wanted".
        wanted: &'static str,
    },
    /// One of some words.
    Word(&'static [&'static str]),
    /// `true` or `false`.
    Bool,
    /// A whole number in a range.
    Integer(u64, u64),
    /// A number above the first and up to the second.
    Number(f64, f64),
    /// Such as `500ms`, in a range written the same way.
    Duration(&'static str, &'static str),
    /// Such as `20/s`.
    Rate,
    /// A list.
    List(&'static Self),
    /// One, or a list of them.
    OneOrMore(&'static Self),
    /// A map with free keys.
    Map(&'static Self),
    /// A map with known keys.
    Section(&'static Section),
    /// One of two forms.
    Either(&'static Self, &'static Self),
    /// Any JSON value.
    Json,
}

impl Key {
    pub(crate) const fn optional(
        name: &'static str,
        shape: Shape,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, about, shape, required: false, example }
    }

    pub(crate) const fn required(
        name: &'static str,
        shape: Shape,
        example: &'static str,
        about: &'static str,
    ) -> Self {
        Self { name, about, shape, required: true, example }
    }
}

impl Section {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The keys in words, for "wanted one of …".
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| format!("`{}`", key.name)).collect();
        format!("one of {}", names.join(", "))
    }
}

impl Shape {
    /// A text without a form of its own.
    pub(crate) const fn text(wanted: &'static str) -> Self {
        Self::Text { pattern: "", wanted }
    }

    /// A text with a form.
    pub(crate) const fn form(pattern: &'static str, wanted: &'static str) -> Self {
        Self::Text { pattern, wanted }
    }

    /// In words that follow "wanted".
    pub(crate) fn wanted(&self) -> String {
        match self {
            Self::Text { wanted, .. } => (*wanted).to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Bool => "true or false".to_owned(),
            Self::Integer(from, to) => format!("a whole number from {from} to {to}"),
            Self::Number(from, to) => format!("a number above {from} and up to {to}"),
            Self::Duration(from, to) => {
                format!("a duration from {from} to {to}, such as 500ms, 10s, 1m or 1h")
            }
            Self::Rate => crate::config::units::RATE_WANTED.to_owned(),
            Self::List(item) => format!("a list, each item {}", item.wanted()),
            Self::OneOrMore(item) => format!("{}, or a list of them", item.wanted()),
            Self::Map(item) => format!("a map, each value {}", item.wanted()),
            Self::Section(_) => "a map".to_owned(),
            Self::Either(one, other) => format!("{}, or {}", one.wanted(), other.wanted()),
            Self::Json => "a JSON value".to_owned(),
        }
    }
}
