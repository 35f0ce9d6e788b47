//! The benchmark's trivial server: reads a request and answers 202 as ingest-fn does, with no work in between. It measures who asks.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// Path that tells how many other requests there were.
pub(crate) const COUNT_PATH: &str = "/count";

const ACCEPTED: &str = r#"{"order_id":"f3f6ca12-0061-8192-ba68-8a4617ca3ff2","status":"accepted","digest":"sha256:dd281becd163e69ab60da6f6a2e4cf95bd6a7c8741e4b53edffa4c1e62ef8326","accepted_at":"2026-11-23T23:06:26.162Z"}"#;

/// Flags of the trivial server.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct AnswererArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

/// Serves until the process ends. One thread: what is compared is the cost of asking.
pub(super) fn run(args: AnswererArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("answerer: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn serve(args: AnswererArgs) -> anyhow::Result<()> {
    let listener = shared::http::listen(args.listen)?;
    let count = Arc::new(AtomicU64::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let count = count.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &count));
            // A client that goes away in the middle is no matter of the server's.
            let _gone = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn answer(request: Request<Incoming>, count: &AtomicU64) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.uri().path() == COUNT_PATH {
        return Ok(Response::new(Full::new(count.load(Ordering::Relaxed).to_string().into())));
    }
    // A body that breaks off is not counted.
    if request.into_body().collect().await.is_ok() {
        count.fetch_add(1, Ordering::Relaxed);
    }
    let mut response = Response::new(Full::new(Bytes::from_static(ACCEPTED.as_bytes())));
    *response.status_mut() = StatusCode::ACCEPTED;
    Ok(response)
}
