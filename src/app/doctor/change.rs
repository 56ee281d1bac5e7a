//! The statements that may be missing, filled in with the names of the plan, and the names themselves for texts
//! whose words in capitals stand for them.
//!
//! Every statement is one to add to those that are there, and none denies anything. Roles are named by a condition on
//! `aws:PrincipalArn` under the account's root: a principal that names a role stops matching when the role is made
//! again (IAM user guide, "AWS JSON policy elements: Principal"). A role's trust is written by `policy`.

use super::report::Statement;
use crate::domain::api::ApiName;
use crate::domain::credentials::{CallerIdentity, RoleSession};
use crate::domain::expectation::Expectation;
use crate::domain::identity::Signer;
use crate::domain::target::Target;
use crate::plan::Plan;
use crate::policy::{self, EXTERNAL_ID};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The most ARNs of one statement.
const RESOURCES_MAX: usize = 40;

/// Everything that statements name.
#[derive(Debug, Clone)]
pub(super) struct Names {
    partition: String,
    region: String,
    endpoint: String,
    /// The account and the ARN of the agent's own role, where it is known to be one.
    hub_account: Option<String>,
    hub_role: Option<String>,
    spoke: String,
    account: String,
    /// The role that signs, with its account; the hub's own where the hub signs.
    role: Option<(String, String)>,
    /// What lets the hub assume the role, as `spokeprobe policy trust` prints it.
    trust: Vec<Value>,
    tags: bool,
    api: String,
    api_id: Option<String>,
    stage: Option<String>,
    /// Method and path of the target, where a shell reads the path as it is written.
    call: Option<(String, String)>,
    /// The methods that probes of this api and signer call, as the policies name them.
    resources: Vec<String>,
}

