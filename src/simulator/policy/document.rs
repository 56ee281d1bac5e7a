//! Reading a policy document: JSON text to statements, with every element checked.
//!
//! What this evaluator does not know is an error and never ignored, because an ignored condition would let
//! callers in that AWS refuses. (Of a key written twice in one object the JSON parser keeps the last.)
//! `evaluate` reads the statements.
//! Source: IAM user guide, "IAM JSON policy element reference".

use super::conditions::Condition;
use crate::domain::account::AccountId;
use serde_json::{Map, Value};

/// A parsed policy document.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    pub(super) statements: Vec<Statement>,
    /// True for version 2012-10-17, the only one in which `${…}` is a variable.
    pub(super) variables: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Statement {
    pub(super) effect: Effect,
    pub(super) principals: Principals,
    pub(super) actions: Selection,
    /// `None` in trust policies, which have no `Resource`.
    pub(super) resources: Option<Selection>,
    pub(super) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// The values of an element or of its `Not…` form.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Selection {
    pub(super) negated: bool,
    pub(super) patterns: Vec<String>,
}

/// Who a statement is about.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Principals {
    /// No such element: the policy is attached to who it is about.
    Absent,
    Of(Vec<Principal>),
    /// `NotPrincipal`.
    AllBut(Vec<Principal>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Principal {
    /// `*`, anonymous callers included.
    Everyone,
    /// An account, by id or by its root ARN.
    Account(AccountId),
    /// A role, in all its sessions.
    Role(String),
    /// One session of a role.
    Session(String),
    /// Services, federations, users, and the unique ids that stand where a named role was deleted: none of
    /// them ever signs a request of a prober's role.
    Nobody,
}

impl Policy {
    /// Reads a policy document from JSON text.
    ///
    /// # Errors
    /// When it is not JSON, or has elements this evaluator does not know: never silently ignored.
    pub fn parse(json: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?;
        let Value::Object(document) = value else {
            return Err("a policy is a JSON object".into());
        };
        only(&document, &["Version", "Id", "Statement"], "the policy")?;
        let variables = match document.get("Version") {
            None => false,
            Some(Value::String(version)) if version == "2008-10-17" => false,
            Some(Value::String(version)) if version == "2012-10-17" => true,
            Some(other) => return Err(format!("Version is 2012-10-17 or 2008-10-17, not {other}")),
        };
        if let Some(id) = document.get("Id")
            && !id.is_string()
        {
            return Err("Id is not a text".into());
        }
        let statements = match document.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(statement @ Value::Object(_)) => vec![statement],
            Some(_) => return Err("Statement is neither an object nor a list".into()),
            None => return Err("there is no Statement".into()),
        };
        let statements = statements
            .into_iter()
            .enumerate()
            .map(|(index, statement)| {
                Statement::parse(statement).map_err(|error| format!("statement {}: {error}", index + 1))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { statements, variables })
    }

    /// True when every statement says whom it is about, as endpoint, resource and trust policies must.
    #[must_use]
    pub fn names_principals(&self) -> bool {
        self.statements.iter().all(|statement| statement.principals != Principals::Absent)
    }

    /// True when some statement says whom it is about, which identity, session, boundary and service control
    /// policies must not.
    #[must_use]
    pub fn names_any_principal(&self) -> bool {
        self.statements.iter().any(|statement| statement.principals != Principals::Absent)
    }
}

impl Statement {
    fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(statement) = value else {
            return Err("is not an object".into());
        };
        only(
            statement,
            &[
                "Sid",
                "Effect",
                "Principal",
                "NotPrincipal",
                "Action",
                "NotAction",
                "Resource",
                "NotResource",
                "Condition",
            ],
            "it",
        )?;
        if let Some(sid) = statement.get("Sid")
            && !sid.is_string()
        {
            return Err("Sid is not a text".into());
        }
        let effect = match statement.get("Effect").and_then(Value::as_str) {
            Some("Allow") => Effect::Allow,
            Some("Deny") => Effect::Deny,
            _ => return Err("Effect is neither Allow nor Deny".into()),
        };
        let actions = selection(statement, "Action", "NotAction")?.ok_or("there is no Action")?;
        for action in &actions.patterns {
            if action != "*" && !action.contains(':') {
                return Err(format!("Action {action:?} has no service prefix"));
            }
        }
        let resources = selection(statement, "Resource", "NotResource")?;
        for resource in resources.iter().flat_map(|resources| &resources.patterns) {
            if !["*", "arn:", "execute-api:/", "${"].iter().any(|start| resource.starts_with(start)) {
                return Err(format!("Resource {resource:?} is neither an ARN nor *"));
            }
        }
        Ok(Self {
            effect,
            principals: principals(statement, effect)?,
            actions,
            resources,
            conditions: conditions(statement.get("Condition"))?,
        })
    }
}

