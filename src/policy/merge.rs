//! Our statements put into a policy that is in use: by `Sid`, nobody else's touched.

use super::document::{Document, Limit, Policy, Refusal};
use super::existing::{Existing, is_ours};
use serde_json::Value;

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The whole document.
    pub document: Value,
    /// Our statements that were not there.
    pub added: Vec<String>,
    /// Those that were there and differed.
    pub replaced: Vec<String>,
    /// Statements with a `Sid` like ours that follow from nothing in this configuration: kept.
    pub left_over: Vec<String>,
}

/// Puts the statements of a policy into an existing document.
///
/// # Errors
/// When the policy is not complete, the result is too large, or the document's version would change what ours mean.
pub fn merge(existing: &Existing, policy: &Policy) -> Result<Merged, Refusal> {
    if let [first, ..] = policy.unknown_apis.as_slice() {
        return Err(Refusal::new(
            format!(
                "a policy with words that stand for what is behind the custom domain name of {}",
                policy.unknown_apis.join(", ")
            ),
            format!(
                "say it with --behind {first}=ID/STAGE, such as --behind {first}=a1b2c3d4e5/live, once for each"
            ),
        ));
    }
    if policy.has_placeholder {
        return Err(Refusal::new(
            "a policy with words that stand for what is not known or not shown",
            "print it without --merge, fill the words in, and add its statements by hand",
        ));
    }
    let ours: &Document = &policy.document;
    if !existing.has_variables() && ours.to_value().to_string().contains("${") {
        return Err(Refusal::new(
            "a document of another version than 2012-10-17, in which ${*} is no literal star",
            "set its Version to 2012-10-17, if no statement in it has ${ in a text",
        ));
    }
    let mut statements = existing.statements().to_vec();
    let (mut added, mut replaced) = (Vec::new(), Vec::new());
    for statement in &ours.statements {
        let sid = statement["Sid"].as_str().unwrap_or_default().to_owned();
        match statements.iter_mut().find(|other| other["Sid"] == statement["Sid"]) {
            Some(other) if other == statement => {}
            Some(other) => {
                *other = statement.clone();
                replaced.push(sid);
            }
            None => {
                statements.push(statement.clone());
                added.push(sid);
            }
        }
    }
    let known: Vec<&str> = ours.sids().collect();
    let left_over = statements
        .iter()
        .filter(|statement| is_ours(statement))
        .filter_map(|statement| statement["Sid"].as_str())
        .filter(|sid| !known.contains(sid))
        .map(str::to_owned)
        .collect();
    let mut document = existing.document.clone();
    document.insert("Statement".to_owned(), Value::Array(statements));
    let document = Value::Object(document);
    let limit: Limit = policy.limit;
    limit.check(&document)?;
    Ok(Merged { document, added, replaced, left_over })
}
