//! Reading a policy that is in use, in any of the forms that AWS's tools print one in.

use super::document::Refusal;
use serde_json::{Map, Value};

/// A policy document that somebody else may have written: nothing of it is taken for granted but its frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Existing {
    /// The document, its `Statement` a list.
    pub(super) document: Map<String, Value>,
}

/// The members in which AWS's command line hands out documents.
const WRAPPERS: [&str; 4] = ["PolicyDocument", "AssumeRolePolicyDocument", "Document", "policy"];

impl Existing {
    /// Reads a text: a document, a document written as a JSON string (as API Gateway and VPC endpoints give theirs), or
    /// the answer of a command of the AWS CLI that holds one.
    ///
    /// # Errors
    /// When there is no document in it.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let way_out = "give the policy document alone, as JSON with `Statement`";
        let text = text.trim().trim_start_matches('\u{feff}');
        let parsed: Value = serde_json::from_str(text)
            // `--output text` gives API Gateway's with its quotes still escaped.
            .or_else(|error| serde_json::from_str(&format!("\"{text}\"")).map_err(|_| error))
            .map_err(|error| Refusal::new(format!("no JSON ({error})"), way_out))?;
        let mut document = unwrapped(parsed).ok_or_else(|| Refusal::new("no policy document", way_out))?;
        let statements = match document.get_mut("Statement").map(Value::take) {
            Some(Value::Array(statements)) => statements,
            Some(statement @ Value::Object(_)) => vec![statement],
            _ => return Err(Refusal::new("a policy whose `Statement` is no list", way_out)),
        };
        if !statements.iter().all(Value::is_object) {
            return Err(Refusal::new("a policy with a statement that is no object", way_out));
        }
        document.insert("Statement".to_owned(), Value::Array(statements));
        Ok(Self { document })
    }

    /// The statements.
    pub(super) fn statements(&self) -> &[Value] {
        self.document.get("Statement").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds the statements of another document, as all policies of a role count together.
    pub fn extend(&mut self, other: &Self) {
        let more = other.statements().to_vec();
        if let Some(Value::Array(statements)) = self.document.get_mut("Statement") {
            statements.extend(more);
        }
    }

    /// Whether `${…}` means something in it.
    pub(super) fn has_variables(&self) -> bool {
        self.document.get("Version").and_then(Value::as_str) == Some(super::document::VERSION)
    }
}

fn unwrapped(value: Value) -> Option<Map<String, Value>> {
    let mut value = value;
    // A string in an object in a list: no command nests deeper.
    for _ in 0..6 {
        value = match value {
            Value::String(text) => serde_json::from_str(&text).ok()?,
            Value::Object(object) if object.contains_key("Statement") => return Some(object),
            Value::Object(mut object) => {
                let name = WRAPPERS.into_iter().find(|name| object.contains_key(*name));
                match name {
                    Some(name) => object.remove(name)?,
                    // `get-role` and `describe-vpc-endpoints` put one thing around it.
                    None if object.len() == 1 => object.into_iter().next()?.1,
                    None => return None,
                }
            }
            Value::Array(mut list) if list.len() == 1 => list.remove(0),
            _ => return None,
        };
    }
    None
}

pub(super) fn is_ours(statement: &Value) -> bool {
    statement["Sid"].as_str().is_some_and(super::sids::is_ours)
}
