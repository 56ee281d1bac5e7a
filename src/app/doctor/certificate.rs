//! The certificates of an address, read for people. Whether they are trusted is not decided here: rustls did that.

use super::plain;
use super::report::Finding;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

/// The most names of one certificate that are shown.
const NAMES_MAX: usize = 8;
/// A certificate that ends sooner is worth a warning. AWS renews those of its endpoints long before.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// What a certificate says of itself. Texts are bounded and harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    /// The subject's alternative names; its common name where there is none.
    pub(super) names: Vec<String>,
    /// Who signed it.
    pub(super) issuer: String,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// Reads one certificate in DER; `None` for what is none.
pub(super) fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let mut names: Vec<String> = certificate
        .subject_alternative_name()
        .ok()
        .flatten()
        .map(|extension| extension.value.general_names.iter().filter_map(name).take(64).collect())
        .unwrap_or_default();
    if names.is_empty() {
        names.push(common_name(certificate.subject()));
    }
    let validity = certificate.validity();
    Some(Certificate {
        names,
        issuer: common_name(certificate.issuer()),
        not_before: time(validity.not_before.timestamp()),
        not_after: time(validity.not_after.timestamp()),
    })
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(plain::line(name)),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().chain(name.iter_organization()).next();
    common.and_then(|part| part.as_str().ok()).map_or_else(|| plain::line(&name.to_string()), plain::line)
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

impl Certificate {
    /// Whether it is for this name. A star stands for one label (RFC 6125, 6.4.3).
    pub(super) fn covers(&self, asked: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(tail) => asked.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(tail)),
            None => name.eq_ignore_ascii_case(asked),
        })
    }

    /// What is wrong with it by itself; `None` where only trust can be what is missing.
    pub(super) fn fault(&self, asked: &str, now: SystemTime) -> Option<String> {
        if now > self.not_after {
            return Some(format!("the certificate expired {}", plain::moment(self.not_after)));
        }
        if now < self.not_before {
            return Some(format!("the certificate is not valid before {}", plain::moment(self.not_before)));
        }
        (!self.covers(asked))
            .then(|| format!("the certificate is for {}, and {asked} was asked for", self.shown_names()))
    }

    fn shown_names(&self) -> String {
        let mut shown = self.names.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > NAMES_MAX {
            shown.push_str(&format!(" and {} more", self.names.len() - NAMES_MAX));
        }
        shown
    }

    /// The certificate in a line, and a warning where it ends soon.
    pub(super) fn findings(&self, place: usize, now: SystemTime) -> Vec<Finding> {
        let whose = if place == 0 { "own".to_owned() } else { format!("{place} above") };
        let text = format!(
            "{whose}: {}; issued by {}; until {}",
            self.shown_names(),
            self.issuer,
            plain::moment(self.not_after)
        );
        let mut findings = vec![Finding::new("certificate", text)];
        if let Ok(left) = self.not_after.duration_since(now)
            && left < SOON
        {
            findings.push(Finding::warning("certificate", format!("it ends in {}", plain::span(left))));
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made() -> Vec<u8> {
        let mut params =
            rcgen::CertificateParams::new(vec!["*.a.test".into(), "b.test".into(), "10.0.1.17".into()])
                .unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 3, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn names_and_times_are_read_and_judged() {
        let certificate = read(&made()).unwrap();
        assert_eq!(certificate.names, ["*.a.test", "b.test", "10.0.1.17"]);
        let february = at(1_770_000_000);
        assert_eq!(certificate.fault("x.a.test", february), None);
        assert_eq!(certificate.fault("10.0.1.17", february), None);
        let wrong = certificate.fault("x.y.a.test", february).unwrap();
        assert_eq!(wrong, "the certificate is for *.a.test, b.test, 10.0.1.17, and x.y.a.test was asked for");
        let expired = certificate.fault("b.test", at(1_780_000_000)).unwrap();
        assert_eq!(expired, "the certificate expired 2026-03-01T00:00:00Z");
        assert!(certificate.fault("b.test", at(0)).unwrap().contains("not valid before"));
        assert!(certificate.findings(0, at(1_772_000_000)).iter().any(|finding| finding.warning));
    }

    proptest! {
        #[test]
        fn what_is_no_certificate_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(read(&bytes), None);
        }

        #[test]
        fn a_spoilt_certificate_is_read_or_not(at in 0usize..300, byte in any::<u8>()) {
            let mut der = made();
            let at = at % der.len();
            der[at] = byte;
            drop(read(&der));
        }
    }
}
