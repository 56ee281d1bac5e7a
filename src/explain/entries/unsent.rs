//! Why the agent sent nothing.

use super::super::{Entry, Owner, act, derived, documented, look, measured, observed, pages, statements};
use crate::domain::outcome::Reason;

pub(super) const ASSUME_ROLE_DENIED: Entry = Entry {
    reason: Reason::AssumeRoleDenied,
    more: "Nothing was sent, and nothing is known about the API. What STS said, and what that means, is in the log \
           and in the status under the spoke's credentials (cause, meaning).",
    evidence: &[
        observed("AccessDenied with \"is not authorized to perform: sts:AssumeRole on resource: …\"."),
        observed("A role that does not exist and a wrong or missing external id get the very same text."),
        documented(
            "A newer text names the policy: trust, identity, service control, resource control, and so on.",
        ),
        derived("The text by which the policy of the STS endpoint refuses."),
    ],
    causes: &[
        "The role does not exist in the account under this ARN, path included.",
        "Its trust policy does not let the hub's role in, or names a hub role that was deleted and made again.",
        "external_id is not the one that the trust policy asks for.",
        "The hub's role lacks sts:AssumeRole on this role.",
        "session_tags are sent and sts:TagSession is not allowed.",
        "The policy of the hub's STS endpoint, or a policy of the organisation.",
    ],
    owners: &[Owner::Spoke, Owner::Hub, Owner::Organisation],
    steps: &[
        look(
            "Look at the role in the spoke.",
            "aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument",
        ),
        look(
            "Ask IAM in the hub.",
            "aws iam simulate-principal-policy --policy-source-arn HUB_ROLE_ARN --action-names sts:AssumeRole \
             --resource-arns ROLE_ARN",
        ),
        act("Compare external_id of the spoke with sts:ExternalId letter by letter."),
        act(
            "One spoke: its trust. All spokes: the hub's own policy, the STS endpoint's policy, the organisation.",
        ),
        act("After a repair wait for the agent to ask again; it does so with growing pauses."),
    ],
    statement: Some(&statements::TRUST),
    looks_like: &["assume_role_failed: STS was not reached, or refused the parameters and not the caller."],
    pages: &[pages::ASSUME_ROLE, pages::ACCESS_DENIED, pages::PRINCIPAL],
    further_query: Some("sum by (spoke) (rate(spokeprobe_assume_role_total{result=\"denied\"}[15m])) > 0"),
};

pub(super) const ASSUME_ROLE_FAILED: Entry = Entry {
    reason: Reason::AssumeRoleFailed,
    more: "No policy refused. Log and status hold what STS or the network said (cause, meaning).",
    evidence: &[
        measured("No connection to STS, no answer in time, or one that cannot be read."),
        documented(
            "Errors of AssumeRole: region not active, policy too large or malformed, invalid duration.",
        ),
        documented("\"Rate exceeded\": STS is asked too often by the whole account."),
    ],
    causes: &[
        "The VPC has no endpoint for STS, its private DNS is off, or its security group keeps the agent out.",
        "hub.sts.endpoint_url is wrong.",
        "STS is not active in this region for the spoke's account.",
        "session_policy or session_tags are too large or malformed.",
        "STS throttles the hub's account.",
    ],
    owners: &[Owner::Hub, Owner::Network, Owner::Spoke],
    steps: &[
        act("Read cause and meaning under the spoke's credentials in the status."),
        look(
            "Look for the endpoint of STS.",
            "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.sts",
        ),
        look(
            "Reach it from the agent's machine; any HTTP answer will do.",
            "curl -sS -o /dev/null -w '%{http_code}\\n' https://sts.REGION.amazonaws.com/",
        ),
        act("All spokes: the way to STS. One spoke: its region, its session_policy, its session_tags."),
    ],
    statement: None,
    looks_like: &[
        "assume_role_denied: STS refused the caller.",
        "no_hub_credentials: the agent has no keys to ask with.",
    ],
    pages: &[pages::ASSUME_ROLE, pages::STS_ENDPOINT, pages::STS_REGIONS, pages::STS_THROTTLING],
    further_query: Some(
        "sum by (spoke, result) (rate(spokeprobe_assume_role_total{result!=\"ok\"}[15m])) > 0",
    ),
};

