//! What lets roles act: trust and permissions of the spokes' roles, and the permissions of the hub's own.

use super::PrincipalForm;
use super::arns::ApiMethod;
use super::document::{Document, Limit, MANAGED, Policy, Refusal, grouped, one_or_more};
use super::gateway::INVOKE;
use super::sids::PREFIX;
use super::subject::{Caller, Role, Subject};
use super::trust::{self, ASSUME, EXTERNAL_ID};
use crate::domain::secret::ConfiguredText;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The managed policies that a role has room for by default (IAM user guide, "IAM and AWS STS quotas").
const MANAGED_POLICIES: usize = 10;

impl Subject {
    /// The trust policy of each role in use.
    ///
    /// # Errors
    /// When the agent's own role is not configured.
    pub fn trust_policies(&self, form: PrincipalForm) -> Result<Vec<Policy>, Refusal> {
        self.roles.iter().map(|role| self.trust_policy(role, form)).collect()
    }

    fn trust_policy(&self, role: &Role, form: PrincipalForm) -> Result<Policy, Refusal> {
        let hub = self.known_hub_role()?;
        let mut notes = Vec::new();
        let mut condition = json!({});
        let principal = self.principal(hub, form, &mut condition);
        let statements = trust::statements(role, &principal, &condition);
        let hidden = role.external_ids.iter().flatten().any(ConfiguredText::is_secret);
        if role.external_ids.len() > 1 {
            notes.push(if role.external_ids.contains(&None) {
                format!(
                    "{} assume the role with an external id and without one, so none can be asked for; give them the same",
                    names(role)
                )
            } else {
                format!(
                    "{} assume the role with different external ids, and each is accepted; give them the same",
                    names(role)
                )
            });
        }
        if hidden {
            notes.push(format!(
                "{EXTERNAL_ID} stands for the external id, which comes from the environment and is not shown"
            ));
        }
        Ok(Policy {
            keys: keys(role),
            goes_into: format!("the trust policy of {}", role.arn),
            document: Document { statements },
            limit: Limit::Trust,
            notes,
            has_placeholder: hidden,
            unknown_apis: Vec::new(),
        })
    }

    /// The permissions of each role in use that must be let in somewhere. With `isolation` each may also call what it
    /// must be refused at, so that only the endpoint and the far side can refuse it.
    #[must_use]
    pub fn permission_policies(&self, isolation: bool) -> Vec<Policy> {
        let policies = self.roles.iter().map(|role| self.permission_policy(role, isolation));
        policies.filter(|policy| !policy.document.statements.is_empty()).collect()
    }

    fn permission_policy(&self, role: &Role, isolation: bool) -> Policy {
        let calls = self.calls_of(&Caller::Role(role.arn.clone()));
        let mut notes = Vec::new();
        let mut statements = Vec::new();
        if !calls.is_empty() {
            statements.push(allow(&format!("{PREFIX}Invoke"), INVOKE, &self.exact_all(calls.clone())));
        }
        if isolation {
            statements.extend(self.isolation_statement(role, &calls, &statements, &mut notes));
        }
        let apis = self.apis.iter().filter(|api| {
            api.calls.iter().any(|(caller, _)| matches!(caller, Caller::Role(arn) if *arn == role.arn))
        });
        let unknown_apis = self.note_domains(apis, &mut notes);
        Policy {
            keys: keys(role),
            goes_into: format!("a policy of {}", role.arn),
            has_placeholder: !unknown_apis.is_empty(),
            unknown_apis,
            document: Document { statements },
            limit: Limit::Identity,
            notes,
        }
    }

    /// What the role must be refused at; by the form of the requests where that is too much to list.
    fn isolation_statement(
        &self,
        role: &Role,
        calls: &BTreeSet<&ApiMethod>,
        before: &[Value],
        notes: &mut Vec<String>,
    ) -> Option<Value> {
        let of_role = self.refused.iter().filter(|(arn, _)| *arn == role.arn).map(|(_, method)| method);
        let methods: BTreeSet<&ApiMethod> = of_role.filter(|method| !calls.contains(method)).collect();
        if methods.is_empty() {
            return None;
        }
        notes.push(
            "with --isolation the role may call apis that must refuse it: whatever they let in then, it really does"
                .to_owned(),
        );
        let statement = |resources: &Value| allow(&format!("{PREFIX}Isolation"), INVOKE, resources);
        let exact = statement(&self.exact_all(methods.clone()));
        let whole = Document { statements: before.iter().cloned().chain([exact.clone()]).collect() };
        if Limit::Identity.check(&whole.to_value()).is_ok() {
            return Some(exact);
        }
        notes.push(format!(
            "the {} methods that it must be refused at are too many to list: this names their requests at any api of any \
             account",
            grouped(methods.len())
        ));
        let forms: BTreeSet<String> =
            methods.into_iter().map(|method| self.place.same_request(method)).collect();
        Some(statement(&one_or_more(forms.into_iter().collect())))
    }

