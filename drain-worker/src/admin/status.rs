//! Read-only endpoints: status, history, audit trail, readiness, metrics.

use std::fmt;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::problem::Problem;
use shared::time::rfc3339_millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::control::SettingsState;
use super::response::{invalid, json_response, unavailable, with_revision};
use crate::monitor::{Health, HistorySample, HistoryStep, Monitor, StatusView};
use crate::pool::WorkerState;
use crate::store::AuditEntry;

/// Maximum entries of one response.
const AUDIT_MAX: u32 = 500;

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

#[derive(Deserialize)]
pub(super) struct AuditQuery {
    #[serde(default = "fifty")]
    limit: u32,
    /// Only entries with lower numbers.
    before: Option<i64>,
}

const fn fifty() -> u32 {
    50
}

/// Response of `GET /v1/audit`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditEntryView>,
    /// There may be more: continue with `before` as this number.
    pub next: Option<i64>,
}

/// An act in the audit trail.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditEntryView {
    pub id: i64,
    pub at: String,
    /// The name of the token; empty: none.
    pub actor: String,
    pub who: String,
    pub action: String,
    pub detail: String,
    pub reason: String,
    /// The revision that a change of the settings made.
    pub revision: Option<i64>,
    /// The values that the act replaced, as JSON.
    pub before: Option<Value>,
    /// The values that it set, as JSON.
    pub after: Option<Value>,
}

impl From<AuditEntry> for AuditEntryView {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: rfc3339_millis(entry.at),
            actor: entry.actor,
            who: entry.who,
            action: entry.action,
            detail: entry.detail,
            reason: entry.reason,
            revision: entry.revision,
            before: entry.before,
            after: entry.after,
        }
    }
}

/// `Revision 8: rate_set, 500/s, by ann at 2026-11-11T00:00:00.000Z (emergency).`
impl fmt::Display for AuditEntryView {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(revision) = self.revision {
            write!(formatter, "Revision {revision}: ")?;
        }
        let who = [&self.actor, &self.who, "an unnamed operator"];
        let who = who.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        write!(formatter, "{}", self.action)?;
        if !self.detail.is_empty() {
            write!(formatter, ", {}", self.detail)?;
        }
        write!(formatter, ", by {who} at {}", self.at)?;
        if !self.reason.is_empty() {
            write!(formatter, " ({})", self.reason)?;
        }
        write!(formatter, ".")
    }
}

pub(super) async fn audit(
    State(admin): State<SettingsState>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    if !(1..=AUDIT_MAX).contains(&query.limit) {
        return Err(invalid(format!("limit: must be 1 to {AUDIT_MAX}")));
    }
    let entries = admin
        .store
        .list_audit(&admin.group, query.before, query.limit)
        .await
        .map_err(|error| unavailable(&error))?;
    let next = if entries.len() < query.limit as usize { None } else { entries.last().map(|entry| entry.id) };
    let entries = entries.into_iter().map(AuditEntryView::from).collect();
    Ok(json_response(&AuditPage { entries, next }))
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
