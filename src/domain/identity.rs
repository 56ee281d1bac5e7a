//! Under which identity a probe calls.

use crate::domain::credentials::RoleSession;
use crate::domain::name::Name;
use std::fmt;
use std::sync::Arc;

/// The identity as the configuration names it (`as:`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Identity {
    /// The role of the probe's own spoke; the default.
    #[default]
    Spoke,
    /// The agent's own credentials.
    Hub,
    /// No signature at all.
    Anonymous,
    /// The role of another spoke.
    OtherSpoke(Name),
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spoke => f.write_str("spoke"),
            Self::Hub => f.write_str("hub"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::OtherSpoke(name) => write!(f, "spoke:{name}"),
        }
    }
}

impl std::str::FromStr for Identity {
    type Err = crate::domain::Invalid;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wanted = crate::domain::Invalid::new("one of spoke, hub, anonymous, spoke:NAME");
        match text {
            "spoke" => Ok(Self::Spoke),
            "hub" => Ok(Self::Hub),
            "anonymous" => Ok(Self::Anonymous),
            _ => {
                let name = text.strip_prefix("spoke:").ok_or(wanted.clone())?;
                name.parse().map(Self::OtherSpoke).map_err(|_| wanted)
            }
        }
    }
}

/// The identity resolved to what signs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Signer {
    /// Nothing signs.
    Anonymous,
    /// The hub's own credentials sign.
    Hub,
    /// The session of a role signs.
    Role(Arc<RoleSession>),
}
