//! The vocabulary: pure values that parse, print and compare.
//!
//! Nothing here does I/O, reads a clock or is `async`. Every other module speaks in these types, so a
//! signature tells how far a value has come: text becomes a `RoleArn`, a `RoleArn` a `RoleSession`,
//! an answer an `Exchange`, an `Exchange` a `Verdict`, a `Verdict` part of an `Observation`.

pub mod account;
pub mod api;
pub mod arn;
pub mod count;
pub mod credentials;
pub mod expectation;
pub mod hidden;
pub mod identity;
pub mod load;
pub mod moment;
pub mod name;
pub mod observation;
pub mod outcome;
pub mod region;
pub mod request;
pub mod scrub;
pub mod secret;
pub mod spread;
pub mod target;

use std::fmt;

/// Why a text is not the value it was read as: what was wanted, in words that follow "wanted".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// What a valid text looks like, for example "12 digits".
    pub wanted: &'static str,
}

impl Invalid {
    /// An error that says what was wanted.
    #[must_use]
    pub const fn new(wanted: &'static str) -> Self {
        Self { wanted }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wanted {}", self.wanted)
    }
}

impl std::error::Error for Invalid {}

/// Implements `Display`, `FromStr` and `AsRef<str>` for a newtype over a checked text.
macro_rules! checked_text {
    ($type:ident, $wanted:expr, $check:expr) => {
        impl $type {
            /// What a valid text looks like, in words that follow "wanted".
            pub const WANTED: &'static str = $wanted;

            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::str::FromStr for $type {
            type Err = $crate::domain::Invalid;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err($crate::domain::Invalid::new($wanted)) }
            }
        }
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }
    };
}
pub(crate) use checked_text;