/// Refuses every key that is not known.
fn only(object: &Map<String, Value>, known: &[&str], what: &str) -> Result<(), String> {
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(format!("{what} has an unknown element {key:?}")),
        None => Ok(()),
    }
}

fn selection(statement: &Map<String, Value>, name: &str, not: &str) -> Result<Option<Selection>, String> {
    let (value, negated) = match (statement.get(name), statement.get(not)) {
        (Some(_), Some(_)) => return Err(format!("{name} and {not} exclude each other")),
        (Some(value), None) => (value, false),
        (None, Some(value)) => (value, true),
        (None, None) => return Ok(None),
    };
    Ok(Some(Selection { negated, patterns: texts(value, name)? }))
}

/// One text or a list of at least one.
fn texts(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let wanted = || format!("{name} is neither a text nor a list of texts");
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(list) if !list.is_empty() => {
            list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wanted)).collect()
        }
        _ => Err(wanted()),
    }
}

fn principals(statement: &Map<String, Value>, effect: Effect) -> Result<Principals, String> {
    match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (None, None) => Ok(Principals::Absent),
        (Some(value), None) => principal_list(value).map(Principals::Of),
        // IAM supports it with Deny only: allowing all but a few would let strangers in.
        (None, Some(_)) if effect == Effect::Allow => Err("NotPrincipal goes with Deny only".into()),
        (None, Some(value)) => principal_list(value).map(Principals::AllBut),
        (Some(_), Some(_)) => Err("Principal and NotPrincipal exclude each other".into()),
    }
}

fn principal_list(value: &Value) -> Result<Vec<Principal>, String> {
    let groups = match value {
        Value::String(text) if text == "*" => return Ok(vec![Principal::Everyone]),
        Value::Object(groups) if !groups.is_empty() => groups,
        _ => return Err("Principal is neither \"*\" nor an object".into()),
    };
    let mut list = Vec::new();
    for (kind, value) in groups {
        let names = texts(value, "Principal")?;
        match kind.as_str() {
            "AWS" => {
                for name in names {
                    list.push(aws_principal(&name)?);
                }
            }
            "Service" | "Federated" | "CanonicalUser" => list.push(Principal::Nobody),
            other => return Err(format!("Principal has an unknown kind {other:?}")),
        }
    }
    Ok(list)
}

fn aws_principal(name: &str) -> Result<Principal, String> {
    if name == "*" {
        return Ok(Principal::Everyone);
    }
    if let Ok(account) = name.parse() {
        return Ok(Principal::Account(account));
    }
    // What AWS shows in place of a role or user that was deleted after the policy was written.
    if ["AROA", "AIDA"].iter().any(|start| name.starts_with(start)) && !name.contains(':') {
        return Ok(Principal::Nobody);
    }
    let unknown = || format!("Principal {name:?} is neither an account, a role, a session nor a user");
    if name.contains(['*', '?']) {
        // A principal is a name, not a pattern; patterns go into a condition.
        return Err(format!("Principal {name:?} has a wildcard in it; use aws:PrincipalArn in a condition"));
    }
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let ["arn", _, service @ ("iam" | "sts"), "", account, resource] = parts.as_slice() else {
        return Err(unknown());
    };
    let account: AccountId = account.parse().map_err(|_| unknown())?;
    match (*service, resource.split_once('/')) {
        ("iam", None) if *resource == "root" => Ok(Principal::Account(account)),
        ("iam", Some(("role", _))) => Ok(Principal::Role(name.to_owned())),
        ("sts", Some(("assumed-role", session))) if session.contains('/') => {
            Ok(Principal::Session(name.to_owned()))
        }
        ("iam", Some(("user", _))) | ("sts", Some(("federated-user", _))) => Ok(Principal::Nobody),
        _ => Err(unknown()),
    }
}

