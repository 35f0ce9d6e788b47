//! The audit trail of a group.

use std::fmt;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::problem::Problem;
use shared::time::rfc3339_millis;

use super::response::{invalid, json_response, unavailable};
use crate::control::author;
use crate::store::{AuditEntry, Store};

/// Maximum entries of one response.
const AUDIT_MAX: u32 = 500;

/// A group in a database: its settings and its audit trail.
#[derive(Clone)]
pub(super) struct GroupState {
    pub(super) store: Arc<Store>,
    pub(super) group: Arc<str>,
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
        let author = author(&self.actor, &self.who);
        let author = if author.is_empty() { "an unnamed operator" } else { &author };
        write!(formatter, "{}", self.action)?;
        if !self.detail.is_empty() {
            write!(formatter, ", {}", self.detail)?;
        }
        write!(formatter, ", by {author} at {}", self.at)?;
        if !self.reason.is_empty() {
            write!(formatter, " ({})", self.reason)?;
        }
        write!(formatter, ".")
    }
}

pub(super) async fn audit(
    State(admin): State<GroupState>,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_names_the_token_and_the_person_beside_it() {
        let entry = |actor: &str, who: &str| AuditEntryView {
            id: 1,
            at: "2026-11-11T00:00:00.000Z".to_owned(),
            actor: actor.to_owned(),
            who: who.to_owned(),
            action: "rate_set".to_owned(),
            detail: "500/s".to_owned(),
            reason: "emergency".to_owned(),
            revision: Some(8),
            before: None,
            after: None,
        };
        for (actor, who, author) in [
            ("ops", "ann", "ops (ann)"),
            ("ops", "", "ops"),
            ("", "ann", "ann"),
            ("", "", "an unnamed operator"),
        ] {
            let text =
                format!("Revision 8: rate_set, 500/s, by {author} at 2026-11-11T00:00:00.000Z (emergency).");
            assert_eq!(entry(actor, who).to_string(), text);
        }
    }
}
