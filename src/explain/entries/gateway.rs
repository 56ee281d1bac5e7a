//! Answers of the gateway itself after the caller was let in, or while that was worked out.

use super::super::{
    Entry, Owner, Step, act, derived, documented, look, measured, observed, pages, unconfirmed,
};
use crate::domain::outcome::Reason;

const FIND_IN_ACCESS_LOG: Step = look(
    "Find the attempt in the API's access log by the request id that the agent keeps in log and status.",
    "aws logs filter-log-events --log-group-name ACCESS_LOG_GROUP --filter-pattern '\"REQUEST_ID\"'",
);

pub(super) const RATE: Entry = Entry {
    reason: Reason::Rate,
    more: "The path works. The caller cannot tell which limit it was: that of a usage plan, of the method, of the \
           stage, of the account in this region, or of AWS.",
    evidence: &[
        observed(
            "429 with x-amzn-ErrorType TooManyRequestsException and \"Too Many Requests\", without Retry-After.",
        ),
        derived("429 without an error type and with the gateway's ids."),
    ],
    causes: &[
        "Other callers of the same account and region use up its limit (10,000 requests a second by default, 2,500 \
         in some regions).",
        "The stage or the method has a low limit of its own.",
        "A usage plan limits the API key that the probe sends.",
        "A load run, or a rate: too high for this API.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        act(
            "Look at other APIs of the same account: if all are throttled, it is the account's limit; if only this \
             one is, stage, method or usage plan.",
        ),
        look("Read the account's limit.", "aws apigateway get-account --query throttleSettings"),
        look(
            "Read the stage's and the methods' limits.",
            "aws apigateway get-stage --rest-api-id API_ID --stage-name STAGE --query methodSettings",
        ),
        act(
            "If the probes are the cause, lower every, rate or limits.requests_per_second_per_account. Probes count \
             against the spoke's limit like everybody else.",
        ),
    ],
    statement: None,
    looks_like: &[
        "quota: \"Limit Exceeded\", used up until the period ends.",
        "backend_status: a 429 of the backend, which the gateway marks with ids but not with an error type, is read \
         as rate as well.",
    ],
    pages: &[pages::THROTTLING, pages::LIMIT_429, pages::QUOTAS],
    further_query: Some("sum by (spoke) (rate(spokeprobe_requests_total[5m]))"),
};

pub(super) const QUOTA: Entry = Entry {
    reason: Reason::Quota,
    more: "It does not recover by itself before the plan's day, week or month is over.",
    evidence: &[observed("429 with x-amzn-ErrorType LimitExceededException and \"Limit Exceeded\".")],
    causes: &[
        "The probes share an API key with other callers.",
        "The probes' own number of requests is more than the plan allows.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look(
            "Find the plan and its quota.",
            "aws apigateway get-usage-plans --query 'items[].[id,name,quota]'",
        ),
        look(
            "See who used it.",
            "aws apigateway get-usage --usage-plan-id PLAN --start-date FROM --end-date TO",
        ),
        act("Give the probes a key and a plan of their own, or raise the quota, or lengthen every."),
    ],
    statement: None,
    looks_like: &["rate: \"Too Many Requests\", over after a moment."],
    pages: &[pages::USAGE_PLANS, pages::LIMIT_429],
    further_query: Some("sum by (spoke, api) (increase(spokeprobe_requests_total[1d]))"),
};

pub(super) const INTEGRATION_TIMEOUT: Entry = Entry {
    reason: Reason::IntegrationTimeout,
    more: "Every policy let the call through, and the backend was asked.",
    evidence: &[observed(
        "504 with x-amzn-ErrorType InternalServerErrorException and \"Endpoint request timed out\".",
    )],
    causes: &[
        "The backend is slow or hangs; the timeout is 29 seconds unless the API says otherwise.",
        "A Lambda function starts cold in a VPC, or waits for a database.",
        "The integration's own timeout was set low.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        FIND_IN_ACCESS_LOG,
        look(
            "Read the integration's timeout.",
            "aws apigateway get-integration --rest-api-id API_ID --resource-id RESOURCE --http-method METHOD --query timeoutInMillis",
        ),
        act("Look at the backend's own latency at that time; the gateway only waited for it."),
    ],
    statement: None,
    looks_like: &[
        "response_timeout: the agent gave up first. With a timeout under 29.5 s every slow backend reads as that.",
        "integration_network: the gateway could not connect at all.",
    ],
    pages: &[pages::GATEWAY_RESPONSES, pages::QUOTAS],
    further_query: None,
};

