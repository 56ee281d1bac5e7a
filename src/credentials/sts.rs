//! The seam `Sessions` on the AWS SDK, its only user.
//!
//! The SDK signs and speaks to STS; what it would keep, refresh or retry for long is ours: sessions live in
//! `store`, and its own identity cache (64 entries, refreshed on the request's path) is turned off.
//!
//! What the SDK is given as credentials it zeroes itself. It keeps no session; but the form that it sends (with the
//! external id), its canonical request (with the hub's token) and the elements of an answer while they are parsed
//! are plain strings, freed and not zeroed.

use super::Settings;
use super::http_adapter::FetchClient;
use super::hub::{HubCredentials, Source, no_credentials};
use super::listed::Listed;
use super::wording;
use crate::domain::credentials::{CallerIdentity, RoleSession, SessionCredentials};
use crate::domain::hidden::Hidden;
use crate::domain::scrub::scrub;
use crate::domain::secret::{ConfiguredText, Secret};
use crate::seams::{Clock, SessionFailure, SessionFailureKind, Sessions, Transport};
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_sts::Client;
use aws_sdk_sts::config::{Builder, Config, Credentials, IdentityCache};
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::types::Tag;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource;
use futures_util::future::BoxFuture;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::OnceCell;

/// One try of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);
/// A call with its retries.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Tries of a call, for throttling and failures of the network.
const ATTEMPTS: u32 = 3;

/// STS and the hub's credentials through the AWS SDK.
pub struct SdkSessions {
    client: Client,
    hub: HubCredentials,
}

impl SdkSessions {
    /// Prepares the client; asks nobody yet.
    #[must_use]
    pub fn new(settings: &Settings, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        let region = Region::new(settings.region.to_string());
        let http = FetchClient::new(Arc::clone(&transport));
        let time = WallTime(Arc::clone(&clock));
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(OPERATION_TIMEOUT)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(region.clone())
            .http_client(http.clone())
            .time_source(time.clone())
            .sleep_impl(TokioSleep::new())
            .timeout_config(timeouts)
            .retry_config(retries.clone())
            .identity_cache(IdentityCache::no_cache());
        // Named here and not left to the SDK, whose environment could point to another place.
        let endpoint = settings.sts_endpoint_url.clone();
        config = config
            .endpoint_url(endpoint.unwrap_or_else(|| format!("https://{}", settings.region.sts_host())));
        let source = match &settings.environment {
            Some(variables) => Source::Listed(Listed::read(variables), transport),
            None => {
                let chain = ProviderConfig::empty()
                    .with_behavior_version(Some(BehaviorVersion::latest()))
                    .with_region(Some(region))
                    .with_http_client(http)
                    .with_time_source(time)
                    .with_sleep_impl(TokioSleep::new())
                    .with_retry_config(retries);
                Source::Chain(Box::new(chain), OnceCell::new())
            }
        };
        Self { client: Client::from_conf(config.build()), hub: HubCredentials::new(source, clock) }
    }

    async fn assume(
        &self,
        role: &RoleSession,
        duration: Duration,
    ) -> Result<SessionCredentials, SessionFailure> {
        let hub = self.hub.get().await?;
        let mut call = self
            .client
            .assume_role()
            .role_arn(role.role_arn.to_string())
            .role_session_name(&role.session_name)
            .duration_seconds(i32::try_from(duration.as_secs()).unwrap_or(i32::MAX))
            .set_external_id(role.external_id.as_ref().map(|id| id.expose().to_owned()))
            .set_policy(role.session_policy.clone());
        for (key, value) in &role.session_tags {
            let tag = Tag::builder().key(key).value(value).build();
            call = call.tags(tag.map_err(|error| failed(error.to_string()))?);
        }
        let answer = match call.customize().config_override(signed_by(&hub)).send().await {
            Ok(answer) => answer,
            Err(error) => {
                let failure = explain(&error, &said_to_sts(&hub, role.external_id.as_ref()));
                if failure.kind == SessionFailureKind::NoHubCredentials {
                    self.hub.forget(&hub).await;
                }
                return Err(failure);
            }
        };
        // Taken out and not copied, so that these very bytes are zeroed in the end.
        let found = answer.credentials.ok_or_else(|| failed("STS gave no credentials"))?;
        let secret_access_key = Secret::new(found.secret_access_key);
        let session_token = Some(Secret::new(found.session_token));
        let expires_at = SystemTime::try_from(found.expiration)
            .map_err(|_| failed("STS gave an end of the session that cannot be read"))?;
        if found.access_key_id.is_empty() || secret_access_key.expose().is_empty() {
            return Err(failed("STS gave empty credentials"));
        }
        Ok(SessionCredentials {
            access_key_id: found.access_key_id,
            secret_access_key,
            session_token,
            expires_at: Some(expires_at),
        })
    }

    async fn identity(&self, credentials: &SessionCredentials) -> Result<CallerIdentity, SessionFailure> {
        let call = self.client.get_caller_identity().customize().config_override(signed_by(credentials));
        let hidden = said_to_sts(credentials, None);
        let answer = call.send().await.map_err(|error| explain(&error, &hidden))?;
        let shown = |text: &str| scrub(&hidden.taken_out_of(text));
        match (answer.account(), answer.arn()) {
            (Some(account), Some(arn)) => Ok(CallerIdentity { account: shown(account), arn: shown(arn) }),
            _ => Err(failed("STS did not say who the caller is")),
        }
    }
}

impl fmt::Debug for SdkSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkSessions").finish_non_exhaustive()
    }
}

