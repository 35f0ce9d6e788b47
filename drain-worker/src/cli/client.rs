//! Client of the admin ports of the pool's workers.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::config::{EXIT_CONFIG, Secret};
use shared::problem::Problem;
use tokio::time::timeout;

use crate::admin::AdminToken;
use crate::config::{AdminArgs, AuditContextArgs};
use crate::exchange::{HttpsClient, base_url, exchange, https_client, tls_client_config};

/// Maximum wait for a connection, TLS included in the wait for the response.
const CONNECT_WAIT: Duration = Duration::from_secs(2);

/// Maximum wait for what an operator looks at.
const READ_WAIT: Duration = Duration::from_secs(3);

/// Maximum wait for a change, which takes locks in the database.
const CHANGE_WAIT: Duration = Duration::from_secs(10);

/// Maximum wait for a page of a redrive or a purge, which take as long as the cap requires.
const BULK_WAIT: Duration = Duration::from_secs(60);

pub(super) const RESPONSE_BYTES_MAX: usize = 16 << 20;

#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The URL itself is not repeated: it may contain a password.
    #[error("--admin-url: must look like http://host:port or https://host/path, without a user or a query")]
    Url,
    #[error("--admin-url: must name one worker, the one to cordon")]
    SeveralWorkers,
    #[error("--admin-token: must be visible ASCII")]
    Token,
    #[error("--admin-tls-roots: {0}")]
    Roots(String),
    #[error(
        "no worker answers at {url}: {reason}; is a worker running there? name another one with --admin-url"
    )]
    Unreachable { url: String, reason: String },
    #[error("no database answers: {reason}")]
    NoDatabase { reason: String },
    /// The request was sent.
    #[error(
        "{url} has not answered: {reason}; the change may have been made: look at the status or the audit trail before you \
         repeat it"
    )]
    Unanswered { url: String, reason: String },
    /// The settings are no longer those that the change was made on.
    #[error("{detail}")]
    Changed { detail: String, revision: i64 },
    #[error("{status} {code}: {detail}")]
    Rejected { status: u16, code: String, detail: String },
    #[error("{url} answered {status} with a response that is not a worker's")]
    NotAWorker { url: String, status: u16 },
}

impl AdminClientError {
    /// 64: a flag is wrong; 3: the worker refuses the request; 4: no worker answers, or it cannot serve now.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Url | Self::SeveralWorkers | Self::Token | Self::Roots(_) => EXIT_CONFIG,
            Self::Rejected { status: 500.., .. }
            | Self::Unreachable { .. }
            | Self::NoDatabase { .. }
            | Self::Unanswered { .. }
            | Self::NotAWorker { .. } => 4,
            Self::Changed { .. } | Self::Rejected { .. } => 3,
        }
    }

    fn unreachable(url: &str, reason: impl Into<String>) -> Self {
        Self::Unreachable { url: url.to_owned(), reason: reason.into() }
    }
}

/// A problem document; `settings_changed` has the revision in force.
#[derive(Deserialize)]
struct ClientProblem {
    #[serde(flatten)]
    problem: Problem,
    revision: Option<i64>,
}

/// An attempt that failed.
struct Failure {
    error: AdminClientError,
    /// True if the request did not reach a worker.
    is_unsent: bool,
}

/// Calls the first worker that answers, in the order of `--admin-url`.
///
/// Another worker is asked if one does not answer; about a change, only if no connection to the first one was made: it may
/// have applied the change otherwise.
pub(super) struct AdminClient {
    /// Without a slash at the end.
    urls: Vec<String>,
    authorization: Option<HeaderValue>,
    http: HttpsClient,
}

impl AdminClient {
    /// # Errors
    /// [`AdminClientError::Url`], [`AdminClientError::Token`] or [`AdminClientError::Roots`].
    pub(super) fn new(args: &AdminArgs) -> Result<Self, AdminClientError> {
        let urls: Option<Vec<_>> = args.admin_url.iter().map(|url| base_url(url)).collect();
        let urls = urls.ok_or(AdminClientError::Url)?;
        let tls = tls_client_config(args.admin_tls_roots.as_deref()).map_err(AdminClientError::Roots)?;
        let authorization = args.admin_token.as_ref().map(bearer).transpose()?;
        Ok(Self { urls, authorization, http: https_client(tls, CONNECT_WAIT) })
    }

    /// As [`AdminClient::new`], for a change of the worker itself.
    ///
    /// # Errors
    /// As [`AdminClient::new`]; [`AdminClientError::SeveralWorkers`] for more than one URL.
    pub(super) fn of_one_worker(args: &AdminArgs) -> Result<Self, AdminClientError> {
        if args.admin_url.len() == 1 { Self::new(args) } else { Err(AdminClientError::SeveralWorkers) }
    }

