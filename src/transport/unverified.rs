//! One question over TLS to whom nobody has vouched for: the health check of an agent on its own machine.
//!
//! The agent's certificate names the machine that others scrape, not 127.0.0.1, and may come from an authority that
//! only the scraper knows. So nothing of it is checked here; in return the question holds nothing but an address
//! and a path. There is no way to send a header or a body along, so no credential can go to an impostor.

use super::fetch::{client, fetch};
use crate::seams::{FetchFailure, FetchRequest, FetchResponse};
use bytes::Bytes;
use http::{HeaderMap, Method};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Asks for a path over https without checking the certificate. Sends nothing else.
///
/// # Errors
/// When there is no whole answer in time.
pub async fn ask_unverified(
    address: SocketAddr,
    path: &'static str,
    timeout: Duration,
) -> Result<FetchResponse, FetchFailure> {
    let failed = |detail: String| FetchFailure { timed_out: false, detail };
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| failed(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let client = client(&config).map_err(|error| failed(error.to_string()))?;
    let url = format!("https://{address}{path}");
    let request =
        FetchRequest { method: Method::GET, url, headers: HeaderMap::new(), body: Bytes::new(), timeout };
    fetch(&client, request).await
}

/// Takes every certificate.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _own: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
