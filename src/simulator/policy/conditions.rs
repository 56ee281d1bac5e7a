//! The `Condition` element: operators, their qualifiers, and what a missing key means.
//!
//! `document` parses with `Condition::parse`; `evaluate` asks `Condition::holds` with the request's keys.
//! Source: IAM user guide, "IAM JSON policy elements: Condition operators" and "Multivalued context keys".

use super::matching::{Keys, arn_fits, expand, fits, literal_text};
use ipnet::IpNet;
use std::net::IpAddr;

/// One operator over one key. All conditions of a statement must hold.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    comparison: Comparison,
    /// True for `…Not…`: no value may match.
    negated: bool,
    /// True for `…IfExists`: holds when the key is missing.
    if_exists: bool,
    quantifier: Quantifier,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Text,
    TextIgnoringCase,
    Pattern,
    Arn,
    Bool,
    Ip,
    Null,
    Number(Order),
    Date(Order),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd + Copy>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    One,
    ForAny,
    ForAll,
}

impl Condition {
    /// Reads one operator with one key.
    pub(super) fn parse(operator: &str, key: &str, values: Vec<String>) -> Result<Self, String> {
        let (quantifier, name) = match operator.split_once(':') {
            Some(("ForAnyValue", name)) => (Quantifier::ForAny, name),
            Some(("ForAllValues", name)) => (Quantifier::ForAll, name),
            Some(_) => return Err(format!("unknown condition operator {operator:?}")),
            None => (Quantifier::One, operator),
        };
        let (name, if_exists) = match name.strip_suffix("IfExists") {
            // `Null` already asks whether the key exists, so it has no such form.
            Some("Null") => return Err(format!("unknown condition operator {operator:?}")),
            Some(name) => (name, true),
            None => (name, false),
        };
        let (comparison, negated) =
            comparison(name).ok_or_else(|| format!("unknown condition operator {operator:?}"))?;
        if !key.contains(':') {
            return Err(format!("condition key {key:?} has no service prefix such as aws:"));
        }
        if values.is_empty() {
            return Err(format!("condition {operator} {key} has no value"));
        }
        for value in &values {
            let readable = match comparison {
                Comparison::Bool | Comparison::Null => bool_value(value).is_some() || value.contains("${"),
                Comparison::Ip => network(value).is_some(),
                Comparison::Number(_) => number(value).is_some(),
                Comparison::Date(_) => epoch_seconds(value).is_some(),
                _ => true,
            };
            if !readable {
                return Err(format!("condition {operator} {key} cannot take the value {value:?}"));
            }
        }
        Ok(Self { comparison, negated, if_exists, quantifier, key: key.to_owned(), values })
    }

    /// Whether the condition holds for a request. `variables` is false for policies of version 2008-10-17.
    pub(super) fn holds(&self, keys: &Keys, variables: bool) -> bool {
        let given = keys.get(&self.key);
        if self.comparison == Comparison::Null {
            return self.values.iter().any(|value| bool_value(value) == Some(given.is_none()));
        }
        let Some(given) = given else {
            return match self.quantifier {
                _ if self.if_exists => true,
                Quantifier::ForAll => true,
                Quantifier::ForAny => false,
                // A request without the key is not the named value: "StringNotEquals" holds. This is what
                // makes a deny on `aws:SourceVpce` hit every caller from outside.
                Quantifier::One => self.negated,
            };
        };
        let matches =
            |value: &String| self.values.iter().any(|wanted| self.matches(wanted, value, keys, variables));
        match (self.quantifier, self.negated) {
            (Quantifier::One, false) | (Quantifier::ForAny, false) => given.iter().any(matches),
            (Quantifier::One, true) | (Quantifier::ForAll, true) => !given.iter().any(matches),
            (Quantifier::ForAny, true) => given.iter().any(|value| !matches(value)),
            (Quantifier::ForAll, false) => given.iter().all(matches),
        }
    }

    /// Whether one value of the request matches one value of the policy, before any negation.
    fn matches(&self, wanted: &str, given: &str, keys: &Keys, variables: bool) -> bool {
        let Some(pattern) = expand(wanted, keys, variables) else { return false };
        match self.comparison {
            Comparison::Text => literal_text(&pattern) == given,
            // IAM compares ASCII names and ids; folding beyond ASCII is left out on purpose.
            Comparison::TextIgnoringCase => literal_text(&pattern).eq_ignore_ascii_case(given),
            Comparison::Pattern => fits(&pattern, given),
            Comparison::Arn => arn_fits(&pattern, given),
            Comparison::Bool => {
                bool_value(given).is_some_and(|given| bool_value(&literal_text(&pattern)) == Some(given))
            }
            Comparison::Ip => match (network(wanted), given.parse::<IpAddr>()) {
                (Some(network), Ok(address)) => network.contains(&address),
                _ => false,
            },
            Comparison::Number(order) => {
                number(given).zip(number(wanted)).is_some_and(|(given, wanted)| order.holds(given, wanted))
            }
            Comparison::Date(order) => epoch_seconds(given)
                .zip(epoch_seconds(wanted))
                .is_some_and(|(given, wanted)| order.holds(given, wanted)),
            // Answered above: it looks at the key, not at values.
            Comparison::Null => false,
        }
    }
}

