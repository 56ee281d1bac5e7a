//! Answers that came and are not what was asked for, or came from the wrong place; and the one that is fine.

use super::super::{Entry, Owner, act, derived, documented, look, measured, observed, pages};
use crate::domain::outcome::Reason;

pub(super) const NONE: Entry = Entry {
    reason: Reason::None,
    more: "The path works and the answer is what the configuration asks for. A guard with this reason is another \
           matter: what must be refused was let in, its door is open and up is 0.",
    evidence: &[measured(
        "An answer through the private path with the expected status, body and headers, in time.",
    )],
    causes: &["Everything on the path does its work."],
    owners: &[Owner::Nobody],
    steps: &[
        act(
            "For a guard: find out since when the door is open (since in the status), and what was changed then in \
             the endpoint's policy, the API's resource policy and the method's authorization.",
        ),
        act("Otherwise nothing."),
    ],
    statement: None,
    looks_like: &["unexpected_status, unexpected_body: an answer came, but not that one."],
    pages: &[],
    further_query: Some("spokeprobe_door_open == 1"),
};

pub(super) const BACKEND_STATUS: Entry = Entry {
    reason: Reason::BackendStatus,
    more: "The answer came through the gateway, without the mark that the gateway puts on errors of its own. As a \
           rule the backend wrote it. An owner who customised gateway responses can make the gateway's refusals \
           look like this, a 403 among them; the answer does not tell which it is.",
    evidence: &[
        observed("A status of 400 or more, the gateway's ids, and no x-amzn-ErrorType."),
        observed("x-amzn-Remapped-… headers prove that the backend answered."),
        documented("Gateway responses can be given another status and body."),
        derived(
            "An AccessDeniedException whose text is about another service's action or another API: the backend was \
             refused by somebody, and hands that answer on.",
        ),
    ],
    causes: &[
        "The backend has an error, is starting, or refuses this caller itself.",
        "The backend's own role lacks a right, and the backend passes the refusal through.",
        "A customised gateway response hides what the gateway has to say.",
    ],
    owners: &[Owner::Spoke],
    steps: &[
        look(
            "Find the attempt in the access log; integration status and response type there tell who answered.",
            "aws logs filter-log-events --log-group-name ACCESS_LOG_GROUP --filter-pattern '\"REQUEST_ID\"'",
        ),
        look(
            "See whether responses are customised.",
            "aws apigateway get-gateway-responses --rest-api-id API_ID",
        ),
        look("Read the answer yourself.", "spokeprobe call SPOKE/API METHOD PATH -v"),
    ],
    statement: None,
    looks_like: &[
        "unexpected_status: the status is no error, but another than asked for.",
        "Any refusal of the gateway, where responses are customised.",
    ],
    pages: &[pages::CUSTOM_RESPONSES, pages::ACCESS_LOG],
    further_query: Some(
        "sum by (spoke, api, code) (rate(spokeprobe_requests_total{reason=\"backend_status\"}[5m]))",
    ),
};

pub(super) const UNEXPECTED_STATUS: Entry = Entry {
    reason: Reason::UnexpectedStatus,
    more: "The path works and somebody behind it answered.",
    evidence: &[measured("The status of the answer against expect.status, or 2xx without it.")],
    causes: &[
        "The API answers with a redirect, which is never followed.",
        "The backend changed, or the probe's expectation was never right.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        look("Read the answer.", "spokeprobe call SPOKE/API METHOD PATH -v"),
        act("Change the API, or expect.status of the probe."),
    ],
    statement: None,
    looks_like: &["backend_status: an error status where a success was asked for."],
    pages: &[],
    further_query: Some(
        "sum by (spoke, api, code) (rate(spokeprobe_requests_total{reason=\"unexpected_status\"}[5m]))",
    ),
};

pub(super) const UNEXPECTED_BODY: Entry = Entry {
    reason: Reason::UnexpectedBody,
    more: "The status is right. The agent keeps only length and hash of the body, since it may hold anything.",
    evidence: &[measured("The body against expect.json (which means: contains) or expect.body.")],
    causes: &[
        "The backend changed its answer.",
        "The answer is longer than the 1 MiB that is read, and was judged by its beginning (truncated in the status).",
        "The body is compressed or no JSON; nothing is decompressed.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        look("Read the body.", "spokeprobe call SPOKE/API METHOD PATH"),
        act("Change the API, or the expectation of the probe."),
    ],
    statement: None,
    looks_like: &["unexpected_header: status and body are right."],
    pages: &[],
    further_query: None,
};

pub(super) const UNEXPECTED_HEADER: Entry = Entry {
    reason: Reason::UnexpectedHeader,
    more: "The status is right; the body was not looked at.",
    evidence: &[measured("The answer's headers against expect.headers.")],
    causes: &[
        "The gateway renamed it: some headers of a backend come as x-amzn-Remapped-….",
        "The backend or the integration's mapping changed.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        look("Read the headers.", "spokeprobe call SPOKE/API METHOD PATH -v"),
        act("Change the API, or expect.headers of the probe."),
    ],
    statement: None,
    looks_like: &["unexpected_body."],
    pages: &[pages::KNOWN_ISSUES],
    further_query: None,
};

