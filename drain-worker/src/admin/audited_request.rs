//! Requests that the audit trail records: the body of each names its author and reason beside its parameters.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::auth::Actor;
use super::response::invalid;
use crate::control::AuditContext;

/// A request with the parameters `T`, and its author and reason: an extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuditedRequest<T> {
    pub(super) parameters: T,
    pub(super) context: AuditContext,
}

#[derive(Deserialize)]
struct AuditedRequestBody {
    #[serde(default)]
    who: Option<String>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

/// The parameters of a request that has none.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoParameters {}

impl<T: DeserializeOwned> AuditedRequest<T> {
    /// Reads a body; an empty one counts as an empty object.
    ///
    /// # Errors
    /// A message for the caller.
    pub(super) fn read(body: &[u8], actor: &Actor) -> Result<Self, String> {
        let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
        let wrong = |error: serde_json::Error| format!("body: {error}");
        let AuditedRequestBody { who, reason, parameters } = serde_json::from_slice(body).map_err(wrong)?;
        let context = AuditContext::new(who.unwrap_or_default(), reason.unwrap_or_default())
            .map_err(|error| error.to_string())?;
        let parameters = serde_json::from_value(Value::Object(parameters)).map_err(wrong)?;
        Ok(Self { parameters, context: context.by(&actor.0) })
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for AuditedRequest<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let actor = request.extensions().get::<Actor>().cloned().unwrap_or_default();
        let body = Bytes::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Self::read(&body, &actor).map_err(|detail| invalid(detail).into_response())
    }
}
