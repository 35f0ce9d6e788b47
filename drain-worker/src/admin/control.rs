//! Changing the settings.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use shared::problem::Problem;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Admin;
use super::answer::{answer, invalid, unavailable};
use crate::control::{Change, Entry, NAME_CHARS_MAX, Origin, Rate, Schedule, WHY_CHARS_MAX};
use crate::monitor::{CapView, SettingsView};
use crate::store::{PoolStore, SettingsError};

/// Body of `PUT /v1/rate`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateBody {
    /// Orders a second.
    pub rate: Rate,
    /// How long it takes to get there, seconds.
    #[serde(default)]
    pub ramp_s: u64,
    /// Who.
    #[serde(default)]
    pub who: Option<String>,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
}

/// Body of `PUT /v1/pause`: at most one of `until` and `for_s`; neither: until somebody resumes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseBody {
    /// An instant, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_s: Option<u64>,
    /// Who.
    #[serde(default)]
    pub who: Option<String>,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
}

/// Body of `PUT /v1/schedule`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// A name of the IANA database.
    pub time_zone: String,
    /// From which time of day on, which rate.
    pub entries: Vec<Entry>,
    /// Who.
    #[serde(default)]
    pub who: Option<String>,
    /// Why.
    #[serde(default)]
    pub why: Option<String>,
}

/// Body of a change that needs no more.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    why: Option<String>,
}

pub(super) async fn set_rate<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let RateBody { rate, ramp_s, who, why } = read(&body).map_err(invalid)?;
    let change = Change::SetRate { rate, ramp: Duration::from_secs(ramp_s) };
    make(&admin, &change, who, why).await
}

pub(super) async fn reset_rate<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &Change::ResetRate, &body).await
}

pub(super) async fn pause<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let PauseBody { until, for_s, who, why } = read(&body).map_err(invalid)?;
    let change = match (until, for_s) {
        (None, None) => Change::PauseUntil { until_us: None },
        (None, Some(seconds)) => Change::PauseFor { duration: Duration::from_secs(seconds) },
        (Some(until), None) => Change::PauseUntil { until_us: Some(instant_us(&until).map_err(invalid)?) },
        (Some(_), Some(_)) => return Err(invalid("until, for_s: give one of them")),
    };
    make(&admin, &change, who, why).await
}

pub(super) async fn resume<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &Change::Resume, &body).await
}

pub(super) async fn set_schedule<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let ScheduleBody { time_zone, entries, who, why } = read(&body).map_err(invalid)?;
    let schedule = Schedule::new(&time_zone, entries).map_err(|error| invalid(error.to_string()))?;
    make(&admin, &Change::SetSchedule(schedule), who, why).await
}

pub(super) async fn clear_schedule<S: PoolStore>(
    State(admin): State<Admin<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    plain(&admin, &Change::ClearSchedule, &body).await
}

async fn plain<S: PoolStore>(admin: &Admin<S>, change: &Change, body: &[u8]) -> Result<Response, Problem> {
    let Plain { who, why } = read(body).map_err(invalid)?;
    make(admin, change, who, why).await
}

#[derive(Serialize)]
struct Changed {
    settings: SettingsView,
    cap: CapView,
}

async fn make<S: PoolStore>(
    admin: &Admin<S>,
    change: &Change,
    who: Option<String>,
    why: Option<String>,
) -> Result<Response, Problem> {
    let origin = Origin { who: who.unwrap_or_default(), why: why.unwrap_or_default() };
    for (name, text, chars_max) in [("who", &origin.who, NAME_CHARS_MAX), ("why", &origin.why, WHY_CHARS_MAX)]
    {
        if text.chars().count() > chars_max {
            return Err(invalid(format!("{name}: at most {chars_max} characters")));
        }
    }
    let group = admin.store.change(&admin.group, change, &origin).await.map_err(problem)?;
    tracing::info!(
        action = change.action(),
        who = origin.who,
        revision = group.revision,
        "an operator changed the settings"
    );
    let cap = group.settings.cap_at(group.now_us);
    Ok(answer(&Changed { settings: SettingsView::new(&group), cap: CapView::new(&cap) }))
}

fn problem(error: SettingsError) -> Problem {
    match error {
        SettingsError::Refused(refused) => invalid(refused.to_string()),
        SettingsError::Store(error) => unavailable(&error),
    }
}

/// An empty body is an empty object.
fn read<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, String> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| format!("body: {error}"))
}

fn instant_us(text: &str) -> Result<i64, &'static str> {
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "until: must be an instant such as 2026-11-11T02:00:00+08:00")?;
    i64::try_from(instant.unix_timestamp_nanos() / 1_000).map_err(|_| "until: beyond the calendar")
}
