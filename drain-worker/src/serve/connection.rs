//! One connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, ReadBuf, join};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Patience;
use super::turns::Turns;

/// Most bytes of a request's head, and of what is read ahead of a body; as ingest-fn's.
const BUFFER_BYTES_MAX: usize = 32 * 1024;

/// Answers requests on `stream` until the client ends it or exhausts `patience`, or `stop` is cancelled and the request
/// under way is answered.
pub(super) async fn serve(stream: TcpStream, router: Router, patience: Patience, stop: CancellationToken) {
    let turns = &Turns::new(patience);
    let (reader, writer) = stream.into_split();
    let stream = TokioIo::new(join(Heard { reader, turns }, writer));
    let router = &TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        turns.asked();
        let answer = router.call(request);
        async move {
            let answer = answer.await;
            turns.answered();
            answer
        }
    });
    let conversation = async {
        let connection =
            http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).serve_connection(stream, service);
        tokio::pin!(connection);
        // A client that breaks the protocol or its connection hears of it from hyper, or not at all.
        if stop.run_until_cancelled(connection.as_mut()).await.is_none() {
            connection.as_mut().graceful_shutdown();
            let _told_likewise = connection.await;
        }
    };
    turns.bound(conversation).await;
}

/// What a client sends, noted as it comes.
struct Heard<'a, R> {
    reader: R,
    turns: &'a Turns,
}

impl<R: AsyncRead + Unpin> AsyncRead for Heard<'_, R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.reader).poll_read(cx, buffer);
        if buffer.filled().len() > before {
            self.turns.heard();
        }
        read
    }
}
