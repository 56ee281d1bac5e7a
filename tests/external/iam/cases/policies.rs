//! Random policy documents. They are about the request more often than not, or every case would be a denial.

use crate::conditions::conditions;
use crate::random::Random;
use crate::{HUB, SPOKE, STRANGER};
use serde_json::{Map, Value, json};

/// Where a policy is attached, which decides what may stand in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// An identity policy: incomplete ARNs are completed.
    Identity,
    /// A boundary, a session policy or a service control policy.
    Attached,
    /// An API's resource policy or a role's trust policy.
    Far,
    /// The policy of the VPC endpoint.
    Endpoint,
}

/// A document with one to three statements.
pub(crate) fn policy(place: Place, assume: bool, random: &mut Random) -> Value {
    // Most policies begin with a statement that lets much in, so that the others matter.
    let mut statements = vec![statement(place, assume, true, random)];
    while statements.len() < 4 && random.chance(35) {
        statements.push(statement(place, assume, false, random));
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn statement(place: Place, assume: bool, first: bool, random: &mut Random) -> Value {
    let deny = random.chance(if first { 10 } else { 45 });
    let mut statement = Map::new();
    statement.insert("Effect".into(), json!(if deny { "Deny" } else { "Allow" }));
    if matches!(place, Place::Far | Place::Endpoint) {
        // A trust policy cannot have NotPrincipal, nor can a statement that allows.
        if deny && !assume && random.chance(35) {
            statement.insert("NotPrincipal".into(), not_principal(random));
        } else {
            statement.insert("Principal".into(), principal(random));
        }
    }
    element(&mut statement, "Action", random, |random| action(assume, random));
    if !(assume && place == Place::Far) {
        element(&mut statement, "Resource", random, |random| resource(place, assume, random));
    }
    if let Some(conditions) = conditions(assume, random.chance(if deny { 85 } else { 40 }), random) {
        statement.insert("Condition".into(), conditions);
    }
    Value::Object(statement)
}

/// An element with one value or a list, or now and then its `Not…` form.
fn element(
    statement: &mut Map<String, Value>,
    name: &str,
    random: &mut Random,
    mut value: impl FnMut(&mut Random) -> String,
) {
    let name = if random.chance(10) { format!("Not{name}") } else { name.to_owned() };
    let values = if random.chance(25) { json!([value(random), value(random)]) } else { json!(value(random)) };
    statement.insert(name, values);
}

fn action(assume: bool, random: &mut Random) -> String {
    let list: &[&str] = if assume {
        &["sts:AssumeRole", "sts:AssumeRole", "sts:*", "sts:Assume*", "STS:assumerole", "sts:TagSession", "*"]
    } else {
        &[
            "execute-api:Invoke",
            "execute-api:Invoke",
            "execute-api:*",
            "execute-api:Inv*",
            "execute-api:I?voke",
            "Execute-API:invoke",
            "execute-api:ManageConnections",
            "s3:*",
            "*",
        ]
    };
    // Trust policies take actions of STS only, so a lone star is left to the others.
    random.pick(list).to_owned()
}

fn resource(place: Place, assume: bool, random: &mut Random) -> String {
    if assume {
        return random
            .pick(&[
                "*",
                "arn:aws:iam::222222222222:role/team/probe",
                "arn:aws:iam::*:role/team/*",
                "arn:aws:iam::222222222222:role/*",
                "arn:aws:iam::333333333333:role/*",
                "arn:aws:iam::222222222222:role/team/prob?",
            ])
            .to_owned();
    }
    if place == Place::Far && random.chance(35) {
        return random
            .pick(&[
                "execute-api:/*",
                "execute-api:/*",
                "execute-api:/prod/GET/*",
                "execute-api:/prod/POST/*",
            ])
            .to_owned();
    }
    if place != Place::Attached && random.chance(6) {
        return random
            .pick(&[
                "arn:aws:execute-api",
                "arn:aws:execute-api:*",
                "arn:aws:execute-api:eu-west-1:222222222222",
            ])
            .to_owned();
    }
    if random.chance(6) {
        // The value of a tag as a part of the path: sometimes there is no tag.
        return "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/GET/${aws:PrincipalTag/team}*"
            .to_owned();
    }
    random
        .pick(&[
            "*",
            "*",
            "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/*",
            "arn:aws:execute-api:*:*:*",
            "arn:aws:execute-api:*:222222222222:a1b2c3d4e5/prod/*",
            "arn:aws:execute-api:eu-west-1:*:*/prod/GET/*",
            "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/*/GET/*",
            "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/GET/orders",
            "arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/prod/GET/orders/?",
            "arn:aws:execute-api:eu-central-1:222222222222:a1b2c3d4e5/*",
            "arn:aws:execute-api:eu-west-1:333333333333:a1b2c3d4e5/*",
            "arn:aws:execute-api:eu-west-1:222222222222:zzzzzzzzzz/*",
        ])
        .to_owned()
}

/// Roles with their paths. A name occurs once in an account, whatever its path.
pub(crate) const ROLES: &[&str] = &["team/probe", "team/probe", "reader", "writer"];

fn aws_principal(random: &mut Random) -> String {
    let account = random.pick(&[SPOKE, SPOKE, HUB, HUB, STRANGER]);
    let role = random.pick(ROLES);
    let name = role.rsplit('/').next().unwrap_or_default();
    match random.pick(&[0, 0, 1, 2, 2, 3, 4]) {
        0 => "*".to_owned(),
        1 => account.to_owned(),
        2 => format!("arn:aws:iam::{account}:role/{role}"),
        3 => format!("arn:aws:sts::{account}:assumed-role/{name}/{}", random.pick(&["run-1", "run-2"])),
        _ => format!("arn:aws:iam::{account}:root"),
    }
}

fn principal(random: &mut Random) -> Value {
    match random.pick(&[0, 0, 0, 1, 1, 1, 2, 2, 3]) {
        0 => json!("*"),
        1 => json!({ "AWS": aws_principal(random) }),
        2 => json!({ "AWS": [aws_principal(random), aws_principal(random)] }),
        _ => json!({ "Service": "apigateway.amazonaws.com" }),
    }
}

/// Either a few names, or what AWS asks for: the account, the role and the session, all three.
fn not_principal(random: &mut Random) -> Value {
    if random.chance(40) {
        return json!({ "AWS": [aws_principal(random), aws_principal(random)] });
    }
    let account = random.pick(&[SPOKE, HUB]);
    let role = random.pick(ROLES);
    let name = role.rsplit('/').next().unwrap_or_default();
    json!({ "AWS": [
        format!("arn:aws:iam::{account}:root"),
        format!("arn:aws:iam::{account}:role/{role}"),
        format!("arn:aws:sts::{account}:assumed-role/{name}/run-1"),
        format!("arn:aws:sts::{account}:assumed-role/{name}/run-2"),
    ] })
}
