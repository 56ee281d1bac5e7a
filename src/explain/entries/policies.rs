//! Refusals by a policy.

use super::super::{
    Entry, Owner, Step, act, derived, documented, look, observed, pages, statements, unconfirmed,
};
use crate::domain::outcome::Reason;

const READ_ENDPOINT_POLICY: Step = look(
    "Read the policy of the endpoint in the hub.",
    "aws ec2 describe-vpc-endpoints --vpc-endpoint-ids VPCE_ID --query 'VpcEndpoints[0].PolicyDocument' --output text",
);

const READ_RESOURCE_POLICY: Step = look(
    "Read the API's resource policy in the spoke.",
    "aws apigateway get-rest-api --rest-api-id API_ID --query policy --output text",
);

const SIMULATE_ROLE: Step = look(
    "Ask IAM in the spoke what the role may do.",
    "aws iam simulate-principal-policy --policy-source-arn ROLE_ARN --action-names execute-api:Invoke \
     --resource-arns arn:aws:execute-api:REGION:SPOKE_ACCOUNT:API_ID/STAGE/METHOD/PATH",
);

const ONE_BLOCKER_ONLY: Step = act(
    "Expect another refusal behind this one: when several kinds of policy refuse, AWS names one. Repair, wait for \
     the next attempt, and read its reason afresh.",
);

pub(super) const VPC_ENDPOINT_POLICY: Entry = Entry {
    reason: Reason::VpcEndpointPolicy,
    more: "It is the first policy that is asked. The API and its account were not: nothing can be said about what \
           they would have answered.",
    evidence: &[
        observed(
            "403 with x-amzn-ErrorType AccessDeniedException and \"because no VPC endpoint policy allows the \
             execute-api:Invoke action\", for an unsigned caller.",
        ),
        derived("The same text for a signed caller, known from other services."),
        derived("403 and \"with an explicit deny in a VPC endpoint policy\"."),
    ],
    causes: &[
        "The policy has no Allow for this role and this API: a new spoke that nobody added, a changed API id or \
         stage, another method or path.",
        "The call is unsigned, or carries a token that is no AWS signature; the policy only allows named \
         principals, and such a caller has none.",
        "A condition is not met: aws:PrincipalArn, aws:PrincipalOrgID, aws:PrincipalOrgPaths.",
        "The policy names the role as principal, and the role was deleted and made again. Whether endpoint \
         policies suffer from that as trust policies do is not confirmed.",
        "A Deny statement matches.",
    ],
    owners: &[Owner::Hub],
    steps: &[
        READ_ENDPOINT_POLICY,
        act(
            "Compare its Resource with the ARN in the message (API id, stage, method, path), and its Principal and \
             conditions with the caller in the message.",
        ),
        act(
            "Add the statement below, or widen the pattern that should have matched. A change takes effect without \
             a deployment, usually within minutes.",
        ),
        act(
            "Mind the size: such a policy holds 20,480 characters, white space included. With many spokes match \
             a pattern on aws:PrincipalArn together with aws:PrincipalOrgID.",
        ),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::ENDPOINT),
    looks_like: &[
        "service_control_policy: \"…in a VPC endpoint policy transitively through a service control policy\" is \
         read as that.",
        "unattributed_policy: the older form of the same refusal names no kind of policy.",
        "For a guard this may be exactly what is wanted; then it is expected and up stays 1.",
    ],
    pages: &[pages::ENDPOINT_POLICIES, pages::ACCESS_DENIED, pages::ENDPOINT_ACCESS, pages::ENDPOINT_QUOTAS],
    further_query: None,
};

