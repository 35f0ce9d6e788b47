//! Changes of the pool's settings.
//!
//! A change names the revision of the settings that its author has seen, in `If-Match`; if another change came first,
//! the response says what differs. A hold needs none: it takes nothing from others.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Router};
use http::header::IF_MATCH;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::auth::Actor;
use super::response::{invalid, json_response, unavailable, with_revision};
use super::status::AuditEntryView;
use crate::control::{AuditContext, Rate, Schedule, ScheduleEntry, SettingsChange, SettingsChangeError};
use crate::monitor::{CapView, SettingsView};
use crate::store::{GroupSnapshot, SettingsError, Store};

/// The settings of a group in a database.
#[derive(Clone)]
pub(super) struct SettingsState {
    pub(super) store: Arc<Store>,
    pub(super) group: Arc<str>,
}

/// The routes that read and change the settings. Requests need an [`Actor`].
pub(super) fn router(state: SettingsState) -> Router {
    Router::new()
        .route("/v1/settings", get(settings))
        .route("/v1/rate", put(set_rate))
        .route("/v1/rate/reset", post(reset_rate))
        .route("/v1/ceiling", put(set_ceiling))
        .route("/v1/ceiling/clear", post(clear_ceiling))
        .route("/v1/pause", put(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/schedule", put(set_schedule))
        .route("/v1/schedule/clear", post(clear_schedule))
        .with_state(state)
}

/// Maximum number of changes that a conflict lists.
const CONFLICT_CHANGES_MAX: u32 = 20;

/// Body of `PUT /v1/rate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    /// Orders a second.
    pub rate: Rate,
    /// Duration of the ramp, seconds.
    #[serde(default)]
    pub ramp_s: f64,
    /// True: also if the rate is more than twice the present cap.
    #[serde(default)]
    pub confirm: bool,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of `PUT /v1/pause`, which adds a hold: at most one of `until` and `for_s`; with neither the hold lasts until it
/// is removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<f64>,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of `PUT /v1/ceiling`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CeilingBody {
    /// Orders a second.
    pub rate: Rate,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of `PUT /v1/schedule`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    pub time_zone: String,
    pub entries: Vec<ScheduleEntry>,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of `POST /v1/resume`: exactly one of `hold` and `all`, so that an omitted member never ends another's hold.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeBody {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<i64>,
    #[serde(default)]
    pub all: bool,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of a change without parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditBody {
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

/// The settings in force, from the database: `/v1/status` has those of the worker's last heartbeat.
async fn settings(State(admin): State<SettingsState>) -> Result<Response, Problem> {
    let group = admin.store.read_group(&admin.group).await.map_err(|error| unavailable(&error))?;
    let group = group.ok_or_else(|| {
        let detail = format!("No worker of the group '{}' has ever run on this database.", admin.group);
        Problem::new(StatusCode::NOT_FOUND, "group_not_found", detail)
    })?;
    Ok(present(&group, None))
}

async fn set_rate(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let RateBody { rate, ramp_s, confirm, who, reason } = read(&body).map_err(invalid)?;
    let ramp = duration("ramp_s", ramp_s).map_err(invalid)?;
    let change = SettingsChange::SetRate { rate, ramp, confirmed: confirm };
    apply_change(&admin, &change, &headers, &actor, who, reason).await
}

async fn reset_rate(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::ResetRate, &headers, &actor, &body).await
}

async fn set_ceiling(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let CeilingBody { rate, who, reason } = read(&body).map_err(invalid)?;
    apply_change(&admin, &SettingsChange::SetCeiling(rate), &headers, &actor, who, reason).await
}

async fn clear_ceiling(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::ClearCeiling, &headers, &actor, &body).await
}

async fn pause(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let PauseBody { until, for_s, who, reason } = read(&body).map_err(invalid)?;
    let change = match (until, for_s) {
        (None, None) => SettingsChange::PauseUntil { until_us: None },
        (None, Some(seconds)) => {
            SettingsChange::PauseFor { duration: duration("for_s", seconds).map_err(invalid)? }
        }
        (Some(until), None) => {
            SettingsChange::PauseUntil { until_us: Some(instant_us(&until).map_err(invalid)?) }
        }
        (Some(_), Some(_)) => return Err(invalid("until, for_s: at most one of them")),
    };
    apply_change(&admin, &change, &headers, &actor, who, reason).await
}

async fn resume(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let ResumeBody { hold, all, who, reason } = read(&body).map_err(invalid)?;
    if hold.is_some() == all {
        return Err(invalid("exactly one of \"hold\", an id, and \"all\": true must be given"));
    }
    apply_change(&admin, &SettingsChange::Resume { hold }, &headers, &actor, who, reason).await
}

async fn set_schedule(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let ScheduleBody { time_zone, entries, who, reason } = read(&body).map_err(invalid)?;
    let schedule = Schedule::new(&time_zone, entries).map_err(|error| invalid(error.to_string()))?;
    apply_change(&admin, &SettingsChange::SetSchedule(schedule), &headers, &actor, who, reason).await
}

async fn clear_schedule(
    State(admin): State<SettingsState>,
    Extension(actor): Extension<Actor>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::ClearSchedule, &headers, &actor, &body).await
}