    /// Reads `path` with the parameters that are not `None`.
    ///
    /// # Errors
    /// [`AdminClientError`]; [`AdminClientError::NotAWorker`] also for a response that is not a `T`.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, Option<&str>)],
    ) -> Result<T, AdminClientError> {
        self.call(Method::GET, &with_query(path, parameters), None, None, READ_WAIT).await
    }

    /// Changes the worker, or the settings if their revision is still `made_on`; `None`: of any revision.
    ///
    /// # Errors
    /// As [`AdminClient::read`]; [`AdminClientError::Changed`] if another change came first.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        made_on: Option<i64>,
    ) -> Result<T, AdminClientError> {
        self.call(method, path, Some(body), made_on, CHANGE_WAIT).await
    }

    /// Posts a page of many rows, which takes as long as the cap requires.
    ///
    /// # Errors
    /// As [`AdminClient::read`].
    pub(super) async fn post_bulk<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> Result<T, AdminClientError> {
        self.call(Method::POST, path, Some(body), None, BULK_WAIT).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        made_on: Option<i64>,
        wait: Duration,
    ) -> Result<T, AdminClientError> {
        let mut last = AdminClientError::Url;
        for url in &self.urls {
            let answer = self.ask(&method, url, path, body, made_on);
            let failure = match timeout(wait, answer).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(failure)) => failure,
                Err(_elapsed) => Failure {
                    error: AdminClientError::unreachable(
                        url,
                        format!("no response within {} s", wait.as_secs()),
                    ),
                    is_unsent: false,
                },
            };
            last = match failure.error {
                AdminClientError::Unreachable { url, reason }
                    if !failure.is_unsent && method != Method::GET =>
                {
                    return Err(AdminClientError::Unanswered { url, reason });
                }
                error @ AdminClientError::Unreachable { .. } => error,
                error => return Err(error),
            };
        }
        Err(last)
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &Method,
        url: &str,
        path: &str,
        body: Option<&Value>,
        made_on: Option<i64>,
    ) -> Result<T, Failure> {
        let lost = |reason: String, is_unsent| Failure {
            error: AdminClientError::unreachable(url, reason),
            is_unsent,
        };
        let mut request = Request::builder().method(method).uri(format!("{url}{path}"));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(made_on) = made_on {
            request = request.header(IF_MATCH, format!("\"{made_on}\""));
        }
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = body.map(ToString::to_string).unwrap_or_default();
        let request =
            request.body(Full::new(Bytes::from(body))).map_err(|error| lost(error.to_string(), true))?;
        let (status, body) = exchange(&self.http, request, RESPONSE_BYTES_MAX)
            .await
            .map_err(|error| lost(error.reason, error.is_unsent))?;
        parse(url, status, &body).map_err(|error| Failure { error, is_unsent: false })
    }
}

/// Adds author and reason to the parameters of an act, an object.
pub(super) fn with_context(mut parameters: Value, context: &AuditContextArgs) -> Value {
    parameters["who"] = json!(context.who);
    parameters["reason"] = json!(context.reason);
    parameters
}

/// Reads a response of the API.
pub(super) fn parse<T: DeserializeOwned>(
    url: &str,
    status: StatusCode,
    body: &[u8],
) -> Result<T, AdminClientError> {
    let foreign = || AdminClientError::NotAWorker { url: url.to_owned(), status: status.as_u16() };
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|_| foreign());
    }
    let ClientProblem { problem, revision } = serde_json::from_slice(body).map_err(|_| foreign())?;
    if let Some(revision) = revision {
        return Err(AdminClientError::Changed { detail: problem.detail, revision });
    }
    Err(AdminClientError::Rejected { status: problem.status, code: problem.code, detail: problem.detail })
}

fn bearer(token: &Secret<String>) -> Result<HeaderValue, AdminClientError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {}", AdminToken::presented(token.expose())))
        .map_err(|_| AdminClientError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

pub(super) fn with_query(path: &str, parameters: &[(&str, Option<&str>)]) -> String {
    let given: Vec<_> = parameters
        .iter()
        .filter_map(|(name, value)| value.map(|value| (name, utf8_percent_encode(value, NON_ALPHANUMERIC))))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    if given.is_empty() { path.to_owned() } else { format!("{path}?{}", given.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_encoded_and_absent_ones_left_out() {
        let parameters = [("user_id", Some("a&b=c d")), ("reference", None), ("after", Some("7"))];
        assert_eq!(with_query("/v1/orders", &parameters), "/v1/orders?user_id=a%26b%3Dc%20d&after=7");
        assert_eq!(with_query("/v1/orders", &[("from", None)]), "/v1/orders");
    }
}
