//! What can be wrong with an answer, with STS, with an api and with a role: the particulars of `faults`. Pure.

use crate::setting::{Subject, account, role_arn};
use serde_json::json;
use spokeprobe::domain::outcome::Reason;
use spokeprobe::simulator::world::{
    Api, Authorization, Behaviour, Document, Fault as Spoiled, Integration, Mock, Role, Route, Span, Throttle,
};
use spokeprobe::simulator::{WireFault, World};

/// What becomes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spoil {
    Reset,
    Close,
    HalfBody,
    ChunkedGarbage,
    Garbage,
    Hang,
    HugeBody,
    HugeHeader,
    NotUtf8,
    ProxyPage,
}

/// What STS does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StsTrouble {
    Hangs,
    Resets,
    Throttles,
    ProxyPage,
    Garbage,
    /// Slow, and within what is borne.
    Slow,
}

/// What is wrong with an api.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ApiTrouble {
    Spoils(Spoil),
    Slow,
    Throttled,
    QuotaUsedUp,
    BlockedByWaf,
    StageGone,
    RouteGone,
    MethodOpen,
    BackendFails,
    BackendMisconfigured,
    BackendUnplugged,
    BackendTimesOut,
    BackendStatus,
    PolicyDenies { old_words: bool },
    PolicyGone,
}

/// What is wrong with a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoleTrouble {
    TrustGone,
    IdentityDenies,
    BoundaryDenies,
    OrganisationDenies,
    /// Sessions end long before STS said they would.
    SessionsRevoked,
}

pub(crate) fn document(json: serde_json::Value) -> Document {
    serde_json::from_value(json).unwrap()
}

impl Spoil {
    pub(crate) const ALL: [Self; 10] = [
        Self::Reset,
        Self::Close,
        Self::HalfBody,
        Self::ChunkedGarbage,
        Self::Garbage,
        Self::Hang,
        Self::HugeBody,
        Self::HugeHeader,
        Self::NotUtf8,
        Self::ProxyPage,
    ];

    pub(crate) const fn as_world(self) -> Spoiled {
        match self {
            Self::Reset => Spoiled::Wire(WireFault::Reset),
            Self::Close => Spoiled::Wire(WireFault::Close),
            Self::HalfBody => Spoiled::Wire(WireFault::HalfBody),
            Self::ChunkedGarbage => Spoiled::Wire(WireFault::ChunkedGarbage),
            Self::Garbage => Spoiled::Wire(WireFault::Garbage),
            Self::Hang => Spoiled::Wire(WireFault::Hang),
            Self::HugeBody => Spoiled::Wire(WireFault::HugeBody(3 << 20)),
            Self::HugeHeader => Spoiled::HugeHeader(500_000),
            Self::NotUtf8 => Spoiled::NotUtf8,
            Self::ProxyPage => Spoiled::Html(502),
        }
    }

    pub(crate) const fn reasons(self, subject: &Subject) -> &'static [Reason] {
        use Reason as R;
        match self {
            Self::Reset | Self::Close => &[R::Reset],
            Self::HalfBody | Self::ChunkedGarbage | Self::Garbage | Self::HugeHeader => &[R::Protocol],
            Self::Hang => &[R::ResponseTimeout],
            // The simulated fault makes a 200 of whatever the answer was.
            Self::HugeBody if subject.is_guard() => &[R::None],
            Self::HugeBody => &[R::UnexpectedBody, R::None],
            // The refusal's type stands in its header, its text is gone.
            // A complaint about time has its word in the text only.
            Self::NotUtf8 if subject.is_guard() => &[
                R::UnattributedPolicy,
                R::ResourcePolicy,
                R::ResourceOrIdentityPolicy,
                R::VpcEndpointPolicy,
                R::SignatureMismatch,
            ],
            Self::NotUtf8 => &[R::UnexpectedBody, R::UnattributedPolicy, R::SignatureMismatch, R::None],
            Self::ProxyPage => &[R::NotApiGateway],
        }
    }
}

impl StsTrouble {
    pub(crate) const ALL: [Self; 6] =
        [Self::Hangs, Self::Resets, Self::Throttles, Self::ProxyPage, Self::Garbage, Self::Slow];

    pub(crate) const fn begin(self, world: &mut World) {
        let sts = &mut world.sts;
        match self {
            Self::Hangs => sts.fault = Some(Spoiled::Wire(WireFault::Hang)),
            Self::Resets => sts.fault = Some(Spoiled::Wire(WireFault::Reset)),
            Self::Throttles => sts.throttled = true,
            Self::ProxyPage => sts.fault = Some(Spoiled::Html(503)),
            Self::Garbage => sts.fault = Some(Spoiled::Wire(WireFault::Garbage)),
            Self::Slow => sts.latency = Span::from_seconds(2),
        }
    }
}

