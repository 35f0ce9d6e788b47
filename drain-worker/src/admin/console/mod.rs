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
    ("/console/main.js", JS, include_str!("main.js")),
    ("/console/api.js", JS, include_str!("api.js")),
    ("/console/audit.js", JS, include_str!("audit.js")),
    ("/console/chart.js", JS, shared::web::CHART_JS),
    ("/console/charts.js", JS, include_str!("charts.js")),
    ("/console/controls.js", JS, include_str!("controls.js")),
    ("/console/cordon.js", JS, include_str!("cordon.js")),
    ("/console/dialogs.js", JS, include_str!("dialogs.js")),
    ("/console/dom.js", JS, include_str!("dom.js")),
    ("/console/format.js", JS, include_str!("format.js")),
    ("/console/letters.js", JS, include_str!("letters.js")),
    ("/console/orders.js", JS, include_str!("orders.js")),
    ("/console/outcomes.js", JS, include_str!("outcomes.js")),
    ("/console/overview.js", JS, include_str!("overview.js")),
    ("/console/plot.js", JS, include_str!("plot.js")),
    ("/console/schedule.js", JS, include_str!("schedule.js")),
    ("/console/state.js", JS, include_str!("state.js")),
    ("/console/theme.js", JS, include_str!("theme.js")),
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
}