impl Names {
    /// The names around one target.
    pub(super) fn new(plan: &Plan, target: &Target, hub: Option<&CallerIdentity>) -> Self {
        let settings = &plan.settings;
        let region = &settings.endpoint.region;
        let partition = region.partition().as_str().to_owned();
        let configured = settings.credentials.hub_role_arn.as_ref();
        let hub_account = configured
            .map(|role| role.account().to_string())
            .or_else(|| hub.map(|hub| hub.account.clone()).filter(|account| is_account(account)));
        let hub_role =
            configured.map(ToString::to_string).or_else(|| hub.and_then(|hub| role_of(hub, &partition)));
        let session: Option<&RoleSession> = match &target.signer {
            Signer::Role(session) => Some(session),
            Signer::Hub | Signer::Anonymous => None,
        };
        let role = match &target.signer {
            Signer::Role(session) => {
                Some((session.role_arn.account().to_string(), session.role_arn.to_string()))
            }
            Signer::Hub => hub_account.clone().zip(hub_role.clone()),
            Signer::Anonymous => None,
        };
        let (api_id, stage) = match &target.api {
            ApiName::Id { id, stage } => (Some(id.to_string()), Some(stage.to_string())),
            ApiName::Domain { .. } => (None, None),
        };
        let resources: BTreeSet<String> = plan
            .targets
            .iter()
            .map(|other| &**other)
            .filter(|other| {
                (&other.id.spoke, &other.id.api) == (&target.id.spoke, &target.id.api)
                    && other.signer == target.signer
                    && wants_to_pass(&other.expectation)
            })
            .chain([target])
            .map(|other| {
                format!(
                    "arn:{partition}:execute-api:{region}:{}:{}/{}/{}{}",
                    target.account,
                    api_id.as_deref().unwrap_or("API_ID"),
                    stage.as_deref().unwrap_or("STAGE"),
                    other.request.method,
                    literal(other.request.path())
                )
            })
            .take(RESOURCES_MAX)
            .collect();
        let account = hub_account.as_deref().unwrap_or("HUB_ACCOUNT");
        let unknown = format!("arn:{partition}:iam::{account}:role/HUB_ROLE");
        let hub = hub_role.as_deref().unwrap_or(&unknown);
        let trust = session.map_or_else(Vec::new, |session| {
            policy::trust_statements(plan, &session.role_arn, region.partition(), account, hub)
        });
        Self {
            partition,
            region: region.to_string(),
            endpoint: settings.endpoint.id.to_string(),
            hub_account,
            hub_role,
            spoke: target.id.spoke.to_string(),
            account: target.account.to_string(),
            role,
            trust,
            tags: session.is_some_and(|session| !session.session_tags.is_empty()),
            api: target.id.api.to_string(),
            api_id,
            stage,
            call: Some((target.request.method.to_string(), target.request.path().to_owned()))
                .filter(|(_, path)| path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.~".contains(&b))),
            resources: resources.into_iter().collect(),
        }
    }

    /// The text with the words in capitals replaced that are known here.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        if let Some((method, path)) = &self.call {
            for shown in ["SPOKE/API METHOD PATH", "SPOKE/API GET PATH"] {
                text = text.replace(shown, &format!("{}/{} {method} {path}", self.spoke, self.api));
            }
            text = text.replace("/METHOD/PATH", &format!("/{method}{path}"));
        }
        self.fill_words(&text)
    }

    fn fill_words(&self, text: &str) -> String {
        let (role_account, role) = self.role.clone().unzip();
        let known = |word: &str| -> Option<String> {
            match word {
                "REGION" => Some(self.region.clone()),
                "VPCE_ID" => Some(self.endpoint.clone()),
                "SPOKE_ACCOUNT" => Some(self.account.clone()),
                "ROLE_ACCOUNT" => role_account.clone(),
                "ROLE_ARN" => role.clone(),
                "ROLE" => role.as_ref().and_then(|arn| arn.rsplit('/').next().map(str::to_owned)),
                "SPOKE" => Some(self.spoke.clone()),
                "API_ID" => self.api_id.clone(),
                "STAGE" => self.stage.clone(),
                "HUB_ACCOUNT" => self.hub_account.clone(),
                "HUB_ROLE_ARN" => self.hub_role.clone(),
                "HUB_ROLE" => {
                    self.hub_role.as_ref().and_then(|arn| arn.rsplit('/').next().map(str::to_owned))
                }
                _ => None,
            }
        };
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            filled.push_str(&known(word).unwrap_or_else(|| word.to_owned()));
            let gap = after.find(is_word).unwrap_or(after.len());
            filled.push_str(&after[..gap]);
            rest = &after[gap..];
        }
        filled
    }

    /// The names of the layer's endpoint, for texts.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// For the policy of the shared endpoint.
    pub(super) fn endpoint_statement(&self) -> Option<Statement> {
        let (account, role) = self.role.as_ref()?;
        let statement = json!({
            "Sid": self.sid(""),
            "Effect": "Allow",
            "Principal": {"AWS": self.root(account)},
            "Action": "execute-api:Invoke",
            "Resource": self.resources,
            "Condition": {"ArnEquals": {"aws:PrincipalArn": role}}
        });
        Some(self.add(
            format!(
                "Add this statement to the policy of endpoint {} in the hub. The statements that are there stay: \
                 a policy of this one alone would shut out every other caller.",
                self.endpoint
            ),
            statement,
        ))
    }

    /// For the resource policy of the api.
    pub(super) fn resource_statement(&self) -> Option<Statement> {
        let (account, role) = self.role.as_ref()?;
        let statement = json!({
            "Sid": self.sid(""),
            "Effect": "Allow",
            "Principal": {"AWS": self.root(account)},
            "Action": "execute-api:Invoke",
            "Resource": self.resources,
            "Condition": {
                "StringEquals": {"aws:SourceVpce": self.endpoint},
                "ArnEquals": {"aws:PrincipalArn": role}
            }
        });
        Some(self.add(
            format!(
                "Add this statement to the resource policy of api {} in account {}, beside those that are there, \
                 and deploy the stage again. It fits methods with IAM authorization: without a signature there \
                 is no ARN to compare.",
                self.api, self.account
            ),
            statement,
        ))
    }

    /// For a policy of the role that signs.
    pub(super) fn identity_statement(&self) -> Option<Statement> {
        let (_, role) = self.role.as_ref()?;
        Some(self.add(format!("Add this statement to a policy of {role}."), self.invoke()))
    }

    /// For the session policy in the agent's configuration.
    pub(super) fn session_statement(&self) -> Statement {
        let goes = format!(
            "Add this statement to the file that session_policy of spoke {} names. The role's own policy must allow \
             the same.",
            self.spoke
        );
        self.add(goes, self.invoke())
    }

    /// For the policy that is the role's permissions boundary.
    pub(super) fn boundary_statement(&self) -> Option<Statement> {
        let (_, role) = self.role.as_ref()?;
        let goes = format!(
            "Add this statement to the policy that is the permissions boundary of {role}. It grants nothing by \
             itself; the role's own policy must allow the same."
        );
        Some(self.add(goes, self.invoke()))
    }

    /// For the trust policy of the role: one statement, and another where session tags are sent.
    pub(super) fn trust_statements(&self) -> Vec<Option<Statement>> {
        let Some((_, role)) = self.role.as_ref() else { return Vec::new() };
        let statement = |statement: &Value| {
            let note = if statement.to_string().contains(EXTERNAL_ID) {
                " EXTERNAL_ID stands for the external id, which the agent has from its environment and does not show."
            } else {
                ""
            };
            let goes = format!(
                "Add this statement to the trust policy of {role}, beside those that are there.{note}"
            );
            Some(self.add(goes, statement.clone()))
        };
        self.trust.iter().map(statement).collect()
    }

    /// For a policy of the hub's own role.
    pub(super) fn hub_statement(&self) -> Option<Statement> {
        self.assume_statement(|whose| format!("Add this statement to a policy of {whose}."))
    }

    /// For the policy that is the permissions boundary of the hub's own role.
    pub(super) fn hub_boundary_statement(&self) -> Option<Statement> {
        self.assume_statement(|whose| {
            format!(
                "Add this statement to the policy that is the permissions boundary of {whose}. It grants nothing by \
                 itself; the role's own policy must allow the same."
            )
        })
    }

    fn assume_statement(&self, goes_into: impl FnOnce(&str) -> String) -> Option<Statement> {
        let (_, role) = self.role.as_ref()?;
        let action =
            if self.tags { json!(["sts:AssumeRole", "sts:TagSession"]) } else { json!("sts:AssumeRole") };
        let whose = self.hub_role.as_deref().unwrap_or("the agent's own role");
        let statement =
            json!({"Sid": self.sid("Assume"), "Effect": "Allow", "Action": action, "Resource": role});
        Some(self.add(goes_into(whose), statement))
    }

    fn invoke(&self) -> Value {
        json!({
            "Sid": self.sid(""),
            "Effect": "Allow",
            "Action": "execute-api:Invoke",
            "Resource": self.resources
        })
    }

    fn add(&self, mut goes_into: String, statement: Value) -> Statement {
        if self.api_id.is_none() && statement.to_string().contains("API_ID") {
            goes_into.push_str(
                " API_ID and STAGE stand for the api behind the custom domain name, which the configuration does not \
                 name.",
            );
        }
        Statement { goes_into, statement }
    }

    fn root(&self, account: &str) -> String {
        format!("arn:{}:iam::{account}:root", self.partition)
    }

    /// Sids are letters and digits; `payments`, `my-api` gives `SpokeprobePaymentsMyApi`.
    fn sid(&self, end: &str) -> String {
        let mut sid = String::from("Spokeprobe");
        for part in self.spoke.split('-').chain(self.api.split('-').filter(|_| end.is_empty())) {
            let mut letters = part.chars();
            sid.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            sid.extend(letters);
        }
        sid + end
    }
}

