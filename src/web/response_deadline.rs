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
}
