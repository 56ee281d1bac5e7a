//! `expect`: what the answer of a probe must be, or that it must be refused.

use crate::config::keys::{Key, Section, Shape};
use crate::config::reader::{Fields, Value, quoted};
use crate::config::shapes;
use crate::domain::expectation::{Expectation, ExpectedRefusal};
use crate::domain::outcome::Reason;
use crate::yaml::nearest;
use http::HeaderName;

/// The reasons that can be expected: those of policies, and the two that the design lets one name although
/// alone they prove nothing.
const DENIED_BY: [&str; 13] = [
    "vpc_endpoint_policy",
    "resource_policy",
    "resource_or_identity_policy",
    "identity_policy",
    "session_policy",
    "permissions_boundary",
    "service_control_policy",
    "resource_control_policy",
    "unattributed_policy",
    "lambda_authorizer",
    "unauthorized",
    "forbidden",
    "missing_authentication_token",
];

pub(crate) static EXPECT: Section = Section {
    about: "What the answer must be. Without it: any 2xx.",
    keys: &[
        Key::optional("status", Shape::OneOrMore(&shapes::STATUS), "200", "The status, or a list of them."),
        Key::optional(
            "json",
            Shape::Json,
            "",
            "JSON that the body must contain: objects by key, lists from their beginning, all else equal.",
        ),
        Key::optional("body", shapes::BODY, "ready", "A text that the body must contain."),
        Key::optional(
            "headers",
            Shape::Map(&shapes::HEADER_VALUE),
            "",
            "Headers that must have exactly this value.",
        ),
        Key::optional("within", shapes::TIMEOUT, "2s", "The longest time from due to the last byte."),
        Key::optional("denied", Shape::Bool, "true", "true makes the probe a guard: any policy must refuse."),
        Key::optional(
            "denied_by",
            Shape::OneOrMore(&Shape::Word(&DENIED_BY)),
            "vpc_endpoint_policy",
            "Makes the probe a guard: one of these must refuse.",
        ),
    ],
};

/// Reads the section.
pub(crate) fn read(value: &Value<'_>) -> Option<Expectation> {
    let fields = value.fields(&EXPECT)?;
    let refusal = read_refusal(&fields);
    let status = fields.get("status").map(|v| read_statuses(&v)).unwrap_or_default();
    let json = fields.get("json").and_then(|v| v.json()).map(|(value, _)| value);
    let body = fields.get("body").and_then(|v| v.text("a text")).map(|text| text.text);
    let headers = fields.get("headers").map(|v| read_headers(&v)).unwrap_or_default();
    let within = fields.get("within").and_then(|v| v.duration("100ms", "5m"));
    let guard = fields.has("denied") || fields.has("denied_by");
    for key in ["status", "json", "body", "headers"] {
        if let Some(at) = fields.get(key).filter(|_| guard) {
            let wanted = "either a refusal or an answer";
            at.problem::<()>(format!("`{key}` beside `denied` or `denied_by`"), wanted, None);
        }
    }
    Some(Expectation { status, json, body, headers, within, refusal })
}

fn read_refusal(fields: &Fields<'_>) -> Option<ExpectedRefusal> {
    match (fields.get("denied"), fields.get("denied_by")) {
        (Some(denied), Some(_)) => denied.problem("both `denied` and `denied_by`", "one of them", None),
        (Some(denied), None) => match denied.boolean()? {
            true => Some(ExpectedRefusal::AnyPolicy),
            false => denied.refuse("true", Some("a probe without `denied` expects to be let in")),
        },
        (None, Some(by)) => {
            let mut reasons: Vec<Reason> = Vec::new();
            for item in by.one_or_more() {
                match read_reason(&item) {
                    Some(reason) if reasons.contains(&reason) => {
                        item.problem::<()>(format!("`{reason}` again"), "each reason once", None);
                    }
                    Some(reason) => reasons.push(reason),
                    None => {}
                }
            }
            if reasons.is_empty() && by.is_list() && by.items("a list").is_some_and(|items| items.is_empty())
            {
                return by.problem("an empty list", "at least one reason", None);
            }
            Some(ExpectedRefusal::By(reasons))
        }
        (None, None) => None,
    }
}

fn read_reason(value: &Value<'_>) -> Option<Reason> {
    let text = value.text("a reason")?.text;
    if let Some(reason) = DENIED_BY.iter().find(|word| **word == text).and_then(|word| word.parse().ok()) {
        return Some(reason);
    }
    let hint = match text.parse::<Reason>() {
        Ok(_) => Some("it does not prove a closed door".to_owned()),
        Err(_) => nearest(&text, DENIED_BY).map(|word| format!("did you mean `{word}`?")),
    };
    value.refuse(format!("one of {}", DENIED_BY.join(", ")), hint.as_deref())
}

fn read_statuses(value: &Value<'_>) -> Vec<u16> {
    let items = value.one_or_more();
    if items.is_empty() {
        value.problem::<()>("an empty list", "at least one status", None);
    }
    let statuses = items.iter().filter_map(|item| item.integer(100, 599));
    statuses.filter_map(|status| u16::try_from(status).ok()).collect()
}

fn read_headers(value: &Value<'_>) -> Vec<(String, String)> {
    let entries = value.entries("a map of headers").unwrap_or_default();
    let read = entries.iter().filter_map(|(key, header)| {
        let name = match key.parse::<HeaderName>() {
            Ok(name) => Some(name.as_str().to_owned()),
            Err(_) => header.problem(
                format!("the header name {}", quoted(key)),
                "a header name such as content-type",
                None,
            ),
        };
        Some((name, header.text("a text")?.text))
    });
    read.filter_map(|(name, text)| Some((name?, text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_reason_can_be_expected() {
        for reason in Reason::ALL.iter().filter(|reason| reason.is_policy()) {
            assert!(DENIED_BY.contains(&reason.as_str()), "{reason}");
        }
    }
}