/// A path in which a policy reads no character as its own: a star in it would allow more than was asked for (IAM user
/// guide, "IAM policy elements: Variables and tags").
fn literal(path: &str) -> String {
    path.chars().fold(String::with_capacity(path.len()), |text, c| match c {
        '*' | '$' => text + "${" + c.encode_utf8(&mut [0; 4]) + "}",
        c => text + c.encode_utf8(&mut [0; 4]),
    })
}

fn wants_to_pass(expectation: &Expectation) -> bool {
    !expectation.is_guard() && expectation.status.iter().all(|status| (200..300).contains(status))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The role behind a session's ARN. The path of a role is not in it; `hub.role_arn` says it.
fn role_of(hub: &CallerIdentity, partition: &str) -> Option<String> {
    let (_, session) = hub.arn.split_once(":assumed-role/")?;
    let name = session.split('/').next()?;
    let fits = is_account(&hub.account)
        && (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    fits.then(|| format!("arn:{partition}:iam::{}:role/{name}", hub.account))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> Names {
        let configuration = format!(
            "
hub: {{region: eu-west-1, role_arn: arn:aws:iam::111122223333:role/hub, endpoint: {{id: vpce-0123456789abcdef0}}}}
spokes:
  - name: one
    account: '012345678901'
    apis: [{{name: api, id: a1b2c3d4e5, stage: live, probes: [{{name: hello, request: 'GET {path}'}}]}}]
"
        );
        let plan = crate::sources::load_plan_text("test", &configuration, &|_| None).unwrap().plan;
        Names::new(&plan, &plan.targets[0], None)
    }

    #[test]
    fn a_statement_allows_the_path_and_nothing_that_it_could_stand_for() {
        let of = |path| names(path).identity_statement().unwrap().statement["Resource"][0].to_string();
        let arn = "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/live/GET";
        assert_eq!(of("/orders"), format!("\"{arn}/orders\""));
        assert_eq!(of("/*/x"), format!("\"{arn}/${{*}}/x\""));
    }

    #[test]
    fn commands_have_the_call_in_them_where_a_shell_takes_it_as_it_is() {
        let text = "spokeprobe call SPOKE/API GET PATH --as anonymous";
        assert_eq!(names("/a/b").fill(text), "spokeprobe call one/api GET /a/b --as anonymous");
        assert_eq!(names("/a;b").fill(text), "spokeprobe call one/API GET PATH --as anonymous");
        let arn = "arn:aws:execute-api:REGION:SPOKE_ACCOUNT:API_ID/STAGE/METHOD/PATH";
        assert_eq!(names("/a").fill(arn), "arn:aws:execute-api:eu-west-1:012345678901:a1b2c3d4e5/live/GET/a");
    }

    #[test]
    fn trust_is_what_the_policy_command_prints() {
        let configuration = "
hub: {region: eu-west-1, role_arn: arn:aws:iam::111122223333:role/hub, endpoint: {id: vpce-0123456789abcdef0}}
spokes:
  - name: one
    account: '012345678901'
    external_id: spokeprobe-one
    session_tags: {purpose: probe, team: a}
    apis: [{name: api, id: a1b2c3d4e5, stage: live, probes: [{name: hello, request: GET /}]}]
";
        let loaded = crate::sources::load_plan_text("test", configuration, &|_| None).unwrap();
        let subject = policy::Subject::new(&loaded.config, &loaded.plan, &[]);
        let printed = subject.trust_policies(policy::PrincipalForm::Condition).unwrap().remove(0);
        let names = Names::new(&loaded.plan, &loaded.plan.targets[0], None);
        let shown: Vec<Value> =
            names.trust_statements().into_iter().flatten().map(|statement| statement.statement).collect();
        assert_eq!(shown, printed.document.statements);
        assert_eq!(printed.document.sids().collect::<Vec<_>>(), ["SpokeprobeTrust", "SpokeprobeTags"]);
    }

    #[test]
    fn an_agent_that_does_not_know_its_role_shows_words_for_it() {
        let configuration = "
hub: {region: cn-north-1, endpoint: {id: vpce-0123456789abcdef0}}
spokes:
  - name: one
    account: '012345678901'
    apis: [{name: api, id: a1b2c3d4e5, stage: live, probes: [{name: hello, request: GET /}]}]
";
        let plan = crate::sources::load_plan_text("test", configuration, &|_| None).unwrap().plan;
        let shown = Names::new(&plan, &plan.targets[0], None).trust_statements().remove(0).unwrap().statement;
        assert_eq!(shown["Principal"]["AWS"], "arn:aws-cn:iam::HUB_ACCOUNT:root");
        let role = &shown["Condition"]["ArnEquals"]["aws:PrincipalArn"];
        assert_eq!(role, "arn:aws-cn:iam::HUB_ACCOUNT:role/HUB_ROLE");
    }
}
