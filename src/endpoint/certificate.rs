//! The certificates of an address, read for people. Whether they are trusted is not decided here: rustls did that.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Name};

/// The most names of one certificate that are kept.
const NAMES_KEPT: usize = 64;
/// The most names of one certificate that are shown.
const NAMES_SHOWN: usize = 8;
/// The longest text of a certificate that is shown, in characters: a DNS name has at most 253.
const TEXT_CHARS_MAX: usize = 253;

/// What a certificate says of itself. Texts are bounded and harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// The subject's alternative names, at most 64; its common name where there is none.
    pub names: Vec<String>,
    /// Who signed it.
    pub issuer: String,
    /// When it begins to be valid.
    pub not_before: SystemTime,
    /// When it ends.
    pub not_after: SystemTime,
    /// SHA-256 of the whole of it, in hexadecimal.
    pub sha256: String,
}

impl Certificate {
    /// Reads one certificate in DER; `None` for what is none.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let mut names: Vec<String> = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .map(|extension| extension.value.general_names.iter().filter_map(name).take(NAMES_KEPT).collect())
            .unwrap_or_default();
        if names.is_empty() {
            names.push(common_name(certificate.subject()));
        }
        let validity = certificate.validity();
        Some(Self {
            names,
            issuer: common_name(certificate.issuer()),
            not_before: time(validity.not_before.timestamp()),
            not_after: time(validity.not_after.timestamp()),
            sha256: hexadecimal(&Sha256::digest(der)),
        })
    }

    /// Whether it is for this name. A star stands for one label (RFC 6125, 6.4.3).
    #[must_use]
    pub fn covers(&self, asked: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(tail) => asked.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(tail)),
            None => name.eq_ignore_ascii_case(asked),
        })
    }

    /// What is wrong with its times; `None` while it is valid.
    #[must_use]
    pub fn outdated(&self, now: SystemTime) -> Option<String> {
        if now > self.not_after {
            Some(format!("the certificate expired {}", moment(self.not_after)))
        } else if now < self.not_before {
            Some(format!("the certificate is not valid before {}", moment(self.not_before)))
        } else {
            None
        }
    }

    /// What is wrong with it by itself; `None` where only trust can be what is missing.
    #[must_use]
    pub fn fault(&self, asked: &str, now: SystemTime) -> Option<String> {
        self.outdated(now).or_else(|| {
            (!self.covers(asked))
                .then(|| format!("the certificate is for {}, and {asked} was asked for", self.shown_names()))
        })
    }

    /// Its first names, in a line.
    #[must_use]
    pub fn shown_names(&self) -> String {
        let mut shown = self.names.iter().take(NAMES_SHOWN).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > NAMES_SHOWN {
            shown.push_str(&format!(" and {} more", self.names.len() - NAMES_SHOWN));
        }
        shown
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(fit(name)),
        GeneralName::IPAddress(bytes) => match *bytes {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

fn common_name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().chain(name.iter_organization()).next();
    common.and_then(|part| part.as_str().ok()).map_or_else(|| fit(&name.to_string()), fit)
}

/// A text of the far side, short and without characters that do more than stand there.
fn fit(text: &str) -> String {
    let harmless = |c: char| c == ' ' || c.is_ascii_graphic() || c.is_alphanumeric();
    let shown = |c: char| if harmless(c) { c } else { char::REPLACEMENT_CHARACTER };
    text.chars().take(TEXT_CHARS_MAX).map(shown).collect()
}

fn time(seconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

/// A moment for people, to the second.
fn moment(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map_or_else(|_| "at a time beyond the calendar".to_owned(), |stamp| format!("{stamp:.0}"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
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
        let certificate = Certificate::read(&made()).unwrap();
        assert_eq!(certificate.names, ["*.a.test", "b.test", "10.0.1.17"]);
        let february = at(1_770_000_000);
        assert_eq!(certificate.fault("x.a.test", february), None);
        assert_eq!(certificate.fault("10.0.1.17", february), None);
        let wrong = certificate.fault("x.y.a.test", february).unwrap();
        assert_eq!(wrong, "the certificate is for *.a.test, b.test, 10.0.1.17, and x.y.a.test was asked for");
        let expired = certificate.fault("b.test", at(1_780_000_000)).unwrap();
        assert_eq!(expired, "the certificate expired 2026-03-01T00:00:00Z");
        assert!(certificate.fault("b.test", at(0)).unwrap().contains("not valid before"));
    }

    proptest! {
        #[test]
        fn what_is_no_certificate_is_none(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert_eq!(Certificate::read(&bytes), None);
        }

        #[test]
        fn a_spoilt_certificate_is_read_or_not(at in 0usize..300, byte in any::<u8>()) {
            let mut der = made();
            let at = at % der.len();
            der[at] = byte;
            drop(Certificate::read(&der));
        }
    }
}
