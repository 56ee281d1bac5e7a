//! What each cause of a refusal by STS means, and what to do about it.

use super::AssumeRoleCause as Cause;

pub(super) type Words = (&'static str, &'static [&'static str]);

pub(super) const WITH_EXTERNAL_ID: Words = (
    "STS refused without saying which policy did: the role may not trust the hub, the external id may not be the \
     one it asks for, the role may not exist, or the hub's own policy may lack sts:AssumeRole. The text is the \
     same for all of them.",
    &[
        "Check that the role exists under exactly this ARN, path included: aws iam get-role --role-name ROLE",
        "Compare sts:ExternalId in its trust policy with external_id of the spoke, letter by letter.",
        "Check that the trust policy lets in the hub's role. A principal that reads AROA... names a role that was \
         deleted; a role made again under the same name is not it.",
        "Check that the hub's role allows sts:AssumeRole on this ARN; across accounts both sides must agree.",
    ],
);

/// Meaning and what to do.
pub(super) const fn words(cause: Cause) -> Words {
    match cause {
        Cause::TrustPolicy => (
            "The trust policy of the role has no statement that lets the hub's role in under the conditions it \
             came with.",
            &[
                "Read it in the spoke: aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument",
                "Compare principal and conditions (aws:PrincipalArn, sts:ExternalId, aws:PrincipalOrgID, \
                 aws:SourceVpce) with the hub's role. A principal that reads AROA... names a deleted role.",
                "Across accounts the hub's own policy must allow sts:AssumeRole too; look there if the trust is \
                 right.",
            ],
        ),
        Cause::TrustPolicyDeny => (
            "A Deny statement of the role's trust policy matches the hub.",
            &[
                "Read it in the spoke: aws iam get-role --role-name ROLE --query Role.AssumeRolePolicyDocument",
                "Look for a Deny with StringNotEquals or ArnNotLike that the hub does not satisfy. No Allow \
                 overrides it.",
            ],
        ),
        Cause::IdentityPolicy => (
            "The hub's own role is not allowed to assume this role, or is forbidden to by one of its policies.",
            &[
                "Ask IAM in the hub: aws iam simulate-principal-policy --policy-source-arn HUB_ROLE_ARN \
                 --action-names sts:AssumeRole --resource-arns ROLE_ARN",
                "Allow sts:AssumeRole on exactly this role ARN in a policy of the hub's role.",
            ],
        ),
        Cause::ServiceControlPolicy => (
            "A service control policy keeps the hub's account from assuming the role. The policies of the caller's \
             account count, not those of the spoke's.",
            &[
                "If the message names the policy, start there. Otherwise, in the management account: aws \
                 organizations list-policies-for-target --target-id HUB_ACCOUNT --filter SERVICE_CONTROL_POLICY",
                "Look at the units above the account as well: a Deny anywhere, or an Allow missing on one level, \
                 is enough.",
            ],
        ),
        Cause::ResourceControlPolicy => (
            "A resource control policy of the spoke's organisation keeps callers like the hub from its roles.",
            &[
                "In the management account: aws organizations list-policies-for-target --target-id SPOKE_ACCOUNT \
                 --filter RESOURCE_CONTROL_POLICY",
                "Such policies often demand aws:PrincipalOrgID; a hub outside the organisation needs an exception.",
            ],
        ),
        Cause::PermissionsBoundary => (
            "The permissions boundary of the hub's role does not let it assume the role.",
            &[
                "aws iam get-role --role-name HUB_ROLE --query Role.PermissionsBoundary",
                "Have sts:AssumeRole on this role ARN added to the boundary; the role's own policy must allow it \
                 too.",
            ],
        ),
        Cause::SessionPolicy => (
            "The agent runs under a session that was itself narrowed by a session policy, which does not let it \
             assume the role.",
            &[
                "Widen the session policy where the agent's own session is made, or run it under the plain role.",
            ],
        ),
        Cause::StsEndpointPolicy => (
            "The policy of the VPC endpoint for STS in the hub does not let this call through.",
            &[
                "aws ec2 describe-vpc-endpoints --filters Name=service-name,Values=com.amazonaws.REGION.sts \
                 --query 'VpcEndpoints[].PolicyDocument'",
                "Allow sts:AssumeRole on this role ARN, and sts:GetCallerIdentity, for the hub's role.",
            ],
        ),
        Cause::TrustExternalIdOrAbsentRole => (
            "STS refused without saying which policy did: the role may not trust the hub, it may ask for an \
             external id (none was sent), it may not exist, or the hub's own policy may lack sts:AssumeRole. The \
             text is the same for all of them.",
            &[
                "Check that the role exists under exactly this ARN, path included: aws iam get-role --role-name \
                 ROLE",
                "Look for sts:ExternalId in its trust policy; if it is there, set external_id of the spoke.",
                "Check that the trust policy lets in the hub's role. A principal that reads AROA... names a role \
                 that was deleted; a role made again under the same name is not it.",
                "Check that the hub's role allows sts:AssumeRole on this ARN; across accounts both sides must \
                 agree.",
            ],
        ),
        Cause::TagSession => (
            "session_tags of the spoke are sent with the call, and sts:TagSession is not allowed.",
            &[
                "Allow sts:TagSession beside sts:AssumeRole, for the same principal, in the role's trust policy.",
                "Allow it on this role ARN in the policy of the hub's role as well.",
                "Or remove session_tags of the spoke.",
            ],
        ),
        Cause::RegionDisabled => (
            "STS of this region is not active for the account of the role.",
            &[
                "Activate STS for the region in the spoke's account (IAM console, account settings), or enable \
                 the region there if it is one that has to be.",
                "The hub's own account need not be changed for this.",
            ],
        ),
        Cause::DurationOverRoleMaximum => (
            "The spoke's duration is longer than the maximum session duration of the role.",
            &[
                "Nothing is urgent: the agent asks again for one hour, which every role allows.",
                "Shorten duration of the spoke, or raise the maximum: aws iam update-role --role-name ROLE \
                 --max-session-duration SECONDS",
            ],
        ),
        Cause::DurationOverChainingMaximum => (
            "The hub's credentials are themselves a role's session, and such a caller gets one hour at most, \
             whatever the role allows.",
            &["Set duration of the spoke to 1h or less. The agent asks again for one hour by itself."],
        ),
        Cause::PackedPolicyTooLarge => (
            "Session policy and session tags of the spoke take more room than STS has for them.",
            &["Shorten the file named by session_policy, or send fewer or shorter session_tags."],
        ),
        Cause::MalformedSessionPolicy => (
            "The file named by session_policy is no valid policy to STS.",
            &[
                "aws accessanalyzer validate-policy --policy-type IDENTITY_POLICY --policy-document file://FILE",
                "A session policy has no Principal.",
            ],
        ),
        Cause::InvalidParameter => (
            "STS found a parameter of the call invalid; its message says which.",
            &[
                "Compare role, session_name, external_id, duration and session_tags of the spoke with the message.",
            ],
        ),
        Cause::Throttled => (
            "STS is asked too often by all callers of the hub's account in this region together.",
            &[
                "Nothing is urgent while the old session lives: the agent asks again with growing pauses.",
                "Look in CloudTrail for who else calls AssumeRole in the hub's account, and longer durations for \
                 this agent: fewer refreshes.",
            ],
        ),
        Cause::HubCredentialsInvalid => (
            "STS does not know the agent's own access key or token.",
            &[
                "Find out which source the agent takes them from: task role, instance role, or variables.",
                "Look for a deleted key, or for keys of another partition. Variables with old keys win over a \
                 task role.",
            ],
        ),
        Cause::HubCredentialsExpired => (
            "The agent's own session has ended, and its source gave no new one.",
            &[
                "A task or instance role renews itself; keys pasted into variables do not. Give the agent a role.",
                "Check that the agent reaches its credential endpoint (169.254.170.2 or 169.254.169.254).",
            ],
        ),
        Cause::HubClock => (
            "The time in the signed call is too far from the clock of STS.",
            &[
                "Set the agent's clock by NTP (on AWS: 169.254.169.123) and look at spokeprobe_clock_skew_seconds.",
            ],
        ),
        Cause::HubScope => (
            "The call was signed for another region or service than the STS that answered.",
            &["Compare hub.region with the region of hub.sts.endpoint_url, if that is set."],
        ),
        Cause::HubSignature => (
            "STS calculates another signature for the call than the agent.",
            &[
                "A wrong secret key is the usual cause: check where the agent's own credentials come from.",
                "Something between the agent and STS that changes requests is the other one.",
            ],
        ),
        Cause::NoHubCredentials => (
            "The agent found no credentials of its own, so STS was not asked.",
            &[
                "Give the task or the instance a role, and check that the agent reaches the credential endpoint \
                 (169.254.170.2 for a task, 169.254.169.254 for an instance).",
                "In a container on an instance the metadata service needs a hop limit of 2.",
            ],
        ),
        Cause::NoAnswer => (
            "STS was not reached, or nothing that can be read came back.",
            &[
                "Check the VPC endpoint for STS: that it exists, that private DNS is on, that its security group \
                 lets the agent reach port 443.",
                "Use the regional name; the global one (sts.amazonaws.com) leaves the VPC.",
            ],
        ),
        Cause::Other => (
            "STS answered with an error that is not known here.",
            &["Look the code up on the page of AssumeRole and in its list of common errors."],
        ),
    }
}
