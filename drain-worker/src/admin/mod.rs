//! The admin port, for operators and the platform: console, control API, metrics and health. Buyers must not reach
//! it.

mod audit;
mod audited_request;
mod auth;
pub mod console;
mod control;
pub mod dead_letters;
mod orders;
mod purge;
pub(crate) mod response;
mod sales;
mod schedule_preview;
mod status;
mod worker;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::StatusCode;
use shared::problem::Problem;

use audit::GroupState;
pub use audit::{AuditEntryView, AuditPage};
use auth::Actor;
pub use auth::{AdminAccess, AdminRole, AdminToken};

pub use control::SettingsResponse;
pub use orders::{ConflictView, DecidedOrderView, OrderDetailView, OrderLineView, OrderPage};
pub use purge::{PurgeParameters, PurgeView};
pub use sales::{RecentOutcomesView, SaleSkuView, SaleSummaryView, SaleView, SalesView};
pub use status::{StatusResponse, UnjoinedView};
pub use worker::CordonView;

use crate::dead_letters::Redriver;
use crate::monitor::Monitor;
use crate::purge::Purger;
use crate::store::Store;

/// Maximum body of a settings change.
const BODY_BYTES_MAX: usize = 16 * 1024;

#[derive(Clone)]
pub struct Admin {
    pub store: Arc<Store>,
    pub group: Arc<str>,
    /// This worker's name in the pool.
    pub worker: Arc<str>,
    pub monitor: Monitor,
    pub redriver: Redriver,
    pub purger: Purger,
}

/// The routes that read and change the settings of `group`, without a worker: for a caller who has the database's password,
/// which is the actor `database` in the audit trail.
pub fn settings_router(store: Arc<Store>, group: &str) -> Router {
    let actor = Actor("database".to_owned());
    control::router(GroupState { store, group: group.into() }).layer(Extension(actor))
}

/// The routes of the admin port. Those below `/v1/` are authenticated as `access` says.
pub fn router(admin: Admin, access: AdminAccess) -> Router {
    let letters = dead_letters::router(admin.redriver.clone());
    let group = GroupState { store: admin.store.clone(), group: admin.group.clone() };
    let guarded = Router::new()
        .route("/v1/status", get(status::status))
        .route("/v1/history", get(status::history))
        .route("/v1/access", get(auth::access))
        .route("/v1/orders", get(orders::find))
        .route("/v1/orders/{order_id}", get(orders::show))
        .route("/v1/sales", get(sales::list))
        .route("/v1/sales/{sale_id}", get(sales::show))
        .route("/v1/purge", post(purge::purge))
        .route("/v1/worker/cordon", post(worker::cordon))
        .route("/v1/worker/uncordon", post(worker::uncordon))
        .with_state(admin.clone())
        .merge(schedule_preview::router(group.clone()))
        .merge(control::router(group))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(letters)
        .layer(from_fn_with_state(Arc::new(access), auth::guard));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(status::ready))
        .route("/readyz/lookups", get(status::ready_for_lookups))
        .route("/metrics", get(status::metrics))
        .with_state(admin.monitor)
        .merge(guarded)
        .merge(console::router())
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "Unknown path. The console is at /.")
        })
        .layer(from_fn(response::identified))
}
