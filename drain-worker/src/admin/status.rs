//! Read-only endpoints: status, history, readiness, metrics.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::response::{invalid, json_response, with_revision};
use crate::monitor::{Health, HistorySample, HistoryStep, Monitor, StatusView};
use crate::pool::WorkerState;

/// Response of `GET /v1/status`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StatusResponse {
    Joined(Box<StatusView>),
    Unjoined(UnjoinedView),
}

/// The status of a worker that knows nothing of the pool yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UnjoinedView {
    pub group: String,
    pub state: WorkerState,
    pub reason: Option<String>,
    /// Not known, as everything else.
    pub cap: (),
    pub workers: [(); 0],
    pub warnings: [(); 0],
}

pub(super) async fn status(State(admin): State<Admin>) -> Response {
    if let Some(status) = admin.monitor.status() {
        let revision = status.settings.revision;
        return with_revision(json_response(&StatusResponse::Joined(Box::new(status))), revision);
    }
    let Health { state, reason } = admin.monitor.health();
    let (group, cap, workers, warnings) = (admin.group.to_string(), (), [], []);
    let unjoined = UnjoinedView { group, state, reason, cap, workers, warnings };
    json_response(&StatusResponse::Unjoined(unjoined))
}

#[derive(Serialize)]
struct HistoryResponse {
    step_s: u32,
    samples: Vec<HistorySample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HistoryQuery {
    /// RFC 3339; exclusive.
    since: Option<String>,
    #[serde(default)]
    step: HistoryStep,
}

pub(super) async fn history(
    State(admin): State<Admin>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(HistoryQuery { since, step }) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let since_us = match since.map(|since| OffsetDateTime::parse(&since, &Rfc3339)).transpose() {
        Ok(since) => since.and_then(|since| i64::try_from(since.unix_timestamp_nanos() / 1_000).ok()),
        Err(_invalid) => return Err(invalid("since: must be an instant such as 2026-11-11T02:00:00.000Z")),
    };
    let samples = admin.monitor.history(step, since_us);
    Ok(json_response(&HistoryResponse { step_s: step.seconds(), samples }))
}

/// 200 while this worker has joined the pool and can drain, else 503; both with the state and its reason.
pub(super) async fn ready(State(monitor): State<Monitor>) -> Response {
    let health = monitor.health();
    readiness(health.is_ready(), &health)
}

/// As [`ready`], for a load balancer before the query port: a lookup needs the database, but not the broker.
pub(super) async fn ready_for_lookups(State(monitor): State<Monitor>) -> Response {
    let health = monitor.health();
    readiness(health.is_ready() || health.state == WorkerState::BrokerDown, &health)
}

fn readiness(is_ready: bool, health: &Health) -> Response {
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "state": health.state, "reason": health.reason });
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

pub(super) async fn metrics(State(monitor): State<Monitor>) -> Response {
    // Now, because the values of an earlier moment may be those before an outage.
    monitor.publish();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], shared::telemetry::metrics().render()).into_response()
}