impl Sessions for SdkSessions {
    fn hub_credentials(&self) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(self.hub.get())
    }

    fn caller_identity(
        &self,
        credentials: SessionCredentials,
    ) -> BoxFuture<'_, Result<CallerIdentity, SessionFailure>> {
        Box::pin(async move { self.identity(&credentials).await })
    }

    fn assume_role(
        &self,
        role: Arc<RoleSession>,
        duration: Duration,
    ) -> BoxFuture<'_, Result<SessionCredentials, SessionFailure>> {
        Box::pin(async move { self.assume(&role, duration).await })
    }
}

fn signed_by(credentials: &SessionCredentials) -> Builder {
    let token = credentials.session_token.as_ref().map(|token| token.expose().to_owned());
    Config::builder().credentials_provider(Credentials::new(
        &credentials.access_key_id,
        credentials.secret_access_key.expose(),
        token,
        credentials.expires_at,
        "spokeprobe",
    ))
}

/// Our clock as the SDK's, so that it signs with the same time as we do.
#[derive(Clone)]
struct WallTime(Arc<dyn Clock>);

impl fmt::Debug for WallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WallTime")
    }
}

impl TimeSource for WallTime {
    fn now(&self) -> SystemTime {
        self.0.wall()
    }
}

fn failed(why: impl AsRef<str>) -> SessionFailure {
    SessionFailure { kind: SessionFailureKind::Failed, code: None, message: scrub(why.as_ref()) }
}

/// What a call tells STS and nobody else may see, should it be said back.
fn said_to_sts(credentials: &SessionCredentials, external_id: Option<&ConfiguredText>) -> Hidden {
    let token = credentials.session_token.as_ref().map(Secret::expose);
    let external_id = external_id.filter(|text| text.is_secret()).map(ConfiguredText::expose);
    Hidden::new([Some(credentials.secret_access_key.expose()), token, external_id].into_iter().flatten())
}

/// What an error of the SDK means.
fn explain<E, R>(error: &SdkError<E, R>, hidden: &Hidden) -> SessionFailure
where
    E: ProvideErrorMetadata + Error + 'static,
    R: fmt::Debug,
{
    match error {
        SdkError::ServiceError(_) => match error.code() {
            Some(code) => {
                let said = hidden.taken_out_of(error.message().unwrap_or_default());
                of_code(&hidden.taken_out_of(code), &said)
            }
            None => failed("STS answered with an error that names no code"),
        },
        SdkError::TimeoutError(_) => failed("STS did not answer in time"),
        SdkError::DispatchFailure(dispatch) => {
            let mut inner: Option<&dyn Error> =
                dispatch.as_connector_error().map(|error| error as &dyn Error);
            while let Some(source) = inner.and_then(Error::source) {
                inner = Some(source);
            }
            let why = inner.map(ToString::to_string).unwrap_or_default();
            failed(format!("STS cannot be reached: {}", hidden.taken_out_of(&why)))
        }
        SdkError::ResponseError(_) => failed("STS gave an answer that cannot be read"),
        _ => failed("the call to STS could not be made"),
    }
}

/// What an error code of STS means.
///
/// Source: STS API reference, `AssumeRole` and "Common errors". That an unknown key reads
/// `InvalidClientTokenId` here as in other services of the query protocol is UNCONFIRMED for STS's own text.
fn of_code(code: &str, said: &str) -> SessionFailure {
    let kind = match code {
        "AccessDenied" | "AccessDeniedException" => SessionFailureKind::Denied,
        "ValidationError" | "ValidationException" if said.contains("DurationSeconds") => {
            SessionFailureKind::DurationRefused
        }
        "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "RequestLimitExceeded"
        | "TooManyRequestsException" => SessionFailureKind::Throttled,
        "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidAccessKeyId"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "InvalidSignatureException"
        | "IncompleteSignature"
        | "MissingAuthenticationToken" => SessionFailureKind::NoHubCredentials,
        _ => SessionFailureKind::Failed,
    };
    let shown_code = wording::code(code);
    let shown = scrub(said);
    if kind == SessionFailureKind::NoHubCredentials {
        let why = format!("STS does not accept the hub's own credentials: {shown}");
        return SessionFailure { code: shown_code, ..no_credentials(&why) };
    }
    let message = if shown.is_empty() { scrub(code) } else { shown };
    SessionFailure { kind, code: shown_code, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_sts() {
        use SessionFailureKind as Kind;
        let chained = "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by \
                       role chaining";
        for (code, said, kind) in [
            ("AccessDenied", "User: x is not authorized", Kind::Denied),
            ("ValidationError", chained, Kind::DurationRefused),
            ("ValidationError", "1 validation error detected: Value at 'roleArn'", Kind::Failed),
            ("Throttling", "Rate exceeded", Kind::Throttled),
            ("InvalidClientTokenId", "The security token is invalid.", Kind::NoHubCredentials),
            ("ExpiredToken", "expired", Kind::NoHubCredentials),
            ("ExpiredTokenException", "expired", Kind::NoHubCredentials),
            ("SignatureDoesNotMatch", "Signature expired", Kind::NoHubCredentials),
            ("RegionDisabledException", "STS is not activated in this region", Kind::Failed),
            ("PackedPolicyTooLarge", "138%", Kind::Failed),
            ("Whatever", "", Kind::Failed),
        ] {
            let failure = of_code(code, said);
            assert_eq!(failure.kind, kind, "{code}");
            assert_eq!(failure.code.as_deref(), Some(code));
            assert!(!failure.message.is_empty());
        }
    }
}
