//! The console: one page, served by the worker, that loads nothing from other origins.
//!
//! The page is public. Its data comes from the API, with the token that the operator enters. The content security
//! policy allows the page's own files alone: no inline script, no other origin, no frame around it.

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderName, HeaderValue, header};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, content type and text of each file.
const FILES: &[(&str, &str, &str)] = &[
    ("/", HTML, include_str!("index.html")),
    ("/console/base.css", CSS, include_str!("base.css")),
    ("/console/parts.css", CSS, include_str!("parts.css")),
    ("/console/pages.css", CSS, include_str!("pages.css")),
    ("/console/api.js", JS, include_str!("api.js")),
    ("/console/audit.js", JS, include_str!("audit.js")),
    ("/console/bar.js", JS, include_str!("bar.js")),
    ("/console/chart.js", JS, shared::web::CHART_JS),
    ("/console/charts.js", JS, include_str!("charts.js")),
    ("/console/controls.js", JS, include_str!("controls.js")),
    ("/console/cordon.js", JS, include_str!("cordon.js")),
    ("/console/dialogs.js", JS, include_str!("dialogs.js")),
    ("/console/dom.js", JS, include_str!("dom.js")),
    ("/console/en.js", JS, include_str!("en.js")),
    ("/console/format.js", JS, include_str!("format.js")),
    ("/console/headline.js", JS, include_str!("headline.js")),
    ("/console/holds.js", JS, include_str!("holds.js")),
    ("/console/i18n.js", JS, include_str!("i18n.js")),
    ("/console/letters.js", JS, include_str!("letters.js")),
    ("/console/main.js", JS, include_str!("main.js")),
    ("/console/marks.js", JS, include_str!("marks.js")),
    ("/console/orders.js", JS, include_str!("orders.js")),
    ("/console/outcomes.js", JS, include_str!("outcomes.js")),
    ("/console/overview.js", JS, include_str!("overview.js")),
    ("/console/plot.js", JS, include_str!("plot.js")),
    ("/console/pool.js", JS, include_str!("pool.js")),
    ("/console/preview.js", JS, include_str!("preview.js")),
    ("/console/sale.js", JS, include_str!("sale.js")),
    ("/console/schedule.js", JS, include_str!("schedule.js")),
    ("/console/state.js", JS, include_str!("state.js")),
    ("/console/zh.js", JS, include_str!("zh.js")),
    ("/console/zones.js", JS, include_str!("zones.js")),
];

/// The page at `/` and its files below `/console/`, for any state of the router they are merged into.
pub fn router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    FILES.iter().fold(Router::new(), |router, &(path, kind, text)| {
        router.route(path, get(move || async move { file(kind, text) }))
    })
}

