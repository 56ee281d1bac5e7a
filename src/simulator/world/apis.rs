//! The part of a world that describes one private REST API.

use super::pieces::{Document, Fault, Span};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A private REST API, deployed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// 10 lower-case letters and digits.
    pub id: String,
    /// A word for people.
    #[serde(default)]
    pub name: Option<String>,
    /// The deployed stages.
    pub stages: Vec<String>,
    /// A private custom domain name mapped to it.
    #[serde(default)]
    pub domain: Option<CustomDomain>,
    /// Its resource policy. Absent: every call is refused, since a private API without one is never
    /// deployed (API Gateway developer guide, "Private REST APIs").
    #[serde(default)]
    pub resource_policy: Option<Document>,
    /// Its methods.
    pub routes: Vec<Route>,
    /// A limit of the stage.
    #[serde(default)]
    pub throttle: Option<Throttle>,
    /// True when the usage plan's quota is used up.
    #[serde(default)]
    pub quota_exhausted: bool,
    /// How long its integrations take.
    #[serde(default)]
    pub latency: Span,
    /// A fault of every answer.
    #[serde(default)]
    pub fault: Option<Fault>,
    /// True for an API that is not private: an endpoint answers `Forbidden` for it.
    #[serde(default)]
    pub public: bool,
    /// True when a web ACL blocks every call.
    #[serde(default)]
    pub waf_blocks: bool,
    /// True when the name in the TLS handshake must be the host's.
    #[serde(default)]
    pub strict_access: bool,
    /// Whether denials keep the older wording that names no policy type.
    #[serde(default)]
    pub old_wording: bool,
    /// The API keys that methods with `api_key_required` accept.
    #[serde(default)]
    pub api_keys: Vec<String>,
    /// A customised gateway response for everything from 400 to 499.
    #[serde(default)]
    pub gateway_response: Option<GatewayResponse>,
}

/// A private custom domain name that maps to one stage.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomDomain {
    /// The name.
    pub name: String,
    /// The base path without slashes; empty for the root.
    #[serde(default)]
    pub base_path: String,
    /// The stage it maps to.
    pub stage: String,
}

/// A method of an API.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The method, or `ANY`.
    pub method: String,
    /// The path after the stage; `{name}` stands for a segment, `{name+}` for the rest.
    pub path: String,
    /// The authorization type.
    pub authorization: Authorization,
    /// What the Lambda authorizer says; needed with `CUSTOM`.
    #[serde(default)]
    pub authorizer: Option<Authorizer>,
    /// True when the call must carry an API key.
    #[serde(default)]
    pub api_key_required: bool,
    /// True when the call must have a body, else it is a bad request.
    #[serde(default)]
    pub body_required: bool,
    /// What stands behind the method.
    pub integration: Integration,
    /// How long it takes, on top of the API's own latency.
    #[serde(default)]
    pub latency: Span,
    /// A fault of its answers.
    #[serde(default)]
    pub fault: Option<Fault>,
}

/// The authorization types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Authorization {
    /// Anyone the policies let through.
    #[serde(rename = "NONE")]
    None,
    /// Signed callers.
    #[serde(rename = "AWS_IAM")]
    Iam,
    /// A Lambda authorizer.
    #[serde(rename = "CUSTOM")]
    Custom,
}

/// What a Lambda authorizer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authorizer {
    /// Returns a policy that allows.
    Allow,
    /// Returns a policy that allows something else.
    Deny,
    /// Returns a policy that denies.
    ExplicitDeny,
    /// Throws `Unauthorized`, or finds no token.
    Unauthorized,
    /// Is set up wrongly or returns nonsense.
    Misconfigured,
    /// Cannot be called.
    Failing,
}

/// What stands behind a method: a word or a fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Integration {
    /// A known behaviour.
    Behaviour(Behaviour),
    /// A fixed answer.
    Mock(Mock),
}

/// The behaviours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Behaviour {
    /// `{"hello": NAME}` for a JSON body with a name, `{"hello": "stranger"}` for anything else.
    Greet,
    /// Says back what it was sent: each header under its name after `X-Echo-`, and in a JSON body headers and body
    /// as they are, percent-encoded and in hexadecimal.
    Echo,
    /// The integration is set up wrongly.
    Misconfigured,
    /// The function behind throws.
    Failing,
    /// The function behind takes longer than the integration timeout.
    Timeout,
    /// The backend cannot be reached.
    NetworkFailure,
}

/// A fixed answer.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mock {
    /// The status.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    #[serde(default)]
    pub body: Option<String>,
    /// The body as a value, written as JSON.
    #[serde(default)]
    pub json: Option<serde_json::Value>,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Requests per second.
    pub rate: f64,
    /// The size of the bucket.
    pub burst: f64,
}

/// What an owner made of the gateway's own refusals.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayResponse {
    /// The status instead of the default one.
    #[serde(default)]
    pub status: Option<u16>,
    /// The body instead of the default one.
    #[serde(default)]
    pub body: Option<String>,
    /// Headers on top.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Whether `x-amzn-ErrorType` survives. UNCONFIRMED for a replaced status, so a world may say.
    #[serde(default)]
    pub error_type: bool,
}

const fn ok() -> u16 {
    200
}
