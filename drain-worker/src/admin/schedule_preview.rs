//! `POST /v1/schedule/preview`: the caps that a schedule results in during the next day, without a change.

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::post;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::problem::{FieldProblem, Problem};

use super::audit::GroupState;
use super::audited_request::AuditedRequest;
use super::auth::SCHEDULE_PREVIEW;
use super::control::{instant_us, rejected};
use super::response::{invalid, json_response};
use crate::control::{
    AuditContext, GroupSettings, Schedule, ScheduleEntry, ScheduleError, SettingsChange, SettingsChangeError,
};
use crate::monitor::{CapView, SettingsView, rfc3339_us};

/// The route: nothing is written.
pub(super) fn router(state: GroupState) -> Router {
    Router::new().route(SCHEDULE_PREVIEW, post(preview)).with_state(state)
}

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewQuery {
    /// RFC 3339; the present without it.
    from: Option<String>,
}

/// The parameters of `PUT /v1/schedule`, without a confirmation. Entries are parsed one by one, so that each fault has its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PreviewBody {
    time_zone: String,
    entries: Vec<Value>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct PreviewStep {
    at: String,
    orders_per_second: u32,
}

#[derive(Serialize)]
struct PreviewView {
    from: String,
    until: String,
    /// Each applies until the next; the first is in force at `from`. Without holds and manual rate.
    steps: Vec<PreviewStep>,
    /// The cap now, as holds and manual rate leave it.
    cap: CapView,
    /// The present settings: holds and a manual rate override the schedule.
    settings: SettingsView,
}

async fn preview(
    State(admin): State<GroupState>,
    query: Result<Query<PreviewQuery>, QueryRejection>,
    request: AuditedRequest<PreviewBody>,
) -> Result<Response, Problem> {
    let Query(PreviewQuery { from }) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let from_us = from.map(|from| instant_us("from", &from)).transpose().map_err(invalid)?;
    let PreviewBody { time_zone, entries } = request.parameters;
    let entries = parse_entries(&entries).map_err(|faults| faulty("An entry cannot be read.", faults))?;
    let schedule = Schedule::new(&time_zone, entries).map_err(|error| refused(&error))?;
    let group = admin.read().await?;
    let change = SettingsChange::SetSchedule { schedule, confirmed: true };
    let applied = change
        .apply(&group.settings, group.revision, group.now_us, &AuditContext::default())
        .map_err(|error| above_ceiling(&change, error))?;
    let from_us = from_us.unwrap_or(group.now_us);
    Ok(json_response(&PreviewView {
        from: rfc3339_us(from_us),
        until: rfc3339_us(from_us.saturating_add(DAY_US)),
        steps: steps(applied.settings, from_us),
        cap: CapView::new(&group.settings.cap_at(group.now_us)),
        settings: SettingsView::new(&group),
    }))
}

/// The caps from `from_us` on, for a day, without what overrides the schedule.
fn steps(settings: GroupSettings, from_us: i64) -> Vec<PreviewStep> {
    let settings = GroupSettings { manual: None, holds: Vec::new(), ..settings };
    let until_us = from_us.saturating_add(DAY_US);
    let starts = settings.schedule.as_ref().map(|schedule| schedule.starts(from_us, until_us));
    let caps = std::iter::once(from_us)
        .chain(starts.unwrap_or_default())
        .map(|at_us| (at_us, settings.cap_at(at_us).orders_per_second));
    let mut caps: Vec<(i64, u32)> = caps.collect();
    caps.dedup_by_key(|(_, cap)| *cap);
    let step = |(at_us, orders_per_second)| PreviewStep { at: rfc3339_us(at_us), orders_per_second };
    caps.into_iter().map(step).collect()
}

fn parse_entries(values: &[Value]) -> Result<Vec<ScheduleEntry>, Vec<FieldProblem>> {
    let mut faults = Vec::new();
    let mut entries = Vec::with_capacity(values.len());
    for (index, value) in values.iter().enumerate() {
        match ScheduleEntry::deserialize(value) {
            Ok(entry) => entries.push(entry),
            Err(error) => faults.push(fault("invalid_entry", format!("/entries/{index}"), error.to_string())),
        }
    }
    if faults.is_empty() { Ok(entries) } else { Err(faults) }
}

fn refused(error: &ScheduleError) -> Problem {
    let (code, pointer) = match error {
        ScheduleError::TimeZone(_) => ("unknown_time_zone", "/time_zone".to_owned()),
        ScheduleError::Time { index } => ("invalid_time", format!("/entries/{index}")),
        ScheduleError::Twice { index } => ("same_time_twice", format!("/entries/{index}")),
        ScheduleError::Count => ("entry_count", "/entries".to_owned()),
    };
    let detail = error.to_string();
    faulty(&detail, vec![fault(code, pointer, detail.clone())])
}

/// Names the entries above the ceiling.
fn above_ceiling(change: &SettingsChange, error: SettingsChangeError) -> Problem {
    let problem = rejected(error);
    let (SettingsChange::SetSchedule { schedule, .. }, SettingsChangeError::AboveCeiling { ceiling, .. }) =
        (change, error)
    else {
        return problem;
    };
    let above = schedule.entries().enumerate().filter(|(_, entry)| entry.rate.get() > ceiling);
    let detail = format!("above the ceiling of {ceiling}/s");
    problem.with_errors(
        above.map(|(index, _)| fault("above_ceiling", format!("/entries/{index}"), detail.clone())).collect(),
    )
}

fn faulty(detail: &str, faults: Vec<FieldProblem>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_schedule", detail).with_errors(faults)
}

fn fault(code: &'static str, pointer: String, detail: String) -> FieldProblem {
    FieldProblem { code: code.into(), pointer, detail: detail.into() }
}
