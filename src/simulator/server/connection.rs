//! One connection: requests in, replies and faults out.

use super::{Serving, control};
use crate::simulator::in_memory::unreadable;
use crate::simulator::reply::{CHUNKED_GARBAGE, GARBAGE, Reply, WireFault};
use crate::simulator::wire::{
    BODY_LIMIT_BYTES, Chunks, Framing, HEAD_LIMIT_BYTES, Head, RawRequest, WireError,
};
use crate::simulator::{Connection, Door};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// How long a request may take to arrive once it has begun, and an answer to leave.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(60);

/// Who answers on a listener.
#[derive(Debug, Clone, Copy)]
pub(super) enum Service {
    Door(Door),
    Control,
}

/// A stream that can be made to end in a reset.
pub(super) trait Resettable {
    fn reset_when_closed(&self);
}

impl Resettable for TcpStream {
    fn reset_when_closed(&self) {
        // Where the system refuses, the connection closes in order instead.
        let _closed_in_order = self.set_zero_linger();
    }
}

impl Resettable for TlsStream<TcpStream> {
    fn reset_when_closed(&self) {
        self.get_ref().0.reset_when_closed();
    }
}

/// Serves a connection until either side ends it. Errors of the peer's are no news to anyone.
pub(super) async fn serve<S>(serving: &Serving, mut stream: S, tls_name: Option<String>, service: Service)
where
    S: AsyncRead + AsyncWrite + Resettable + Unpin + Send,
{
    let connection = Connection { tls_name };
    let mut buffer = Vec::new();
    loop {
        let (request, keep_alive) = match next_request(&mut stream, &mut buffer, serving.idle_timeout).await {
            Ok(Some(request)) => request,
            Ok(None) => break,
            Err(Broken::Peer) => return,
            Err(Broken::Request(error)) => {
                let reply = unreadable(&error);
                if write(&mut stream, &reply, false, false).await.is_ok() && stream.shutdown().await.is_ok() {
                    drain(&mut stream).await;
                }
                break;
            }
        };
        let reply = match service {
            Service::Control => control::respond(&serving.hub, &request),
            Service::Door(door) => serving.hub.respond(door, &request, &connection, serving.clock.wall()),
        };
        if !reply.delay.is_zero() {
            tokio::time::sleep(reply.delay).await;
        }
        let is_head = request.method == "HEAD";
        let writing = write(&mut stream, &reply, is_head, keep_alive);
        let Ok(Ok(goes_on)) = tokio::time::timeout(TRANSFER_TIMEOUT, writing).await else { return };
        if !goes_on {
            if reply.fault == Some(WireFault::Reset) {
                stream.reset_when_closed();
                return;
            }
            break;
        }
    }
    // The peer may have gone already.
    let _gone = stream.shutdown().await;
}

/// Reads on for a while what a refused peer still sends: closing with unread bytes would reset the
/// connection, and the refusal would be lost on its way.
async fn drain<S: AsyncRead + Unpin>(stream: &mut S) {
    let reading = async {
        let (mut dropped, mut left) = (vec![0_u8; 64 * 1024], 2 * BODY_LIMIT_BYTES);
        while let Ok(read @ 1..) = stream.read(&mut dropped).await {
            left = left.saturating_sub(read);
            if left == 0 {
                return;
            }
        }
    };
    // Running out of time is as good an end as any.
    let _in_time = tokio::time::timeout(Duration::from_secs(2), reading).await;
}

enum Broken {
    /// The peer went away or fell silent in the middle.
    Peer,
    /// What it sent is no request.
    Request(WireError),
}

impl From<WireError> for Broken {
    fn from(error: WireError) -> Self {
        Self::Request(error)
    }
}