pub(super) const RESOURCE_POLICY: Entry = Entry {
    reason: Reason::ResourcePolicy,
    more: "The endpoint in the hub let the call through; the API in the spoke did not. Silence refuses as well as a \
           Deny does, except for a signed caller of the API's own account whose role allows the call.",
    evidence: &[
        observed(
            "403 with AccessDeniedException and \"with an explicit deny in a resource-based policy\", for signed \
             and unsigned callers.",
        ),
        observed(
            "403 and \"User: anonymous … because no resource-based policy allows the execute-api:Invoke action\".",
        ),
        derived(
            "The same text for a signed caller counts as this only where role and API are known to be of one \
             account; otherwise it is resource_or_identity_policy.",
        ),
    ],
    causes: &[
        "The policy was changed and the stage was not deployed again: the old policy is still in force.",
        "aws:SourceVpce or aws:SourceVpc names another endpoint or VPC than the hub's. An endpoint that was \
         replaced has a new id.",
        "A Deny with StringNotEquals on aws:SourceVpce, meant for everybody else, matches the hub too.",
        "The policy names a principal, but the method has no IAM authorization, so every caller counts as \
         anonymous.",
        "The Resource names another stage, method or path.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        READ_RESOURCE_POLICY,
        act(
            "Compare aws:SourceVpce in it with the hub's endpoint id, and its Resource with the ARN in the message.",
        ),
        look(
            "Deploy the stage again after any change, and also if the policy looks right already.",
            "aws apigateway create-deployment --rest-api-id API_ID --stage-name STAGE",
        ),
        act("Add the statement below where one is missing."),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::RESOURCE),
    looks_like: &[
        "resource_or_identity_policy: the same words, where two accounts are involved.",
        "lambda_authorizer: \"User is not authorized to access this resource\" without a user's name.",
    ],
    pages: &[
        pages::RESOURCE_POLICIES,
        pages::AUTHORIZATION_FLOW,
        pages::RESOURCE_POLICY_KEYS,
        pages::FORBIDDEN_403,
    ],
    further_query: None,
};

pub(super) const RESOURCE_OR_IDENTITY_POLICY: Entry = Entry {
    reason: Reason::ResourceOrIdentityPolicy,
    more: "The text says \"no resource-based policy\", but between accounts it says so too when the resource policy \
           allows the caller's account and the caller's own policy is silent. Both sides must allow such a call; \
           look at both.",
    evidence: &[
        derived(
            "403 with AccessDeniedException and a signed caller's ARN with \"because no resource-based policy \
             allows the execute-api:Invoke action\", where role and API are not known to be of one account.",
        ),
        observed(
            "That this text hides a missing identity policy was seen with another service (Secrets Manager).",
        ),
        unconfirmed("That API Gateway words it in the same misleading way."),
    ],
    causes: &[
        "The API's resource policy has no statement for this caller, or was not deployed.",
        "The caller's role has no statement for this API, while the resource policy allows its whole account.",
        "Neither has.",
    ],
    owners: &[Owner::Spoke, Owner::Hub],
    steps: &[
        READ_RESOURCE_POLICY,
        SIMULATE_ROLE,
        act(
            "Where the caller is the hub's own role (as: hub) or another spoke's, ask in that account instead: the \
             policy to add is there.",
        ),
        look(
            "If the resource policy was changed, deploy the stage again.",
            "aws apigateway create-deployment --rest-api-id API_ID --stage-name STAGE",
        ),
        act(
            "Call once more under a role that certainly has execute-api:Invoke on this API: if that is refused in \
             the same words, it is the resource policy.",
        ),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::RESOURCE),
    looks_like: &[
        "resource_policy: the same words where role and API are of one account.",
        "identity_policy: what AWS says when the resource policy names the role itself.",
    ],
    pages: &[pages::AUTHORIZATION_FLOW, pages::ACCESS_DENIED, pages::EVALUATION, pages::RESOURCE_POLICIES],
    further_query: None,
};

