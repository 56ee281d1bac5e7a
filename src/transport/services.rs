//! Where a service is to be found: SRV records, which the system's resolver has no call for. The only user of
//! hickory-resolver; addresses are asked of the system like all others, so that both see the same hosts.

use super::failure;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::seams::{SERVICES_MAX, ServicePlace};
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

/// Asks for the SRV records of a name. Each question reads the system's configuration anew and keeps no answer: the
/// name servers of a machine may change while the agent runs, and a kept answer would name members that have left.
pub(super) async fn places(name: String) -> Result<Vec<ServicePlace>, TransportFailure> {
    let failed = |error: &dyn std::fmt::Display| failure::failure(FailureKind::Dns, error.to_string());
    let mut builder = TokioResolver::builder_tokio().map_err(|error| failed(&error))?;
    builder.options_mut().cache_size = 0;
    let resolver = builder.build().map_err(|error| failed(&error))?;
    let answer = resolver.srv_lookup(name).await.map_err(|error| failed(&error))?;
    let places = answer.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(service) => {
            let host = service.target.to_ascii();
            // A target of "." says that there is no such service (RFC 2782).
            (host != ".").then_some(ServicePlace { host, port: service.port })
        }
        _ => None,
    });
    Ok(places.take(SERVICES_MAX).collect())
}
