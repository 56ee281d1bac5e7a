//! What the doctor says of a certificate: `endpoint::certificate` has read it.

use super::plain;
use super::report::Finding;
use crate::endpoint::certificate::Certificate;
use std::time::{Duration, SystemTime};

/// A certificate that ends sooner is worth a warning. AWS renews those of its endpoints long before.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// The certificate in a line, and a warning where it ends soon. `place` counts from the server's own.
pub(super) fn findings(certificate: &Certificate, place: usize, now: SystemTime) -> Vec<Finding> {
    let whose = if place == 0 { "own".to_owned() } else { format!("{place} above") };
    let text = format!(
        "{whose}: {}; issued by {}; until {}",
        certificate.shown_names(),
        certificate.issuer,
        plain::moment(certificate.not_after)
    );
    let mut findings = vec![Finding::new("certificate", text)];
    if let Ok(left) = certificate.not_after.duration_since(now)
        && left < SOON
    {
        findings.push(Finding::warning("certificate", format!("it ends in {}", plain::span(left))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn one_that_ends_soon_is_warned_of() {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 1);
        let der = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let certificate = Certificate::read(&der).unwrap();
        let warned = |seconds| {
            let now = UNIX_EPOCH + Duration::from_secs(seconds);
            findings(&certificate, 0, now).iter().any(|finding| finding.warning)
        };
        assert!(warned(1_772_000_000) && !warned(1_770_000_000));
    }
}