async fn plain(
    admin: &SettingsState,
    change: &SettingsChange,
    headers: &HeaderMap,
    actor: &Actor,
    body: &[u8],
) -> Result<Response, Problem> {
    let AuditBody { who, reason } = read(body).map_err(invalid)?;
    apply_change(admin, change, headers, actor, who, reason).await
}

#[derive(Serialize)]
struct SettingsResponse {
    settings: SettingsView,
    cap: CapView,
    /// The hold that the change added.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<i64>,
}

fn present(group: &GroupSnapshot, hold: Option<i64>) -> Response {
    let (settings, cap) = (SettingsView::new(group), CapView::new(&group.settings.cap_at(group.now_us)));
    with_revision(json_response(&SettingsResponse { settings, cap, hold }), group.revision)
}

async fn apply_change(
    admin: &SettingsState,
    change: &SettingsChange,
    headers: &HeaderMap,
    actor: &Actor,
    who: Option<String>,
    reason: Option<String>,
) -> Result<Response, Problem> {
    let context = AuditContext::new(who.unwrap_or_default(), reason.unwrap_or_default())
        .map_err(|error| invalid(error.to_string()))?
        .by(&actor.0);
    let made_on = made_on(headers, change).map_err(|problem| *problem)?;
    let group = match admin.store.change_settings(&admin.group, change, made_on, &context).await {
        Ok(group) => group,
        Err(SettingsError::Changed { made_on, present }) => return conflict(admin, made_on, &present).await,
        Err(SettingsError::Rejected(refused)) => return Err(rejected(refused)),
        Err(SettingsError::Store(error)) => return Err(unavailable(&error)),
    };
    tracing::info!(
        event = "settings_changed",
        action = change.action(),
        actor = context.actor,
        who = context.who,
        revision = group.revision,
        "an operator changed the settings"
    );
    let adds_hold = matches!(change, SettingsChange::PauseUntil { .. } | SettingsChange::PauseFor { .. });
    Ok(present(&group, adds_hold.then_some(group.revision)))
}

fn rejected(refused: SettingsChangeError) -> Problem {
    match refused {
        SettingsChangeError::NoSuchHold { .. } => {
            Problem::new(StatusCode::NOT_FOUND, "hold_not_found", refused.to_string())
        }
        SettingsChangeError::AboveCeiling { .. } => {
            Problem::new(StatusCode::CONFLICT, "above_ceiling", refused.to_string())
        }
        SettingsChangeError::Unconfirmed { .. } => {
            Problem::new(StatusCode::CONFLICT, "confirmation_required", refused.to_string())
        }
        _ => invalid(refused.to_string()),
    }
}

/// The revision in `If-Match`; `None`: the change applies to any.
fn made_on(headers: &HeaderMap, change: &SettingsChange) -> Result<Option<i64>, Box<Problem>> {
    let Some(value) = headers.get(IF_MATCH) else {
        if change.needs_no_revision() {
            return Ok(None);
        }
        let detail = "Send the revision of the settings that the change is made on, the ETag of /v1/settings, as \
                      If-Match: \"7\"; If-Match: * changes whatever is in force.";
        return Err(Problem::new(StatusCode::PRECONDITION_REQUIRED, "revision_required", detail).into());
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    revision
        .and_then(|digits| digits.parse().ok())
        .map(Some)
        .ok_or_else(|| invalid("If-Match: must be one ETag of /v1/settings, such as \"7\", or *").into())
}

/// A problem document that lists the changes since the revision that the caller has seen.
#[derive(Serialize)]
struct ConflictProblem {
    #[serde(flatten)]
    problem: Problem,
    /// The revision in force.
    revision: i64,
    /// Newest first, at most 20.
    changes: Vec<AuditEntryView>,
    settings: SettingsView,
    cap: CapView,
}

async fn conflict(admin: &SettingsState, made_on: i64, group: &GroupSnapshot) -> Result<Response, Problem> {
    let changes = admin
        .store
        .list_changes_since(&admin.group, made_on, CONFLICT_CHANGES_MAX)
        .await
        .map_err(|error| unavailable(&error))?;
    let changes: Vec<AuditEntryView> = changes.into_iter().map(AuditEntryView::from).collect();
    let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
    let detail =
        format!("The settings have changed since revision {made_on}; nothing was done. {}", lines.join(" "));
    let problem = Problem::new(StatusCode::CONFLICT, "settings_changed", detail);
    let body = ConflictProblem {
        problem: problem.clone(),
        revision: group.revision,
        changes,
        settings: SettingsView::new(group),
        cap: CapView::new(&group.settings.cap_at(group.now_us)),
    };
    // Strings and numbers only: serialisation cannot fail.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let mut response = problem.into_response();
    *response.body_mut() = body.into();
    Ok(with_revision(response, group.revision))
}

/// An empty body counts as an empty object.
fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, String> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("body: {error}"))
}

fn duration(name: &str, seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{name}: must be a number of seconds"))
}

fn instant_us(text: &str) -> Result<i64, &'static str> {
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "until: must be an instant such as 2026-11-11T02:00:00+08:00")?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).map_err(|_| "until: beyond the calendar")
}
