//! The baseline of ingest-fn: an axum handler that parses an order and responds 202, without checks and without a
//! broker.
//!
//! It parses the body with `serde_json`, which costs less than axum's `Json` extractor (which records paths for its
//! errors), so that the comparison does not favour ingest-fn.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use shared::http::BACKLOG;
use tokio::net::{TcpListener, TcpSocket};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the handler parses every member and reads two")]
struct BaselineOrder {
    sale_id: String,
    user_id: String,
    items: Vec<BaselineItem>,
    currency: String,
    shipping_address: BaselineAddress,
    client_reference: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "parsed only")]
struct BaselineItem {
    sku: String,
    quantity: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "parsed only")]
struct BaselineAddress {
    recipient: String,
    line1: String,
    line2: Option<String>,
    city: String,
    region: Option<String>,
    postal_code: Option<String>,
    country: String,
    phone: Option<String>,
}

#[derive(Serialize)]
struct BaselineResponse<'a> {
    user_id: &'a str,
    items: usize,
    status: &'static str,
}

/// Serves until the process ends.
pub(super) fn run(address: SocketAddr, workers: Option<NonZeroUsize>) -> anyhow::Result<()> {
    match workers {
        None => multi_threaded(address),
        Some(workers) => on_workers(address, workers),
    }
}

#[tokio::main]
async fn multi_threaded(address: SocketAddr) -> anyhow::Result<()> {
    serve(shared::http::listen(address)?).await
}

/// Each worker has its own listener; the kernel distributes the connections.
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
        let _set = stream.set_nodelay(true);
    });
    Ok(axum::serve(listener, router).await?)
}

async fn create(body: Bytes) -> Response {
    let Ok(order) = serde_json::from_slice::<BaselineOrder>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let response = BaselineResponse { user_id: &order.user_id, items: order.items.len(), status: "accepted" };
    // Strings and a number: serialisation cannot fail.
    let response = serde_json::to_vec(&response).unwrap_or_default();
    (StatusCode::ACCEPTED, [(CONTENT_TYPE, "application/json")], response).into_response()
}