    /// The permissions of the agent's own role: to assume exactly the roles in use, and to call what probes call under its
    /// own name. Where that is too large for one policy it comes in parts that fit managed ones.
    ///
    /// # Errors
    /// When it does not fit the managed policies that a role can have.
    pub fn hub_policies(&self) -> Result<Vec<Policy>, Refusal> {
        let arns = |roles: &mut dyn Iterator<Item = &Role>| roles.map(|role| role.arn.to_string()).collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        wanted.push(("Assume", ASSUME, arns(&mut self.roles.iter())));
        let tagged = &mut self.roles.iter().filter(|role| !role.tag_keys.is_empty());
        wanted.push(("Tags", "sts:TagSession", arns(tagged)));
        let calls = self.calls_of(&Caller::Hub);
        wanted.push(("Invoke", INVOKE, calls.into_iter().map(|method| self.place.exact(method)).collect()));
        wanted.retain(|(_, _, resources)| !resources.is_empty());

        let mut notes = Vec::new();
        let apis = self.apis.iter().filter(|api| api.calls.iter().any(|(caller, _)| *caller == Caller::Hub));
        let unknown_apis = self.note_domains(apis, &mut notes);
        let one: Vec<Value> =
            wanted.iter().map(|(name, action, resources)| part(name, action, resources, "")).collect();
        let one = Document { statements: one };
        let role =
            self.hub_role.as_ref().map_or_else(|| "the agent's own role".to_owned(), ToString::to_string);
        let policy = |key: String, document: Document, notes: Vec<String>| Policy {
            keys: vec![key],
            goes_into: format!("a policy of {role}"),
            document,
            limit: Limit::Identity,
            notes,
            has_placeholder: !unknown_apis.is_empty(),
            unknown_apis: unknown_apis.clone(),
        };
        if one.statements.is_empty() {
            return Ok(Vec::new());
        }
        if Limit::Identity.check(&one.to_value()).is_ok() {
            return Ok(vec![policy("hub".to_owned(), one, notes)]);
        }
        let parts = parts(&wanted);
        if parts.len() > MANAGED_POLICIES {
            return Err(Refusal::new(
                format!(
                    "the permissions of the hub's role need {} managed policies, and a role takes {MANAGED_POLICIES}",
                    parts.len()
                ),
                "give the roles shorter names and paths, or share the spokes among several hubs",
            ));
        }
        notes.push(format!(
            "{} characters are too many for one policy: attach these {} as managed policies",
            grouped(Limit::Identity.size(&one.to_value())),
            parts.len()
        ));
        let numbered = (1_usize..).zip(parts);
        Ok(numbered.map(|(number, part)| policy(format!("hub-{number}"), part, notes.clone())).collect())
    }
}

/// The end of a `Sid`, an action, and what it is allowed on.
type Wanted = (&'static str, &'static str, Vec<String>);

/// Documents that each fit a managed policy, filled in order.
fn parts(wanted: &[Wanted]) -> Vec<Document> {
    let size = |document: &Document| document.to_value().to_string().chars().count();
    let mut parts: Vec<Document> = Vec::new();
    let mut full = Document::default();
    for (name, action, resources) in wanted {
        let mut open: Vec<String> = Vec::new();
        for resource in resources {
            let with =
                |open: &[String]| -> Vec<String> { open.iter().cloned().chain([resource.clone()]).collect() };
            let number = (parts.len() + 1).to_string();
            let mut tried = full.clone();
            tried.statements.push(part(name, action, &with(&open), &number));
            if size(&tried) > MANAGED && !(open.is_empty() && full.statements.is_empty()) {
                if !open.is_empty() {
                    full.statements.push(part(name, action, &open, &number));
                    open.clear();
                }
                parts.push(std::mem::take(&mut full));
            }
            open.push(resource.clone());
        }
        if !open.is_empty() {
            let number = (parts.len() + 1).to_string();
            full.statements.push(part(name, action, &open, &number));
        }
    }
    if !full.statements.is_empty() {
        parts.push(full);
    }
    parts
}

fn part(name: &str, action: &str, resources: &[String], number: &str) -> Value {
    allow(&format!("{PREFIX}{name}{number}"), action, &one_or_more(resources.to_vec()))
}

fn allow(sid: &str, action: &str, resources: &Value) -> Value {
    json!({"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resources})
}

fn keys(role: &Role) -> Vec<String> {
    role.spokes.iter().map(ToString::to_string).collect()
}

fn names(role: &Role) -> String {
    let names: Vec<String> = keys(role);
    format!("the spokes {}", names.join(", "))
}
