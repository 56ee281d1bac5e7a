//! The certificate of the endpoint, made at start by an authority that is made with it.

use super::world::World;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::time::{Duration, SystemTime};

/// How long the authority is good for.
const AUTHORITY_DAYS: i32 = 3_650;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A certificate with its key, and the authority that a client must trust.
pub(crate) struct EndpointCertificate {
    /// The authority in PEM.
    pub(crate) ca_pem: String,
    /// The endpoint's own certificate in DER.
    pub(crate) der: Vec<u8>,
    /// Its private key in PKCS #8, DER.
    pub(crate) key_der: Vec<u8>,
}

/// All names the endpoint answers to.
pub(crate) fn names(world: &World) -> Vec<String> {
    let (region, suffix) = (&world.region, world.dns_suffix());
    let mut names = vec![
        format!("*.execute-api.{region}.{suffix}"),
        format!("*.execute-api.{region}.vpce.{suffix}"),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    for domain in world.apis().filter_map(|(_, api)| api.domain.as_ref()) {
        if !names.contains(&domain.name) {
            names.push(domain.name.clone());
        }
    }
    names
}

/// Whether the certificate of a world is good for a name.
pub(crate) fn is_for(world: &World, asked: &str) -> bool {
    let (region, suffix) = (world.region.as_str(), world.dns_suffix());
    // What nearly every handshake asks for, without making the list.
    let rest =
        asked.split_once(".execute-api.").filter(|(label, _)| !label.is_empty() && !label.contains('.'));
    let rest = rest.and_then(|(_, rest)| rest.strip_prefix(region)).and_then(|rest| rest.strip_prefix('.'));
    rest == Some(suffix) || covers(&names(world), asked)
}

/// Whether one of the names is that of a handshake; a star stands for one label.
fn covers(names: &[String], asked: &str) -> bool {
    names.iter().any(|name| match name.strip_prefix('*') {
        Some(tail) => asked.strip_suffix(tail).is_some_and(|label| !label.is_empty() && !label.contains('.')),
        None => name.eq_ignore_ascii_case(asked),
    })
}

/// Makes an authority and a certificate for the world's names, good from the day before yesterday on, or long expired.
pub(crate) fn make(world: &World, now: SystemTime) -> Result<EndpointCertificate, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.distinguished_name.push(DnType::CommonName, "spokeprobe simulated authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut authority, now, AUTHORITY_DAYS);
    let ca_pem = authority.self_signed(&authority_key)?.pem();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate()?;
    let names = names(world);
    let common = names.first().cloned().unwrap_or_default();
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, common);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    limit(&mut leaf, now, world.endpoint.certificate_days);
    let certificate = leaf.signed_by(&key, &issuer)?;
    Ok(EndpointCertificate { ca_pem, der: certificate.der().to_vec(), key_der: key.serialize_der() })
}

fn limit(params: &mut CertificateParams, now: SystemTime, days: i32) {
    let day = |time: SystemTime| {
        let stamp = jiff::Timestamp::try_from(time).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let date = jiff::tz::Offset::UTC.to_datetime(stamp);
        let month = u8::try_from(date.month()).unwrap_or(1);
        rcgen::date_time_ymd(i32::from(date.year()), month, u8::try_from(date.day()).unwrap_or(1))
    };
    let ago = |days: u32| now.checked_sub(DAY * days).unwrap_or(SystemTime::UNIX_EPOCH);
    let span = days.unsigned_abs().min(AUTHORITY_DAYS.unsigned_abs());
    if days > 0 {
        params.not_before = day(ago(2));
        params.not_after = day(now + DAY * span);
    } else {
        params.not_before = day(ago(span.saturating_add(90)));
        params.not_after = day(ago(span));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_covers_one_label() {
        let names = ["*.execute-api.eu-west-1.amazonaws.com".to_owned(), "private.example.com".to_owned()];
        for (asked, covered) in [
            ("a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com", true),
            ("x.y.execute-api.eu-west-1.amazonaws.com", false),
            (".execute-api.eu-west-1.amazonaws.com", false),
            ("private.example.com", true),
            ("example.com", false),
        ] {
            assert_eq!(covers(&names, asked), covered, "{asked}");
        }
    }

    #[test]
    fn it_is_made_for_the_default_world() {
        let world = World::default_world().unwrap();
        let made = make(&world, SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)).unwrap();
        assert!(made.ca_pem.starts_with("-----BEGIN CERTIFICATE-----"));
    }
}
