//! From statements to a decision, and to the one layer that a denial names.
//!
//! The entry points in `mod.rs` gather what each policy says about the caller (`Finding`) and put the
//! findings in order here. Source: IAM user guide, "Policy evaluation logic".

use super::document::{Effect, Policy, Principal, Principals, Selection, Statement};
use super::matching::{IncompleteArns, Keys, action_fits, expand, resource_fits};
use super::{Caller, CallerPolicies, Decision, Layer, Request};

/// What the policies of one layer say about one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Finding {
    /// A `Deny` statement applies.
    pub(super) denied: bool,
    /// An `Allow` statement applies, granting by the strongest of its principals.
    pub(super) grant: Option<Grant>,
}

/// By which principal a statement allows; the order is that of strength within one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Grant {
    /// By the account, which hands the decision to that account's identity policies.
    Account,
    /// By the role's ARN (or, in a policy without principals, by being attached to it).
    Role,
    /// By `*`.
    Everyone,
    /// By the ARN of this very session.
    Session,
}

impl Grant {
    /// Within one account, a grant to the session or to everyone is not limited by the *implicit* denies of
    /// boundary and session policy; one to the role is (IAM user guide, "AWS JSON policy elements:
    /// Principal", on role and role session principals).
    const fn passes_implicit_denies(self) -> bool {
        matches!(self, Self::Everyone | Self::Session)
    }

    /// Within one account, an account principal alone grants nothing: it lets the identity policies decide.
    const fn stands_alone(self) -> bool {
        !matches!(self, Self::Account)
    }
}

/// A request with all its condition keys, seen from one layer.
pub(super) struct View<'a> {
    request: &'a Request<'a>,
    caller: Caller<'a>,
    keys: Keys,
}

impl<'a> View<'a> {
    /// The keys of the request and those of who signed it. Keys of the principal that the request itself
    /// brings along are dropped: only the signature says who calls.
    pub(super) fn new(request: &'a Request<'a>, caller: Caller<'a>) -> Self {
        let mut keys = Keys::default();
        for (key, values) in &request.context {
            keys.set(key, values.clone());
        }
        keys.unset_all("aws:principal");
        match caller {
            Caller::Anonymous => {
                keys.set("aws:PrincipalAccount", vec!["anonymous".into()]);
                keys.set("aws:PrincipalType", vec!["Anonymous".into()]);
            }
            Caller::Session(session) | Caller::Bounded(session) => {
                keys.set("aws:PrincipalArn", vec![session.role_arn.clone()]);
                keys.set("aws:PrincipalAccount", vec![session.account.to_string()]);
                keys.set("aws:PrincipalType", vec!["AssumedRole".into()]);
                keys.set("aws:PrincipalIsAWSService", vec!["false".into()]);
                if let Some(organization) = &session.organization {
                    keys.set("aws:PrincipalOrgID", vec![organization.clone()]);
                }
                for (tag, value) in &session.tags {
                    keys.set(&format!("aws:PrincipalTag/{tag}"), vec![value.clone()]);
                }
            }
        }
        Self { request, caller, keys }
    }

    /// The view of a layer that looks at the network only: no key of the principal, nobody signed.
    pub(super) fn without_principal(request: &'a Request<'a>) -> Self {
        let mut view = Self::new(request, Caller::Anonymous);
        view.keys.unset_all("aws:principal");
        view
    }

    /// What a policy with principals (endpoint, resource, trust) says.
    pub(super) fn named(&self, policy: Option<&Policy>) -> Finding {
        self.find(policy.as_slice(), IncompleteArns::NeedAStar, |statement| self.grant(&statement.principals))
    }

    /// What policies attached to the caller say. A statement with a principal has no place there, and never
    /// applies.
    pub(super) fn attached(&self, policies: &[&Policy]) -> Finding {
        self.find(policies, IncompleteArns::Completed, |statement| {
            (statement.principals == Principals::Absent).then_some(Grant::Role)
        })
    }

    fn find(
        &self,
        policies: &[&Policy],
        incomplete: IncompleteArns,
        grant: impl Fn(&Statement) -> Option<Grant>,
    ) -> Finding {
        let mut finding = Finding::default();
        for policy in policies {
            for statement in &policy.statements {
                let Some(grant) = grant(statement) else { continue };
                if !self.applies(statement, policy.variables, incomplete) {
                    continue;
                }
                match statement.effect {
                    Effect::Deny => finding.denied = true,
                    Effect::Allow => finding.grant = finding.grant.max(Some(grant)),
                }
            }
        }
        finding
    }

    fn applies(&self, statement: &Statement, variables: bool, incomplete: IncompleteArns) -> bool {
        selected(&statement.actions, |pattern| action_fits(pattern, self.request.action))
            && statement.resources.as_ref().is_none_or(|resources| {
                selected(resources, |pattern| {
                    expand(pattern, &self.keys, variables)
                        .is_some_and(|tokens| resource_fits(&tokens, self.request.resource, incomplete))
                })
            })
            && statement.conditions.iter().all(|condition| condition.holds(&self.keys, variables))
    }