fn file(kind: &'static str, text: &'static str) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        // After an upgrade the browser must not show the previous version's page.
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    (headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use tower::ServiceExt as _;

    use super::*;
    use crate::control::{CapSource, Rate, Schedule, ScheduleEntry, SettingsChange};
    use crate::dead_letters::RedriveOutcome;
    use crate::pool::{LimitedBy, WorkerState};
    use crate::store::{DeadLetterReason, RestoreOutcome};

    #[tokio::test]
    async fn every_file_is_served_with_its_type_and_the_policy() {
        for (path, kind, text) in FILES {
            let request = Request::get(*path).body(Body::empty()).expect("a request");
            let response = router::<()>().oneshot(request).await.expect("an answer");
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.headers()[header::CONTENT_TYPE], *kind, "{path}");
            assert_eq!(response.headers()[header::CONTENT_SECURITY_POLICY], POLICY, "{path}");
            let body = to_bytes(response.into_body(), 1 << 20).await.expect("a body");
            assert_eq!(body, text.as_bytes(), "{path}");
        }
    }

    /// Every file that is named is served, and every served file is named.
    #[test]
    fn files_link_only_to_each_other() {
        let mut named = BTreeSet::from(["/".to_owned()]);
        for (path, _, text) in FILES {
            for host in ["http://", "https://", "//cdn"] {
                let foreign = text.matches(host).count()
                    - text.matches("http://www.w3.org/2000/svg").count() * usize::from(host == "http://");
                assert_eq!(foreign, 0, "{path} names another origin");
            }
            for marker in ["\"./", "\"/console/"] {
                for rest in text.split(marker).skip(1) {
                    named.insert(format!("/console/{}", rest.split('"').next().expect("a name")));
                }
            }
        }
        let served: BTreeSet<_> = FILES.iter().map(|(path, ..)| (*path).to_owned()).collect();
        assert_eq!(named, served);
    }

    #[test]
    fn no_script_builds_markup_from_text() {
        for (path, _, text) in FILES {
            for way in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "onclick=",
                "style=\"",
            ] {
                assert!(!text.contains(way), "{path}: {way}");
            }
            assert!(text.lines().count() <= 500, "{path} has more than one concern");
        }
    }

    /// The words in quotation marks that follow each `start` in `text`, within its next two.
    fn named_after<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        let is_code = |word: &&str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
        };
        let after = text.split(start).skip(1).filter_map(|rest| {
            let (before, rest) = rest.split_once('"')?;
            // A status without a code has no word near it.
            (before.len() < 60 && !before.contains(';')).then(|| rest.split('"').next())?
        });
        after.filter(is_code).collect()
    }

    /// Names that the API returns, which the console shows in words, by their kind in the catalogues.
    fn codes() -> Vec<(&'static str, String)> {
        let rate = Rate::new(1).expect("within bounds");
        let entry = ScheduleEntry { from: "00:00".to_owned(), rate, days: Vec::new() };
        let schedule = Schedule::new("UTC", vec![entry]).expect("valid");
        let changes = [
            SettingsChange::SetRate { rate, ramp: std::time::Duration::ZERO, confirmed: false },
            SettingsChange::ResetRate,
            SettingsChange::PauseUntil { until_us: None },
            SettingsChange::Resume { hold: None },
            SettingsChange::SetSchedule { schedule, confirmed: false },
            SettingsChange::ClearSchedule,
            SettingsChange::SetCeiling(rate),
            SettingsChange::ClearCeiling { confirmed: false },
        ];
        let states = [
            WorkerState::Joining,
            WorkerState::Draining,
            WorkerState::Idle,
            WorkerState::Paused,
            WorkerState::Cordoned,
            WorkerState::BackingOff,
            WorkerState::DatabaseDown,
            WorkerState::BrokerDown,
            WorkerState::Stopping,
            WorkerState::LeaseExpired,
            WorkerState::Stale,
        ];
        let state = |state: WorkerState| {
            let name = serde_json::to_value(state).expect("a name");
            assert_eq!(name, state.as_str(), "the command line and the API have one name");
            name
        };
        let sources = [CapSource::Paused, CapSource::Manual, CapSource::Schedule, CapSource::Default];
        let mut codes: Vec<(&'static str, String)> = Vec::new();
        codes.extend(
            LimitedBy::ALL
                .iter()
                .flat_map(|limit| ["limit", "limit-note"].map(|kind| (kind, limit.as_str().to_owned()))),
        );
        codes.extend(DeadLetterReason::ALL.iter().map(|reason| ("dead-reason", reason.as_str().to_owned())));
        codes.extend(RedriveOutcome::ALL.iter().map(|outcome| ("outcome", outcome.as_str().to_owned())));
        codes.extend(RestoreOutcome::ALL.iter().map(|outcome| ("outcome", outcome.as_str().to_owned())));
        codes.extend(changes.iter().map(|change| ("action", change.action().to_owned())));
        codes.extend(sources.iter().map(|source| ("source", source.as_str().to_owned())));
        codes.extend(states.into_iter().map(|one| ("state", state(one).as_str().expect("text").to_owned())));
        let api = [
            include_str!("../audited_request.rs"),
            include_str!("../audit.rs"),
            include_str!("../auth.rs"),
            include_str!("../control.rs"),
            include_str!("../dead_letters/mod.rs"),
            include_str!("../dead_letters/request.rs"),
            include_str!("../mod.rs"),
            include_str!("../orders.rs"),
            include_str!("../purge.rs"),
            include_str!("../response.rs"),
            include_str!("../sales.rs"),
            include_str!("../schedule_preview.rs"),
            include_str!("../status.rs"),
            include_str!("../worker.rs"),
        ];
        for text in api {
            let text = text.split("#[cfg(test)]").next().unwrap_or_default();
            let problems = ["StatusCode::", "Problem::new("].map(|start| named_after(text, start)).concat();
            codes.extend(problems.into_iter().map(|code| ("problem", code.to_owned())));
        }
        let preview = include_str!("../schedule_preview.rs");
        let faults = ["=> (", "fault("].map(|start| named_after(preview, start)).concat();
        codes.extend(faults.into_iter().map(|code| ("fault", code.to_owned())));
        codes
    }

    #[test]
    fn every_name_that_the_api_returns_has_a_text_in_both_languages() {
        let codes = codes();
        for known in [("problem", "settings_changed"), ("problem", "read_only"), ("fault", "same_time_twice")]
        {
            assert!(codes.contains(&(known.0, known.1.to_owned())), "{known:?} is found in the source");
        }
        for (kind, code) in codes {
            for (language, catalogue) in [("en", include_str!("en.js")), ("zh", include_str!("zh.js"))] {
                assert!(catalogue.contains(&format!("\n  \"{kind}.{code}\": ")), "{language}: {kind}.{code}");
            }
        }
    }
}
