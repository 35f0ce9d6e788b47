//! Actions on the worker that is asked, alone.

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;

use super::Admin;
use super::auth::Actor;
use super::response::{invalid, json_response, unavailable};
use crate::control::AuditContext;

/// Body of `POST /v1/worker/cordon` and `POST /v1/worker/uncordon`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CordonBody {
    pub who: String,
    pub reason: String,
}

/// Response of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CordonView {
    pub worker: String,
    pub is_cordoned: bool,
}

pub(super) async fn cordon(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Response, Problem> {
    change(&admin, &actor, &body, true).await
}

pub(super) async fn uncordon(
    State(admin): State<Admin>,
    Extension(actor): Extension<Actor>,
    body: Bytes,
) -> Result<Response, Problem> {
    change(&admin, &actor, &body, false).await
}

async fn change(admin: &Admin, actor: &Actor, body: &[u8], is_cordoned: bool) -> Result<Response, Problem> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    let CordonBody { who, reason } =
        serde_json::from_slice(body).map_err(|error| invalid(format!("body: {error}")))?;
    let context = AuditContext::new(who, reason).map_err(|error| invalid(error.to_string()))?.by(&actor.0);
    let worker = admin.worker.to_string();
    let action = if is_cordoned { "cordon" } else { "uncordon" };
    // First: a worker that an operator cordons because of its database may not reach the audit trail.
    admin.monitor.cordon().set(is_cordoned);
    tracing::info!(
        event = "worker_cordoned",
        worker,
        is_cordoned,
        who = context.who,
        "an operator changed the cordon"
    );
    admin
        .store
        .append_audit(&admin.group, action, &worker, &context)
        .await
        .map_err(|error| unavailable(&error))?;
    Ok(json_response(&CordonView { worker, is_cordoned }))
}
