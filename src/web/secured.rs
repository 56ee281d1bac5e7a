//! A connection over TLS: the handshake, and a word to who speaks plain HTTP to such a port.

use crate::web::access::Certificate;
use rustls::ServerConfig;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The first byte of every handshake (RFC 8446, section 5.1: the content type `handshake`).
const HANDSHAKE: u8 = 22;
/// Answers a request that came without TLS. `healthcheck` asks on over https after it.
const SPEAK_HTTPS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 30\r\n\
                             Connection: close\r\n\r\nThis port speaks https only.\r\n";

/// A connection that is secured.
pub(super) struct Secured {
    pub(super) stream: TlsStream<TcpStream>,
    pub(super) certificate: Certificate,
}

/// Shakes hands; nothing if that came to nothing, which is the peer's affair. `verifies` says that a certificate which
/// gets this far was checked.
pub(super) async fn accept(
    mut stream: TcpStream,
    config: Arc<ServerConfig>,
    verifies: bool,
) -> Option<Secured> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE {
        tell(&mut stream).await;
        return None;
    }
    let stream = match TlsAcceptor::from(config).accept(stream).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%error, "a handshake with the web server failed");
            return None;
        }
    };
    let certificate = match stream.get_ref().1.peer_certificates() {
        None | Some([]) => Certificate::Missing,
        Some(_) if verifies => Certificate::Verified,
        Some(_) => Certificate::Unverified,
    };
    Some(Secured { stream, certificate })
}

async fn tell(stream: &mut TcpStream) {
    let told = async {
        stream.write_all(SPEAK_HTTPS).await?;
        stream.shutdown().await?;
        // Closing with unread bytes would reset the connection, and what was told might be lost.
        let mut unread = [0; 4_096];
        for _ in 0..8 {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // Whether anybody read it is not our affair.
    drop(timeout(Duration::from_secs(1), told).await);
}
