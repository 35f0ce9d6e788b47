//! Admission: a request is taken on at once or refused at once. There is no queue here that could grow.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::time::Clock;

use crate::app::App;
use crate::error::ApiError;
use crate::{metrics, summary};

/// Seconds a refused client is asked to wait: spread, so that those refused together do not return together.
pub(crate) fn retry_after_s() -> u32 {
    rand::random_range(1..=3)
}

/// Lets a request through if there is room.
pub async fn admit<P: Send + Sync + 'static, C: Clock>(
    State(app): State<Arc<App<P, C>>>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = match app.requests().try_acquire() {
        // Asked with the permit in hand: a drain that has not seen the permit has been seen here.
        _ if app.is_stopping() => ApiError::Stopping,
        Ok(_permit) => return next.run(request).await,
        Err(_none) => {
            summary::shed();
            ApiError::Overloaded { retry_after_s: retry_after_s() }
        }
    };
    metrics::refused(refusal.code());
    refusal.into_response()
}
