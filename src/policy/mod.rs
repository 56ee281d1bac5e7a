//! The least-privilege policies that a configuration implies, as statements to add to what is there. Pure.
//!
//! `subject` reads from a plan who must be let in where (and who must not); `gateway` writes that down for the shared
//! endpoint and for the apis, `roles` for the roles of the spokes and of the hub, whose trust is in `trust`; `document` knows sizes and limits.
//! `existing` reads a policy that is in use, `merge` puts ours into it, `compare` says what it lacks or allows too much,
//! `remarks` what statements of others do to ours.
//!
//! No statement denies anything, and each has a `Sid` of its own that begins with `Spokeprobe` and follows from names
//! alone, so that a later run replaces its own statements and nobody else's. Roles are named by a condition on
//! `aws:PrincipalArn`: a principal that names a role is stored as the role's unique id and stops matching when the role
//! is made again (IAM user guide, "AWS JSON policy elements: Principal").

mod arns;
mod compare;
mod document;
mod existing;
mod gateway;
mod merge;
mod remarks;
mod roles;
mod sids;
mod subject;
#[cfg(test)]
mod tests;
mod trust;
mod warnings;

pub use compare::{Comparison, Finding, compare};
pub use document::{Document, Limit, Policy, Refusal, grouped};
pub use existing::Existing;
pub use merge::{Merged, merge};
pub use remarks::Place;
pub use subject::{ApiBehind, Subject};
pub use trust::{EXTERNAL_ID, trust_statements};
pub use warnings::warnings;

/// How the statements of trust and resource policies name a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrincipalForm {
    /// The account's root as principal, the role in a condition on `aws:PrincipalArn`: survives that the role is made
    /// again.
    #[default]
    Condition,
    /// The role's ARN as principal.
    RoleArn,
}
