//! What ingest-fn is measured against: an axum handler that parses an order and answers 202, as anyone would write it
//! first. Nothing is checked and nothing is sent.
//!
//! It reads the body by `serde_json` itself, which costs less than axum's `Json` extractor (that one notes the path of
//! every member for its errors): the comparison shall not flatter.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use ingest_fn::request::OrderRequest;
use serde::Serialize;
use shared::http::BACKLOG;
use tokio::net::{TcpListener, TcpSocket};

/// Flags of the bare handler.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct BareArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Runtimes of one thread each, as ingest-fn has them; without it one of several threads, as axum's examples have it
    #[arg(long, value_name = "COUNT")]
    pub workers: Option<NonZeroUsize>,
}

#[derive(Serialize)]
struct Answer<'a> {
    user_id: &'a str,
    items: usize,
    status: &'static str,
}

/// Serves until the process ends.
pub(super) fn run(args: BareArgs) -> ExitCode {
    let served = match args.workers {
        None => on_several_threads(args.listen),
        Some(workers) => on_workers(args.listen, workers),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn on_several_threads(address: SocketAddr) -> anyhow::Result<()> {
    serve(shared::http::listen(address)?).await
}

/// Each worker listens for itself; the kernel deals the connections out.
fn on_workers(address: SocketAddr, workers: NonZeroUsize) -> anyhow::Result<()> {
    let others = (1..workers.get()).map(|number| {
        let name = format!("worker-{number}");
        std::thread::Builder::new().name(name).spawn(move || on_worker(address))
    });
    let _running = others.collect::<Result<Vec<_>, _>>()?;
    on_worker(address)
}

#[tokio::main(flavor = "current_thread")]
async fn on_worker(address: SocketAddr) -> anyhow::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    serve(socket.listen(BACKLOG)?).await
}

async fn serve(listener: TcpListener) -> anyhow::Result<()> {
    let router =
        Router::new().route("/v1/orders", post(create)).route("/healthz", get(|| async { StatusCode::OK }));
    let listener = listener.tap_io(|stream| {
        let _left_as_it_is = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn create(body: Bytes) -> Response {
    let Ok(order) = serde_json::from_slice::<OrderRequest>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let answer = Answer { user_id: &order.user_id, items: order.items.len(), status: "accepted" };
    // Strings and a number: serialisation cannot fail.
    let answer = serde_json::to_vec(&answer).unwrap_or_default();
    (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], answer).into_response()
}
