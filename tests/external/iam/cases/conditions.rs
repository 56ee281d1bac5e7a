//! Random conditions over the keys that policies on this path use.

use crate::random::Random;
use serde_json::{Map, Value, json};

/// A key with values that a policy may ask for: some fit some requests.
const TEXTS: &[(&str, &[&str])] = &[
    ("aws:PrincipalOrgID", &["o-a1b2c3d4e5", "o-a1b2c3d4e5", "o-z9y8x7w6v5"]),
    ("aws:PrincipalAccount", &["222222222222", "111111111111", "anonymous"]),
    ("aws:SourceVpce", &["vpce-0a1", "vpce-0a2"]),
    ("aws:SourceVpc", &["vpc-1", "vpc-2"]),
    ("aws:PrincipalTag/team", &["payments", "orders", "Payments"]),
    ("aws:principaltag/team", &["payments"]),
    ("aws:PrincipalType", &["AssumedRole", "User"]),
];
const PATTERNS: &[(&str, &[&str])] = &[
    ("aws:PrincipalOrgID", &["o-a1*", "o-z*", "*"]),
    ("aws:SourceVpce", &["vpce-*", "vpce-0a?", "vpce-0b*"]),
    ("aws:PrincipalTag/team", &["pay*", "*s", "?rders", "${aws:PrincipalTag/team}"]),
    ("aws:PrincipalArn", &["arn:aws:iam::222222222222:role/*", "*:role/team/*", "*reader"]),
    ("aws:SourceVpc", &["${aws:PrincipalTag/network}", "vpc-?"]),
];
const ARNS: &[&str] = &[
    "arn:aws:iam::222222222222:role/probe",
    "arn:aws:iam::222222222222:role/team/probe",
    "arn:aws:iam::*:role/team/*",
    "arn:aws:iam::111111111111:role/*",
    "arn:aws:iam::*:role/reader",
    "arn:aws:iam::222222222222:role/${aws:PrincipalTag/team}",
];
const NETWORKS: &[&str] =
    &["10.0.0.0/16", "10.1.0.0/24", "10.0.1.17", "0.0.0.0/0", "fd00::/8", "192.168.0.0/16"];

/// The `Condition` element, if there is to be one.
pub(crate) fn conditions(assume: bool, wanted: bool, random: &mut Random) -> Option<Value> {
    let mut operators = Map::new();
    let mut more = wanted;
    while more {
        let (operator, key, values) = one(assume, random);
        let keys = operators.entry(operator).or_insert_with(|| json!({}));
        if let Value::Object(keys) = keys
            // Two spellings of one key would be one condition too many.
            && !keys.keys().any(|known| known.eq_ignore_ascii_case(&key))
        {
            keys.insert(key, values);
        }
        more = operators.len() < 3 && random.chance(30);
    }
    (!operators.is_empty()).then_some(Value::Object(operators))
}

fn one(assume: bool, random: &mut Random) -> (String, String, Value) {
    let values = |list: &[&str], random: &mut Random| match random.chance(25) {
        true => json!([random.pick(list), random.pick(list)]),
        false => json!(random.pick(list)),
    };
    let if_exists = |operator: &str, random: &mut Random| match random.chance(25) {
        true => format!("{operator}IfExists"),
        false => operator.to_owned(),
    };
    if assume && random.chance(45) {
        if random.chance(20) {
            let operator = random.pick(&[
                "ForAnyValue:StringEquals",
                "ForAllValues:StringEquals",
                "ForAllValues:StringLike",
                "ForAnyValue:StringLike",
                "ForAllValues:StringNotEquals",
                "ForAnyValue:StringNotEquals",
            ]);
            return (operator.into(), "aws:TagKeys".into(), values(&["team", "env", "t*", "cost"], random));
        }
        let operator = random.pick(&["StringEquals", "StringEquals", "StringNotEquals", "StringLike"]);
        let external = values(&["spokeprobe-payments", "spokeprobe-payments", "spokeprobe-*"], random);
        return (if_exists(operator, random), "sts:ExternalId".into(), external);
    }
    match random.pick(&[0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 5, 5, 6]) {
        0 => {
            let (key, list) = random.pick(TEXTS);
            let operator = random.pick(&[
                "StringEquals",
                "StringEquals",
                "StringNotEquals",
                "StringEqualsIgnoreCase",
                "StringNotEqualsIgnoreCase",
            ]);
            (if_exists(operator, random), key.into(), values(list, random))
        }
        1 => {
            let (key, list) = random.pick(PATTERNS);
            let operator = random.pick(&["StringLike", "StringLike", "StringNotLike"]);
            (if_exists(operator, random), key.into(), values(list, random))
        }
        2 => {
            let operator = random.pick(&["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"]);
            (if_exists(operator, random), "aws:PrincipalArn".into(), values(ARNS, random))
        }
        3 => {
            let key =
                random.pick(&["aws:SecureTransport", "aws:SecureTransport", "aws:PrincipalIsAWSService"]);
            (if_exists("Bool", random), key.into(), json!(random.pick(&["true", "false"])))
        }
        4 => {
            let key = random.pick(&[
                "aws:PrincipalOrgID",
                "aws:SourceVpce",
                "aws:PrincipalTag/team",
                "aws:PrincipalArn",
                "aws:VpcSourceIp",
            ]);
            ("Null".into(), key.into(), json!(random.pick(&["true", "false"])))
        }
        5 => {
            let operator = random.pick(&["IpAddress", "NotIpAddress"]);
            (if_exists(operator, random), "aws:VpcSourceIp".into(), values(NETWORKS, random))
        }
        _ => {
            let operator = random.pick(&[
                "DateLessThan",
                "DateGreaterThan",
                "DateGreaterThanEquals",
                "DateLessThanEquals",
            ]);
            let days = ["2026-11-21T19:25:00Z", "2026-12-01T00:00:00Z", "2025-01-01T00:00:00Z"];
            (if_exists(operator, random), "aws:CurrentTime".into(), json!(random.pick(&days)))
        }
    }
}
