//! What statements that are not ours do to ours, as far as it can be said without evaluating a whole policy.
//!
//! Ours keep everybody else out only while no other statement lets everybody in. What opens a door depends on where a
//! policy stands: a trust policy has no resource, a policy of a role no principal.

use super::compare::{covers, texts};
use super::document::Document;
use super::existing::{Existing, is_ours};
use super::gateway::INVOKE;
use super::trust::ASSUME;
use serde_json::Value;

/// Where a policy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The shared endpoint.
    Endpoint,
    /// An api.
    Api,
    /// The trust policy of a role.
    Trust,
    /// The agent's own role.
    Hub,
    /// A role that the agent assumes.
    Role,
}

impl Place {
    /// The action that counts there.
    const fn action(self) -> &'static str {
        match self {
            Self::Endpoint | Self::Api | Self::Role => INVOKE,
            Self::Trust | Self::Hub => ASSUME,
        }
    }

    const fn has_principals(self) -> bool {
        matches!(self, Self::Endpoint | Self::Api | Self::Trust)
    }

    const fn has_resources(self) -> bool {
        !matches!(self, Self::Trust)
    }

    /// What a statement that is open there does.
    const fn open(self) -> &'static str {
        match self {
            Self::Trust => "lets everyone assume the role",
            Self::Endpoint | Self::Api => "allows everything to everyone",
            Self::Hub => "allows to assume every role",
            Self::Role => "allows to call every api",
        }
    }
}

impl Existing {
    /// What others' statements do to ours, if it can be said without evaluating them. A statement with a condition is
    /// not judged: whom it lets in is for its author to know.
    #[must_use]
    pub fn remarks(&self, place: Place, ours: &Document) -> Vec<String> {
        let mut remarks = Vec::new();
        let not_ours = || self.statements().iter().filter(|statement| !is_ours(statement));
        let allowing = || not_ours().filter(|statement| statement["Effect"] == "Allow");
        if allowing().any(|statement| is_open(statement, place, ours)) {
            remarks.push(format!(
                "a statement that is not ours {}, so that ours change nothing while it stands",
                place.open()
            ));
        }
        for key in ["NotPrincipal", "NotAction", "NotResource"] {
            if allowing().any(|statement| statement.get(key).is_some() && may_act(statement, place)) {
                remarks.push(format!(
                    "a statement that is not ours allows with {key}, that is all but what it names; see whether it opens \
                     more than ours"
                ));
            }
        }
        if not_ours().any(|statement| statement["Effect"] == "Deny") {
            remarks.push("it has statements with Deny, which win over ours where they apply".to_owned());
        }
        remarks
    }
}

fn is_open(statement: &Value, place: Place, ours: &Document) -> bool {
    let principal = &statement["Principal"];
    let everyone = texts(principal).chain(texts(&principal["AWS"])).any(|name| name == "*");
    let unconditional = match &statement["Condition"] {
        Value::Null => true,
        Value::Object(operators) => operators.is_empty(),
        _ => false,
    };
    unconditional
        && (everyone || !place.has_principals())
        && statement.get("Action").is_some()
        && may_act(statement, place)
        && (!place.has_resources() || all_resources(statement, place, ours))
}

/// Whether its actions have the one that counts. IAM compares them without regard to case (IAM user guide, "Action").
fn may_act(statement: &Value, place: Place) -> bool {
    let wanted = place.action().to_lowercase();
    let names = |key: &str| texts(&statement[key]).any(|action| covers(&action.to_lowercase(), &wanted));
    names("Action") || (statement.get("NotAction").is_some() && !names("NotAction"))
}

/// Whether its resources are all that there are; at an api or an endpoint also all of ours, as API Gateway writes
/// `execute-api:/*` back as the whole ARN of the api.
fn all_resources(statement: &Value, place: Place, ours: &Document) -> bool {
    let allows = |wanted: &str| texts(&statement["Resource"]).any(|pattern| names(pattern, wanted));
    let partitions = ["aws", "aws-cn", "aws-us-gov"];
    let everything = partitions.iter().any(|partition| match place {
        Place::Hub => allows(&format!("arn:{partition}:iam::*:role/*")),
        _ => allows(&format!("arn:{partition}:execute-api:*:*:*/*")),
    });
    let mut own = ours.statements.iter().flat_map(|statement| texts(&statement["Resource"])).peekable();
    everything || (place.has_principals() && own.peek().is_some() && own.all(allows))
}

