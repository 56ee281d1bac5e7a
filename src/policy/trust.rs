//! The statements of a role's trust policy: who may assume it, with which external id, and which tags may be set.
//!
//! `roles` makes whole policies of them; the doctor shows them where a trust policy refused, so both say the same.

use super::arns::literal;
use super::document::one_or_more;
use super::sids::PREFIX;
use super::subject::{Role, roles};
use crate::domain::arn::RoleArn;
use crate::domain::region::Partition;
use crate::domain::secret::ConfiguredText;
use crate::plan::Plan;
use serde_json::{Value, json};

pub(super) const ASSUME: &str = "sts:AssumeRole";
/// Stands for an external id that came from the environment.
pub const EXTERNAL_ID: &str = "EXTERNAL_ID";

/// The statements that let the hub assume this role of the plan; none for a role that nobody signs with. `hub_account`
/// and `hub_role` are the account and the ARN of the agent's own role, or words that stand for them.
#[must_use]
pub fn trust_statements(
    plan: &Plan,
    role: &RoleArn,
    partition: Partition,
    hub_account: &str,
    hub_role: &str,
) -> Vec<Value> {
    let condition = json!({"ArnEquals": {"aws:PrincipalArn": literal(hub_role)}});
    let principal = format!("arn:{partition}:iam::{hub_account}:root");
    let role = roles(plan).into_iter().find(|known| known.arn == *role);
    role.map_or_else(Vec::new, |role| statements(&role, &principal, &condition))
}

/// The statements for a principal under a condition, which may be empty.
pub(super) fn statements(role: &Role, principal: &str, condition: &Value) -> Vec<Value> {
    let mut assume = condition.clone();
    // Where one spoke sends an external id and another none, none can be asked for.
    if !role.external_ids.contains(&None) {
        let mut ids: Vec<String> = role.external_ids.iter().flatten().map(shown).collect();
        ids.dedup();
        assume["StringEquals"] = json!({"sts:ExternalId": one_or_more(ids)});
    }
    let mut statements = vec![allow("Trust", principal, ASSUME, &assume)];
    if !role.tag_keys.is_empty() {
        // sts:TagSession knows no sts:ExternalId (service authorization reference, "AWS Security Token Service"),
        // so it is a statement of its own.
        let mut tags = condition.clone();
        let keys = one_or_more(role.tag_keys.iter().cloned().collect());
        tags["ForAllValues:StringEquals"] = json!({"aws:TagKeys": keys});
        statements.push(allow("Tags", principal, "sts:TagSession", &tags));
    }
    statements
}

fn allow(name: &str, principal: &str, action: &str, condition: &Value) -> Value {
    let mut statement = json!({
        "Sid": format!("{PREFIX}{name}"),
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": action
    });
    if condition.as_object().is_some_and(|condition| !condition.is_empty()) {
        statement["Condition"] = condition.clone();
    }
    statement
}

fn shown(id: &ConfiguredText) -> String {
    match id {
        ConfiguredText::Plain(text) => text.clone(),
        ConfiguredText::FromEnvironment(_) => EXTERNAL_ID.to_owned(),
    }
}
