//! Settings and audit trail: through a worker, or in the database while no worker runs.

use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, IF_MATCH};
use http::{Method, Request};
use http_body_util::Full;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::config::ConfigErrors;
use tower::ServiceExt as _;

use super::CommandError;
use super::client::{AdminClient, AdminClientError, RESPONSE_BYTES_MAX, parse, with_query};
use crate::admin::{SettingsResponse, settings_router};
use crate::config::SettingsArgs;
use crate::store::{Store, StoreConfig, check_url};

/// Names the database if `--database-url` has no value.
const DATABASE_URL: &str = "SPILLWAY_DATABASE_URL";

/// The database in the place of a worker's URL.
const NAME: &str = "the database";

pub(super) enum SettingsClient {
    Worker(Box<AdminClient>),
    /// The API of a worker, in this process.
    Database(Router),
}

impl SettingsClient {
    /// # Errors
    /// A flag is wrong.
    pub(super) async fn new(args: &SettingsArgs) -> Result<Self, CommandError> {
        let Some(url) = &args.database.database_url else {
            return Ok(Self::Worker(Box::new(AdminClient::new(&args.call.admin)?)));
        };
        let url = match url.expose() {
            "" => {
                std::env::var(DATABASE_URL).unwrap_or_default().parse().unwrap_or_else(|never| match never {})
            }
            _ => url.clone(),
        };
        let mut errors = ConfigErrors::default();
        if let Err(fault) = check_url(&url) {
            errors.push(format_args!("--database-url: {fault}"));
        }
        errors.into_result()?;
        let store = Store::connect(&url, StoreConfig::default()).await?;
        store.check_schema().await.map_err(|error| match error {
            error if error.is_transient() => CommandError::AdminClient(lost(error.to_string())),
            error => error.into(),
        })?;
        Ok(Self::Database(settings_router(Arc::new(store), &args.database.consumer_group)))
    }

    /// Reads `path` with the parameters that are not `None`.
    ///
    /// # Errors
    /// [`AdminClientError`].
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        path: &str,
        parameters: &[(&str, Option<&str>)],
    ) -> Result<T, AdminClientError> {
        match self {
            Self::Worker(client) => client.read(path, parameters).await,
            Self::Database(router) => {
                call(router, Method::GET, &with_query(path, parameters), &Value::Null, None).await
            }
        }
    }

    pub(super) async fn settings(&self) -> Result<SettingsResponse, AdminClientError> {
        self.read("/v1/settings", &[]).await
    }

    /// Changes the settings, if their revision is still `made_on`; `None`: of any revision.
    ///
    /// # Errors
    /// [`AdminClientError`]; [`AdminClientError::Changed`] if another change came first.
    pub(super) async fn change(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        made_on: Option<i64>,
    ) -> Result<SettingsResponse, AdminClientError> {
        match self {
            Self::Worker(client) => client.change(method, path, body, made_on).await,
            Self::Database(router) => call(router, method, path, body, made_on).await,
        }
    }
}

fn lost(reason: String) -> AdminClientError {
    AdminClientError::NoDatabase { reason }
}

async fn call<T: DeserializeOwned>(
    router: &Router,
    method: Method,
    path: &str,
    body: &Value,
    made_on: Option<i64>,
) -> Result<T, AdminClientError> {
    let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
    if let Some(made_on) = made_on {
        request = request.header(IF_MATCH, format!("\"{made_on}\""));
    }
    let request =
        request.body(Full::new(Bytes::from(body.to_string()))).map_err(|error| lost(error.to_string()))?;
    let response = router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
    let status = response.status();
    let body =
        to_bytes(response.into_body(), RESPONSE_BYTES_MAX).await.map_err(|error| lost(error.to_string()))?;
    parse(NAME, status, &body)
}