pub(super) const INTEGRATION_NETWORK: Entry = Entry {
    reason: Reason::IntegrationNetwork,
    more: "The call was let in; what lies behind the gateway could not be reached.",
    evidence: &[observed(
        "504 with InternalServerErrorException and \"Network error communicating with endpoint\".",
    )],
    causes: &[
        "No healthy target behind the load balancer of the VPC link.",
        "The VPC link failed, or its load balancer was replaced.",
        "The backend's name does not resolve any more, or its port is closed.",
        "A security group of the backend does not let the load balancer in.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look(
            "Check the VPC link.",
            "aws apigateway get-vpc-links --query 'items[].[id,status,statusMessage]'",
        ),
        look("Check the targets.", "aws elbv2 describe-target-health --target-group-arn TARGET_GROUP"),
        FIND_IN_ACCESS_LOG,
    ],
    statement: None,
    looks_like: &["integration_timeout: connected, but no answer in time."],
    pages: &[pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const INTEGRATION_ERROR: Entry = Entry {
    reason: Reason::IntegrationError,
    more: "The call was let in. The text is the same for many mistakes; the spoke's execution log has the real one.",
    evidence: &[
        observed(
            "500 with InternalServerErrorException and \"Internal server error\": configuration, as a rule.",
        ),
        observed(
            "502 with the same text: the function failed, or its answer has not the form that is wanted.",
        ),
        observed("An error while WAF's rules were evaluated shows in the owner's access log only."),
    ],
    causes: &[
        "502: the Lambda function threw, timed out, or returned something without statusCode.",
        "500: the gateway may not invoke the function; its permission was lost with a new function or alias.",
        "500: a mapping template, or the certificate of an HTTP backend.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look("Read the function's log.", "aws logs tail /aws/lambda/FUNCTION --since 15m"),
        look("See whether the gateway may invoke it.", "aws lambda get-policy --function-name FUNCTION"),
        look(
            "Let the gateway call it once, without endpoint and policies; it prints the execution log.",
            "aws apigateway test-invoke-method --rest-api-id API_ID --resource-id RESOURCE --http-method METHOD",
        ),
        FIND_IN_ACCESS_LOG,
    ],
    statement: None,
    looks_like: &[
        "authorizer_error: a 500 whose error type names the authorizer.",
        "backend_status: a 5xx that the backend wrote itself.",
    ],
    pages: &[pages::GATEWAY_RESPONSES, pages::ACCESS_LOG],
    further_query: None,
};

pub(super) const AUTHORIZER_ERROR: Entry = Entry {
    reason: Reason::AuthorizerError,
    more: "It refused nobody: it did not work. For a guard this is no evidence.",
    evidence: &[
        observed("500 with x-amzn-ErrorType AuthorizerConfigurationException."),
        unconfirmed("500 with AuthorizerFailureException; the status is documented, the rest is not."),
    ],
    causes: &[
        "The gateway may not invoke the authorizer's function.",
        "The function threw anything but \"Unauthorized\", or timed out.",
        "It returned a policy in a form that cannot be read.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look("Find the authorizer.", "aws apigateway get-authorizers --rest-api-id API_ID"),
        look("Read its log.", "aws logs tail /aws/lambda/FUNCTION --since 15m"),
        look(
            "Call it alone.",
            "aws apigateway test-invoke-authorizer --rest-api-id API_ID --authorizer-id AUTHORIZER --headers NAME=VALUE",
        ),
    ],
    statement: None,
    looks_like: &["integration_error: the same status, from what lies behind the gateway."],
    pages: &[pages::LAMBDA_AUTHORIZERS, pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const BAD_REQUEST: Entry = Entry {
    reason: Reason::BadRequest,
    more: "The caller was let in; the request's parameters or body are not what the API's model asks for.",
    evidence: &[
        derived(
            "400 with BadRequestException and \"Invalid request body\" or \"Missing required request parameters\".",
        ),
        documented("The status of the gateway's response types BAD_REQUEST_BODY and BAD_REQUEST_PARAMETERS."),
    ],
    causes: &[
        "The API's model got a new required field or parameter.",
        "The probe's body or query has a mistake.",
    ],
    owners: &[Owner::Agent, Owner::Spoke],
    steps: &[
        act("Compare path, query and body of the probe with the message and the API's model."),
        look("Read the models.", "aws apigateway get-models --rest-api-id API_ID"),
        look("Try a changed body by hand.", "spokeprobe call SPOKE/API POST PATH -d BODY"),
    ],
    statement: None,
    looks_like: &["backend_status: a 400 that the backend wrote itself."],
    pages: &[pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const NOT_FOUND: Entry = Entry {
    reason: Reason::NotFound,
    more: "The caller was let in and no method matches. Most callers see missing_authentication_token instead.",
    evidence: &[
        documented("404 of the gateway's response type RESOURCE_NOT_FOUND."),
        unconfirmed("Its error type and text."),
    ],
    causes: &["The path or the method of the probe is wrong.", "The API was changed, or not deployed."],
    owners: &[Owner::Agent, Owner::Spoke],
    steps: &[
        look("List what exists.", "aws apigateway get-resources --rest-api-id API_ID --embed methods"),
        look(
            "Deploy the API if the path exists in it.",
            "aws apigateway create-deployment --rest-api-id API_ID --stage-name STAGE",
        ),
    ],
    statement: None,
    looks_like: &[
        "missing_authentication_token: the same mistake.",
        "backend_status: a 404 that the backend wrote itself.",
    ],
    pages: &[pages::GATEWAY_RESPONSES],
    further_query: None,
};

pub(super) const TOO_LARGE: Entry = Entry {
    reason: Reason::TooLarge,
    more: "A private API takes 10 MB of body, 8,000 bytes of header values, and an ARN of method and path of 1,600 \
           bytes.",
    evidence: &[
        observed("413 and \"HTTP content length exceeded 10485760 bytes\"."),
        documented("414 where the ARN of the method is too long."),
        measured("The bytes of header values that were sent, as spokeprobe_signed_header_bytes."),
        unconfirmed("What too large headers are answered with."),
    ],
    causes: &[
        "A session token grew: session tags, a session policy and a long role path all make it longer, and it goes \
         with the headers.",
        "A long path.",
        "A large body.",
    ],
    owners: &[Owner::Agent],
    steps: &[
        act("Look at spokeprobe_signed_header_bytes of the spoke."),
        act("Send fewer session_tags, or a shorter session policy, or fewer headers."),
        act("Shorten path or body."),
    ],
    statement: None,
    looks_like: &[
        "forbidden, bad_request: what too large headers get is not confirmed; look at the number of bytes.",
    ],
    pages: &[pages::QUOTAS, pages::KNOWN_ISSUES],
    further_query: Some("spokeprobe_signed_header_bytes > 7000"),
};

pub(super) const UNSUPPORTED_MEDIA_TYPE: Entry = Entry {
    reason: Reason::UnsupportedMediaType,
    more: "The method has no mapping for what the probe sends and passes nothing through.",
    evidence: &[
        documented("415 of the gateway's response type UNSUPPORTED_MEDIA_TYPE."),
        unconfirmed("Its x-amzn-ErrorType; emulators differ."),
    ],
    causes: &["The probe sends no Content-Type, or another than the API has a mapping template for."],
    owners: &[Owner::Agent, Owner::Spoke],
    steps: &[
        act("Use json: instead of body: in the probe, or set Content-Type among its headers."),
        look(
            "See which types have a template, and passthroughBehavior.",
            "aws apigateway get-integration --rest-api-id API_ID --resource-id RESOURCE --http-method METHOD",
        ),
    ],
    statement: None,
    looks_like: &["backend_status: a 415 that the backend wrote itself."],
    pages: &[pages::GATEWAY_RESPONSES],
    further_query: None,
};