/// The next whole request; `None` when the peer closed or was idle for too long.
async fn next_request<S>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    idle_timeout: Duration,
) -> Result<Option<(RawRequest, bool)>, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if buffer.is_empty() {
        match tokio::time::timeout(idle_timeout, stream.read_buf(buffer)).await {
            Ok(Ok(0)) | Err(_) => return Ok(None),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(Broken::Peer),
        }
    }
    match tokio::time::timeout(TRANSFER_TIMEOUT, whole_request(stream, buffer)).await {
        Ok(result) => result.map(Some),
        Err(_) => Err(Broken::Peer),
    }
}

async fn whole_request<S>(stream: &mut S, buffer: &mut Vec<u8>) -> Result<(RawRequest, bool), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (head, used) = loop {
        if let Some(found) = Head::parse(buffer)? {
            break found;
        }
        more(stream, buffer, HEAD_LIMIT_BYTES).await?;
    };
    buffer.drain(..used);
    if head.expects_continue && head.framing != Framing::None && buffer.is_empty() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| Broken::Peer)?;
        stream.flush().await.map_err(|_| Broken::Peer)?;
    }
    let body = match head.framing {
        Framing::None => Vec::new(),
        Framing::Length(length) => {
            while buffer.len() < length {
                more(stream, buffer, usize::MAX).await?;
            }
            buffer.drain(..length).collect()
        }
        Framing::Chunked => {
            let mut chunks = Chunks::default();
            while !chunks.advance(buffer)? {
                // Chunk heads are small, so the coded body is at most a few times the decoded one.
                more(stream, buffer, 4 * BODY_LIMIT_BYTES).await?;
            }
            buffer.drain(..chunks.used);
            chunks.body
        }
    };
    let keep_alive = head.keep_alive;
    Ok((head.with_body(body), keep_alive))
}

async fn more<S: AsyncRead + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
    limit: usize,
) -> Result<(), Broken> {
    if buffer.len() > limit {
        return Err(Broken::Request(WireError::TooLarge));
    }
    match stream.read_buf(buffer).await {
        Ok(0) | Err(_) => Err(Broken::Peer),
        Ok(_) => Ok(()),
    }
}

/// Writes a reply; true when the connection may go on.
async fn write<S: AsyncWrite + AsyncRead + Unpin>(
    stream: &mut S,
    reply: &Reply,
    is_head: bool,
    keep_alive: bool,
) -> io::Result<bool> {
    match reply.fault {
        None => {
            // The answer to a HEAD says 0, as captures of the real gateway show.
            let body: &[u8] = if is_head { &[] } else { &reply.body };
            let mut bytes = reply.head(body.len() as u64, keep_alive);
            bytes.extend_from_slice(body);
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            Ok(keep_alive)
        }
        Some(WireFault::Reset | WireFault::Close) => Ok(false),
        Some(WireFault::Garbage) => {
            stream.write_all(GARBAGE).await?;
            stream.flush().await?;
            Ok(false)
        }
        Some(WireFault::ChunkedGarbage) => {
            stream.write_all(CHUNKED_GARBAGE).await?;
            stream.flush().await?;
            Ok(false)
        }
        Some(WireFault::HalfBody) => {
            let mut bytes = reply.head(reply.body.len() as u64 + 1000, keep_alive);
            bytes.extend_from_slice(&reply.body);
            stream.write_all(&bytes).await?;
            stream.flush().await?;
            Ok(false)
        }
        Some(WireFault::HugeBody(length)) => {
            stream.write_all(&reply.head(length, keep_alive)).await?;
            let piece = vec![b'x'; 64 * 1024];
            let mut left = if is_head { 0 } else { length };
            while left > 0 {
                let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                stream.write_all(piece.get(..now).unwrap_or_default()).await?;
                left -= now as u64;
            }
            stream.flush().await?;
            Ok(keep_alive)
        }
        Some(WireFault::Hang) => {
            // Until the peer gives up: what it still sends is read and dropped.
            let mut dropped = [0_u8; 1024];
            while stream.read(&mut dropped).await? > 0 {}
            Ok(false)
        }
    }
}