pub(super) const CREDENTIALS_EXPIRED: Entry = Entry {
    reason: Reason::CredentialsExpired,
    more: "The agent stops using a session at most 10 seconds before its end, and never signs as anybody else.",
    evidence: &[measured("The end that STS gave for the session, against the agent's clocks.")],
    causes: &[
        "STS could not be asked for a long time; log and status hold what was said last.",
        "The agent's machine was suspended or its clock jumped.",
        "Sessions are very short, and STS is slow or throttles.",
    ],
    owners: &[Owner::Hub, Owner::Agent],
    steps: &[
        act(
            "Read what STS said last, under the spoke's credentials in the status, and go on with its cause.",
        ),
        act("Check the clock of the agent's machine."),
        act("If duration is short, lengthen it; the agent renews at half of it."),
    ],
    statement: None,
    looks_like: &["token_expired: it was sent, and AWS called it expired."],
    pages: &[pages::ASSUME_ROLE],
    further_query: Some("spokeprobe_credentials_expiry_timestamp_seconds - time() < 300"),
};

pub(super) const NO_HUB_CREDENTIALS: Entry = Entry {
    reason: Reason::NoHubCredentials,
    more: "Without them it can ask STS for no role. Every signed probe stands still; anonymous ones go on.",
    evidence: &[
        measured("No source gave credentials: variables, web identity, task role, instance role."),
        documented("Or STS does not know those that were found: invalid, expired, badly signed."),
    ],
    causes: &[
        "The task or instance has no role.",
        "A container on an instance cannot reach the metadata service: its hop limit is 1.",
        "Old keys in variables win over the task role.",
        "The agent's clock is wrong, so that STS refuses its signature.",
    ],
    owners: &[Owner::Hub, Owner::Agent],
    steps: &[
        act("Read the message: it says which source failed, or what STS answered."),
        look(
            "In a task: ask the credential endpoint.",
            "curl -sS http://169.254.170.2$AWS_CONTAINER_CREDENTIALS_RELATIVE_URI -o /dev/null -w '%{http_code}\\n'",
        ),
        look(
            "On an instance: allow two hops, for containers.",
            "aws ec2 modify-instance-metadata-options --instance-id INSTANCE --http-put-response-hop-limit 2",
        ),
        act(
            "Remove AWS_ACCESS_KEY_ID and its companions from the agent's environment if a role should be used.",
        ),
    ],
    statement: None,
    looks_like: &["assume_role_denied: the agent has credentials, and they may not assume the role."],
    pages: &[pages::TASK_ROLE],
    further_query: Some("count(spokeprobe_last_outcome{reason=\"no_hub_credentials\"} == 1)"),
};

pub(super) const OVERLOADED: Entry = Entry {
    reason: Reason::Overloaded,
    more: "It says something about the agent and nothing about the spoke: up, doors and streaks stay as they were.",
    evidence: &[measured("The attempt waited for a permit until its timeout.")],
    causes: &[
        "A slow or dead spoke holds its account's permits (limits.in_flight_per_account) until its timeouts.",
        "limits.in_flight is too low for the number of targets and their latencies.",
        "limits.requests_per_second or its value per account is below what the timetable asks for.",
        "The machine has too little CPU.",
        "The process may not open more files: each request on its way holds one (LimitNOFILE, ulimits.nofile).",
    ],
    owners: &[Owner::Agent],
    steps: &[
        act(
            "Look which spokes have it. One account: its own limit, filled by its own slow answers. All: the agent's.",
        ),
        look("Compare what the plan asks for with the limits.", "spokeprobe plan --json"),
        act(
            "Raise the limit that is reached, lengthen every, or shorten timeouts of targets that are dead anyway.",
        ),
    ],
    statement: None,
    looks_like: &["missed attempts with cause overloaded: arrivals of rate: probes, which never wait."],
    pages: &[],
    further_query: Some("sum by (spoke, cause) (rate(spokeprobe_missed_attempts_total[5m])) > 0"),
};