pub(super) const IDENTITY_POLICY: Entry = Entry {
    reason: Reason::IdentityPolicy,
    more: "The role has no statement that allows execute-api:Invoke on this API, stage, method and path, or one \
           that forbids it.",
    evidence: &[
        observed(
            "403 with AccessDeniedException, the caller's ARN and \"because no identity-based policy allows the \
             execute-api:Invoke action\".",
        ),
        derived("403 and \"with an explicit deny in an identity-based policy\"."),
    ],
    causes: &[
        "The policy of the role names another API id, stage, method or path. Stages and ids change when an API is \
         made again.",
        "The role is new, or its policy was detached.",
        "The ARN in the policy is that of the API itself (arn:aws:apigateway:…) and not of its execution \
         (arn:aws:execute-api:…).",
        "A Deny in one of the role's policies matches.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        SIMULATE_ROLE,
        look(
            "Read what is attached, and the inline policies as well.",
            "aws iam list-attached-role-policies --role-name ROLE; aws iam list-role-policies --role-name ROLE",
        ),
        act("Compare the Resource with the ARN in the message, then add the statement below."),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::PERMISSIONS),
    looks_like: &[
        "lambda_authorizer: an authorizer's refusal may also say \"identity-based policy\", but names no user.",
        "resource_or_identity_policy: between accounts a missing identity policy may hide behind the other text.",
    ],
    pages: &[pages::AUTHORIZATION_FLOW, pages::ACCESS_DENIED, pages::FORBIDDEN_403],
    further_query: None,
};

pub(super) const SESSION_POLICY: Entry = Entry {
    reason: Reason::SessionPolicy,
    more: "A session may do what both the role's policies and the session policy allow. The agent sends the one \
           that session_policy of the spoke names.",
    evidence: &[
        derived(
            "403 with AccessDeniedException and \"because no session policy allows the execute-api:Invoke action\".",
        ),
        derived(
            "403 and \"with an explicit deny in a session policy\"; AWS also writes \"sessions policy\".",
        ),
    ],
    causes: &[
        "A probe was added and the session policy was not widened.",
        "The session policy names another API id, stage, method or path.",
    ],
    owners: &[Owner::Agent],
    steps: &[
        act(
            "Read the file that session_policy of the spoke names, and compare its Resource with the ARN in the \
             message.",
        ),
        act(
            "Add the statement below, or remove session_policy if the role is narrow enough by itself. The agent \
             has to be started again.",
        ),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::SESSION),
    looks_like: &["identity_policy: the role's own policies."],
    pages: &[pages::ACCESS_DENIED, pages::EVALUATION, pages::ASSUME_ROLE],
    further_query: None,
};

pub(super) const PERMISSIONS_BOUNDARY: Entry = Entry {
    reason: Reason::PermissionsBoundary,
    more: "A boundary limits what a role's own policies can grant; it grants nothing by itself.",
    evidence: &[
        derived(
            "403 with AccessDeniedException and \"because no permissions boundary allows the execute-api:Invoke \
             action\".",
        ),
        derived("403 and \"with an explicit deny in a permissions boundary\"."),
    ],
    causes: &[
        "The account's standard boundary does not list execute-api:Invoke.",
        "The boundary was attached or changed recently by whoever manages roles.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look(
            "Find the boundary in the spoke.",
            "aws iam get-role --role-name ROLE --query Role.PermissionsBoundary",
        ),
        act(
            "Have the statement below added to that policy. Whoever owns boundaries in the company may not be the \
             spoke's team.",
        ),
        ONE_BLOCKER_ONLY,
    ],
    statement: Some(&statements::BOUNDARY),
    looks_like: &["identity_policy: the role's own policies, which must allow the call as well."],
    pages: &[pages::BOUNDARIES, pages::ACCESS_DENIED, pages::EVALUATION],
    further_query: None,
};

