//! Changes of the pool's settings.
//!
//! A change names the revision of the settings that its author has seen, in `If-Match`; if another change came first,
//! the response says what differs. A hold needs none: it takes nothing from others.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post, put};
use http::header::IF_MATCH;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::audit::{AuditEntryView, GroupState, audit};
use super::audited_request::{AuditedRequest, NoParameters};
use super::response::{invalid, json_response, request_id, unavailable, with_revision};
use crate::control::{AuditContext, Rate, Schedule, ScheduleEntry, SettingsChange, SettingsChangeError};
use crate::monitor::{CapView, SettingsView};
use crate::store::{ChangedSettings, GroupSnapshot, SettingsError, StoreError};

/// The routes that read and change the settings, and read the audit trail. Requests have an [`Actor`](super::auth::Actor).
pub(super) fn router(state: GroupState) -> Router {
    Router::new()
        .route("/v1/settings", get(settings))
        .route("/v1/rate", put(change::<RateParameters>))
        .route("/v1/rate/reset", plain(SettingsChange::ResetRate))
        .route("/v1/ceiling", put(change::<CeilingParameters>))
        .route("/v1/ceiling/clear", post(change::<CeilingClearParameters>))
        .route("/v1/pause", put(change::<PauseParameters>))
        .route("/v1/resume", post(change::<ResumeParameters>))
        .route("/v1/schedule", put(change::<ScheduleParameters>))
        .route("/v1/audit", get(audit))
        .route("/v1/schedule/clear", plain(SettingsChange::ClearSchedule))
        .with_state(state)
}

/// Maximum number of changes that a conflict lists.
const CONFLICT_CHANGES_MAX: u32 = 20;

/// The parameters of a change.
trait ChangeParameters: DeserializeOwned + Send {
    /// # Errors
    /// A message for the caller.
    fn change(self) -> Result<SettingsChange, String>;
}

/// Parameters of `PUT /v1/rate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RateParameters {
    /// Orders a second.
    rate: Rate,
    /// Duration of the ramp, seconds.
    #[serde(default)]
    ramp_s: f64,
    /// True: also if the rate is more than twice the present cap.
    #[serde(default)]
    confirm: bool,
}

impl ChangeParameters for RateParameters {
    fn change(self) -> Result<SettingsChange, String> {
        let ramp = duration("ramp_s", self.ramp_s)?;
        Ok(SettingsChange::SetRate { rate: self.rate, ramp, confirmed: self.confirm })
    }
}

/// Parameters of `PUT /v1/ceiling`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CeilingParameters {
    /// Orders a second.
    rate: Rate,
}

impl ChangeParameters for CeilingParameters {
    fn change(self) -> Result<SettingsChange, String> {
        Ok(SettingsChange::SetCeiling(self.rate))
    }
}

/// Parameters of `POST /v1/ceiling/clear`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CeilingClearParameters {
    /// True: also if the cap becomes more than twice the present one.
    #[serde(default)]
    confirm: bool,
}

impl ChangeParameters for CeilingClearParameters {
    fn change(self) -> Result<SettingsChange, String> {
        Ok(SettingsChange::ClearCeiling { confirmed: self.confirm })
    }
}

/// Parameters of `PUT /v1/pause`, which adds a hold: at most one of `until` and `for_s`; with neither the hold lasts
/// until it is removed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PauseParameters {
    /// RFC 3339.
    until: Option<String>,
    /// Seconds.
    for_s: Option<f64>,
}

impl ChangeParameters for PauseParameters {
    fn change(self) -> Result<SettingsChange, String> {
        match (self.until, self.for_s) {
            (None, None) => Ok(SettingsChange::PauseUntil { until_us: None }),
            (None, Some(seconds)) => Ok(SettingsChange::PauseFor { duration: duration("for_s", seconds)? }),
            (Some(until), None) => {
                Ok(SettingsChange::PauseUntil { until_us: Some(instant_us("until", &until)?) })
            }
            (Some(_), Some(_)) => Err("until, for_s: at most one of them".to_owned()),
        }
    }
}

/// Parameters of `POST /v1/resume`: exactly one of `hold` and `all`, so that an omitted member never ends another's
/// hold.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeParameters {
    hold: Option<i64>,
    #[serde(default)]
    all: bool,
}

impl ChangeParameters for ResumeParameters {
    fn change(self) -> Result<SettingsChange, String> {
        if self.hold.is_some() == self.all {
            return Err("exactly one of \"hold\", an id, and \"all\": true must be given".to_owned());
        }
        Ok(SettingsChange::Resume { hold: self.hold })
    }
}

/// Parameters of `PUT /v1/schedule`: those of a [`Schedule`], and the confirmation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScheduleParameters {
    time_zone: String,
    entries: Vec<ScheduleEntry>,
    /// True: also if its highest rate is more than twice the present cap and the highest rate of the schedule in force.
    #[serde(default)]
    confirm: bool,
}

