//! `POST /v1/purge`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::audited_request::AuditedRequest;
use super::response::{invalid, json_response, unavailable};
use crate::purge::{PurgeCursor, PurgeError};
use crate::store::{PurgeBounds, PurgeStep};

/// Parameters of `POST /v1/purge`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeParameters {
    /// RFC 3339. Personal data of what was decided before is removed.
    pub before: String,
    /// RFC 3339. Rows of what was decided before are deleted.
    #[serde(default)]
    pub rows_before: Option<String>,
    /// The `next` of the last response; absent in the first call.
    #[serde(default)]
    pub cursor: Option<PurgeCursor>,
}

/// Response of `POST /v1/purge`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PurgeView {
    /// Rows purged by this call, by step.
    pub rows: BTreeMap<PurgeStep, u64>,
    /// Where the next call continues; `null`: the purge is complete.
    pub next: Option<PurgeCursor>,
    /// The reason if the call ended early.
    pub stopped: Option<String>,
}

pub(super) async fn purge(
    State(admin): State<Admin>,
    AuditedRequest { parameters: PurgeParameters { before, rows_before, cursor }, context }: AuditedRequest<
        PurgeParameters,
    >,
) -> Result<Response, Problem> {
    let rows_before = rows_before.map(|text| instant("rows_before", &text)).transpose();
    let bounds = PurgeBounds {
        data_before: instant("before", &before).map_err(invalid)?,
        rows_before: rows_before.map_err(invalid)?,
    };
    match admin.purger.purge(bounds, cursor, &context).await {
        Ok(progress) => Ok(json_response(&PurgeView {
            rows: progress.rows,
            next: progress.next,
            stopped: progress.stopped,
        })),
        Err(PurgeError::Store(error)) => Err(unavailable(&error)),
        Err(error) => Err(invalid(error.to_string())),
    }
}

fn instant(name: &str, text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| format!("{name} must be RFC 3339, such as 2026-10-01T00:00:00Z"))
}
