//! Text that must not be seen.

use bytes::Bytes;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret text: no `Display`, a redacted `Debug`, zeroed when dropped.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Zeroize, ZeroizeOnDrop)]
pub struct Secret(String);

impl Secret {
    /// Takes a text as a secret.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that must send it. Never format what this returns.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Secret {
    /// A copy as bytes that are zeroed when the last user of them lets go: for header values and bodies, which are
    /// made of such bytes without copying them. What sends them copies them into buffers of its own, which nobody
    /// zeroes: hyper's for writing, rustls's for what is not yet encrypted.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        Bytes::from_owner(Owner(self.clone()))
    }
}

/// What keeps a secret while bytes of it are in use.
struct Owner(Secret);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        self.0.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A configured text that is secret only if any part of it came from the environment.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfiguredText {
    /// Written in the file, may be shown.
    Plain(String),
    /// Came from the environment, shows as `***` everywhere.
    FromEnvironment(Secret),
}

impl ConfiguredText {
    /// The text itself, for the place that sends it. Never format what this returns.
    #[must_use]
    pub fn expose(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::FromEnvironment(secret) => secret.expose(),
        }
    }

    /// The text as bytes, those of a secret zeroed after use: see [`Secret::to_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Plain(text) => Bytes::from(text.clone()),
            Self::FromEnvironment(secret) => secret.to_bytes(),
        }
    }

    /// True when no part may be shown.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::FromEnvironment(_))
    }
}

impl fmt::Display for ConfiguredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => f.write_str(text),
            Self::FromEnvironment(_) => f.write_str("***"),
        }
    }
}

impl fmt::Debug for ConfiguredText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) => write!(f, "{text:?}"),
            Self::FromEnvironment(_) => f.write_str("***"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), "***");
        let text = ConfiguredText::FromEnvironment(secret);
        assert_eq!(format!("{text} {text:?}"), "*** ***");
        assert_eq!(text.expose(), "hunter2");
        assert_eq!(ConfiguredText::Plain("open".into()).to_string(), "open");
    }

    #[test]
    fn bytes_of_a_secret_live_on_their_own_and_nothing_is_left_of_the_text() {
        let mut secret = Secret::new("hunter2");
        let bytes = secret.to_bytes();
        secret.zeroize();
        assert_eq!((secret.expose(), &bytes[..]), ("", &b"hunter2"[..]));
        assert_eq!(secret.0.capacity(), 7, "the same memory, overwritten");
    }
}
