//! Who signs: what is sent to `AssumeRole`, and the session that comes back.

use crate::domain::arn::RoleArn;
use crate::domain::name::Name;
use crate::domain::secret::{ConfiguredText, Secret};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Everything that is sent to `AssumeRole`; two spokes that agree in all of it share one session.
///
/// Source: STS API reference, `AssumeRole`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoleSession {
    /// The role to assume.
    pub role_arn: RoleArn,
    /// `RoleSessionName`: 2 to 64 characters of `[\w+=,.@-]`.
    pub session_name: String,
    /// `ExternalId`, 2 to 1,224 characters.
    pub external_id: Option<ConfiguredText>,
    /// `DurationSeconds` as a span, 15 min to 12 h.
    pub duration: Duration,
    /// `Policy`: a session policy document as JSON text.
    pub session_policy: Option<String>,
    /// `Tags`, in the order of the configuration.
    pub session_tags: Vec<(String, String)>,
}

/// A role's session and the spokes whose probes sign with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleInUse {
    /// What is sent to `AssumeRole`.
    pub session: Arc<RoleSession>,
    /// The spokes that the session belongs to, for the `spoke` label; never empty.
    pub spokes: Vec<Name>,
}

/// Credentials that can sign, with the moment they end.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionCredentials {
    /// The access key id; not secret by itself, but kept out of metrics.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret,
    /// The session token; `None` only for long-lived keys of a user.
    pub session_token: Option<Secret>,
    /// When the session ends, by wall clock; `None` only for long-lived keys.
    pub expires_at: Option<SystemTime>,
}

impl fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCredentials")
            .field("access_key_id", &"***")
            .field("secret_access_key", &"***")
            .field("session_token", &"***")
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

/// What `GetCallerIdentity` says of some credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account the caller belongs to, as STS wrote it.
    pub account: String,
    /// The caller's ARN: a user, or `arn:…:sts::…:assumed-role/ROLE/SESSION`.
    pub arn: String,
}

impl CallerIdentity {
    /// True when the caller is itself a role's session, so that assuming a role from it is chaining and
    /// STS caps the session at one hour (IAM user guide, "Role chaining").
    #[must_use]
    pub fn is_role_session(&self) -> bool {
        self.arn.contains(":assumed-role/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_part_of_the_credentials() {
        let credentials = SessionCredentials {
            access_key_id: "ASIAKEY".into(),
            secret_access_key: Secret::new("sesame"),
            session_token: Some(Secret::new("token")),
            expires_at: None,
        };
        let text = format!("{credentials:?}");
        for part in ["ASIAKEY", "sesame", "token\""] {
            assert!(!text.contains(part), "{text}");
        }
    }
}
