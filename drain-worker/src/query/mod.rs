//! The look-up that buyers use. A listener of its own, and connections of its own: a crowd of look-ups cannot hold
//! up the writers.

mod orders;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use shared::problem::Problem;

use crate::store::OrderStore;

pub use orders::OrderView;

/// Most look-ups under way at once; beyond it the answer is 429 at once.
pub const LOOKUPS_MAX: usize = 256;

/// The routes of the query port.
pub fn router<S: OrderStore>(store: Arc<S>) -> Router {
    let state = orders::Lookups::new(store, LOOKUPS_MAX);
    Router::new()
        .route("/v1/orders/{order_id}", get(orders::find::<S>))
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path has other methods; see Allow.",
            )
        })
        .fallback(|| async {
            Problem::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "There is nothing here. Orders are at GET /v1/orders/{order_id}.",
            )
        })
        .with_state(state)
}