/// Whether a pattern has an ARN; `execute-api:/…` is short for the api that the policy is of.
fn names(pattern: &str, arn: &str) -> bool {
    let below = |rest: &str| arn.split_once('/').is_some_and(|(_, path)| covers(rest, path));
    covers(pattern, arn) || pattern.strip_prefix("execute-api:/").is_some_and(below)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ours() -> Document {
        let resource = "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/api/GET/";
        Document {
            statements: vec![json!({"Sid": "SpokeprobeX", "Effect": "Allow", "Resource": [resource]})],
        }
    }

    fn remarks(place: Place, statements: &[Value]) -> Vec<String> {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        Existing::parse(&text).unwrap().remarks(place, &ours())
    }

    fn statement(fields: &Value) -> Value {
        let mut statement = json!({"Effect": "Allow"});
        statement.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        statement
    }

    #[test]
    fn a_statement_that_lets_everybody_in_is_mentioned_wherever_it_stands() {
        let api = "arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5";
        for (place, open) in [
            (Place::Trust, json!({"Principal": "*", "Action": "sts:*"})),
            (Place::Trust, json!({"Principal": "*", "Action": "sts:AssumeRole"})),
            (Place::Trust, json!({"Principal": "*", "Action": "STS:assume*", "Condition": {}})),
            (
                Place::Trust,
                json!({"Principal": {"AWS": "*"}, "Action": ["sts:TagSession", "sts:AssumeRol?"]}),
            ),
            (Place::Trust, json!({"Principal": {"AWS": ["arn:aws:iam::1:root", "*"]}, "Action": "*"})),
            (Place::Trust, json!({"Principal": ["*"], "Action": "*"})),
            (Place::Hub, json!({"Action": "*", "Resource": "*"})),
            (Place::Hub, json!({"Action": ["s3:Get*", "sts:Assume*"], "Resource": ["x", "*"]})),
            (Place::Hub, json!({"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/*"})),
            (Place::Role, json!({"Action": "*", "Resource": "*"})),
            (Place::Role, json!({"Action": "Execute-API:*", "Resource": "arn:aws:execute-api:*:*:*"})),
            (Place::Endpoint, json!({"Principal": "*", "Action": "*", "Resource": "*"})),
            (Place::Endpoint, json!({"Principal": "*", "Action": "Execute-API:invoke", "Resource": "*"})),
            (Place::Api, json!({"Principal": {"AWS": "*"}, "Action": "execute-api:In*", "Resource": "*"})),
            (Place::Api, json!({"Principal": "*", "Action": "execute-api:*", "Resource": "execute-api:/*"})),
            (
                Place::Api,
                json!({"Principal": "*", "Action": "execute-api:Invoke", "Resource": format!("{api}/*")}),
            ),
        ] {
            let said = remarks(place, &[statement(&open)]);
            assert!(said.len() == 1 && said[0].contains("ours change nothing"), "{place:?} {open}: {said:?}");
            // One of ours is compared part by part instead, and a denial opens nothing.
            let mut own = statement(&open);
            own["Sid"] = json!("SpokeprobeTrust");
            assert_eq!(remarks(place, &[own]), [""; 0]);
            let mut denial = statement(&open);
            denial["Effect"] = json!("Deny");
            let said = remarks(place, &[denial]);
            assert!(said.len() == 1 && said[0].contains("Deny"), "{said:?}");
        }
    }

    #[test]
    fn a_narrower_statement_is_nobodys_business() {
        let condition = json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}});
        for (place, narrow) in [
            (Place::Trust, json!({"Principal": "*", "Action": "sts:AssumeRole", "Condition": condition})),
            (
                Place::Trust,
                json!({"Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "sts:*"}),
            ),
            (Place::Trust, json!({"Principal": {"Federated": "*"}, "Action": "sts:AssumeRole"})),
            (Place::Trust, json!({"Principal": "*", "Action": "sts:TagSession"})),
            (Place::Hub, json!({"Action": "*", "Resource": "arn:aws:s3:::bucket/*"})),
            (Place::Hub, json!({"Action": "sts:AssumeRole", "Resource": "arn:aws:iam::*:role/other"})),
            (Place::Hub, json!({"Action": "s3:*", "Resource": "*"})),
            (Place::Role, json!({"Action": "execute-api:ManageConnections", "Resource": "*"})),
            (
                Place::Role,
                json!({"Action": "execute-api:Invoke", "Resource": "arn:aws:execute-api:*:*:*/*/GET/*"}),
            ),
            (
                Place::Endpoint,
                json!({"Principal": "*", "Action": "*", "Resource": "arn:aws:execute-api:*:*:f0f0f0f0f0/*"}),
            ),
            (
                Place::Api,
                json!({"Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/live/*"}),
            ),
        ] {
            assert_eq!(remarks(place, &[statement(&narrow)]), [""; 0], "{place:?} {narrow}");
        }
    }

    #[test]
    fn allowing_all_but_something_is_mentioned_where_it_may_be_ours() {
        for (place, inverted, key) in [
            (Place::Trust, json!({"NotPrincipal": {"AWS": "x"}, "Action": "sts:AssumeRole"}), "NotPrincipal"),
            (Place::Trust, json!({"Principal": "*", "NotAction": "sts:TagSession"}), "NotAction"),
            (Place::Hub, json!({"NotAction": "iam:*", "Resource": "*"}), "NotAction"),
            (Place::Role, json!({"Action": "execute-api:*", "NotResource": "arn:x"}), "NotResource"),
            (
                Place::Endpoint,
                json!({"Principal": "*", "Action": "*", "NotResource": "arn:x"}),
                "NotResource",
            ),
        ] {
            let said = remarks(place, &[statement(&inverted)]);
            assert!(said.len() == 1 && said[0].contains(key), "{place:?} {inverted}: {said:?}");
        }
        assert_eq!(
            remarks(Place::Hub, &[statement(&json!({"NotAction": "sts:*", "Resource": "*"}))]),
            [""; 0]
        );
        assert_eq!(
            remarks(Place::Hub, &[statement(&json!({"Action": "s3:*", "NotResource": "x"}))]),
            [""; 0]
        );
    }
}
