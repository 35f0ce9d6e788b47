//! What ingest-fn is measured against: an axum handler that parses an order and answers 202, as anyone would write it
//! first. Nothing is checked and nothing is sent.
//!
//! It reads the body by `serde_json` itself, which costs less than axum's `Json` extractor (that one notes the path of
//! every member for its errors): the comparison shall not flatter.

use std::net::SocketAddr;
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

/// Flags of the bare handler.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct BareArgs {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

#[derive(Serialize)]
struct Answer<'a> {
    user_id: &'a str,
    items: usize,
    status: &'static str,
}

/// Serves until the process ends.
pub(super) fn run(args: BareArgs) -> ExitCode {
    match serve(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(args: BareArgs) -> anyhow::Result<()> {
    let router =
        Router::new().route("/v1/orders", post(create)).route("/healthz", get(|| async { StatusCode::OK }));
    let listener = shared::listen::listen(args.listen)?.tap_io(|stream| {
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
