//! `spokeprobe healthcheck`: asks the local agent's `/-/healthy`, for images without a shell.
//!
//! With a web configuration file the agent may speak https only. So plain http is tried first, and when the answer is
//! not that of a healthy agent, https. Credentials are neither needed nor sent.

use super::{Exit, output, values};
use crate::seams::{FetchFailure, FetchRequest, FetchResponse, SystemClock, Transport as _};
use crate::transport::{self, HttpTransport};
use bytes::Bytes;
use clap::Args;
use http::{HeaderMap, Method};
use serde_json::json;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example (container image):
  HEALTHCHECK CMD [\"spokeprobe\", \"healthcheck\"]")]
pub(super) struct HealthcheckArgs {
    /// The address the agent listens on (web.listen); 0.0.0.0 and `[::]` are asked through loopback
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:10403",
        env = "SPOKEPROBE_HEALTHCHECK_ADDRESS",
        value_parser = values::address
    )]
    address: SocketAddr,
    /// Ask over https at once; without this, plain http is tried first
    #[arg(long)]
    tls: bool,
    /// How long to wait for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3, value_parser = values::whole(1..=60, "seconds"))]
    timeout_seconds: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn healthcheck(args: HealthcheckArgs) -> Exit {
    let HealthcheckArgs { mut address, tls, timeout_seconds, json } = args;
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    let timeout = Duration::from_secs(timeout_seconds);
    let problem = match ask(address, tls, timeout).await {
        Ok(answer) if answer.status == 200 => None,
        Ok(answer) => Some(format!("{address} answered {}: not a healthy agent", answer.status)),
        Err(failure) => Some(format!("no agent answers on {address}: {}", failure.detail)),
    };
    if json {
        output::json(&json!({ "healthy": problem.is_none(), "problem": problem }));
    } else if problem.is_none() {
        output::result("healthy");
    }
    match problem {
        None => Exit::Expected,
        Some(problem) => {
            output::error(&problem);
            Exit::Unexpected
        }
    }
}

const PATH: &str = "/-/healthy";

/// Both ways together take no longer than asked for.
async fn ask(address: SocketAddr, tls: bool, timeout: Duration) -> Result<FetchResponse, FetchFailure> {
    if tls {
        return transport::ask_unverified(address, PATH, timeout).await;
    }
    let clock = Arc::new(SystemClock::start());
    let plain = HttpTransport::new(&transport::Settings::default(), clock)
        .map_err(|problem| FetchFailure { timed_out: false, detail: problem.to_string() })?;
    let plain = plain
        .fetch(FetchRequest {
            method: Method::GET,
            url: format!("http://{address}{PATH}"),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            timeout: timeout / 2,
        })
        .await;
    match plain {
        Ok(answer) if answer.status == 200 => Ok(answer),
        // Who speaks TLS answers with 400 or hangs up.
        plain => match transport::ask_unverified(address, PATH, timeout / 2).await {
            Ok(answer) => Ok(answer),
            // No TLS either: what was heard first says more.
            Err(_) => plain,
        },
    }
}
