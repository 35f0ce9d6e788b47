//! The look-up that buyers use. A listener of its own, and connections of its own: a crowd of look-ups cannot hold
//! up the writers.

mod access;
mod orders;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http::StatusCode;
use shared::problem::Problem;

use crate::store::OrderStore;

pub use access::LookupAccess;
pub use orders::OrderView;

/// Most look-ups under way at once; beyond it the answer is 429 at once.
pub const LOOKUPS_MAX: usize = 256;

/// The routes of the query port. Whether `access` lets a request in is looked at before anything else.
pub fn router<S: OrderStore>(store: Arc<S>, access: Arc<LookupAccess>) -> Router {
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
        .layer(from_fn_with_state(access, access::guard))
        .with_state(state)
}
