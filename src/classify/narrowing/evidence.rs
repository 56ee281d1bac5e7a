//! What narrowing goes by and what it gives: plain values and closed words.

use crate::domain::observation::Twin;
use crate::domain::outcome::Reason;

/// Everything that is known about one vague refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The answer to be explained.
    pub subject: Subject,
    /// What the twins were answered.
    pub twins: Vec<TwinAnswer>,
    /// What other targets show.
    pub controls: Controls,
}

/// The refusal itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// The reason that its text gives.
    pub reason: Reason,
    /// Whether the call was signed.
    pub signed: bool,
    /// Whether the text says "with an explicit deny"; `None` where there is no text to say it (HEAD).
    pub explicit: Option<bool>,
    /// Whether the signing session was narrowed by a session policy of ours.
    pub session_policy: bool,
}

/// What one twin was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TwinAnswer {
    /// In what it differed.
    pub twin: Twin,
    /// How it ended, judged as a probe that wants any 2xx.
    pub reason: Reason,
    /// As for the subject.
    pub explicit: Option<bool>,
}

/// The recorded state of known-good targets; no request is made for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Controls {
    /// A signed target of the same api, method and path was ok a short while ago.
    pub same_route: bool,
    /// A target of the same api with another path was ok, under the subject's identity (for an unsigned subject:
    /// under the spoke's).
    pub same_api: bool,
    /// A target of another api was ok through the same endpoint under the same identity.
    pub same_signer: bool,
}

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $each:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $each])+ $variant,)+ }

        impl $name {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word in status and log.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

words! {
    /// What may be at fault.
    Suspect {
        /// The policy of the shared endpoint, in the hub.
        EndpointPolicy = "endpoint_policy",
        /// The api's resource policy.
        ResourcePolicy = "resource_policy",
        /// The caller's identity policies.
        IdentityPolicy = "identity_policy",
        /// The session policy given to `AssumeRole`.
        SessionPolicy = "session_policy",
        /// The permissions boundary of the caller's role.
        PermissionsBoundary = "permissions_boundary",
        /// A service control policy over the caller's account.
        ServiceControlPolicy = "service_control_policy",
        /// A missing or unknown API key.
        ApiKey = "api_key",
        /// A web ACL.
        Waf = "waf",
        /// The stage, or the base path mapping of a domain.
        Stage = "stage",
        /// The way the api is addressed.
        Addressing = "addressing",
        /// The api is not private.
        PublicApi = "public_api",
        /// The route does not exist.
        Route = "route",
        /// The route wants a signature.
        Signature = "signature",
    }
}

words! {
    /// What a finding rests on.
    Because {
        /// The unsigned twin was told that a token is missing.
        UnsignedPassesEndpoint = "unsigned_passes_endpoint",
        /// The unsigned twin reached the backend.
        UnsignedReachesBackend = "unsigned_reaches_backend",
        /// The unsigned twin was refused by the resource policy.
        UnsignedRefusedByResourcePolicy = "unsigned_refused_by_resource_policy",
        /// The unsigned twin was refused by some policy.
        UnsignedRefused = "unsigned_refused",
        /// The unsigned twin got past the front door.
        UnsignedPassesFrontDoor = "unsigned_passes_front_door",
        /// The unsigned twin was answered with the same bare Forbidden.
        UnsignedForbiddenToo = "unsigned_forbidden_too",
        /// A signed call of this route gets through.
        SignedCallPasses = "signed_call_passes",
        /// A signed call of this route is refused by a policy of its own caller.
        SignedCallRefusedByItsCaller = "signed_call_refused_by_its_caller",
        /// The signed twin is told that a token is missing as well.
        SignedTwinToldTheSame = "signed_twin_told_the_same",
        /// Another path of the api answers.
        OtherPathAnswers = "other_path_answers",
        /// Another path of the api is told the same.
        OtherPathToldTheSame = "other_path_told_the_same",
        /// Another addressing is not answered Forbidden.
        OtherAddressingPasses = "other_addressing_passes",
        /// Another addressing is answered Forbidden as well.
        OtherAddressingForbiddenToo = "other_addressing_forbidden_too",
        /// The same identity is let in at another api.
        SameIdentityPassesElsewhere = "same_identity_passes_elsewhere",
        /// The hub's identity gets through here.
        HubPasses = "hub_passes",
        /// The text says that a policy denies explicitly.
        DenyIsExplicit = "deny_is_explicit",
        /// The answers contradict each other.
        Conflict = "conflict",
    }
}

/// What follows from the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A narrower reason, or the subject's own.
    pub reason: Reason,
    /// What may still be at fault, the likelier first.
    pub suspects: Vec<Suspect>,
    /// What this rests on.
    pub because: Vec<Because>,
}
