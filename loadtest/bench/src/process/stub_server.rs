//! Reads a request and responds 202 as ingest-fn does, without any work: the remaining cost is the generator's.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Path whose response is the number of other requests.
pub(crate) const COUNT_PATH: &str = "/count";

const ACCEPTED: &str = r#"{"order_id":"f3f6ca12-0061-8192-ba68-8a4617ca3ff2","status":"accepted","digest":"sha256:dd281becd163e69ab60da6f6a2e4cf95bd6a7c8741e4b53edffa4c1e62ef8326","accepted_at":"2026-11-23T23:06:26.162Z"}"#;

/// Serves until the process ends, on one thread.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = shared::http::listen(address)?;
    let count = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let count = count.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| respond(request, &count));
            let _ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn respond(request: Request<Incoming>, count: &AtomicU64) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == COUNT_PATH {
        return Ok(Response::new(Full::new(count.load(Ordering::Relaxed).to_string().into())));
    }
    // A body that ends early is not counted.
    if request.into_body().collect().await.is_ok() {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(ACCEPTED.as_bytes())));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
