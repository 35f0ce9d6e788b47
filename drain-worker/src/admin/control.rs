//! Changes of the pool's settings.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::response::{invalid, json_response, unavailable};
use crate::control::{AuditContext, Rate, Schedule, ScheduleEntry, SettingsChange};
use crate::monitor::{CapView, SettingsView};
use crate::store::SettingsError;

/// Body of `PUT /v1/rate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    /// Orders a second.
    pub rate: Rate,
    /// Duration of the ramp, seconds.
    #[serde(default)]
    pub ramp_s: u64,
    #[serde(default)]
    pub who: Option<String>,
    #[serde(default)]
    pub reason: Option<String>,
}

/// Body of `PUT /v1/pause`: at most one of `until` and `for_s`; with neither the pause lasts until resumed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
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

/// Body of a change without parameters.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct AuditBody {
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    reason: Option<String>,
}

pub(super) async fn set_rate(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let RateBody { rate, ramp_s, who, reason } = read(&body).map_err(invalid)?;
    let change = SettingsChange::SetRate { rate, ramp: Duration::from_secs(ramp_s) };
    apply_change(&admin, &change, who, reason).await
}

pub(super) async fn reset_rate(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::ResetRate, &body).await
}

pub(super) async fn pause(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let PauseBody { until, for_s, who, reason } = read(&body).map_err(invalid)?;
    let change = match (until, for_s) {
        (None, None) => SettingsChange::PauseUntil { until_us: None },
        (None, Some(seconds)) => SettingsChange::PauseFor { duration: Duration::from_secs(seconds) },
        (Some(until), None) => {
            SettingsChange::PauseUntil { until_us: Some(instant_us(&until).map_err(invalid)?) }
        }
        (Some(_), Some(_)) => return Err(invalid("until, for_s: at most one of them")),
    };
    apply_change(&admin, &change, who, reason).await
}

pub(super) async fn resume(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::Resume, &body).await
}

pub(super) async fn set_schedule(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    let ScheduleBody { time_zone, entries, who, reason } = read(&body).map_err(invalid)?;
    let schedule = Schedule::new(&time_zone, entries).map_err(|error| invalid(error.to_string()))?;
    apply_change(&admin, &SettingsChange::SetSchedule(schedule), who, reason).await
}

pub(super) async fn clear_schedule(State(admin): State<Admin>, body: Bytes) -> Result<Response, Problem> {
    plain(&admin, &SettingsChange::ClearSchedule, &body).await
}

async fn plain(admin: &Admin, change: &SettingsChange, body: &[u8]) -> Result<Response, Problem> {
    let AuditBody { who, reason } = read(body).map_err(invalid)?;
    apply_change(admin, change, who, reason).await
}

#[derive(Serialize)]
struct ChangeResponse {
    settings: SettingsView,
    cap: CapView,
}

async fn apply_change(
    admin: &Admin,
    change: &SettingsChange,
    who: Option<String>,
    reason: Option<String>,
) -> Result<Response, Problem> {
    let context = AuditContext { who: who.unwrap_or_default(), reason: reason.unwrap_or_default() };
    if let Some((name, chars_max)) = context.too_long() {
        return Err(invalid(format!("{name}: at most {chars_max} characters")));
    }
    let group = admin.store.change_settings(&admin.group, change, &context).await.map_err(problem)?;
    tracing::info!(
        event = "settings_changed",
        action = change.action(),
        who = context.who,
        revision = group.revision,
        "an operator changed the settings"
    );
    let cap = group.settings.cap_at(group.now_us);
    Ok(json_response(&ChangeResponse { settings: SettingsView::new(&group), cap: CapView::new(&cap) }))
}

fn problem(error: SettingsError) -> Problem {
    match error {
        SettingsError::Rejected(refused) => invalid(refused.to_string()),
        SettingsError::Store(error) => unavailable(&error),
    }
}

/// An empty body counts as an empty object.
fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, String> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("body: {error}"))
}

fn instant_us(text: &str) -> Result<i64, &'static str> {
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "until: must be an instant such as 2026-11-11T02:00:00+08:00")?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).map_err(|_| "until: beyond the calendar")
}
