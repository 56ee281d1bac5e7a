//! API Gateway behind an interface endpoint: who may pass, and what is answered.
//!
//! The order of the checks is that of the developer guide ("Use VPC endpoint policies for private APIs" and
//! "How API Gateway resource policies affect authorization workflow"): the signature, the endpoint policy,
//! the web ACL, then the method's own authorization, its API key, throttling, the integration.

use super::evaluation::{Side, has_boundary, invocation};
use super::faults::apply_fault;
use super::integration;
use super::keys::{Issued, Keys};
use super::policy::{self, Caller, Decision, Layer};
use super::reply::{Reply, WireFault};
use super::routing::{self, Site};
use super::signature::{Claim, Rejection, Verifier};
use super::state::Connection;
use super::texts::{self, Refusal};
use super::throttle::Buckets;
use super::wire::RawRequest;
use super::world::{Authorization, Authorizer, Fault, GatewayResponse, Route, World};
use std::time::SystemTime;

/// The limits of a private API (API Gateway developer guide, quotas).
const HEADER_VALUE_LIMIT_BYTES: usize = 8000;
const URL_LIMIT_BYTES: usize = 8192;
const METHOD_ARN_LIMIT_BYTES: usize = 1600;
const PAYLOAD_LIMIT_BYTES: usize = 10 * 1024 * 1024;

/// A request that has arrived.
#[derive(Clone, Copy)]
pub(crate) struct Visit<'a> {
    pub(crate) world: &'a World,
    pub(crate) keys: &'a Keys,
    pub(crate) request: &'a RawRequest,
    pub(crate) connection: &'a Connection,
    /// The gateway's time.
    pub(crate) now: SystemTime,
}

/// What became of it.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    /// The API's id, or `unknown`.
    pub(crate) api: String,
    /// `anonymous`, a role's ARN, or `invalid`.
    pub(crate) identity: String,
    /// True when an integration was asked, so that the answer bears a trace id.
    pub(crate) traced: bool,
    /// False when something in between answered, whose page bears none of the gateway's ids.
    pub(crate) by_gateway: bool,
}

enum Who<'a> {
    Anonymous,
    /// Another scheme of authorization, which policies see as anonymous.
    OtherScheme(String),
    Session(&'a Issued),
    Invalid(Rejection),
}

impl Who<'_> {
    fn caller(&self, world: &World) -> Caller<'_> {
        match self {
            Self::Session(issued) if has_boundary(world, issued) => Caller::Bounded(&issued.caller),
            Self::Session(issued) => Caller::Session(&issued.caller),
            _ => Caller::Anonymous,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Session(issued) => &issued.caller.session_arn,
            _ => "anonymous",
        }
    }

    fn identity(&self) -> &str {
        match self {
            Self::Session(issued) => &issued.caller.role_arn,
            Self::Invalid(_) => "invalid",
            _ => "anonymous",
        }
    }
}

/// Answers a request through the endpoint.
pub(crate) fn answer(visit: Visit<'_>, buckets: &mut Buckets) -> Answered {
    let who = who(visit);
    let site = routing::find(visit.world, visit.request, visit.connection);
    let route = site.as_ref().and_then(|site| site.route(&visit.request.method));
    let result = admit(visit, &who, site.as_ref(), route, buckets);
    let (mut reply, traced) = match result {
        Ok((site, route)) => {
            let answer = integration::call(route, visit.request);
            let traced =
                answer.as_ref().map_or_else(|refusal| refusal.traced, |_| integration::is_traced(route));
            let mut reply = answer.unwrap_or_else(|refusal| refusal.reply());
            reply.delay += route.latency.get() + site.api.latency.get() + integration::own_delay(route);
            (reply, traced)
        }
        Err(refusal) => (refusal.reply(), refusal.traced),
    };
    let customised = site.as_ref().and_then(|site| site.api.gateway_response.as_ref());
    if let Some(custom) = customised.filter(|_| reply.header("x-amzn-ErrorType").is_some()) {
        customise(&mut reply, custom);
    }
    let fault = visit
        .world
        .endpoint
        .fault
        .or_else(|| site.as_ref().and_then(|site| site.api.fault))
        .or_else(|| route.and_then(|route| route.fault));
    if let Some(fault) = fault {
        apply_fault(&mut reply, fault);
    }
    // The answer to a HEAD has no body that could be broken.
    if visit.request.method == "HEAD" {
        reply.fault =
            reply.fault.filter(|fault| !matches!(fault, WireFault::HalfBody | WireFault::ChunkedGarbage));
    }
    Answered {
        reply,
        api: site.map_or_else(|| "unknown".to_owned(), |site| site.api.id.clone()),
        identity: who.identity().to_owned(),
        traced,
        by_gateway: !matches!(fault, Some(Fault::Html(_))),
    }
}

fn who<'a>(visit: Visit<'a>) -> Who<'a> {
    let claim = match Claim::of(visit.request) {
        Claim::Unsigned => return Who::Anonymous,
        Claim::Other(header) => return Who::OtherScheme(header),
        Claim::Broken(rejection) => return Who::Invalid(rejection),
        Claim::Signed(claim) => claim,
    };
    let verifier = Verifier { service: "execute-api", region: &visit.world.region, now: visit.now };
    let found = visit.keys.find(&claim.access_key_id);
    match (verifier.verify(visit.request, &claim, |_| found.map(|issued| issued.key(visit.now))), found) {
        (Ok(()), Some(issued)) => Who::Session(issued),
        (Ok(()), None) => Who::Invalid(Rejection::TokenInvalid),
        (Err(rejection), _) => Who::Invalid(rejection),
    }
}

