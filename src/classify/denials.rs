//! The grammar of access-denied texts: which policy refused, and its ARN where one is named.
//!
//! `User: WHO is not authorized to perform: ACTION on resource: ARN`, followed by
//! `because no TYPE allows the ACTION action`, by `with an explicit deny in a TYPE`, or in the old wording
//! by nothing that helps. Source: IAM user guide, "Troubleshoot access denied error messages". Of several
//! policy types that refuse, AWS names only one, so a denial is the *first reported* blocker.

use crate::domain::api::ApiName;
use crate::domain::outcome::Reason;
use crate::domain::scrub::looks_like_token_in_arn;

/// What a text says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Denial {
    pub(super) reason: Reason,
    /// The policy's ARN. AWS names it within one account or organisation only; whether `execute-api` does
    /// so at all is unconfirmed, so nothing depends on it.
    pub(super) policy_arn: Option<String>,
}

/// The names of policy types in the texts, the longer before what it begins with.
pub(super) const TYPES: &[(&str, Reason)] = &[
    // The organisation refuses, and the endpoint merely passes that on.
    ("VPC endpoint policy transitively through a service control policy", Reason::ServiceControlPolicy),
    ("VPC endpoint policy", Reason::VpcEndpointPolicy),
    ("resource-based policy", Reason::ResourcePolicy),
    ("identity-based policy", Reason::IdentityPolicy),
    // The documentation prints the explicit form with an s.
    ("sessions policy", Reason::SessionPolicy),
    ("session policy", Reason::SessionPolicy),
    ("permissions boundary", Reason::PermissionsBoundary),
    ("service control policy", Reason::ServiceControlPolicy),
    ("resource control policy", Reason::ResourceControlPolicy),
];

const VAGUE: Denial = Denial { reason: Reason::UnattributedPolicy, policy_arn: None };

/// The longest ARN that is kept.
const ARN_BYTES_MAX: usize = 512;

/// Reads the message of an `AccessDeniedException`. `same_account` says whether the signing role and the API
/// are known to be of one account.
pub(super) fn read(types: &[(&str, Reason)], message: Option<&str>, same_account: Option<bool>) -> Denial {
    let Some(message) = message else { return VAGUE };
    // A Lambda authorizer speaks of "this resource" and names no user. It may go on with "in an
    // identity-based policy", which means the policy document that the function returned, not IAM.
    if message.starts_with("User is not authorized to access this resource") {
        return Denial { reason: Reason::LambdaAuthorizer, policy_arn: None };
    }
    let Some((user, rest)) =
        message.strip_prefix("User: ").and_then(|text| text.split_once(" is not authorized to perform: "))
    else {
        return VAGUE;
    };
    // The resource holds the path of the request, so these words may stand in it too: the last ones count.
    let implicit = rest.rsplit_once(" because no ");
    let explicit = rest.rsplit_once(" with an explicit deny in ");
    match (implicit, explicit) {
        (Some((before, tail)), other) if other.is_none_or(|(earlier, _)| earlier.len() < before.len()) => {
            let found = named(types, tail).filter(|(_, after)| after.starts_with(" allows "));
            let Some((reason, after)) = found else { return VAGUE };
            // Across accounts this text also comes when the resource policy allows the account and the
            // caller's identity policy is silent (measured for another service, derived for this one).
            let vague = reason == Reason::ResourcePolicy && user != "anonymous" && same_account != Some(true);
            let reason = if vague { Reason::ResourceOrIdentityPolicy } else { reason };
            Denial { reason, policy_arn: policy_arn(after) }
        }
        (_, Some((_, tail))) => {
            let tail = ["a ", "an ", "the "]
                .into_iter()
                .find_map(|article| tail.strip_prefix(article))
                .unwrap_or(tail);
            named(types, tail)
                .map_or(VAGUE, |(reason, after)| Denial { reason, policy_arn: policy_arn(after) })
        }
        _ => VAGUE,
    }
}

/// True when a text is known to be about another service's action or another api than the one that was called: the
/// backend was refused by somebody, not its caller. What is not written as AWS writes it is not known to be.
pub(super) fn is_of_another(message: &str, api: &ApiName) -> bool {
    let Some((action, rest)) = message
        .strip_prefix("User: ")
        .and_then(|text| text.split_once(" is not authorized to perform: "))
        .and_then(|(_, rest)| rest.split_once(" on resource: ").or(Some((rest, ""))))
    else {
        return false;
    };
    let action = action.split(' ').next().unwrap_or_default();
    if action.split_once(':').is_some_and(|(service, _)| service != "execute-api") {
        return true;
    }
    // arn:PARTITION:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH
    let mut parts = rest.split(' ').next().unwrap_or_default().splitn(6, ':');
    let (service, named) = (parts.nth(2), parts.nth(2).and_then(|resource| resource.split('/').next()));
    match (service, named, api) {
        (Some("execute-api"), Some(named), ApiName::Id { id, .. }) => {
            let is_id = named.len() == 10
                && named.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            is_id && named != id.as_str()
        }
        _ => false,
    }
}

/// The policy type that `tail` begins with, and the text after it.
fn named<'t>(types: &[(&str, Reason)], tail: &'t str) -> Option<(Reason, &'t str)> {
    types.iter().find_map(|(name, reason)| {
        let after = tail.strip_prefix(name)?;
        let whole_words = after.chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '-');
        whole_words.then_some((*reason, after))
    })
}

/// The ARN at the end of a text, if it is one of a policy.
fn policy_arn(text: &str) -> Option<String> {
    let (_, arn) = text.rsplit_once(": arn:")?;
    let arn = arn.trim_end_matches(['.', ' ']);
    let parts: Vec<&str> = arn.splitn(5, ':').collect();
    let [_, "iam" | "organizations", "", _, resource] = parts.as_slice() else { return None };
    let fits = resource.starts_with("policy/")
        && arn.len() <= ARN_BYTES_MAX
        && arn.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/+=,.@_-*".contains(&byte))
        && !looks_like_token_in_arn(resource);
    fits.then(|| format!("arn:{arn}"))
}
