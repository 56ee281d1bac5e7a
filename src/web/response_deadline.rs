//! A connection whose peer must take an answer in time.
//!
//! Without this, a peer that reads one byte a minute keeps a whole scrape in memory for hours. The time
//! runs from the first byte that is written until all that hyper has is written: hyper flushes then, and
//! only then.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream that fails when an answer is not taken within a span.
#[derive(Debug)]
pub(super) struct ResponseDeadline<S> {
    inner: S,
    span: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl<S> ResponseDeadline<S> {
    /// The stream with a deadline on each answer.
    pub(super) const fn new(inner: S, span: Duration) -> Self {
        Self { inner, span, running: None }
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let span = self.span;
        let running = self.running.get_or_insert_with(|| Box::pin(sleep(span)));
        if running.as_mut().poll(cx).is_ready() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer did not take the answer in time"));
        }
        Ok(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ResponseDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ResponseDeadline<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        self.running = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_sips_is_cut_off_and_one_that_drinks_is_not() {
        // Sips: always some progress, and yet the answer is never taken.
        let (ours, mut theirs) = duplex(1);
        let sipping = async {
            let mut byte = [0];
            while theirs.read(&mut byte).await.is_ok_and(|n| n > 0) {
                sleep(Duration::from_secs(1)).await;
            }
        };
        let mut stream = ResponseDeadline::new(ours, Duration::from_secs(30));
        let writing = async {
            let failed = stream.write_all(&[0; 1_000]).await;
            drop(stream);
            failed
        };
        let (failed, ()) = tokio::join!(writing, sipping);
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::TimedOut);

        // Drinks: many answers over a long time on one connection.
        let (ours, mut theirs) = duplex(1 << 16);
        let mut stream = ResponseDeadline::new(ours, Duration::from_secs(30));
        for _ in 0..10 {
            stream.write_all(b"answer").await.unwrap();
            stream.flush().await.unwrap();
            sleep(Duration::from_secs(20)).await;
        }
        let mut got = [0; 60];
        theirs.read_exact(&mut got).await.unwrap();
    }

    /// Holds what the deadline rests on: hyper flushes when an answer is written, and lets go of one that is
    /// not taken.
    #[tokio::test(start_paused = true)]
    async fn hyper_keeps_a_slow_scraper_and_lets_go_of_a_silent_one() {
        use axum::body::{Body, Bytes};
        use hyper::service::service_fn;
        use hyper_util::rt::TokioIo;
        const ANSWER: usize = 1 << 20;
        let serve = |peer| {
            let stream = ResponseDeadline::new(peer, Duration::from_secs(30));
            let answer = |_| async {
                Ok::<_, std::convert::Infallible>(hyper::Response::new(Body::from(Bytes::from(vec![
                    b'x';
                    ANSWER
                ]))))
            };
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service_fn(answer))
        };
        let ask = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

        let (ours, mut theirs) = duplex(1 << 12);
        let scraping = async {
            for _ in 0..3 {
                theirs.write_all(ask).await.unwrap();
                let mut taken = 0;
                while taken < ANSWER {
                    let mut some = [0; 1 << 16];
                    taken += theirs.read(&mut some).await.unwrap();
                    sleep(Duration::from_millis(50)).await;
                }
                // The rest of the head is in the pipe, then an interval of idleness.
                sleep(Duration::from_secs(60)).await;
                while tokio::time::timeout(Duration::from_secs(1), theirs.read(&mut [0; 512])).await.is_ok() {
                }
            }
            drop(theirs);
        };
        let (served, ()) = tokio::join!(serve(ours), scraping);
        served.unwrap();

        let (ours, mut theirs) = duplex(1 << 12);
        theirs.write_all(ask).await.unwrap();
        let let_go = tokio::time::timeout(Duration::from_secs(31), serve(ours)).await.unwrap();
        assert!(let_go.is_err(), "nobody took the answer");
    }
}
