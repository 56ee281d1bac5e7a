//! Refusals of who calls, and of how the call says so.

use super::super::{Entry, Owner, act, derived, documented, look, measured, observed, pages, unconfirmed};
use crate::domain::outcome::Reason;

pub(super) const LAMBDA_AUTHORIZER: Entry = Entry {
    reason: Reason::LambdaAuthorizer,
    more: "The function was asked and answered with a policy that denies, or that does not allow this method and \
           path. No policy of IAM is involved, even where the text speaks of an identity-based policy.",
    evidence: &[
        observed(
            "403 with AccessDeniedException and \"User is not authorized to access this resource\", without the \
             name of a user.",
        ),
        documented(
            "The newer text ends in \"… because no identity-based policy allows …\" and still names no user.",
        ),
    ],
    causes: &[
        "The token that the probe sends is valid but not allowed here.",
        "The authorizer's answer is cached and its policy names one path only, so that the next path is refused.",
        "The function's rules changed.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look("Find the authorizer.", "aws apigateway get-authorizers --rest-api-id API_ID"),
        look("Read its log for the time of the attempt.", "aws logs tail /aws/lambda/FUNCTION --since 15m"),
        act(
            "Check that the policy it returns covers the whole API, or turn its cache off, if other paths work.",
        ),
        act("Check the header that the probe sends to it (headers of the probe)."),
    ],
    statement: None,
    looks_like: &[
        "identity_policy: a refusal by IAM names the caller (\"User: arn:…\").",
        "unauthorized: the authorizer found no identity at all.",
    ],
    pages: &[pages::LAMBDA_AUTHORIZERS, pages::FORBIDDEN_403],
    further_query: None,
};

