//! Actions on the worker that is asked, alone.

use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::Admin;
use super::audited_request::{AuditedRequest, NoParameters};
use super::response::json_response;
use crate::control::AuditContext;

/// Response of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CordonView {
    pub worker: String,
    pub is_cordoned: bool,
    /// False: the database did not take the row of the audit trail; the cordon is changed all the same.
    pub is_audited: bool,
}

pub(super) async fn cordon(state: State<Admin>, request: AuditedRequest<NoParameters>) -> Response {
    change(&state, &request.context, true).await
}

pub(super) async fn uncordon(state: State<Admin>, request: AuditedRequest<NoParameters>) -> Response {
    change(&state, &request.context, false).await
}

async fn change(admin: &Admin, context: &AuditContext, is_cordoned: bool) -> Response {
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
    let audited = admin.store.append_audit(&admin.group, action, &worker, context).await;
    if let Err(error) = &audited {
        tracing::warn!(event = "audit_incomplete", action, worker, %error, "a change of the cordon is not in the audit trail");
    }
    json_response(&CordonView { worker, is_cordoned, is_audited: audited.is_ok() })
}
