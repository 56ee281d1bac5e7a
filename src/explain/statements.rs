//! Policy statements ready to paste. Words in capitals are to be replaced; nothing here denies anything.
//!
//! Roles are named by a condition on `aws:PrincipalArn` under the account's root: a principal that names a role
//! directly stops matching when the role is deleted and made again (IAM user guide, "Principal").

/// A statement and where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// Where it goes, and what to mind.
    pub goes_into: &'static str,
    /// The statement as JSON.
    pub json: &'static str,
}

pub(super) const ENDPOINT: Statement = Statement {
    goes_into: "into the policy of the endpoint in the hub. Add it to the statements that are there: a policy made \
                of this one alone shuts out every other caller.",
    json: r#"{
  "Sid": "SpokeprobeInvoke",
  "Effect": "Allow",
  "Principal": {"AWS": "arn:aws:iam::SPOKE_ACCOUNT:root"},
  "Action": "execute-api:Invoke",
  "Resource": "arn:aws:execute-api:REGION:SPOKE_ACCOUNT:API_ID/STAGE/METHOD/PATH",
  "Condition": {
    "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::SPOKE_ACCOUNT:role/ROLE"}
  }
}"#,
};

pub(super) const RESOURCE: Statement = Statement {
    goes_into: "into the resource policy of the API in the spoke, then deploy the stage again. It fits methods with \
                IAM authorization; for the others leave out the condition on aws:PrincipalArn and write \"*\" as \
                principal, because an unsigned caller has no ARN.",
    json: r#"{
  "Sid": "SpokeprobeInvoke",
  "Effect": "Allow",
  "Principal": {"AWS": "arn:aws:iam::SPOKE_ACCOUNT:root"},
  "Action": "execute-api:Invoke",
  "Resource": "arn:aws:execute-api:REGION:SPOKE_ACCOUNT:API_ID/STAGE/METHOD/PATH",
  "Condition": {
    "StringEquals": {"aws:SourceVpce": "VPCE_ID"},
    "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::SPOKE_ACCOUNT:role/ROLE"}
  }
}"#,
};

pub(super) const PERMISSIONS: Statement =
    Statement { goes_into: "into a policy of the role in the spoke.", json: INVOKE };

pub(super) const SESSION: Statement = Statement {
    goes_into: "into the file that session_policy names in the agent's configuration. The role's own policy must \
                allow the same.",
    json: INVOKE,
};

pub(super) const BOUNDARY: Statement = Statement {
    goes_into: "into the policy that is the role's permissions boundary. It grants nothing by itself; the role's \
                own policy must allow the same.",
    json: INVOKE,
};

const INVOKE: &str = r#"{
  "Sid": "SpokeprobeInvoke",
  "Effect": "Allow",
  "Action": "execute-api:Invoke",
  "Resource": "arn:aws:execute-api:REGION:SPOKE_ACCOUNT:API_ID/STAGE/METHOD/PATH"
}"#;

pub(super) const TRUST: Statement = Statement {
    goes_into: "into the trust policy of the role in the spoke. Leave out sts:ExternalId if the spoke has no \
                external_id in the agent's configuration; with session_tags allow sts:TagSession as well. The \
                hub's own role needs sts:AssumeRole on the role too.",
    json: r#"{
  "Sid": "SpokeprobeTrust",
  "Effect": "Allow",
  "Principal": {"AWS": "arn:aws:iam::HUB_ACCOUNT:root"},
  "Action": "sts:AssumeRole",
  "Condition": {
    "ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::HUB_ACCOUNT:role/HUB_ROLE"},
    "StringEquals": {"sts:ExternalId": "EXTERNAL_ID"}
  }
}"#,
};
