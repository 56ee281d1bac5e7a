//! What is recorded of roles and their sessions, for each spoke that a role serves: `AssumeRole` calls in metrics,
//! expiry and refusals on the board.

use crate::domain::credentials::RoleInUse;
use crate::domain::name::Name;
use crate::recording::{CredentialsState, Recorder, Refusal, Spoke};
use std::time::{Duration, SystemTime};

/// How an `AssumeRole` call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AssumeRoleResult {
    /// A session came back.
    Ok,
    /// STS refused.
    Denied,
    /// STS is asked too often.
    Throttled,
    /// Anything else.
    Failed,
}

impl AssumeRoleResult {
    /// Every result.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Denied, Self::Throttled, Self::Failed];

    /// The word in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Denied => "denied",
            Self::Throttled => "throttled",
            Self::Failed => "failed",
        }
    }
}

impl Recorder {
    /// Counts one `AssumeRole` call for each spoke of the role, and its duration once. Spokes that are
    /// neither announced nor have a target are passed over, here and in the next two.
    pub fn assume_role_ended(&self, role: &RoleInUse, result: AssumeRoleResult, took: Duration) {
        let families = &self.shared.families;
        families.assume_role_duration.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
        self.for_spokes(role, |name, spoke| {
            spoke.recorder.set_assume_role(Some(result));
            families.assume_role.with_label_values(&[name.as_str(), result.as_str()]).inc();
        });
    }

    /// Sets when a role's session ends, for each of its spokes, and clears its last failure on the board.
    pub fn credentials_renewed(&self, role: &RoleInUse, expires_at: Option<SystemTime>) {
        self.for_spokes(role, |_, spoke| {
            spoke.recorder.set_credentials(|state| {
                *state = CredentialsState { renewed: true, expires_at, refusal: None };
            });
        });
    }

    /// Keeps what STS said of a role on the board: code, scrubbed message, and what that means.
    pub fn credentials_refused(&self, role: &RoleInUse, refusal: &Refusal) {
        self.for_spokes(role, |_, spoke| {
            spoke.recorder.set_credentials(|state| state.refusal = Some(refusal.clone()));
        });
    }

    /// Shows for more spokes what is known of a session that they begin to use.
    pub fn credentials_known(
        &self,
        spokes: &[Name],
        state: &CredentialsState,
        last: Option<AssumeRoleResult>,
    ) {
        self.for_names(spokes, |_, spoke| {
            spoke.recorder.set_credentials(|shown| shown.clone_from(state));
            spoke.recorder.set_assume_role(last);
        });
    }

    /// Forgets the session of spokes that have none any more: its expiry and the last refusal. What was counted
    /// stays while the spoke does.
    pub fn credentials_forgotten(&self, spokes: &[Name]) {
        self.credentials_known(spokes, &CredentialsState::default(), None);
    }

    fn for_spokes(&self, role: &RoleInUse, each: impl FnMut(&Name, &Spoke)) {
        self.for_names(&role.spokes, each);
    }

    fn for_names(&self, names: &[Name], mut each: impl FnMut(&Name, &Spoke)) {
        let members = self.shared.members();
        for name in names {
            if let Some(spoke) = members.spokes.get(name) {
                each(name, spoke);
            }
        }
    }
}
