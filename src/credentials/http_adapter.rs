//! The SDK's HTTP over `Transport::fetch`, so that STS and the credential sources use our one TLS stack and
//! read no proxy variable.

use crate::seams::{FetchRequest, Transport};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// For requests whose sender set no time: the SDK's own attempt timeout is shorter where there is one.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the SDK is given as its HTTP client.
#[derive(Clone)]
pub(super) struct FetchClient(Arc<dyn Transport>);

impl FetchClient {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self(transport)
    }
}

impl fmt::Debug for FetchClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FetchClient")
    }
}

impl HttpClient for FetchClient {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        // IMDS asks with one second each, so that a machine without it is found out soon.
        let timeout = match (settings.connect_timeout(), settings.read_timeout()) {
            (Some(connect), Some(read)) => connect + read,
            (None, Some(read)) => read,
            (_, None) => DEFAULT_TIMEOUT,
        };
        SharedHttpConnector::new(FetchConnector { transport: Arc::clone(&self.0), timeout })
    }
}

#[derive(Clone)]
struct FetchConnector {
    transport: Arc<dyn Transport>,
    timeout: Duration,
}

impl fmt::Debug for FetchConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchConnector").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpConnector for FetchConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Self { transport, timeout } = self.clone();
        HttpConnectorFuture::new(async move { exchange(&*transport, timeout, request).await })
    }
}

async fn exchange(
    transport: &dyn Transport,
    timeout: Duration,
    request: HttpRequest,
) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
    let (parts, body) = request.into_parts();
    let body = body
        .bytes()
        // The form of AssumeRole, with the external id in it.
        .map(|form| Bytes::from_owner(Zeroizing::new(form.to_vec())))
        .ok_or_else(|| ConnectorError::user("a streaming body is not supported".into()))?;
    let fetch = FetchRequest {
        method: parts.method,
        url: parts.uri.to_string(),
        headers: parts.headers,
        body,
        timeout,
    };
    let answer = transport.fetch(fetch).await.map_err(|failure| {
        let timed_out = failure.timed_out;
        let cause = failure.detail.into();
        if timed_out { ConnectorError::timeout(cause) } else { ConnectorError::io(cause) }
    })?;
    let unreadable = |error: String| ConnectorError::other(error.into(), None);
    let mut response = http::Response::new(SdkBody::from(answer.body));
    *response.status_mut() =
        http::StatusCode::from_u16(answer.status).map_err(|error| unreadable(error.to_string()))?;
    *response.headers_mut() = answer.headers;
    // Refuses header values that are not UTF-8, which the SDK would not survive.
    HttpResponse::try_from(response).map_err(|error| unreadable(error.to_string()))
}
