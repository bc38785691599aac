//! A stream that ends when its owner lets go of it.
//!
//! The SSH library moves a stream into a task of its own, which waits for ever on a host that went silent in the middle of
//! a key exchange. Dropping the [`Knife`] ends both directions, and with them that task.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::sync::oneshot;

/// How much is read at once: more than what comes in one go, little enough for many hosts.
const BUFFER: usize = 16 * 1024;

/// Any stream to a host.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The stream, as long as the knife is held.
pub(crate) struct Severable {
    /// Buffered: the library reads each packet's length on its own, and a host's packets are often tiny.
    stream: BufReader<Box<dyn Stream>>,
    cut: oneshot::Receiver<()>,
    severed: bool,
}

/// Whoever drops it ends the stream.
pub(crate) struct Knife {
    _hold: oneshot::Sender<()>,
}

/// Puts a stream under a knife.
pub(crate) fn severable(stream: Box<dyn Stream>) -> (Severable, Knife) {
    let (hold, cut) = oneshot::channel();
    (Severable { stream: BufReader::with_capacity(BUFFER, stream), cut, severed: false }, Knife { _hold: hold })
}

impl Severable {
    fn is_severed(&mut self, context: &mut Context<'_>) -> bool {
        // The waker is registered, so that a waiting reader learns of the cut.
        self.severed = self.severed || Pin::new(&mut self.cut).poll(context).is_ready();
        self.severed
    }
}

impl AsyncRead for Severable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_severed(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Severable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.severed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.severed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.severed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn a_waiting_reader_learns_of_the_cut() {
        let (near, _far) = tokio::io::duplex(16);
        let (mut stream, knife) = severable(Box::new(near));
        let reading = tokio::spawn(async move { stream.read_u8().await.map_err(|error| error.kind()) });
        tokio::task::yield_now().await;
        drop(knife);
        assert_eq!(reading.await.unwrap(), Err(io::ErrorKind::UnexpectedEof));
    }
}