/// Whether the request may reach the integration, and which.
fn admit<'a, 's>(
    visit: Visit<'a>,
    who: &Who<'a>,
    site: Option<&'s Site<'a>>,
    route: Option<&'a Route>,
    buckets: &mut Buckets,
) -> Result<(&'s Site<'a>, &'a Route), Refusal> {
    let Visit { world, request, .. } = visit;
    if request.header_value_bytes() > HEADER_VALUE_LIMIT_BYTES {
        return Err(texts::HEADERS_TOO_LARGE);
    }
    if request.target.len() > URL_LIMIT_BYTES {
        return Err(texts::URI_TOO_LONG);
    }
    if request.body.len() > PAYLOAD_LIMIT_BYTES {
        return Err(texts::TOO_LARGE);
    }
    let site = site.ok_or(texts::FORBIDDEN)?;
    if let Who::Invalid(rejection) = who {
        return Err(texts::bad_signature(rejection));
    }
    let arn = site.arn(world, &request.method);
    if arn.len() > METHOD_ARN_LIMIT_BYTES {
        return Err(texts::URI_TOO_LONG);
    }
    let old_wording = world.endpoint.old_wording || site.api.old_wording;
    let check = |decision: Decision| match decision {
        Decision::Allowed => Ok(()),
        Decision::Denied { layer, explicit } => Err(texts::denied(&texts::Denial {
            who: who.text(),
            resource: &arn,
            layer,
            explicit,
            old_wording,
        })),
    };
    let invocation = invocation(world, &arn);
    let endpoint_policy = world.endpoint.policy.as_ref().map(super::world::Document::policy);
    check(policy::through_endpoint(endpoint_policy, who.caller(world), &invocation))?;
    // Before all policies of the API, as documented; whether also before the endpoint's is UNCONFIRMED.
    if site.api.waf_blocks {
        return Err(texts::FORBIDDEN);
    }
    let resource_policy = site.api.resource_policy.as_ref().map(super::world::Document::policy);
    let Some(route) = route else {
        // A signed call of a method that does not exist: UNCONFIRMED, most reports show this text.
        return Err(match who {
            Who::OtherScheme(header) => texts::bad_signature(&super::signature::not_key_value(header)),
            _ => texts::MISSING_TOKEN,
        });
    };
    match (route.authorization, who) {
        (Authorization::None, _) => {
            check(policy::invoke_without_authorization(resource_policy, who.caller(world), &invocation))?;
        }
        (Authorization::Iam, Who::Session(issued)) => {
            let side = Side::of(world, issued);
            let same_account = issued.caller.account.as_str() == site.account.id;
            let caller = &issued.caller;
            if resource_policy.is_none() {
                check(Decision::Denied { layer: Layer::Resource, explicit: false })?;
            }
            check(policy::invoke_with_iam(
                caller,
                side.policies(),
                resource_policy,
                same_account,
                &invocation,
            ))?;
        }
        (Authorization::Iam, Who::OtherScheme(header)) => {
            return Err(texts::bad_signature(&super::signature::not_key_value(header)));
        }
        (Authorization::Iam, _) => return Err(texts::MISSING_TOKEN),
        (Authorization::Custom, _) => {
            let decision =
                policy::invoke_without_authorization(resource_policy, who.caller(world), &invocation);
            // An explicit deny is looked for before the authorizer is asked; after it either may allow.
            if matches!(decision, Decision::Denied { explicit: true, .. }) || resource_policy.is_none() {
                check(decision)?;
            }
            ask_authorizer(route.authorizer)?;
        }
    }
    limits(visit, site, route, buckets)?;
    Ok((site, route))
}

fn ask_authorizer(authorizer: Option<Authorizer>) -> Result<(), Refusal> {
    match authorizer {
        Some(Authorizer::Allow) => Ok(()),
        Some(Authorizer::Deny) => Err(texts::refused_by_authorizer(false)),
        Some(Authorizer::ExplicitDeny) => Err(texts::refused_by_authorizer(true)),
        Some(Authorizer::Unauthorized) => Err(texts::UNAUTHORIZED),
        Some(Authorizer::Failing) => Err(texts::AUTHORIZER_FAILURE),
        // A method that a timeline made CUSTOM has no authorizer, which is a configuration error too.
        Some(Authorizer::Misconfigured) | None => Err(texts::AUTHORIZER_CONFIGURATION),
    }
}

fn limits(visit: Visit<'_>, site: &Site<'_>, route: &Route, buckets: &mut Buckets) -> Result<(), Refusal> {
    if route.api_key_required {
        let sent = visit.request.header_text("x-api-key");
        if !site.api.api_keys.iter().any(|key| Some(key.as_str()) == sent) {
            return Err(texts::FORBIDDEN);
        }
    }
    if site.api.quota_exhausted {
        return Err(texts::LIMIT_EXCEEDED);
    }
    if let Some(throttle) = site.api.throttle
        && !buckets.take(&site.api.id, throttle, visit.now)
    {
        return Err(texts::TOO_MANY_REQUESTS);
    }
    if route.body_required && visit.request.body.is_empty() {
        return Err(texts::BAD_BODY);
    }
    Ok(())
}

/// Whether a customised response also replaces denials by policies is UNCONFIRMED; here it replaces every
/// refusal from 400 to 499 but 413, which is documented as fixed.
fn customise(reply: &mut Reply, custom: &GatewayResponse) {
    if !(400..500).contains(&reply.status) || reply.status == 413 {
        return;
    }
    if let Some(status) = custom.status {
        reply.status = status;
    }
    if let Some(body) = &custom.body {
        reply.body = body.clone().into_bytes();
    }
    if !custom.error_type {
        reply.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-amzn-errortype"));
    }
    for (name, value) in &custom.headers {
        reply.headers.push((name.clone(), value.clone().into_bytes()));
    }
}