pub(super) const UNAUTHORIZED: Entry = Entry {
    reason: Reason::Unauthorized,
    more: "The method has a Lambda or Cognito authorizer, and what it reads the identity from is missing, malformed \
           or expired.",
    evidence: &[
        observed("401 with x-amzn-ErrorType UnauthorizedException and \"Unauthorized\"."),
        unconfirmed("A Cognito authorizer may say \"The incoming token has expired\" instead."),
    ],
    causes: &[
        "The probe does not send the header that the authorizer reads.",
        "The token in the configuration has expired; tokens of a user pool live for hours.",
        "The authorizer reads Authorization, which is where the agent's AWS signature is.",
    ],
    owners: &[Owner::Agent, Owner::Spoke],
    steps: &[
        look(
            "See what the authorizer reads (identitySource).",
            "aws apigateway get-authorizers --rest-api-id API_ID",
        ),
        act(
            "Send that header with the probe (headers), with a value from the environment, so that it stays secret.",
        ),
        act(
            "The agent signs in Authorization. If the authorizer reads that header, probe as: anonymous, or have it read \
             another header.",
        ),
    ],
    statement: None,
    looks_like: &["backend_status: a 401 without x-amzn-ErrorType came from the backend."],
    pages: &[pages::LAMBDA_AUTHORIZERS, pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const FORBIDDEN: Entry = Entry {
    reason: Reason::Forbidden,
    more: "The gateway gives the same 23 bytes for all of these and says no more. It is not a policy's refusal, \
           and no evidence that a door is closed.",
    evidence: &[
        observed("403 with x-amzn-ErrorType ForbiddenException and {\"message\":\"Forbidden\"}."),
        observed("A blocked request of WAF and a missing API key read the same, byte for byte."),
    ],
    causes: &[
        "The API wants an API key, and it is missing, disabled or in no usage plan of this stage.",
        "WAF blocked the request.",
        "The stage's name is wrong or the stage is gone.",
        "The Host or the x-apigw-api-id names no private API that this endpoint knows: a wrong id, a wrong \
         addressing style, an API that is not associated with the endpoint.",
        "The API is public. With private DNS on, its default name leads into the endpoint, which does not serve it.",
        "A private custom domain has no mapping for the path, or no access association with the endpoint.",
    ],
    owners: &[Owner::Spoke, Owner::Hub],
    steps: &[
        look(
            "Check id, type and endpoint of the API.",
            "aws apigateway get-rest-api --rest-api-id API_ID --query endpointConfiguration",
        ),
        look("Check the stage.", "aws apigateway get-stages --rest-api-id API_ID --query 'item[].stageName'"),
        look(
            "See whether the method wants an API key.",
            "aws apigateway get-resources --rest-api-id API_ID --embed methods",
        ),
        look(
            "See whether WAF is attached to the stage, then look for a block in its sampled requests.",
            "aws wafv2 get-web-acl-for-resource --resource-arn arn:aws:apigateway:REGION::/restapis/API_ID/stages/STAGE",
        ),
        act(
            "See whether other APIs behind the same endpoint answer: if none does, look at addressing and endpoint; if \
             only this one does not, at key, WAF and stage.",
        ),
        act("Try another addressing style (api_id_header): if that works, the Host or DNS was wrong."),
    ],
    statement: None,
    looks_like: &[
        "The policy reasons: they come with AccessDeniedException and a sentence.",
        "missing_authentication_token: a path that does not exist, on a stage that does.",
    ],
    pages: &[pages::FORBIDDEN_403, pages::VPC_CONNECTIONS, pages::PRIVATE_API_INVOKE, pages::USAGE_PLANS],
    further_query: None,
};

pub(super) const MISSING_AUTHENTICATION_TOKEN: Entry = Entry {
    reason: Reason::MissingAuthenticationToken,
    more: "Read literally it misleads: a path or a method that the stage does not have is answered in the same \
           words.",
    evidence: &[
        observed(
            "403 with x-amzn-ErrorType MissingAuthenticationTokenException and \"Missing Authentication Token\".",
        ),
        documented("The same type of gateway response is given for an unsupported method or resource."),
        unconfirmed("What a signed request to a path that does not exist is answered with."),
    ],
    causes: &[
        "The probe is as: anonymous and the method wants IAM authorization. For a guard that is what is asked for.",
        "The path, the method or the stage of the probe does not exist.",
        "The API was changed and not deployed, or deployed to another stage.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        look("Call the same with a signature.", "spokeprobe call SPOKE/API METHOD PATH"),
        look(
            "List the paths and methods that exist.",
            "aws apigateway get-resources --rest-api-id API_ID --embed methods",
        ),
        act(
            "Compare the path of the probe letter by letter: case counts, and so does a slash at the end. The stage \
             is not part of it.",
        ),
        look(
            "Deploy the API if the path exists in it.",
            "aws apigateway create-deployment --rest-api-id API_ID --stage-name STAGE",
        ),
    ],
    statement: None,
    looks_like: &[
        "not_found: the same mistake, found after the caller was let in.",
        "incomplete_signature: what a non-AWS Authorization header gets on such a path.",
    ],
    pages: &[pages::FORBIDDEN_403, pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const INCOMPLETE_SIGNATURE: Entry = Entry {
    reason: Reason::IncompleteSignature,
    more: "Something that is not AWS's signature reached a place where IAM reads it.",
    evidence: &[observed(
        "403 with x-amzn-ErrorType IncompleteSignatureException, and a text about key=value pairs or a \
                  missing Credential, Signature, SignedHeaders or date.",
    )],
    causes: &[
        "A probe as: anonymous sends an Authorization of its own (Bearer, Basic) to a method with IAM authorization \
         or to a path that does not exist.",
        "Something between agent and endpoint changes or cuts the Authorization header.",
        "An endpoint policy that is not the default one makes the gateway read the header even where the method \
         asks for none; AWS's pages differ on this.",
    ],
    owners: &[Owner::Agent, Owner::Network, Owner::Spoke],
    steps: &[
        act("Look at the probe's headers: the agent's own signature is always complete."),
        look(
            "Check that path and method exist and what authorization they have.",
            "aws apigateway get-resources --rest-api-id API_ID --embed methods",
        ),
        act("Rule out a proxy or a load balancer with TLS of its own between agent and endpoint."),
    ],
    statement: None,
    looks_like: &["signature_mismatch: a whole signature that does not fit the request."],
    pages: &[pages::SIGNATURE_TROUBLE, pages::ENDPOINT_POLICIES],
    further_query: None,
};

pub(super) const SIGNATURE_MISMATCH: Entry = Entry {
    reason: Reason::SignatureMismatch,
    more: "AWS calculated another signature from what it received than the agent did from what it sent.",
    evidence: &[
        observed(
            "403 with InvalidSignatureException and \"The request signature we calculated does not match the \
             signature you provided\", often followed by AWS's own canonical string.",
        ),
        measured("That string may hold the session token, so the agent keeps only the first sentence of it."),
    ],
    causes: &[
        "Something on the way changes the request: a proxy, a load balancer, a rewritten Host or path.",
        "The addressing sends another Host than the gateway takes for the signature (endpoint names, NLB names).",
        "The agent's own secret key is wrong, for probes as: hub with keys from variables.",
        "A defect of the agent in an unusual path or query.",
    ],
    owners: &[Owner::Network, Owner::Agent],
    steps: &[
        look(
            "Try the plainest request: the root path, no query, no headers.",
            "spokeprobe call SPOKE/API GET / -v",
        ),
        act("If that works, add path, query and headers one by one; report what breaks it."),
        act(
            "If it does not, compare the answering address (-v shows it) with the endpoint's own: nothing may stand \
             in between.",
        ),
        act("Try another addressing style of the api."),
    ],
    statement: None,
    looks_like: &["clock_skew, credential_scope: the same error type with another text."],
    pages: &[pages::SIGNATURE_TROUBLE, pages::SIGN_A_REQUEST],
    further_query: None,
};

pub(super) const CLOCK_SKEW: Entry = Entry {
    reason: Reason::ClockSkew,
    more: "AWS accepts a signature for some minutes around its own time (5 or 15; the message says how many).",
    evidence: &[
        observed("403 with InvalidSignatureException and \"Signature expired: … is now earlier than …\"."),
        observed(
            "403 with InvalidSignatureException and \"Signature not yet current: … is still later than …\".",
        ),
        measured(
            "The difference between AWS's Date header and the agent's clock, as spokeprobe_clock_skew_seconds.",
        ),
    ],
    causes: &[
        "The machine's clock is not synchronised.",
        "The machine was suspended, or its clock was set by hand.",
        "Something holds requests back for minutes before they reach AWS.",
    ],
    owners: &[Owner::Agent],
    steps: &[
        look("Compare the clocks on the agent's machine.", "chronyc tracking || timedatectl"),
        act("Let it synchronise with 169.254.169.123, the time service of AWS that needs no internet."),
        act("The next attempt is signed with the new time; nothing has to be started again."),
    ],
    statement: None,
    looks_like: &["token_expired: the session has ended, whatever the clock says."],
    pages: &[pages::SIGNATURE_TROUBLE],
    further_query: Some("abs(spokeprobe_clock_skew_seconds) > 60"),
};

pub(super) const CREDENTIAL_SCOPE: Entry = Entry {
    reason: Reason::CredentialScope,
    more: "A signature holds for one day, one region and one service.",
    evidence: &[
        observed(
            "403 with InvalidSignatureException and \"Credential should be scoped to a valid region\" or \"… to \
                  correct service: 'execute-api'\".",
        ),
        documented("\"Date in Credential scope does not match …\"."),
    ],
    causes: &[
        "hub.region is not the region of the endpoint.",
        "hub.endpoint.url or dns_name leads to an endpoint in another region.",
        "The name leads to another service's endpoint.",
    ],
    owners: &[Owner::Agent],
    steps: &[
        act("Compare hub.region with the region in the endpoint's DNS name."),
        look(
            "Ask AWS where the endpoint is and for which service.",
            "aws ec2 describe-vpc-endpoints --vpc-endpoint-ids VPCE_ID --query 'VpcEndpoints[0].[ServiceName,DnsEntries]'",
        ),
        act("An execute-api endpoint serves APIs of its own region only."),
    ],
    statement: None,
    looks_like: &["signature_mismatch, clock_skew: the same error type with another text."],
    pages: &[pages::SIGNATURE_TROUBLE],
    further_query: None,
};

pub(super) const TOKEN_INVALID: Entry = Entry {
    reason: Reason::TokenInvalid,
    more: "The signature was not even checked.",
    evidence: &[
        documented("403 with \"The security token included in the request is invalid\"."),
        unconfirmed("Which x-amzn-ErrorType API Gateway gives with it; the text decides."),
    ],
    causes: &[
        "The region is one that has to be enabled, and the session came from an STS whose tokens are not valid \
         there (the global endpoint).",
        "For probes as: hub: the agent's own keys are disabled, deleted or mixed up.",
        "Credentials of another partition (China, GovCloud).",
        "The token was cut on its way.",
    ],
    owners: &[Owner::Hub, Owner::Spoke],
    steps: &[
        act(
            "Look whether all spokes have it (the agent's own credentials, STS) or one (its account, its region).",
        ),
        act("Check that hub.sts.endpoint_url, if set, is the regional name."),
        look(
            "Check that the region is enabled in the spoke's account.",
            "aws account get-region-opt-status --region-name REGION",
        ),
    ],
    statement: None,
    looks_like: &["token_expired: the token was known and its time is over."],
    pages: &[pages::FORBIDDEN_403, pages::STS_REGIONS],
    further_query: None,
};

pub(super) const TOKEN_EXPIRED: Entry = Entry {
    reason: Reason::TokenExpired,
    more: "The agent renews a session at half its life and stops using it shortly before its end, so this should not \
           happen while its clock is right.",
    evidence: &[
        documented("403 of the gateway's response type EXPIRED_TOKEN."),
        derived("\"The security token included in the request is expired\", as other services write it."),
        unconfirmed("Its x-amzn-ErrorType on execute-api."),
    ],
    causes: &[
        "The agent's clock is behind, so that it thinks the session still lives.",
        "For probes as: hub: the agent's own credentials come from somewhere that does not renew them.",
        "The request waited for a long time between agent and gateway.",
    ],
    owners: &[Owner::Agent],
    steps: &[
        look("Compare the clocks on the agent's machine.", "chronyc tracking || timedatectl"),
        act("Look at the session in the status (credentials of the spoke): its end, and what STS said last."),
        act("For as: hub give the agent a task or instance role instead of keys in variables."),
    ],
    statement: None,
    looks_like: &[
        "credentials_expired: the agent knew that the session was over and sent nothing.",
        "clock_skew: the signature's time, not the session's.",
    ],
    pages: &[pages::GATEWAY_RESPONSES, pages::FORBIDDEN_403],
    further_query: Some("spokeprobe_credentials_expiry_timestamp_seconds - time() < 300"),
};
