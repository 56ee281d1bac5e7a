//! What lets calls in on their way: the policy of the shared endpoint, and the resource policies of the apis.
//!
//! The endpoint's names each role with the methods that it may call, and nobody else. Where that is too large, or on
//! request, it falls back to a pattern: roles of these names in any account of the organisation, at these requests of any
//! api; then the endpoint no longer tells spokes apart, and only the resource policies do.

use super::PrincipalForm;
use super::arns::{API_ID, ApiMethod, role_pattern};
use super::document::{Document, Limit, Policy, Refusal, grouped, one_or_more};
use super::sids;
use super::subject::{Api, Caller, Subject};
use crate::domain::arn::RoleArn;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) const INVOKE: &str = "execute-api:Invoke";
/// The key of the endpoint's policy.
pub(super) const ENDPOINT_KEY: &str = "vpc-endpoint";

impl Subject {
    /// The policy of the shared endpoint; the pattern form on request, or where the other is too large.
    ///
    /// # Errors
    /// When a form is needed that the configuration does not say enough for, or even the pattern form is too large.
    pub fn endpoint_policy(&self, pattern: bool) -> Result<Policy, Refusal> {
        let exact = self.exact_endpoint()?;
        let size = Limit::Endpoint.size(&exact.to_value());
        let mut notes = Vec::new();
        let document = if pattern || size > Limit::Endpoint.characters() {
            if !pattern {
                notes.push(format!(
                    "naming each role with its methods takes {} characters, and an endpoint policy may have {}: this is the \
                     pattern form",
                    grouped(size),
                    grouped(Limit::Endpoint.characters())
                ));
            }
            notes.push(
                "the pattern form lets every role of these names in the organisation make these requests at every api \
                 behind the endpoint: that spokes stay apart is up to the resource policies"
                    .to_owned(),
            );
            self.pattern_endpoint()?
        } else {
            exact
        };
        self.note_unsigned(self.calls_of(&Caller::Anyone), &mut notes);
        self.note_contradictions(&mut notes);
        let unknown_apis = self.note_domains(self.apis.iter(), &mut notes);
        Ok(Policy {
            keys: vec![ENDPOINT_KEY.to_owned()],
            goes_into: format!("the policy of endpoint {}", self.endpoint),
            has_placeholder: !unknown_apis.is_empty(),
            unknown_apis,
            document,
            limit: Limit::Endpoint,
            notes,
        })
    }

    /// Every caller with exactly what it may call.
    ///
    /// The principal is everybody and the condition names the role, which an unsigned caller cannot meet: that is the
    /// same as the account's root with the condition, and shorter where each character counts.
    fn exact_endpoint(&self) -> Result<Document, Refusal> {
        let mut statements = Vec::new();
        for role in &self.roles {
            let methods = self.calls_of(&Caller::Role(role.arn.clone()));
            if let (false, Some(spoke)) = (methods.is_empty(), role.spokes.first()) {
                statements.push(self.let_in(&sids::of_role(spoke), &role.arn, methods));
            }
        }
        statements.extend(self.hub_at_endpoint()?);
        statements.extend(self.unsigned_at_endpoint());
        Ok(Document { statements })
    }

    fn let_in(&self, sid: &str, role: &RoleArn, methods: BTreeSet<&ApiMethod>) -> Value {
        json!({
            "Sid": sid,
            "Effect": "Allow",
            "Principal": "*",
            "Action": INVOKE,
            "Resource": self.exact_all(methods),
            "Condition": {"ArnEquals": {"aws:PrincipalArn": role_pattern(role)}}
        })
    }

    fn hub_at_endpoint(&self) -> Result<Option<Value>, Refusal> {
        let methods = self.calls_of(&Caller::Hub);
        if methods.is_empty() {
            return Ok(None);
        }
        let role = self.known_hub_role()?;
        Ok(Some(self.let_in(&format!("{}Hub", sids::PREFIX), role, methods)))
    }

    /// Unsigned calls that are to pass have nothing that a condition could name.
    fn unsigned_at_endpoint(&self) -> Option<Value> {
        let methods = self.calls_of(&Caller::Anyone);
        (!methods.is_empty()).then(|| {
            json!({
                "Sid": format!("{}Unsigned", sids::PREFIX),
                "Effect": "Allow",
                "Principal": "*",
                "Action": INVOKE,
                "Resource": self.exact_all(methods)
            })
        })
    }