    /// By which principal a statement is about the caller, if it is.
    fn grant(&self, principals: &Principals) -> Option<Grant> {
        match principals {
            // A statement that names nobody is about nobody.
            Principals::Absent => None,
            Principals::Of(list) => list.iter().filter_map(|principal| self.names(principal)).max(),
            // Whoever has a boundary is spared by no list.
            Principals::AllBut(_) if matches!(self.caller, Caller::Bounded(_)) => Some(Grant::Everyone),
            Principals::AllBut(list) => {
                let spared: Vec<Grant> = list.iter().filter_map(|principal| self.names(principal)).collect();
                // A session is spared only where its account, its role and itself are all listed, or
                // everyone is (IAM user guide, "AWS JSON policy elements: NotPrincipal").
                let all = [Grant::Account, Grant::Role, Grant::Session];
                let is_spared =
                    spared.contains(&Grant::Everyone) || all.iter().all(|grant| spared.contains(grant));
                (!is_spared).then_some(Grant::Everyone)
            }
        }
    }

    fn names(&self, principal: &Principal) -> Option<Grant> {
        let session = match self.caller {
            Caller::Session(session) | Caller::Bounded(session) => Some(session),
            Caller::Anonymous => None,
        };
        match (principal, session) {
            (Principal::Everyone, _) => Some(Grant::Everyone),
            (_, None) | (Principal::Nobody, _) => None,
            (Principal::Account(account), Some(session)) => {
                (*account == session.account).then_some(Grant::Account)
            }
            (Principal::Role(arn), Some(session)) => (*arn == session.role_arn).then_some(Grant::Role),
            (Principal::Session(arn), Some(session)) => {
                (*arn == session.session_arn).then_some(Grant::Session)
            }
        }
    }
}

fn selected(selection: &Selection, fits: impl Fn(&str) -> bool) -> bool {
    selection.patterns.iter().any(|pattern| fits(pattern)) != selection.negated
}

/// What the policies on the caller's own side say. A layer without a policy allows, except that of the
/// identity policies.
pub(super) struct CallerSide {
    service_control: Finding,
    identity: Finding,
    boundary: Finding,
    session: Finding,
}

impl CallerSide {
    pub(super) fn new(view: &View<'_>, policies: CallerPolicies<'_>) -> Self {
        let without = Finding { denied: false, grant: Some(Grant::Role) };
        let optional = |policy: Option<&Policy>| policy.map_or(without, |policy| view.attached(&[policy]));
        // The policies of one level of the organisation add up, and AWS puts `FullAWSAccess` among them unless
        // somebody takes it away. That every level above must allow too is left out: a world that needs it
        // writes the outcome as one level.
        let service_control = match policies.service_control {
            [] => without,
            level => view.attached(&level.iter().collect::<Vec<_>>()),
        };
        Self {
            service_control,
            identity: view.attached(&policies.identity.iter().collect::<Vec<_>>()),
            boundary: optional(policies.boundary),
            session: optional(policies.session),
        }
    }
}

/// Which layer is asked for on the far side of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FarSide {
    /// An API's resource policy.
    Resource,
    /// A role's trust policy.
    Trust,
}

impl FarSide {
    const fn layer(self) -> Layer {
        match self {
            Self::Resource => Layer::Resource,
            Self::Trust => Layer::Trust,
        }
    }
}

/// A decision of one policy on its own.
pub(super) const fn alone(layer: Layer, finding: Finding) -> Decision {
    match finding {
        Finding { denied: true, .. } => Decision::Denied { layer, explicit: true },
        Finding { grant: None, .. } => Decision::Denied { layer, explicit: false },
        Finding { .. } => Decision::Allowed,
    }
}

/// Puts both sides together.
///
/// **Which layer is named.** A message names one policy type only, whichever denies (IAM user guide,
/// "Troubleshoot access denied error messages"). Known, from measurements of another service: across
/// accounts an explicit deny of the identity policy is named before one of the resource policy; where both
/// are silent, or the resource policy allows the whole account, the resource policy is named, and where it
/// allows the very role, the identity policy is. DERIVED: that `execute-api` does the same; that `*` counts
/// like the account there; every order among the other layers, which follows the order in which the user
/// guide's flow chart asks them.
pub(super) fn together(side: &CallerSide, far: Finding, kind: FarSide, same_account: bool) -> Decision {
    let explicit_denies = [
        (Layer::ServiceControl, side.service_control),
        (Layer::Identity, side.identity),
        (kind.layer(), far),
        (Layer::PermissionsBoundary, side.boundary),
        (Layer::Session, side.session),
    ];
    if let Some((layer, _)) = explicit_denies.into_iter().find(|(_, finding)| finding.denied) {
        return Decision::Denied { layer, explicit: true };
    }
    let silent = |layer| Decision::Denied { layer, explicit: false };
    if side.service_control.grant.is_none() {
        return silent(Layer::ServiceControl);
    }
    // A role's trust policy must always allow; a resource policy only the callers of other accounts.
    if far.grant.is_none() && (kind == FarSide::Trust || !same_account) {
        return silent(kind.layer());
    }
    if same_account && far.grant.is_some_and(Grant::passes_implicit_denies) {
        return Decision::Allowed;
    }
    let far_suffices = same_account && far.grant.is_some_and(Grant::stands_alone);
    if side.identity.grant.is_none() && !far_suffices {
        let hides_behind_resource = kind == FarSide::Resource
            && !same_account
            && matches!(far.grant, Some(Grant::Account | Grant::Everyone));
        return silent(if hides_behind_resource { Layer::Resource } else { Layer::Identity });
    }
    if side.boundary.grant.is_none() {
        return silent(Layer::PermissionsBoundary);
    }
    if side.session.grant.is_none() {
        return silent(Layer::Session);
    }
    Decision::Allowed
}
