//! ARNs as policies write them: of methods of apis, and their pattern forms.

use crate::domain::account::AccountId;
use crate::domain::arn::RoleArn;
use crate::domain::region::{Partition, Region};

/// Stands for the id of an api that the configuration names by a custom domain name only.
pub(super) const API_ID: &str = "API_ID";
/// Stands for its stage.
pub(super) const STAGE: &str = "STAGE";

/// One method of one deployed api, as `execute-api:Invoke` sees it.
///
/// Source: API Gateway developer guide, "Resource format of permissions for executing API". The path is the one that
/// is sent, percent-encoded as it is; whether API Gateway decodes it before it compares is UNCONFIRMED.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiMethod {
    pub(super) account: AccountId,
    pub(super) api: String,
    pub(super) stage: String,
    pub(super) method: String,
    /// With the slash at its beginning, and no character that a policy would read as its own.
    pub(super) path: String,
}

/// Where ARNs are.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) partition: Partition,
    pub(super) region: Region,
}

impl Place {
    /// The ARN of one method.
    pub(super) fn exact(&self, method: &ApiMethod) -> String {
        let ApiMethod { account, api, stage, method, path } = method;
        format!("{}:{account}:{api}/{stage}/{method}{path}", self.execute_api())
    }

    /// The same request at any api of any account.
    pub(super) fn same_request(&self, method: &ApiMethod) -> String {
        let ApiMethod { stage, method, path, .. } = method;
        format!("{}:*:*/{stage}/{method}{path}", self.execute_api())
    }

    /// Any path of the stage, at any api of any account.
    pub(super) fn same_stage(&self, method: &ApiMethod) -> String {
        let ApiMethod { stage, method, .. } = method;
        format!("{}:*:*/{stage}/{method}/*", self.execute_api())
    }

    /// Any stage and path, at any api of any account.
    pub(super) fn same_method(&self, method: &ApiMethod) -> String {
        format!("{}:*:*/*/{}/*", self.execute_api(), method.method)
    }

    fn execute_api(&self) -> String {
        format!("arn:{}:execute-api:{}", self.partition, self.region)
    }

    /// The root of an account: all of its principals.
    pub(super) fn root(&self, account: &AccountId) -> String {
        format!("arn:{}:iam::{account}:root", self.partition)
    }

    /// The role of this name in any account.
    pub(super) fn role_anywhere(&self, role: &RoleArn) -> String {
        let arn = role_pattern(role);
        let name = arn.split_once(":role/").map(|(_, name)| name.to_owned()).unwrap_or_default();
        format!("arn:{}:iam::*:role/{name}", self.partition)
    }
}

/// The role's ARN where a policy reads wildcards and variables. A role's path may have such characters in it.
pub(super) fn role_pattern(role: &RoleArn) -> String {
    literal(&role.to_string())
}

/// A text in which a policy reads no character as its own: a star in it would allow more than was asked for (IAM user
/// guide, "IAM policy elements: Variables and tags").
pub(super) fn literal(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |text, c| match c {
        '*' | '?' | '$' => text + "${" + c.encode_utf8(&mut [0; 4]) + "}",
        c => text + c.encode_utf8(&mut [0; 4]),
    })
}