    /// Roles by name in the organisation, at requests by their form. The widest form is the one that fits at last.
    fn pattern_endpoint(&self) -> Result<Document, Refusal> {
        let Some(organization) = &self.organization else {
            return Err(Refusal::new(
                "the pattern form of the endpoint policy names the organisation, which is not configured",
                "add `hub.organization.id`, such as o-a1b2c3d4e5 (aws organizations describe-organization tells it); without \
                 it a role of the same name in any account of the world would pass",
            ));
        };
        let calls: Vec<(&RoleArn, BTreeSet<&ApiMethod>)> = self
            .roles
            .iter()
            .map(|role| (&role.arn, self.calls_of(&Caller::Role(role.arn.clone()))))
            .filter(|(_, methods)| !methods.is_empty())
            .collect();
        let names: BTreeSet<String> = calls.iter().map(|(role, _)| self.place.role_anywhere(role)).collect();
        let methods: BTreeSet<&ApiMethod> = calls.iter().flat_map(|(_, methods)| methods).copied().collect();
        let mut condition = json!({
            "StringEquals": {"aws:PrincipalOrgID": organization.id},
            "ArnLike": {"aws:PrincipalArn": one_or_more(names.into_iter().collect())}
        });
        if !organization.paths.is_empty() {
            let paths = one_or_more(organization.paths.clone());
            condition["ForAnyValue:StringLike"] = json!({"aws:PrincipalOrgPaths": paths});
        }
        let place = &self.place;
        let widths: [&dyn Fn(&ApiMethod) -> String; 3] =
            [&|method| place.same_request(method), &|method| place.same_stage(method), &|method| {
                place.same_method(method)
            }];
        let others: Vec<Value> =
            self.hub_at_endpoint()?.into_iter().chain(self.unsigned_at_endpoint()).collect();
        let document = |width: &dyn Fn(&ApiMethod) -> String| {
            let resources: BTreeSet<String> = methods.iter().map(|method| width(method)).collect();
            let pattern = (!resources.is_empty()).then(|| {
                json!({
                    "Sid": format!("{}Pattern", sids::PREFIX),
                    "Effect": "Allow",
                    "Principal": "*",
                    "Action": INVOKE,
                    "Resource": one_or_more(resources.into_iter().collect()),
                    "Condition": condition
                })
            });
            Document { statements: pattern.into_iter().chain(others.iter().cloned()).collect() }
        };
        let fits = |document: &Document| Limit::Endpoint.check(&document.to_value());
        let mut last = Ok(());
        for width in widths {
            let document = document(width);
            last = fits(&document);
            if last.is_ok() {
                return Ok(document);
            }
        }
        let found = last.err().map(|refusal| refusal.found).unwrap_or_default();
        Err(Refusal::new(
            format!("the pattern form of the endpoint policy: {found}"),
            "give the roles one name (`defaults.role`), and let fewer unsigned probes pass",
        ))
    }

    /// The resource policy of each api that somebody must be let in at.
    ///
    /// # Errors
    /// When the agent's own role calls and is not configured.
    pub fn resource_policies(&self, form: PrincipalForm) -> Result<Vec<Policy>, Refusal> {
        let calling = self.apis.iter().filter(|api| !api.calls.is_empty());
        calling.map(|api| self.resource_policy(api, form)).collect()
    }

