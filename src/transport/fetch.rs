//! A plain bounded request: STS, credential endpoints and the like, on the same TLS configuration.
//!
//! The address check does not apply here: metadata endpoints are link-local, and STS may well be public.

use super::SetupError;
use super::clients::builder;
use super::exchange::read_bounded;
use super::failure::bounded;
use crate::seams::{FetchFailure, FetchRequest, FetchResponse};
use bytes::Bytes;
use std::error::Error;
use std::time::Duration;
use zeroize::Zeroizing;

/// STS answers within milliseconds or not at all.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn client(tls: &rustls::ClientConfig) -> Result<reqwest::Client, SetupError> {
    builder(tls)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(16)
        .build()
        .map_err(|error| SetupError::new(format!("an HTTP client cannot be built: {error}")))
}

/// Sends a request; see `Transport::fetch`. A body past the bound is a failure, not a shorter body.
pub(super) async fn fetch(
    client: &reqwest::Client,
    request: FetchRequest,
) -> Result<FetchResponse, FetchFailure> {
    let FetchRequest { method, url, headers, body, timeout } = request;
    let work = async {
        let mut outgoing = client.request(method, url).headers(headers);
        if !body.is_empty() {
            outgoing = outgoing.body(body);
        }
        let mut incoming = outgoing.send().await.map_err(failed)?;
        let status = incoming.status().as_u16();
        let headers = std::mem::take(incoming.headers_mut());
        let (body, truncated) = read_bounded(&mut incoming).await.map_err(failed)?;
        if truncated {
            return Err(FetchFailure { timed_out: false, detail: "the answer is longer than 1 MiB".into() });
        }
        // Credentials come this way: zeroed when the last reader lets go. The pieces in which it came are hyper's, and are
        // freed as they are.
        let body = Bytes::from_owner(Zeroizing::new(Vec::from(body)));
        Ok(FetchResponse { status, headers, body })
    };
    match tokio::time::timeout(timeout, work).await {
        Ok(result) => result,
        Err(_) => Err(FetchFailure { timed_out: true, detail: "no whole answer in time".into() }),
    }
}

fn failed(error: reqwest::Error) -> FetchFailure {
    // URLs of credential endpoints may carry ids that are as good as secrets.
    let error = error.without_url();
    let timed_out = error.is_timeout();
    let mut inner: &dyn Error = &error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    FetchFailure { timed_out, detail: bounded(&inner.to_string()) }
}