/// The comparison of an operator, and whether it is negated. `Binary*` is left out: nothing on the path to
/// a private API has a binary key.
fn comparison(name: &str) -> Option<(Comparison, bool)> {
    Some(match name {
        "StringEquals" => (Comparison::Text, false),
        "StringNotEquals" => (Comparison::Text, true),
        "StringEqualsIgnoreCase" => (Comparison::TextIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => (Comparison::TextIgnoringCase, true),
        "StringLike" => (Comparison::Pattern, false),
        "StringNotLike" => (Comparison::Pattern, true),
        // The two names of the ARN operators mean the same: wildcards work in both.
        "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
        "Bool" => (Comparison::Bool, false),
        "IpAddress" => (Comparison::Ip, false),
        "NotIpAddress" => (Comparison::Ip, true),
        "Null" => (Comparison::Null, false),
        "NumericEquals" => (Comparison::Number(Order::Equal), false),
        "NumericNotEquals" => (Comparison::Number(Order::Equal), true),
        "NumericLessThan" => (Comparison::Number(Order::Less), false),
        "NumericLessThanEquals" => (Comparison::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => (Comparison::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => (Comparison::Number(Order::GreaterOrEqual), false),
        "DateEquals" => (Comparison::Date(Order::Equal), false),
        "DateNotEquals" => (Comparison::Date(Order::Equal), true),
        "DateLessThan" => (Comparison::Date(Order::Less), false),
        "DateLessThanEquals" => (Comparison::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => (Comparison::Date(Order::Greater), false),
        "DateGreaterThanEquals" => (Comparison::Date(Order::GreaterOrEqual), false),
        _ => return None,
    })
}

fn bool_value(text: &str) -> Option<bool> {
    if text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// A date as seconds since 1970: written as such, as a day, or as a time with its offset (W3C profile of
/// ISO 8601, which is what IAM takes).
fn epoch_seconds(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_second());
    }
    let day: jiff::civil::Date = text.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        let mut keys = Keys::default();
        for (key, values) in [
            ("aws:SourceVpce", vec!["vpce-0a"]),
            ("aws:PrincipalArn", vec!["arn:aws:iam::111122223333:role/probe"]),
            ("aws:PrincipalTag/team", vec!["Payments"]),
            ("aws:VpcSourceIp", vec!["10.0.1.17"]),
            ("aws:MultiFactorAuthPresent", vec!["true"]),
            ("aws:CurrentTime", vec!["2026-11-21T19:25:00Z"]),
            ("aws:MultiFactorAuthAge", vec!["300"]),
            ("aws:TagKeys", vec!["team", "env"]),
        ] {
            keys.set(key, values.into_iter().map(str::to_owned).collect());
        }
        keys
    }

    fn holds(operator: &str, key: &str, values: &[&str]) -> bool {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        Condition::parse(operator, key, values).unwrap().holds(&keys(), true)
    }

    #[test]
    fn every_operator_says_yes_and_no() {
        for (operator, key, yes, no) in [
            ("StringEquals", "aws:SourceVpce", "vpce-0a", "vpce-0*"),
            ("StringNotEquals", "aws:SourceVpce", "vpce-0b", "vpce-0a"),
            ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", "payments", "orders"),
            ("StringNotEqualsIgnoreCase", "aws:PrincipalTag/team", "orders", "payments"),
            ("StringLike", "aws:SourceVpce", "vpce-*", "vpc-*"),
            ("StringNotLike", "aws:SourceVpce", "vpc-*", "vpce-*"),
            ("ArnEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/probe", "arn:aws:iam::*:role/other"),
            ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/pro*", "arn:aws:iam::*"),
            ("ArnNotEquals", "aws:PrincipalArn", "arn:aws:iam::*:role/other", "arn:aws:iam::*:role/probe"),
            ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/o*", "arn:aws:iam::*:role/p*"),
            ("Bool", "aws:MultiFactorAuthPresent", "TRUE", "false"),
            ("IpAddress", "aws:VpcSourceIp", "10.0.0.0/16", "10.1.0.0/16"),
            ("NotIpAddress", "aws:VpcSourceIp", "fd00::/8", "10.0.1.17"),
            ("Null", "aws:SourceVpce", "false", "true"),
            ("Null", "aws:SourceVpc", "true", "false"),
            ("NumericEquals", "aws:MultiFactorAuthAge", "300.0", "301"),
            ("NumericNotEquals", "aws:MultiFactorAuthAge", "301", "300"),
            ("NumericLessThan", "aws:MultiFactorAuthAge", "301", "300"),
            ("NumericLessThanEquals", "aws:MultiFactorAuthAge", "300", "299"),
            ("NumericGreaterThan", "aws:MultiFactorAuthAge", "299", "300"),
            ("NumericGreaterThanEquals", "aws:MultiFactorAuthAge", "300", "301"),
            ("DateEquals", "aws:CurrentTime", "2026-11-21T20:25:00+01:00", "2026-11-21"),
            ("DateNotEquals", "aws:CurrentTime", "2026-11-21", "2026-11-21T19:25:00Z"),
            ("DateLessThan", "aws:CurrentTime", "2026-11-22", "2026-11-21"),
            ("DateLessThanEquals", "aws:CurrentTime", "2026-11-21T19:25:00Z", "2026-11-21"),
            ("DateGreaterThan", "aws:CurrentTime", "1000000000", "2026-11-22"),
            ("DateGreaterThanEquals", "aws:CurrentTime", "2026-11-21T19:25:00Z", "2026-11-22"),
            ("StringEquals", "aws:PrincipalTag/Team", "${aws:PrincipalTag/team}", "${aws:PrincipalTag/none}"),
            ("ForAnyValue:StringEquals", "aws:TagKeys", "env", "cost"),
            ("ForAllValues:StringLike", "aws:TagKeys", "*e*", "t*"),
            ("ForAnyValue:StringNotEquals", "aws:TagKeys", "env", "cost*${nothing}"),
            ("ForAllValues:StringNotEquals", "aws:TagKeys", "cost", "env"),
        ] {
            assert!(holds(operator, key, &[yes]), "{operator} {key} {yes}");
            if !operator.starts_with("ForAnyValue:StringNot") {
                assert!(!holds(operator, key, &[no]), "{operator} {key} {no}");
            }
        }
        assert!(!holds("ForAnyValue:StringNotEquals", "aws:TagKeys", &["env", "team"]));
    }

    #[test]
    fn several_values_are_or_and_for_negated_operators_nor() {
        assert!(holds("StringEquals", "aws:SourceVpce", &["vpce-0b", "vpce-0a"]));
        assert!(!holds("StringNotEquals", "aws:SourceVpce", &["vpce-0b", "vpce-0a"]));
        assert!(holds("ForAllValues:StringEquals", "aws:TagKeys", &["env", "team", "x"]));
    }

    #[test]
    fn a_missing_key_fails_positive_operators_and_meets_negated_ones() {
        for (operator, value, wanted) in [
            ("StringEquals", "o-1", false),
            ("StringLike", "*", false),
            ("ArnLike", "arn:aws:iam::*:role/*", false),
            ("Bool", "false", false),
            ("IpAddress", "0.0.0.0/0", false),
            ("NumericLessThan", "1", false),
            ("StringNotEquals", "o-1", true),
            ("StringNotEqualsIgnoreCase", "o-1", true),
            ("StringNotLike", "*", true),
            ("ArnNotLike", "arn:aws:iam::*:role/*", true),
            ("NotIpAddress", "0.0.0.0/0", true),
            ("StringEqualsIfExists", "o-1", true),
            ("ArnLikeIfExists", "arn:aws:iam::*:role/*", true),
            ("BoolIfExists", "true", true),
            ("ForAnyValue:StringEquals", "o-1", false),
            ("ForAnyValue:StringNotEquals", "o-1", false),
            ("ForAllValues:StringEquals", "o-1", true),
            ("ForAnyValue:StringLikeIfExists", "o-1", true),
        ] {
            assert_eq!(holds(operator, "aws:PrincipalOrgID", &[value]), wanted, "{operator}");
        }
    }

    #[test]
    fn what_is_unknown_or_unreadable_is_an_error() {
        for (operator, key, value) in [
            ("StringIs", "aws:a", "x"),
            ("stringequals", "aws:a", "x"),
            ("ForSomeValue:StringEquals", "aws:a", "x"),
            ("NullIfExists", "aws:a", "true"),
            ("BinaryEquals", "aws:a", "eA=="),
            ("StringEquals", "a", "x"),
            ("IpAddress", "aws:a", "10.0.0.0/40"),
            ("Bool", "aws:a", "yes"),
            ("NumericEquals", "aws:a", "ten"),
            ("DateEquals", "aws:a", "tomorrow"),
        ] {
            assert!(Condition::parse(operator, key, vec![value.into()]).is_err(), "{operator} {value}");
        }
        assert!(Condition::parse("StringEquals", "aws:a", vec![]).is_err());
    }
}