    fn resource_policy(&self, api: &Api, form: PrincipalForm) -> Result<Policy, Refusal> {
        let methods = |caller: &Caller| -> BTreeSet<&ApiMethod> {
            api.calls.iter().filter(|(by, _)| by == caller).map(|(_, method)| method).collect()
        };
        let mut statements = Vec::new();
        for role in &self.roles {
            let methods = methods(&Caller::Role(role.arn.clone()));
            if let (false, Some(spoke)) = (methods.is_empty(), role.spokes.first()) {
                statements.push(self.let_in_at_api(&sids::of_role(spoke), &role.arn, methods, form));
            }
        }
        let by_hub = methods(&Caller::Hub);
        if !by_hub.is_empty() {
            let sid = format!("{}Hub", sids::PREFIX);
            statements.push(self.let_in_at_api(&sid, self.known_hub_role()?, by_hub, form));
        }
        let unsigned = methods(&Caller::Anyone);
        let mut notes = Vec::new();
        if !unsigned.is_empty() {
            self.note_unsigned(unsigned.clone(), &mut notes);
            statements.push(json!({
                "Sid": format!("{}Unsigned", sids::PREFIX),
                "Effect": "Allow",
                "Principal": "*",
                "Action": INVOKE,
                "Resource": self.exact_all(unsigned),
                "Condition": {"StringEquals": {"aws:SourceVpce": self.endpoint.as_str()}}
            }));
        }
        let unknown_apis = self.note_domains(std::iter::once(api), &mut notes);
        Ok(Policy {
            keys: api.keys.clone(),
            goes_into: format!("the resource policy of api {} in account {}", api.id, api.account),
            has_placeholder: !unknown_apis.is_empty(),
            unknown_apis,
            document: Document { statements },
            limit: Limit::Resource,
            notes,
        })
    }

    fn let_in_at_api(
        &self,
        sid: &str,
        role: &RoleArn,
        methods: BTreeSet<&ApiMethod>,
        form: PrincipalForm,
    ) -> Value {
        let mut condition = json!({"StringEquals": {"aws:SourceVpce": self.endpoint.as_str()}});
        let principal = self.principal(role, form, &mut condition);
        json!({
            "Sid": sid,
            "Effect": "Allow",
            "Principal": {"AWS": principal},
            "Action": INVOKE,
            "Resource": self.exact_all(methods),
            "Condition": condition
        })
    }

    /// The principal that stands for a role; its condition is added where it needs one.
    pub(super) fn principal(&self, role: &RoleArn, form: PrincipalForm, condition: &mut Value) -> String {
        match form {
            PrincipalForm::Condition => {
                condition["ArnEquals"] = json!({"aws:PrincipalArn": role_pattern(role)});
                self.place.root(role.account())
            }
            PrincipalForm::RoleArn => role.to_string(),
        }
    }

    pub(super) fn exact_all(&self, methods: BTreeSet<&ApiMethod>) -> Value {
        one_or_more(methods.into_iter().map(|method| self.place.exact(method)).collect())
    }

    /// The agent's own role.
    ///
    /// # Errors
    /// When the configuration does not name it.
    pub(super) fn known_hub_role(&self) -> Result<&RoleArn, Refusal> {
        self.hub_role.as_ref().ok_or_else(|| {
            Refusal::new(
                "the policy names the agent's own role, which is not configured",
                "add `hub.role_arn`, such as arn:aws:iam::111122223333:role/spokeprobe-hub (aws sts get-caller-identity in \
                 the hub tells it)",
            )
        })
    }

    fn note_unsigned(&self, methods: BTreeSet<&ApiMethod>, notes: &mut Vec<String>) {
        if !methods.is_empty() {
            let arns: Vec<String> = methods.into_iter().map(|method| self.place.exact(method)).collect();
            notes.push(format!(
                "unsigned probes expect to be let in, so everyone who reaches the endpoint may call {}",
                arns.join(", ")
            ));
        }
    }

    pub(super) fn note_contradictions(&self, notes: &mut Vec<String>) {
        for (role, arn) in self.contradictions() {
            notes.push(format!(
                "one probe needs that {role} may call {arn} and another expects it to be refused; it is allowed"
            ));
        }
    }

    /// The apis for which the policy has words, as what stands behind their domain name is not known.
    pub(super) fn note_domains<'a>(
        &self,
        apis: impl Iterator<Item = &'a Api>,
        notes: &mut Vec<String>,
    ) -> Vec<String> {
        let unknown: Vec<String> = apis
            .filter(|api| api.id == API_ID && !api.calls.is_empty())
            .flat_map(|api| api.keys.iter().cloned())
            .collect();
        if !unknown.is_empty() {
            notes.push(format!(
                "{}: API_ID and STAGE stand for the api behind the custom domain name, which the configuration does not \
                 name; say --behind SPOKE/API=ID/STAGE. The domain name has a policy of its own, which must let in the \
                 endpoint",
                unknown.join(", ")
            ));
        }
        unknown
    }
}
