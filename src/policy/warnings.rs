//! What `plan` says about policies before anybody prints one.

use super::document::grouped;
use super::subject::Subject;
use super::{Limit, PrincipalForm};
use crate::config::Config;
use crate::plan::{Plan, Warning};

/// What will stand in the way of the policies, and what is probably not meant.
#[must_use]
pub fn warnings(config: &Config, plan: &Plan) -> Vec<Warning> {
    let subject = Subject::new(config, plan, &[]);
    let mut warnings = Vec::new();
    let mut warn = |path: &str, message: String| warnings.push(Warning { path: path.to_owned(), message });
    for role in subject.roles.iter().filter(|role| role.external_ids.len() > 1) {
        let spokes: Vec<String> = role.spokes.iter().map(ToString::to_string).collect();
        let message = format!(
            "the spokes {} assume {} with different external ids, or one of them without any; give them the same, or a role \
             each",
            spokes.join(", "),
            role.arn
        );
        warn("spokes", message);
    }
    if let Some((role, arn)) = subject.contradictions().first() {
        let message = format!(
            "one probe needs that {role} may call {arn} and another expects it to be refused; no policy gives both, so \
             remove one of them"
        );
        warn("spokes", message);
    }
    // Below this nothing can be too large, and `plan` need not write the policies down.
    if subject.roles.len() >= 20 && subject.hub_role.is_some() {
        if let Err(refusal) = subject.endpoint_policy(false) {
            warn("hub.organization", format!("`policy vpc-endpoint` will be refused: {refusal}"));
        }
        if let Err(refusal) = subject.hub_policies() {
            warn("spokes", format!("`policy hub` will be refused: {refusal}"));
        }
    }
    if subject.hub_role.is_some()
        && let Ok(policies) = subject.resource_policies(PrincipalForm::Condition)
    {
        for policy in policies {
            let size = Limit::Resource.size(&policy.document.to_value());
            if size > Limit::Resource.characters() {
                let message = format!(
                    "its resource policy would take {} characters, and {} are allowed; probe fewer paths of it, or under \
                     fewer roles",
                    grouped(size),
                    grouped(Limit::Resource.characters())
                );
                warn(&policy.keys.join(", "), message);
            }
        }
    }
    warnings
}
