//! `POST /v1/purge`.

use std::collections::BTreeMap;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::auth::Actor;
use super::response::{invalid, json_response, unavailable};
use crate::control::AuditContext;
use crate::purge::{PurgeCursor, PurgeError};
use crate::store::{PurgeBounds, PurgeStep};

/// Body of `POST /v1/purge`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeBody {
    /// RFC 3339. Personal data of what was decided before is removed.
    pub before: String,
    /// RFC 3339. Rows of what was decided before are deleted.
    #[serde(default)]
    pub rows_before: Option<String>,
    /// The `next` of the last response; absent in the first call.
    #[serde(default)]
    pub cursor: Option<PurgeCursor>,
    #[serde(default)]
    pub who: String,
    #[serde(default)]
    pub reason: String,
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
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Response, Problem> {
    let body: PurgeBody = serde_json::from_slice(&body).map_err(|error| invalid(error.to_string()))?;
    let context = AuditContext::new(body.who, body.reason).map_err(|error| invalid(error.to_string()))?;
    let context = context.by(&actor.0);
    let bounds = PurgeBounds {
        data_before: instant("before", &body.before).map_err(invalid)?,
        rows_before: body
            .rows_before
            .map(|text| instant("rows_before", &text))
            .transpose()
            .map_err(invalid)?,
    };
    match admin.purger.purge(bounds, body.cursor, &context).await {
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