pub(super) const TOO_SLOW: Entry = Entry {
    reason: Reason::TooSlow,
    more: "Everything else about the answer is right. Time counts from when the attempt was due, as a caller would \
           feel it.",
    evidence: &[measured("The time from due to the last byte against expect.within.")],
    causes: &[
        "The backend is slow.",
        "A cold start; a new connection with its TLS handshake.",
        "The agent itself was late: it waited for a permit, or had no CPU.",
    ],
    owners: &[Owner::Spoke, Owner::Agent],
    steps: &[
        act(
            "Look at the agent's lateness with the query below. If it is high, the agent has too much to do.",
        ),
        look("Split the time of one call.", "spokeprobe call SPOKE/API METHOD PATH -v"),
        act("Compare with the latencies that the API's own access log shows for the same request id."),
    ],
    statement: None,
    looks_like: &["response_timeout, integration_timeout: no answer at all."],
    pages: &[pages::ACCESS_LOG],
    further_query: Some(
        "histogram_quantile(0.99, sum by (le) (rate(spokeprobe_schedule_lag_seconds_bucket[5m])))",
    ),
};

pub(super) const RESPONSE_TIMEOUT: Entry = Entry {
    reason: Reason::ResponseTimeout,
    more: "The request was written to an open connection. Whether it reached the gateway is not known; no policy said \
           anything.",
    evidence: &[measured("The probe's timeout ran out after the request was written.")],
    causes: &[
        "The backend is slower than the probe's timeout, which is shorter than the gateway's own 29 seconds.",
        "The API's integration timeout was raised above 29 seconds, and above the probe's timeout.",
        "Something on the way swallows packets: a firewall that forgets connections, a path with a smaller MTU.",
    ],
    owners: &[Owner::Spoke, Owner::Network, Owner::Agent],
    steps: &[
        act(
            "Set the probe's timeout above the API's own (31s by default); then the gateway says what is wrong.",
        ),
        act("Look whether all APIs behind the endpoint have it (endpoint, network) or one (its backend)."),
        act("If small answers come and large ones do not, look at the MTU on the way."),
    ],
    statement: None,
    looks_like: &[
        "integration_timeout: the gateway's own word for a slow backend.",
        "connect_timeout: no connection.",
    ],
    pages: &[pages::QUOTAS, pages::LONG_CONNECTIONS],
    further_query: None,
};

pub(super) const NOT_API_GATEWAY: Entry = Entry {
    reason: Reason::NotApiGateway,
    more: "Somebody else answered, whatever the status says. Nothing is known about the API.",
    evidence: &[observed(
        "Neither x-amzn-RequestId nor x-amz-apigw-id; API Gateway puts them on every answer that was seen.",
    )],
    causes: &[
        "A proxy, a load balancer or a firewall answers in its own name.",
        "hub.endpoint.url, an address in zones or a DNS entry leads to another machine.",
    ],
    owners: &[Owner::Network, Owner::Hub],
    steps: &[
        look("See who answered (address, headers).", "spokeprobe call SPOKE/API METHOD PATH -v"),
        look(
            "Compare with the endpoint's addresses.",
            "aws ec2 describe-network-interfaces --filters Name=vpc-id,Values=VPC_ID \
             Name=interface-type,Values=vpc_endpoint --query 'NetworkInterfaces[].[PrivateIpAddress,Description]'",
        ),
    ],
    statement: None,
    looks_like: &["backend_status: with the gateway's ids.", "not_private: with marks of CloudFront."],
    pages: &[pages::PRIVATE_API_INVOKE],
    further_query: None,
};

pub(super) const NOT_PRIVATE: Entry = Entry {
    reason: Reason::NotPrivate,
    more: "Private APIs are never behind CloudFront, so the request left the private path, or an edge-optimised API \
           answered.",
    evidence: &[observed("Marks of CloudFront on the answer: x-amz-cf-id, via, x-cache, or its error page.")],
    causes: &[
        "The API is edge-optimised and not private.",
        "The name resolves to a way out of the VPC.",
        "A backend has a CloudFront of its own and its headers are passed on; nothing in the answer tells that apart.",
    ],
    owners: &[Owner::Spoke, Owner::Hub],
    steps: &[
        look(
            "Check the API's type.",
            "aws apigateway get-rest-api --rest-api-id API_ID --query endpointConfiguration",
        ),
        look(
            "Check where the name leads from the agent's subnet.",
            "dig +short API_ID.execute-api.REGION.amazonaws.com",
        ),
        act("If the backend is what has CloudFront, keep its headers from being passed on."),
    ],
    statement: None,
    looks_like: &["dns_public_address: the agent saw it in time and sent nothing."],
    pages: &[pages::PRIVATE_APIS, pages::VPC_CONNECTIONS],
    further_query: None,
};
