//! Looking at the pool.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;

use super::Admin;
use super::answer::{answer, invalid, unavailable};
use crate::monitor::{Sample, instant};
use crate::store::PoolStore;

/// Most entries of the audit trail in one answer.
const AUDIT_MAX: u32 = 500;

pub(super) async fn status<S: PoolStore>(State(admin): State<Admin<S>>) -> Result<Response, Problem> {
    match admin.monitor.status() {
        Some(status) => Ok(answer(&status)),
        None => Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_joined",
            "This worker has not joined the pool yet; see its log if that lasts.",
        )
        .retry_after(1)),
    }
}

#[derive(Serialize)]
struct History {
    step_s: u32,
    samples: Vec<Sample>,
}

pub(super) async fn history<S: PoolStore>(State(admin): State<Admin<S>>) -> Response {
    answer(&History { step_s: 1, samples: admin.monitor.history() })
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
struct Audit {
    entries: Vec<AuditView>,
}

#[derive(Serialize)]
struct AuditView {
    id: i64,
    at: String,
    who: String,
    action: String,
    detail: String,
    why: String,
}

pub(super) async fn audit<S: PoolStore>(
    State(admin): State<Admin<S>>,
    query: Result<Query<AuditQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    if !(1..=AUDIT_MAX).contains(&query.limit) {
        return Err(invalid(format!("limit: must be 1 to {AUDIT_MAX}")));
    }
    let entries = admin.store.audit(&admin.group, query.limit).await.map_err(|error| unavailable(&error))?;
    let entries = entries
        .into_iter()
        .map(|entry| AuditView {
            id: entry.id,
            at: instant(entry.at),
            who: entry.who,
            action: entry.action,
            detail: entry.detail,
            why: entry.why,
        })
        .collect();
    Ok(answer(&Audit { entries }))
}