impl ChangeParameters for ScheduleParameters {
    fn change(self) -> Result<SettingsChange, String> {
        let schedule = Schedule::new(&self.time_zone, self.entries).map_err(|error| error.to_string())?;
        Ok(SettingsChange::SetSchedule { schedule, confirmed: self.confirm })
    }
}

/// The settings in force, from the database: `/v1/status` has those of the worker's last heartbeat.
async fn settings(State(admin): State<GroupState>) -> Result<Response, Problem> {
    Ok(present(&admin.read().await?, None))
}

impl GroupState {
    pub(super) async fn read(&self) -> Result<GroupSnapshot, Problem> {
        let group = self.store.read_group(&self.group).await.map_err(|error| unavailable(&error))?;
        let unknown = || SettingsError::UnknownGroup { group: self.group.to_string() };
        group.ok_or_else(|| group_not_found(&unknown()))
    }
}

/// Makes a change with the parameters `T`.
async fn change<T: ChangeParameters>(
    State(admin): State<GroupState>,
    headers: HeaderMap,
    request: AuditedRequest<T>,
) -> Result<Response, Problem> {
    let change = request.parameters.change().map_err(invalid)?;
    apply_change(&admin, &change, &headers, &request.context).await
}

/// Makes a change that has no parameters.
fn plain(change: SettingsChange) -> MethodRouter<GroupState> {
    post(
        async move |State(admin): State<GroupState>,
                    headers: HeaderMap,
                    request: AuditedRequest<NoParameters>| {
            apply_change(&admin, &change, &headers, &request.context).await
        },
    )
}

/// Response of `GET /v1/settings` and of every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SettingsResponse {
    pub settings: SettingsView,
    pub cap: CapView,
    /// The hold that the change added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<i64>,
}

fn present(group: &GroupSnapshot, hold: Option<i64>) -> Response {
    let (settings, cap) = (SettingsView::new(group), CapView::new(&group.settings.cap_at(group.now_us)));
    with_revision(json_response(&SettingsResponse { settings, cap, hold }), group.revision)
}

async fn apply_change(
    admin: &GroupState,
    change: &SettingsChange,
    headers: &HeaderMap,
    context: &AuditContext,
) -> Result<Response, Problem> {
    let made_on = made_on(headers, change).map_err(|problem| *problem)?;
    let changed = admin.store.change_settings(&admin.group, change, made_on, context).await;
    let ChangedSettings { revision, group } = match changed {
        Ok(changed) => changed,
        Err(SettingsError::Changed { made_on, present }) => return conflict(admin, made_on, &present).await,
        Err(SettingsError::Rejected(refused)) => return Err(rejected(refused)),
        Err(unknown @ SettingsError::UnknownGroup { .. }) => return Err(group_not_found(&unknown)),
        Err(SettingsError::Unconfirmed(error)) => return Err(unconfirmed(&error)),
        Err(SettingsError::Store(error)) => return Err(unavailable(&error)),
    };
    tracing::info!(
        event = "settings_changed",
        action = change.action(),
        actor = context.actor,
        who = context.who,
        revision,
        "an operator changed the settings"
    );
    let adds_hold = matches!(change, SettingsChange::PauseUntil { .. } | SettingsChange::PauseFor { .. });
    Ok(present(&group, adds_hold.then_some(revision)))
}

fn group_not_found(unknown: &SettingsError) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "group_not_found", unknown.to_string())
}

fn unconfirmed(error: &StoreError) -> Problem {
    tracing::error!(event = "admin_request_failed", request_id = request_id(), %error, error_code = "change_unconfirmed", "the database has not answered whether it committed a change");
    let detail = format!("The change may be in force: look at the settings before you repeat it. {error}");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "change_unconfirmed", detail)
}

pub(super) fn rejected(refused: SettingsChangeError) -> Problem {
    match refused {
        SettingsChangeError::NoSuchHold { .. } => {
            Problem::new(StatusCode::NOT_FOUND, "hold_not_found", refused.to_string())
        }
        SettingsChangeError::AboveCeiling { .. } => {
            Problem::new(StatusCode::CONFLICT, "above_ceiling", refused.to_string())
        }
        SettingsChangeError::Unconfirmed { .. } | SettingsChangeError::SteepSchedule { .. } => {
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

async fn conflict(admin: &GroupState, made_on: i64, group: &GroupSnapshot) -> Result<Response, Problem> {
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

fn duration(name: &str, seconds: f64) -> Result<Duration, String> {
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{name}: must be a number of seconds"))
}

pub(super) fn instant_us(name: &str, text: &str) -> Result<i64, String> {
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| format!("{name}: must be an instant such as 2026-11-11T02:00:00+08:00"))?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).map_err(|_| format!("{name}: beyond the calendar"))
}
