//! `POST /invoke`: the event form of the public API.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use http::{Method, Request};
use shared::time::Clock;
use tower::{ServiceExt, service_fn};

use crate::app::App;
use crate::body::read_body;
use crate::error::{ApiError, write_problem};
use crate::event::{EVENT_BYTES_MAX, decode_event, encode_reply};
use crate::layers::load_shed::LoadShed;
use crate::layers::observe::set_fc_status;
use crate::limits::BODY_BYTES_MAX;
use crate::orders::{Accepted, ORDERS_PATH, accept};
use crate::publish::OrderPublisher;
use crate::request::check_head;
use crate::request_context::{REQUEST_ID, RequestContext};

/// Answers the order in an event with a reply, a rejection by the load shed included: the sender of an event sees
/// nothing but the reply.
pub(crate) async fn invoke<P: OrderPublisher, C: Clock>(
    app: Arc<App<P, C>>,
    request: Request<Body>,
) -> Result<Response, Infallible> {
    let id = request.extensions().get::<RequestContext>().map(|context| context.id.clone());
    let instance = app.instance.clone();
    let orders = service_fn(|request: Request<Body>| {
        let app = app.clone();
        async move {
            Ok(match accept_event(&app, request).await {
                Ok(accepted) => accepted.into_response(),
                Err(rejected) => rejected.into_response(),
            })
        }
    });
    let mut response = LoadShed::new(instance, EVENT_BYTES_MAX, orders).oneshot(request).await?;
    if let Some(id) = id {
        write_problem(&mut response, &id);
        response.headers_mut().insert(REQUEST_ID, id.as_header().clone());
    }
    let status = response.status();
    let mut reply = encode_reply(response).await;
    // The reply's own status is always 200.
    set_fc_status(&mut reply, status);
    Ok(reply)
}

async fn accept_event<P: OrderPublisher, C: Clock>(
    app: &App<P, C>,
    request: Request<Body>,
) -> Result<Accepted, ApiError> {
    let event = read_body(request, EVENT_BYTES_MAX, app.limits.body_timeout).await?;
    let request = order_request(event)?;
    let idempotency_key = check_head(request.headers())?;
    accept(app, request, idempotency_key).await
}

/// Decodes the request in an event, which may only be `POST /v1/orders`. The result has the extensions of `event`
/// and none of its headers.
///
/// # Errors
/// [`ApiError`] if the event is malformed, or its request has another route or an oversized body.
pub fn order_request(event: Request<Bytes>) -> Result<Request<Bytes>, ApiError> {
    let (outer, event) = event.into_parts();
    let mut request = decode_event(&event).map_err(ApiError::MalformedEvent)?;
    if request.uri().path() != ORDERS_PATH {
        return Err(ApiError::NotFound);
    }
    if *request.method() != Method::POST {
        return Err(ApiError::MethodNotAllowed { allow: Some("POST") });
    }
    if request.body().len() > BODY_BYTES_MAX {
        return Err(ApiError::BodyTooLarge { max: BODY_BYTES_MAX });
    }
    *request.extensions_mut() = outer.extensions;
    Ok(request)
}