pub(super) const SERVICE_CONTROL_POLICY: Entry = Entry {
    reason: Reason::ServiceControlPolicy,
    more: "It is one that applies to the account of the calling role, set for that account or for a unit above it. \
           Nobody in the spoke can override it.",
    evidence: &[
        derived(
            "403 with AccessDeniedException and \"with an explicit deny in a service control policy\", or \"because \
             no service control policy allows the …\". AWS has been known to use the first for both.",
        ),
        documented(
            "\"… in a VPC endpoint policy transitively through a service control policy\" is an SCP's refusal too.",
        ),
    ],
    causes: &[
        "The account was moved to another organisational unit.",
        "A Deny by region, by network (aws:SourceVpc, aws:SourceIp) or by service came into force.",
        "The organisation works with lists of allowed services, and execute-api is not on them at some level.",
    ],
    owners: &[Owner::Organisation],
    steps: &[
        look(
            "In the management account (or a delegated one): list what applies to the account.",
            "aws organizations list-policies-for-target --target-id SPOKE_ACCOUNT --filter SERVICE_CONTROL_POLICY",
        ),
        look(
            "Do the same for each unit above it, up to the root.",
            "aws organizations list-parents --child-id SPOKE_ACCOUNT",
        ),
        act("If the message names a policy ARN, start with that one."),
        act(
            "Ask for an exception for the probing role (aws:PrincipalArn), or for the Allow that is missing.",
        ),
        ONE_BLOCKER_ONLY,
    ],
    statement: None,
    looks_like: &["resource_control_policy: the same on the side of the API's account."],
    pages: &[pages::SERVICE_CONTROL_POLICIES, pages::ACCESS_DENIED],
    further_query: None,
};

pub(super) const RESOURCE_CONTROL_POLICY: Entry = Entry {
    reason: Reason::ResourceControlPolicy,
    more: "It is one that applies to the account of the API. Whether such policies reach execute-api at all is not \
           confirmed; they do reach AssumeRole.",
    evidence: &[
        derived("403 with AccessDeniedException and \"with an explicit deny in a resource control policy\"."),
        unconfirmed("That API Gateway is among the services that resource control policies apply to."),
    ],
    causes: &[
        "A policy for the organisation's resources demands conditions that the caller does not meet, such as \
               aws:PrincipalOrgID.",
    ],
    owners: &[Owner::Organisation],
    steps: &[
        look(
            "In the management account: list what applies to the API's account.",
            "aws organizations list-policies-for-target --target-id SPOKE_ACCOUNT --filter RESOURCE_CONTROL_POLICY",
        ),
        act("Compare its conditions with the caller: organisation, account, source VPC."),
        ONE_BLOCKER_ONLY,
    ],
    statement: None,
    looks_like: &[
        "service_control_policy: the same on the side of the caller's account.",
        "assume_role_denied: where the policy stops AssumeRole, nothing is sent at all.",
    ],
    pages: &[pages::RESOURCE_CONTROL_POLICIES, pages::ACCESS_DENIED],
    further_query: None,
};

pub(super) const UNATTRIBUTED_POLICY: Entry = Entry {
    reason: Reason::UnattributedPolicy,
    more: "It may be the endpoint's policy in the hub, or the API's resource policy or the role's own policies in \
           the spoke.",
    evidence: &[
        observed(
            "403 with AccessDeniedException and \"is not authorized to perform: execute-api:Invoke on resource: \
             …\", with or without \"with an explicit deny\", and no kind of policy named.",
        ),
        derived("403 with AccessDeniedException and no message that can be read, as on a HEAD request."),
    ],
    causes: &[
        "The API answers in the older form. Any policy may be behind it.",
        "The probe uses HEAD, whose answers have no body: the header tells of a refusal, the text that would name \
         the policy is not there.",
    ],
    owners: &[Owner::Hub, Owner::Spoke, Owner::Organisation],
    steps: &[
        look(
            "Call the same without a signature. \"Missing Authentication Token\" then means that the endpoint lets \
             even unsigned callers through, so the spoke's side refused; unless the text says \"with an explicit \
             deny\": a Deny of the endpoint may name this one caller.",
            "spokeprobe call SPOKE/API GET PATH --as anonymous",
        ),
        act(
            "If the unsigned call is refused by the endpoint's policy, the signed one may or may not be: go on.",
        ),
        act("If the probe uses HEAD, try GET: its answer may name the policy."),
        READ_ENDPOINT_POLICY,
        READ_RESOURCE_POLICY,
        SIMULATE_ROLE,
    ],
    statement: None,
    looks_like: &["Every other policy reason; this is what is left when the text does not tell."],
    pages: &[pages::ACCESS_DENIED, pages::AUTHORIZATION_FLOW, pages::ENDPOINT_POLICIES],
    further_query: None,
};
