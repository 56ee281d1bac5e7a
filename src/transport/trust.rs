//! Whom we trust: one rustls configuration, made once and shared by every client and by `link`.

use super::SetupError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// TLS 1.2 and 1.3 with the machine's certificate authorities and those of `extra_pem`.
///
/// ALPN is pinned to HTTP/1.1 here, because reqwest leaves a preconfigured configuration as it is: under
/// HTTP/2 the `Host` header that we sign would travel beside another `:authority`.
pub(super) fn client_config(extra_pem: Option<&str>) -> Result<ClientConfig, SetupError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing a race against another installer is fine: there is one in place then.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| SetupError::new(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots(extra_pem)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(extra_pem: Option<&str>) -> Result<RootCertStore, SetupError> {
    let mut roots = RootCertStore::empty();
    let native = rustls_native_certs::load_native_certs();
    for error in &native.errors {
        tracing::warn!(%error, "a trusted certificate of this machine cannot be read");
    }
    // One odd certificate in the machine's store must not keep the agent from starting.
    roots.add_parsable_certificates(native.certs);
    if let Some(pem) = extra_pem {
        let mut found = false;
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate
                .map_err(|error| SetupError::new(format!("the extra CA file is not PEM: {error}")))?;
            roots.add(certificate).map_err(|error| {
                SetupError::new(format!("the extra CA file holds an unusable certificate: {error}"))
            })?;
            found = true;
        }
        if !found {
            return Err(SetupError::new("the extra CA file holds no certificate"));
        }
    }
    if roots.is_empty() {
        // Not an error: plain http to loopback works without any, and each TLS attempt says why it fails.
        tracing::warn!("this machine trusts no certificate authority: install its CA bundle or set ca_file");
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extra_ca_must_be_there_and_readable() {
        assert!(client_config(Some("no certificate at all")).is_err());
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(client_config(Some(broken)).is_err());
        let good = rcgen::generate_simple_self_signed(vec!["a.test".into()]).unwrap();
        assert!(client_config(Some(&good.cert.pem())).is_ok());
    }
}
