//! For operators and the platform: the console, the control API, metrics and health. A listener of its own, never for
//! buyers.

mod answer;
mod auth;
pub mod console;
mod control;
pub mod dead_letters;
mod health;
mod look;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post, put};
use http::StatusCode;
use shared::problem::Problem;

pub use auth::{Access, TOKEN_CHARS_MIN};
pub use control::{PauseBody, RateBody, ScheduleBody};

use crate::dead_letters::Redriver;
use crate::monitor::Monitor;
use crate::pipeline::Health;
use crate::store::{LetterStore, PoolStore};

/// Longest body of a change of the settings.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the admin port answers from.
pub struct Admin<S> {
    /// Settings, leases, audit trail.
    pub store: Arc<S>,
    /// The consumer group.
    pub group: Arc<str>,
    /// What the pool is doing.
    pub monitor: Monitor,
    /// Whether the database answers.
    pub health: Health,
    /// Sends dead letters through the store again.
    pub redriver: Redriver<S>,
}

impl<S> Clone for Admin<S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            group: self.group.clone(),
            monitor: self.monitor.clone(),
            health: self.health.clone(),
            redriver: self.redriver.clone(),
        }
    }
}

/// The routes of the admin port. Those below `/v1/` ask for what `access` says.
pub fn router<S: PoolStore + LetterStore>(admin: Admin<S>, access: Access) -> Router {
    let letters = dead_letters::router(admin.redriver.clone());
    let guarded = Router::new()
        .route("/v1/status", get(look::status::<S>))
        .route("/v1/history", get(look::history::<S>))
        .route("/v1/audit", get(look::audit::<S>))
        .route("/v1/rate", put(control::set_rate::<S>))
        .route("/v1/rate/reset", post(control::reset_rate::<S>))
        .route("/v1/pause", put(control::pause::<S>))
        .route("/v1/resume", post(control::resume::<S>))
        .route("/v1/schedule", put(control::set_schedule::<S>))
        .route("/v1/schedule/clear", post(control::clear_schedule::<S>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(admin.clone())
        .merge(letters)
        .layer(from_fn_with_state(Arc::new(access), auth::guard));
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .with_state(admin.health)
        .merge(guarded)
        .merge(console::router())
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This path has other methods; see Allow.",
            )
        })
        .fallback(|| async {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "There is nothing here. The console is at /.")
        })
}
