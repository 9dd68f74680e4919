//! [`BodyWriter`]: writes the body of a response as fast as its client reads.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::connection::SendError;

/// How much of a body is handed to the server at once. A client that takes one piece in each `Options::client_timeout` of 30 s reads
/// 273 bytes per second; ASP.NET Core wants 240 (`MinResponseDataRate` of Kestrel).
pub(super) const PIECE_BYTES: usize = 8 << 10;

/// The sending half of a response body, which ends when the writer is dropped.
pub(super) struct BodyWriter {
    /// Holds one piece, so that a piece is taken when the next one fits.
    pieces: mpsc::Sender<Bytes>,
    piece_timeout: Duration,
}

impl BodyWriter {
    /// A writer whose client may take `piece_timeout` for each piece, and the body.
    pub(super) fn new(piece_timeout: Duration) -> (Self, Body) {
        let (pieces, taken) = mpsc::channel(1);
        let taken = stream::unfold(taken, async |mut taken: mpsc::Receiver<Bytes>| {
            let piece = taken.recv().await?;
            Some((Ok::<_, Infallible>(piece), taken))
        });
        (Self { pieces, piece_timeout }, Body::from_stream(taken))
    }

    /// Hands over the first piece of a body.
    pub(super) fn begin(&self, piece: Bytes) {
        self.pieces.try_send(piece).expect("a new body has room for a piece");
    }

    /// Hands over `data` in pieces. The last one may still be waiting.
    ///
    /// # Errors
    ///
    /// When the client reads too slowly, or has ended the response.
    pub(super) async fn write(&self, mut data: Bytes) -> Result<(), SendError> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(PIECE_BYTES));
            self.in_time(self.pieces.send(piece)).await?;
        }
        Ok(())
    }

    /// Ends the body after the last piece is taken. Fails like [`write`](Self::write).
    pub(super) async fn finish(self) -> Result<(), SendError> {
        self.in_time(self.pieces.reserve()).await.map(drop)
    }

    /// Waits until the client has ended the response. Cancel safe.
    pub(super) async fn closed(&self) {
        self.pieces.closed().await;
    }

    async fn in_time<T, E>(&self, taken: impl Future<Output = Result<T, E>>) -> Result<T, SendError> {
        match timeout(self.piece_timeout, taken).await {
            Ok(taken) => taken.map_err(|_| SendError::Disconnected),
            Err(_) => Err(SendError::TooSlow),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;
    use tokio::join;
    use tokio::time::{Instant, sleep};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// Takes the pieces of a body, each after `pause`, and returns its length.
    async fn read(body: Body, pause: Duration) -> usize {
        let mut pieces = body.into_data_stream();
        let mut length = 0;
        while let Some(piece) = pieces.next().await {
            length += piece.unwrap().len();
            sleep(pause).await;
        }
        length
    }

    async fn write(writer: BodyWriter, length: usize) -> Result<(), SendError> {
        writer.write(vec![b'x'; length].into()).await?;
        writer.finish().await
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_that_makes_progress_gets_all() {
        let (writer, body) = BodyWriter::new(TIMEOUT);
        let began = Instant::now();
        let (written, length) = join!(write(writer, 1 << 20), read(body, TIMEOUT - Duration::from_secs(1)));
        assert_eq!((written, length), (Ok(()), 1 << 20));
        assert!(began.elapsed() > 100 * TIMEOUT, "{:?}", began.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stalls_is_too_slow() {
        let (writer, body) = BodyWriter::new(TIMEOUT);
        let began = Instant::now();
        let _reading = tokio::spawn(read(body, 2 * TIMEOUT));
        assert_eq!(write(writer, 1 << 20).await, Err(SendError::TooSlow));
        assert_eq!(began.elapsed(), TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_finished_when_its_last_byte_is_taken() {
        let (writer, body) = BodyWriter::new(TIMEOUT);
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        let began = Instant::now();
        let (finished, _) = join!(writer.finish(), async {
            sleep(TIMEOUT / 2).await;
            read(body, Duration::ZERO).await
        });
        assert_eq!((finished, began.elapsed()), (Ok(()), TIMEOUT / 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_body_is_a_disconnected_client() {
        let (writer, body) = BodyWriter::new(TIMEOUT);
        drop(body);
        writer.closed().await;
        assert_eq!(write(writer, 1).await, Err(SendError::Disconnected));
    }
}
