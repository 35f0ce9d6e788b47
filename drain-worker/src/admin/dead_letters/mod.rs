//! Dead letters over HTTP: list, show, redrive, discard, restore. The admin router puts them behind its authentication.

mod request;
mod view;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};

use http::StatusCode;
use shared::problem::Problem;
use tokio::sync::Semaphore;

use super::audited_request::AuditedRequest;
use super::response::{invalid, json_response, unavailable};
use crate::dead_letters::Redriver;
use crate::metrics;
use crate::store::{DiscardedPage, SeenDiscard};

pub use request::ListQuery;
use request::{BulkParameters, BulkRequest};
pub use view::{
    DeadLetterDetailView, DeadLetterItemView, DeadLetterOrderView, DeadLetterPage, DeadLetterView,
    DiscardOutcomeView, DiscardView, RedriveOutcomeView, RedriveView,
};

/// Maximum redrives in flight; further ones get 429.
pub const REDRIVES_MAX: usize = 4;

/// Maximum body: the numbers of a page fit.
const BODY_BYTES_MAX: usize = 64 * 1024;

#[derive(Clone)]
struct DeadLetterState {
    redriver: Redriver,
    permits: Arc<Semaphore>,
}

/// The routes below `/v1/dead-letters`; without authentication the audit trail has no actor.
pub fn router(redriver: Redriver) -> Router {
    Router::new()
        .route("/v1/dead-letters", get(list))
        .route("/v1/dead-letters/{id}", get(show))
        .route("/v1/dead-letters/redrive", post(redrive))
        .route("/v1/dead-letters/discard", post(discard))
        .route("/v1/dead-letters/restore", post(restore))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(DeadLetterState { redriver, permits: Arc::new(Semaphore::new(REDRIVES_MAX)) })
}

async fn list(
    State(state): State<DeadLetterState>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let selection = query.selection();
    let standing = query.standing().map_err(invalid)?;
    let page = query.page().map_err(invalid)?;
    let store = state.redriver.store();
    let letters =
        store.list_dead_letters(&selection, standing, page).await.map_err(|error| unavailable(&error))?;
    let all = store.count_dead_letters(&selection, standing).await.map_err(|error| unavailable(&error))?;
    let next = (letters.len() >= page.letters_max()).then(|| letters.last().map(|head| head.id)).flatten();
    Ok(json_response(&DeadLetterPage {
        letters: letters.into_iter().map(DeadLetterView::from).collect(),
        next,
        total: all.count,
        newest_id: all.newest_id,
    }))
}

async fn show(State(state): State<DeadLetterState>, Path(id): Path<String>) -> Result<Response, Problem> {
    let id: i64 = id.parse().map_err(|_| invalid("A dead letter's id is a number."))?;
    let letters =
        state.redriver.store().get_dead_letters(&[id]).await.map_err(|error| unavailable(&error))?;
    match letters.into_iter().next() {
        Some(letter) => Ok(json_response(&DeadLetterDetailView::from(letter))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "dead_letter_not_found",
            "No such dead letter; it is deleted when its order is decided.",
        )),
    }
}

async fn redrive(
    State(state): State<DeadLetterState>,
    request: AuditedRequest<BulkParameters>,
) -> Result<Response, Problem> {
    let request = BulkRequest::unbounded(request).map_err(invalid)?;
    let Ok(permit) = state.permits.clone().try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "overloaded",
            "This worker has its maximum of redrives in flight; retry later.",
        )
        .retry_after(rand::random_range(1..=3)));
    };
    // Held by writes that are still in flight after the response.
    let permit = Arc::new(permit);
    let redriven = state.redriver.redrive(&request.selection, request.page, &request.context, permit).await;
    Ok(json_response(&RedriveView::from(redriven.map_err(|error| unavailable(&error))?)))
}

async fn discard(
    State(state): State<DeadLetterState>,
    request: AuditedRequest<BulkParameters>,
) -> Result<Response, Problem> {
    let request = BulkRequest::discard(request).map_err(invalid)?;
    let BulkRequest { selection, page, context, seen } = &request;
    let (store, group) = (state.redriver.store(), state.redriver.group());
    let discarded = match *seen {
        Some(seen) => store.discard_seen_dead_letters(selection, *page, seen, group, context).await,
        None => {
            store.discard_dead_letters(selection, *page, group, context).await.map(SeenDiscard::Discarded)
        }
    };
    let DiscardedPage { outcomes, newly } = match discarded.map_err(|error| unavailable(&error))? {
        SeenDiscard::Discarded(discarded) => discarded,
        SeenDiscard::Changed { count } => {
            return Err(Problem::new(
                StatusCode::CONFLICT,
                "dead_letters_changed",
                format!("There are {count} now. Nothing more was discarded: look again, then confirm."),
            ));
        }
    };
    let outcomes: Vec<_> = outcomes.iter().map(|&(id, outcome)| (id, outcome.as_str())).collect();
    let discarded = DiscardView::new(&outcomes, &request.selection, request.page);
    metrics::discarded(newly);
    tracing::info!(
        event = "dead_letters_discarded",
        letters = newly,
        actor = request.context.actor,
        who = request.context.who,
        "dead letters discarded"
    );
    Ok(json_response(&discarded))
}

async fn restore(
    State(state): State<DeadLetterState>,
    request: AuditedRequest<BulkParameters>,
) -> Result<Response, Problem> {
    let BulkRequest { selection, page, context, seen: _ } =
        BulkRequest::unbounded(request).map_err(invalid)?;
    let (store, group) = (state.redriver.store(), state.redriver.group());
    let outcomes = store.restore_dead_letters(&selection, page, group, &context).await;
    let outcomes: Vec<_> = outcomes
        .map_err(|error| unavailable(&error))?
        .iter()
        .map(|&(id, outcome)| (id, outcome.as_str()))
        .collect();
    let restored = DiscardView::new(&outcomes, &selection, page);
    tracing::info!(
        event = "dead_letters_restored",
        letters = restored.count("restored"),
        actor = context.actor,
        who = context.who,
        "dead letters restored"
    );
    Ok(json_response(&restored))
}

/// Checks `limit`.
fn letters_max(limit: u32) -> Result<NonZeroU32, String> {
    NonZeroU32::new(limit)
        .filter(|limit| limit.get() <= crate::store::PAGE_LETTERS_MAX)
        .ok_or_else(|| format!("limit must be 1 to {}", crate::store::PAGE_LETTERS_MAX))
}
