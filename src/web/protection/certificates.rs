//! From the TLS section and the texts it names to rustls' configurations.

use super::client_certificates::{AnyCertificate, OfTheseNames};
use super::tls_section::{ClientAuth, Pem, Sourced, TlsSection};
use crate::yaml::Problem;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::sync::Arc;

/// How connections are secured now.
#[derive(Clone)]
pub(super) struct Tls {
    /// For everybody.
    pub(super) config: Arc<ServerConfig>,
    /// For this machine: a certificate is not needed to connect. Without one only health is answered, so that the
    /// health check of a container needs no key.
    pub(super) for_loopback: Arc<ServerConfig>,
    pub(super) client_auth: ClientAuth,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("client_auth", &self.client_auth).finish_non_exhaustive()
    }
}

/// Reads the file of a path as it is written in the web configuration file.
pub(super) type ReadFile<'a> = &'a mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

/// Makes the configurations.
///
/// # Errors
/// All problems with what the section names, each at its key.
pub(super) fn build(section: &TlsSection, read: ReadFile<'_>) -> Result<Tls, Vec<Problem>> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.clone_from(&section.suites);
    provider.kx_groups.clone_from(&section.groups);
    let provider = Arc::new(provider);
    let chain = certificates(&section.certificate, read);
    let key = private_key(&section.key, read);
    let roots = section.client_authorities.as_ref().map(|sourced| authorities(sourced, read)).transpose();
    let (chain, key, roots) = match (chain, key, roots) {
        (Ok(chain), Ok(key), Ok(roots)) => (chain, key, roots.map(Arc::new)),
        (chain, key, roots) => {
            return Err([chain.err(), key.err(), roots.err()]
                .into_iter()
                .flatten()
                .map(|problem| *problem)
                .collect());
        }
    };
    let certified = CertifiedKey::from_der(chain, key, &provider).map_err(|error| {
        let wanted = "the key of the certificate, in a form that is known (RSA, P-256, P-384, Ed25519)";
        vec![section.key.place.problem(format!("a key that does not fit ({error})"), wanted, None)]
    })?;
    let certified = Arc::new(certified);
    let make = |mandatory| configuration(section, &provider, roots.as_ref(), &certified, mandatory);
    let failed =
        |error: String| vec![section.certificate.place.problem(error, "settings that go together", None)];
    let config = Arc::new(make(section.client_auth.is_mandatory()).map_err(failed)?);
    let for_loopback = if section.client_auth.is_mandatory() {
        Arc::new(make(false).map_err(failed)?)
    } else {
        Arc::clone(&config)
    };
    Ok(Tls { config, for_loopback, client_auth: section.client_auth })
}

fn configuration(
    section: &TlsSection,
    provider: &Arc<CryptoProvider>,
    roots: Option<&Arc<RootCertStore>>,
    certified: &Arc<CertifiedKey>,
    mandatory: bool,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&section.versions)
        .map_err(|error| error.to_string())?;
    let verifier = match (section.client_auth, roots) {
        (ClientAuth::None, _) => None,
        (ClientAuth::Request | ClientAuth::RequireAny, _) => {
            let any = AnyCertificate { mandatory, provider: Arc::clone(provider) };
            Some(Arc::new(any) as Arc<dyn ClientCertVerifier>)
        }
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, Some(roots)) => {
            let builder =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider));
            let builder = if mandatory { builder } else { builder.allow_unauthenticated() };
            Some(builder.build().map_err(|error| error.to_string())?)
        }
        // Not reached: such a section is a problem of its own.
        (ClientAuth::VerifyIfGiven | ClientAuth::RequireAndVerify, None) => {
            return Err("no authorities to verify clients with".to_owned());
        }
    };
    let asks = verifier.is_some();
    let builder = match (verifier, &section.client_names) {
        (None, _) => builder.with_no_client_auth(),
        (Some(inner), Some(names)) => {
            builder.with_client_cert_verifier(Arc::new(OfTheseNames { inner, names: names.clone() }))
        }
        (Some(verifier), None) => builder.with_client_cert_verifier(verifier),
    };
    let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(certified))));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.ignore_client_order = section.own_order;
    if asks {
        // A resumed session would skip the check, and let in a certificate that has expired since.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

fn pem(sourced: &Sourced, read: ReadFile<'_>) -> Result<Vec<u8>, Box<Problem>> {
    match &sourced.pem {
        Pem::Inline(text) => Ok(text.expose().as_bytes().to_vec()),
        Pem::File(path) => read(path).map_err(|why| {
            sourced.problem(format!("a file that cannot be read ({why})"), "a readable file", None)
        }),
    }
}

fn certificates(sourced: &Sourced, read: ReadFile<'_>) -> Result<Vec<CertificateDer<'static>>, Box<Problem>> {
    let wanted = "certificates in PEM, the server's own first";
    let pem = pem(sourced, read)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(sourced.problem("a text without a certificate", wanted, None)),
        Err(error) => Err(sourced.problem(format!("broken PEM ({error})"), wanted, None)),
    }
}

fn private_key(sourced: &Sourced, read: ReadFile<'_>) -> Result<PrivateKeyDer<'static>, Box<Problem>> {
    let mut pem = pem(sourced, read)?;
    let key = PrivateKeyDer::from_pem_slice(&pem);
    let encrypted = pem.windows(9).any(|part| part == b"ENCRYPTED");
    zeroize::Zeroize::zeroize(&mut pem);
    key.map_err(|_| {
        let hint = encrypted.then_some("an encrypted key cannot be used: nobody could give its password");
        sourced.problem("a text without a private key", "a private key in PEM, not encrypted", hint)
    })
}

fn authorities(sourced: &Sourced, read: ReadFile<'_>) -> Result<RootCertStore, Box<Problem>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(sourced, read)? {
        roots.add(certificate).map_err(|error| {
            let found = format!("an unusable certificate ({error})");
            sourced.problem(found, "certificates of authorities in PEM", None)
        })?;
    }
    Ok(roots)
}