impl ApiTrouble {
    pub(crate) fn begin(self, api: &mut Api, spoke: usize) {
        let integration = |api: &mut Api, what: &Integration| {
            api.routes.iter_mut().for_each(|route: &mut Route| route.integration = what.clone());
        };
        match self {
            Self::Spoils(spoil) => api.fault = Some(spoil.as_world()),
            Self::Slow => api.latency = Span::from_seconds(4),
            Self::Throttled => api.throttle = Some(Throttle { rate: 0.0, burst: 0.0 }),
            Self::QuotaUsedUp => api.quota_exhausted = true,
            Self::BlockedByWaf => api.waf_blocks = true,
            Self::StageGone => api.stages = vec!["other".into()],
            Self::RouteGone => api.routes.retain(|route| route.method == "POST"),
            Self::MethodOpen => {
                api.routes.iter_mut().for_each(|route| route.authorization = Authorization::None);
                // A policy that names principals lets nobody in where nobody signs.
                api.resource_policy = Some(document(json!({"Version": "2012-10-17", "Statement": [
                    {"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"}
                ]})));
            }
            Self::BackendFails => integration(api, &Integration::Behaviour(Behaviour::Failing)),
            Self::BackendMisconfigured => integration(api, &Integration::Behaviour(Behaviour::Misconfigured)),
            Self::BackendUnplugged => integration(api, &Integration::Behaviour(Behaviour::NetworkFailure)),
            Self::BackendTimesOut => integration(api, &Integration::Behaviour(Behaviour::Timeout)),
            Self::BackendStatus => {
                let mock =
                    Mock { status: 503, headers: Default::default(), body: Some("busy".into()), json: None };
                integration(api, &Integration::Mock(mock));
            }
            Self::PolicyDenies { old_words } => {
                api.old_wording = old_words;
                api.resource_policy = Some(document(json!({"Version": "2012-10-17", "Statement": [
                    {"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*"},
                    {"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::{}:root", account(spoke))},
                     "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
                     "Condition": {"ArnEquals": {"aws:PrincipalArn": role_arn(spoke)}}},
                ]})));
            }
            Self::PolicyGone => api.resource_policy = None,
        }
    }

    /// An unsigned caller meets the endpoint's policy first and sees of the api only what spoils every answer.
    pub(crate) fn reasons(self, subject: &Subject) -> &'static [Reason] {
        use Reason as R;
        let unsigned = !subject.is_signed();
        match self {
            Self::Spoils(spoil) => spoil.reasons(subject),
            Self::Slow => &[],
            Self::StageGone => &[R::Forbidden],
            _ if unsigned && !matches!(self, Self::PolicyDenies { old_words: true }) => &[],
            Self::BlockedByWaf => &[R::Forbidden],
            // Guards are refused by their own policies before that.
            Self::Throttled | Self::QuotaUsedUp if subject.is_guard() => &[],
            Self::Throttled => &[R::Rate],
            Self::QuotaUsedUp => &[R::Quota],
            // The route of POST stays.
            Self::RouteGone if subject.id.ends_with("/greet") => &[],
            Self::RouteGone => &[R::MissingAuthenticationToken, R::NotFound],
            Self::MethodOpen => &[R::None],
            Self::BackendFails
            | Self::BackendMisconfigured
            | Self::BackendUnplugged
            | Self::BackendTimesOut
            | Self::BackendStatus
                if subject.is_guard() =>
            {
                &[]
            }
            Self::BackendFails | Self::BackendMisconfigured => &[R::IntegrationError],
            Self::BackendUnplugged => &[R::IntegrationNetwork],
            // The integration gives up after 29 s.
            Self::BackendTimesOut if subject.timeout.as_secs() < 29 => &[R::ResponseTimeout],
            Self::BackendTimesOut => &[R::IntegrationTimeout],
            Self::BackendStatus => &[R::BackendStatus],
            Self::PolicyDenies { old_words: true } if unsigned => {
                &[R::UnattributedPolicy, R::VpcEndpointPolicy]
            }
            Self::PolicyDenies { old_words: true } => {
                &[R::UnattributedPolicy, R::ResourcePolicy, R::ResourceOrIdentityPolicy]
            }
            Self::PolicyDenies { old_words: false } => &[R::ResourcePolicy],
            Self::PolicyGone => &[R::ResourcePolicy, R::ResourceOrIdentityPolicy],
        }
    }
}

impl RoleTrouble {
    pub(crate) fn begin(self, role: &mut Role) {
        let deny = || {
            document(json!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "execute-api:Invoke", "Resource": "*"},
            ]}))
        };
        match self {
            Self::TrustGone => role.trust = None,
            Self::IdentityDenies => role.policies.push(deny()),
            Self::BoundaryDenies => role.boundary = Some(deny()),
            Self::OrganisationDenies => {}
            Self::SessionsRevoked => role.revoked_after = Some(Span::from_seconds(600)),
        }
    }

    pub(crate) const fn reasons(self) -> &'static [Reason] {
        use Reason as R;
        match self {
            Self::TrustGone => &[R::AssumeRoleDenied],
            Self::IdentityDenies => &[R::IdentityPolicy, R::ResourceOrIdentityPolicy],
            Self::BoundaryDenies => &[R::PermissionsBoundary],
            Self::OrganisationDenies => &[R::ServiceControlPolicy],
            Self::SessionsRevoked => &[R::TokenExpired],
        }
    }
}
