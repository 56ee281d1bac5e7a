//! The certificates that an address presents, whether or not anybody would trust them.
//!
//! The verifier here notes the chain and then refuses it, always: a handshake that it takes part in never ends well,
//! and so no request can go out over a connection whose certificate was not checked.

use super::failure;
use crate::domain::request::{FailureKind, TransportFailure};
use crate::seams::CHAIN_MAX;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// The longest certificate that is kept, in bytes.
const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// Connects, lets the peer present its chain, and hangs up.
pub(super) async fn presented(
    address: SocketAddr,
    tls_name: String,
) -> Result<Vec<Vec<u8>>, TransportFailure> {
    let name = ServerName::try_from(tls_name)
        .map_err(|_| failure::failure(FailureKind::Tls, "not a name that TLS can ask for"))?;
    let provider = Arc::new(ring::default_provider());
    let noting = Arc::new(Noting { provider: Arc::clone(&provider), chain: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| failure::failure(FailureKind::Tls, error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&noting) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.map_err(|error| failure::of_tcp(&error))?;
    let ended = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
    let chain = std::mem::take(&mut *noting.chain.lock().unwrap_or_else(PoisonError::into_inner));
    match ended {
        Err(error) if chain.is_empty() => Err(failure::of_handshake(&error)),
        _ => Ok(chain),
    }
}

/// As much of a chain as is looked at.
pub(super) fn kept<'a>(chain: impl Iterator<Item = &'a CertificateDer<'a>>) -> Vec<Vec<u8>> {
    chain
        .filter(|certificate| certificate.len() <= CERTIFICATE_BYTES_MAX)
        .take(CHAIN_MAX)
        .map(|certificate| certificate.to_vec())
        .collect()
}

/// Notes the chain and refuses it.
#[derive(Debug)]
struct Noting {
    provider: Arc<CryptoProvider>,
    chain: Mutex<Vec<Vec<u8>>>,
}

impl ServerCertVerifier for Noting {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _stapled: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        *chain = kept(std::iter::once(own).chain(others));
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
