//! One HTTP/1.1 connection and one request at a time on it.
//!
//! hyper splits a connection into a sender and a driver, meant for two tasks. Here one task polls both: the driver
//! does the reading and writing and puts the answer where the sender's half finds it in the same poll. So nobody has
//! to be woken in between, and a connection that nobody uses costs no task.

use super::super::BODY_LIMIT_BYTES;
use super::super::failure::{self, Stage};
use crate::domain::request::{FailureKind, Response, TransportFailure};
use bytes::{Bytes, BytesMut};
use http::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::unconstrained;
use tokio_rustls::client::TlsStream;

/// The body of a request: all there at once, or empty.
#[derive(Debug, Clone)]
pub(super) struct Once(Bytes);

impl Once {
    pub(super) const fn of(body: Bytes) -> Self {
        Self(body)
    }
}

impl Body for Once {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let body = std::mem::take(&mut self.get_mut().0);
        Poll::Ready((!body.is_empty()).then(|| Ok(Frame::data(body))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}

/// What a connection runs over.
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that has been made. To drop it is to close it.
pub(super) struct Connection {
    sender: http1::SendRequest<Once>,
    driver: http1::Connection<TokioIo<Stream>, Once>,
    peer: SocketAddr,
}

impl Connection {
    pub(super) async fn new(stream: Stream, peer: SocketAddr) -> Result<Box<Self>, TransportFailure> {
        // hyper's own bounds stay: 100 headers of an answer, which it keeps on the stack as long as nobody asks for
        // another number, and some 400 KiB for all of its head.
        let handshake = http1::Builder::new().handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(|error| failure::of_answer(&error, Stage::Head))?;
        Ok(Box::new(Self { sender, driver, peer }))
    }

    pub(super) const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// True when a request can be sent and the far side has not closed, as far as is known. Whatever has come unasked
    /// closes the connection too. Sends nothing.
    pub(super) fn is_open(&mut self) -> bool {
        let mut nobody = Context::from_waker(Waker::noop());
        Pin::new(&mut self.driver).poll(&mut nobody).is_pending() && self.sender.is_ready()
    }

    /// Sends a request and reads its answer up to the limit; `at_head` is called when the head of it is there. After a
    /// failure, or when this is given up, the connection is good for nothing but to be dropped.
    pub(super) async fn exchange(
        &mut self,
        request: Box<Request<Once>>,
        at_head: impl FnOnce(),
    ) -> Result<Response, TransportFailure> {
        let Self { sender, driver, .. } = self;
        let mut driver = Driver { connection: driver, ended: false };
        // What the driver has not put there is not there, and it was polled just before with the true waker. So these
        // are asked without one, which would only wake this same task again, and outside of the budget of tokio, which
        // would hold an answer back and wake nobody.
        let incoming = {
            let mut answer = pin!(unconstrained(sender.send_request(*request)));
            std::future::poll_fn(|context| {
                let ended = driver.poll(context);
                match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                    Poll::Ready(answer) => {
                        Poll::Ready(answer.map_err(|error| failure::of_answer(&error, Stage::Head)))
                    }
                    Poll::Pending if ended => Poll::Ready(Err(failure::failure(
                        FailureKind::Reset,
                        "the connection ended before an answer",
                    ))),
                    Poll::Pending => Poll::Pending,
                }
            })
            .await?
        };
        at_head();
        let (head, body) = incoming.into_parts();
        let (body, truncated) = read_bounded(&mut driver, body).await?;
        Ok(Response { status: head.status.as_u16(), headers: head.headers, body, truncated })
    }
}

/// hyper's driver, which must not be polled again after its end.
struct Driver<'a> {
    connection: &'a mut http1::Connection<TokioIo<Stream>, Once>,
    ended: bool,
}

impl Driver<'_> {
    /// Reads and writes what can be; true when there is nothing more to come. Why a connection ended is told to
    /// whoever waits for its answer.
    fn poll(&mut self, context: &mut Context<'_>) -> bool {
        if !self.ended {
            self.ended = Pin::new(&mut *self.connection).poll(context).is_ready();
        }
        self.ended
    }
}

/// The body up to the limit, and whether there was more.
async fn read_bounded(
    driver: &mut Driver<'_>,
    mut body: Incoming,
) -> Result<(Bytes, bool), TransportFailure> {
    let Some(first) = next_chunk(driver, &mut body).await? else { return Ok((Bytes::new(), false)) };
    if body.is_end_stream() && first.len() <= BODY_LIMIT_BYTES {
        // Nearly every answer: one piece, which needs no copy.
        return Ok((first, false));
    }
    let mut whole = BytesMut::new();
    let mut next = Some(first);
    while let Some(chunk) = next {
        let room = BODY_LIMIT_BYTES - whole.len();
        if chunk.len() > room {
            whole.extend_from_slice(&chunk[..room]);
            return Ok((whole.freeze(), true));
        }
        whole.extend_from_slice(&chunk);
        next = next_chunk(driver, &mut body).await?;
    }
    Ok((whole.freeze(), false))
}

async fn next_chunk(driver: &mut Driver<'_>, body: &mut Incoming) -> Result<Option<Bytes>, TransportFailure> {
    let mut asked = false;
    std::future::poll_fn(|context| {
        let mut nobody = Context::from_waker(Waker::noop());
        if !asked {
            // hyper hands out a body only when it is asked for, and to ask wakes the driver. It is not to wake this
            // task, which polls the driver next anyway: so it is made to know nobody first.
            asked = true;
            driver.poll(&mut nobody);
            if let Poll::Ready(frame) = poll_data(body, &mut nobody) {
                return Poll::Ready(frame);
            }
        }
        let ended = driver.poll(context);
        match poll_data(body, &mut nobody) {
            Poll::Pending if ended => {
                let detail = "the connection ended within an answer";
                Poll::Ready(Err(failure::failure(FailureKind::Protocol, detail)))
            }
            polled => polled,
        }
    })
    .await
}

/// The next piece of a body that the driver has put there. Trailers are no part of it.
fn poll_data(
    body: &mut Incoming,
    context: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, TransportFailure>> {
    loop {
        if body.is_end_stream() {
            return Poll::Ready(Ok(None));
        }
        return match Pin::new(&mut *body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Poll::Ready(Ok(Some(data))),
                Err(_trailers) => continue,
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(failure::of_answer(&error, Stage::Body))),
            Poll::Ready(None) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        };
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, into),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_read(context, into),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}
