//! Read-only endpoints: status, history, audit trail, readiness, metrics.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::problem::Problem;
use shared::time::rfc3339_millis;

use super::Admin;
use super::response::{invalid, json_response, unavailable};
use crate::monitor::HistorySample;
use crate::pipeline::{BreakerState, CircuitBreaker};

/// Maximum entries of one response.
const AUDIT_MAX: u32 = 500;

pub(super) async fn status(State(admin): State<Admin>) -> Result<Response, Problem> {
    match admin.monitor.status() {
        Some(status) => Ok(json_response(&status)),
        None => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_joined",
            "This worker has not joined the pool yet; if this persists, see its log.",
        )
        .retry_after(1)),
    }
}

#[derive(Serialize)]
struct HistoryResponse {
    step_s: u32,
    samples: Vec<HistorySample>,
}

pub(super) async fn history(State(admin): State<Admin>) -> Response {
    json_response(&HistoryResponse { step_s: 1, samples: admin.monitor.history() })
}

#[derive(Deserialize)]
pub(super) struct AuditQuery {
    #[serde(default = "fifty")]
    limit: u32,
}

const fn fifty() -> u32 {
    50
}

#[derive(Serialize)]
struct AuditResponse {
    entries: Vec<AuditEntryView>,
}

#[derive(Serialize)]
struct AuditEntryView {
    id: i64,
    at: String,
    who: String,
    action: String,
    detail: String,
    reason: String,
}

pub(super) async fn audit(
    State(admin): State<Admin>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    if !(1..=AUDIT_MAX).contains(&query.limit) {
        return Err(invalid(format!("limit: must be 1 to {AUDIT_MAX}")));
    }
    let entries =
        admin.store.list_audit(&admin.group, query.limit).await.map_err(|error| unavailable(&error))?;
    let entries = entries
        .into_iter()
        .map(|entry| AuditEntryView {
            id: entry.id,
            at: rfc3339_millis(entry.at),
            who: entry.who,
            action: entry.action,
            detail: entry.detail,
            reason: entry.reason,
        })
        .collect();
    Ok(json_response(&AuditResponse { entries }))
}

/// 200 while the circuit breaker is closed, else 503 with the reason.
pub(super) async fn ready(State(breaker): State<CircuitBreaker>) -> Response {
    let (status, body) = match breaker.state() {
        BreakerState::Closed => (StatusCode::OK, json!({ "database": "up" })),
        BreakerState::Open { reason } => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "database": "down", "reason": reason }))
        }
    };
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) async fn metrics() -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