fn conditions(value: Option<&Value>) -> Result<Vec<Condition>, String> {
    let operators = match value {
        None => return Ok(Vec::new()),
        Some(Value::Object(operators)) => operators,
        Some(_) => return Err("Condition is not an object".into()),
    };
    let mut list = Vec::new();
    for (operator, keys) in operators {
        let Value::Object(keys) = keys else {
            return Err(format!("Condition {operator} is not an object"));
        };
        for (key, value) in keys {
            list.push(Condition::parse(operator, key, scalars(value)?)?);
        }
    }
    Ok(list)
}

/// Condition values, which may also be written as booleans and numbers.
fn scalars(value: &Value) -> Result<Vec<String>, String> {
    let scalar = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err("a condition value is neither text, number nor boolean".to_owned()),
    };
    match value {
        Value::Array(list) => list.iter().map(scalar).collect(),
        single => scalar(single).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(element: &str) -> Result<Policy, String> {
        Policy::parse(&format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*",{element}}}}}"#
        ))
    }

    #[test]
    fn one_statement_or_a_list_reads_alike() {
        let one = r#"{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}"#;
        let single = Policy::parse(&format!(r#"{{"Id":"x","Statement":{one}}}"#)).unwrap();
        let list = Policy::parse(&format!(r#"{{"Statement":[{one}]}}"#)).unwrap();
        assert_eq!(single, list);
        assert!(single.names_principals() && !single.variables);
    }

    #[test]
    fn principals_are_told_apart() {
        for (written, wanted) in [
            (r#""*""#, Principal::Everyone),
            (r#"{"AWS":"*"}"#, Principal::Everyone),
            (r#"{"AWS":"012345678901"}"#, Principal::Account("012345678901".parse().unwrap())),
            (
                r#"{"AWS":["arn:aws:iam::012345678901:root"]}"#,
                Principal::Account("012345678901".parse().unwrap()),
            ),
            (
                r#"{"AWS":"arn:aws-cn:iam::012345678901:role/a/b"}"#,
                Principal::Role("arn:aws-cn:iam::012345678901:role/a/b".into()),
            ),
            (
                r#"{"AWS":"arn:aws:sts::012345678901:assumed-role/b/s"}"#,
                Principal::Session("arn:aws:sts::012345678901:assumed-role/b/s".into()),
            ),
            (r#"{"AWS":"AROAEXAMPLE"}"#, Principal::Nobody),
            (r#"{"AWS":"arn:aws:iam::012345678901:user/me"}"#, Principal::Nobody),
            (r#"{"Service":"ecs-tasks.amazonaws.com"}"#, Principal::Nobody),
            (r#"{"Federated":["cognito-identity.amazonaws.com"]}"#, Principal::Nobody),
        ] {
            let policy = with(&format!(r#""Principal":{written}"#)).unwrap();
            assert_eq!(policy.statements[0].principals, Principals::Of(vec![wanted]), "{written}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for bad in [
            r#""Principle":"*""#,
            r#""Principal":"me""#,
            r#""Principal":{"AWS":"me"}"#,
            r#""Principal":{"AWS":[]}"#,
            r#""Principal":{"AWS":"arn:aws:iam::012345678901:role/*"}"#,
            r#""Principal":{"Azure":"*"}"#,
            r#""Principal":"*","NotPrincipal":"*""#,
            r#""NotAction":"*""#,
            r#""NotResource":"*""#,
            r#""Sid":7"#,
            r#""Condition":[]"#,
            r#""Condition":{"StringEquals":"x"}"#,
            r#""Condition":{"StringSame":{"aws:a":"x"}}"#,
            r#""Condition":{"StringEquals":{"aws:a":{}}}"#,
        ] {
            assert!(with(bad).is_err(), "{bad}");
        }
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"Statement":7}"#,
            r#"{"Statement":[7]}"#,
            r#"{"Version":"2026-01-01","Statement":[]}"#,
            r#"{"Statements":[],"Statement":[]}"#,
            r#"{"Statement":{"Effect":"Maybe","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"Invoke","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"api/*"}}"#,
            r#"{"Statement":{"Effect":"Allow","NotPrincipal":"*","Action":"*","Resource":"*"}}"#,
        ] {
            assert!(Policy::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn condition_values_may_be_booleans_and_numbers() {
        assert!(
            with(r#""Condition":{"Bool":{"aws:SecureTransport":true},"NumericLessThan":{"aws:x":3}}"#)
                .is_ok()
        );
    }
}
