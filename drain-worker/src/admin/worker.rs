//! Actions on the worker that is asked, alone.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;

use super::Admin;
use super::act::{Act, NoParameters};
use super::response::{json_response, unavailable};
use crate::control::AuditContext;

/// Response of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CordonView {
    pub worker: String,
    pub is_cordoned: bool,
}

pub(super) async fn cordon(state: State<Admin>, act: Act<NoParameters>) -> Result<Response, Problem> {
    change(&state, &act.context, true).await
}

pub(super) async fn uncordon(state: State<Admin>, act: Act<NoParameters>) -> Result<Response, Problem> {
    change(&state, &act.context, false).await
}

async fn change(admin: &Admin, context: &AuditContext, is_cordoned: bool) -> Result<Response, Problem> {
    let worker = admin.worker.to_string();
    let action = if is_cordoned { "cordon" } else { "uncordon" };
    // First: a worker that an operator cordons because of its database may not reach the audit trail.
    admin.monitor.cordon().set(is_cordoned);
    tracing::info!(
        event = "worker_cordoned",
        worker,
        is_cordoned,
        actor = context.actor,
        who = context.who,
        "an operator changed the cordon"
    );
    admin
        .store
        .append_audit(&admin.group, action, &worker, context)
        .await
        .map_err(|error| unavailable(&error))?;
    Ok(json_response(&CordonView { worker, is_cordoned }))
}
