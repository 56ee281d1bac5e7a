//! A policy document, its sizes, and the limits of AWS that it must keep.

use serde_json::{Value, json};
use std::fmt;

/// The only version in which `${*}` is a literal star.
pub(super) const VERSION: &str = "2012-10-17";

/// Statements that make a document.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The statements, each with a `Sid`.
    pub statements: Vec<Value>,
}

impl Document {
    /// The whole document.
    #[must_use]
    pub fn to_value(&self) -> Value {
        json!({"Version": VERSION, "Statement": self.statements})
    }

    /// The `Sid` of each statement.
    pub fn sids(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().filter_map(|statement| statement["Sid"].as_str())
    }
}

/// How large a policy of its kind may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// 20,480 characters with white space, not adjustable (VPC user guide, "AWS PrivateLink quotas").
    Endpoint,
    /// 8,192, adjustable (API Gateway developer guide, quotas). Whether white space counts is not said, so it does here.
    Resource,
    /// 2,048 without white space, 4,096 after a raise (IAM user guide, "IAM and AWS STS quotas").
    Trust,
    /// 10,240 without white space for all inline policies of a role; a managed policy takes 6,144 (same page).
    Identity,
}

impl Limit {
    /// The most characters, and the most that a quota can be raised to or another way of attaching takes.
    #[must_use]
    pub const fn characters(self) -> usize {
        match self {
            Self::Endpoint => 20_480,
            Self::Resource => 8_192,
            Self::Trust => 2_048,
            Self::Identity => 10_240,
        }
    }

    const fn at_most(self) -> usize {
        match self {
            Self::Trust => 4_096,
            other => other.characters(),
        }
    }

    /// What counts of a document: characters as they are sent, or without white space.
    #[must_use]
    pub fn size(self, document: &Value) -> usize {
        self.printed(document).1
    }

    /// The text to print, and what counts of it: indented, unless white space counts and makes it too large.
    #[must_use]
    pub fn printed(self, document: &Value) -> (String, usize) {
        let (indented, compact) = (format!("{document:#}"), document.to_string());
        let (wide, narrow) = (indented.chars().count(), compact.chars().count());
        match self {
            Self::Trust | Self::Identity => (indented, narrow),
            Self::Endpoint | Self::Resource if wide <= self.characters() => (indented, wide),
            Self::Endpoint | Self::Resource => (compact, narrow),
        }
    }

    /// Checks a document's size.
    ///
    /// # Errors
    /// When AWS would refuse it; with the way out.
    pub fn check(self, document: &Value) -> Result<(), Refusal> {
        let size = self.size(document);
        if size <= self.at_most() {
            return Ok(());
        }
        let way_out = match self {
            Self::Endpoint => {
                "print the pattern form with --pattern, or give the roles one name (`defaults.role`)"
            }
            Self::Resource => {
                "probe fewer paths of this api or under fewer roles, or ask AWS to raise the quota and write the policy by hand"
            }
            Self::Trust => "let fewer configurations share the role, or shorten `external_id`",
            Self::Identity => {
                "put statements that are not ours into a managed policy of their own, or probe fewer paths"
            }
        };
        Err(Refusal::new(
            format!(
                "a policy of {} characters, and at most {} are allowed",
                grouped(size),
                grouped(self.at_most())
            ),
            way_out,
        ))
    }

    /// What to know about a size that is allowed.
    #[must_use]
    pub fn remark(self, size: usize) -> Option<String> {
        match self {
            Self::Trust if size > 2_048 => Some(
                "more than 2,048 characters need a raised quota (IAM, role trust policy length, up to 4,096)"
                    .to_owned(),
            ),
            Self::Identity if size > MANAGED => {
                Some("more than 6,144 characters fit an inline policy only, not a managed one".to_owned())
            }
            _ => None,
        }
    }
}

/// The most characters of a managed policy, without white space.
pub(super) const MANAGED: usize = 6_144;

/// One document, and where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Whom it is for: `vpc-endpoint`, `hub`, spokes, or apis as `spoke/api`. Several where they share one.
    pub keys: Vec<String>,
    /// Where it goes, in words that follow "for".
    pub goes_into: String,
    /// The statements.
    pub document: Document,
    /// How large it may be.
    pub limit: Limit,
    /// What to know before it is used.
    pub notes: Vec<String>,
    /// True when a word in capitals stands in it for a value that is not known or not shown.
    pub has_placeholder: bool,
    /// The apis, as `spoke/api`, that it names by such words: nobody said what stands behind their custom domain name.
    pub unknown_apis: Vec<String>,
}

/// Why something is not printed, and the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What is the matter.
    pub found: String,
    /// What to do.
    pub way_out: String,
}

impl Refusal {
    pub(super) fn new(found: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { found: found.into(), way_out: way_out.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.found, self.way_out)
    }
}

/// A number with its thousands set apart.
#[must_use]
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// One value alone, several as a list, as policies are written.
pub(super) fn one_or_more(mut values: Vec<String>) -> Value {
    if values.len() == 1 { Value::from(values.remove(0)) } else { Value::from(values) }
}
