//! Dead letters over HTTP: list, show, redrive, discard. Routes to be put behind the operators' token.

mod request;
mod view;

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use shared::problem::Problem;
use tokio::sync::Semaphore;

use super::answer::{answer, invalid, unavailable};
use crate::dead_letters::Redriver;
use crate::metrics;
use crate::store::{LetterStore, PoolStore};

pub use request::{Act, ListQuery};
pub use view::{
    Discarded, DiscardedLetter, ItemView, LetterPage, LetterView, OrderInLetter, Redriven, RedrivenLetter,
    WholeLetter,
};

/// Most redrives under way at once; beyond it the answer is 429 at once.
pub const REDRIVES_MAX: usize = 4;

/// Longest body: room for the numbers of a page, and more.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The redriver, and how many may use it at once.
struct Desk<S> {
    redriver: Redriver<S>,
    places: Arc<Semaphore>,
}

impl<S> Clone for Desk<S> {
    fn clone(&self) -> Self {
        Self { redriver: self.redriver.clone(), places: self.places.clone() }
    }
}

/// The routes below `/v1/dead-letters`.
pub fn router<S: LetterStore + PoolStore>(redriver: Redriver<S>) -> Router {
    Router::new()
        .route("/v1/dead-letters", get(list::<S>))
        .route("/v1/dead-letters/{id}", get(show::<S>))
        .route("/v1/dead-letters/redrive", post(redrive::<S>))
        .route("/v1/dead-letters/discard", post(discard::<S>))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Desk { redriver, places: Arc::new(Semaphore::new(REDRIVES_MAX)) })
}

async fn list<S: LetterStore + PoolStore>(
    State(desk): State<Desk<S>>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|rejection| invalid(rejection.body_text()))?;
    let selection = query.selection();
    let standing = query.standing().map_err(invalid)?;
    let page = query.page().map_err(invalid)?;
    let store = desk.redriver.store();
    let letters = store.letters(&selection, standing, page).await.map_err(|error| unavailable(&error))?;
    let total = store.count_letters(&selection, standing).await.map_err(|error| unavailable(&error))?;
    let next = (letters.len() >= page.letters_max()).then(|| letters.last().map(|head| head.id)).flatten();
    Ok(answer(&LetterPage { letters: letters.into_iter().map(LetterView::from).collect(), next, total }))
}

async fn show<S: LetterStore + PoolStore>(
    State(desk): State<Desk<S>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let id: i64 = id.parse().map_err(|_| invalid("A dead letter has a number."))?;
    let letters = desk.redriver.store().whole_letters(&[id]).await.map_err(|error| unavailable(&error))?;
    match letters.into_iter().next() {
        Some(letter) => Ok(answer(&WholeLetter::from(letter))),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "dead_letter_not_found",
            "No such dead letter; it goes once its order is decided.",
        )),
    }
}

async fn redrive<S: LetterStore + PoolStore>(
    State(desk): State<Desk<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let act = Act::read(&body).map_err(invalid)?;
    let Ok(place) = desk.places.clone().try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "overloaded",
            "Enough is being redriven by this worker; go on when that has ended.",
        )
        .retry_after(rand::random_range(1..=3)));
    };
    // Kept by what is still under way when the answer is given.
    let place = Arc::new(place);
    let redriven = desk.redriver.redrive(&act.selection, act.page, &act.origin, place).await;
    Ok(answer(&Redriven::from(redriven.map_err(|error| unavailable(&error))?)))
}

async fn discard<S: LetterStore + PoolStore>(
    State(desk): State<Desk<S>>,
    body: Bytes,
) -> Result<Response, Problem> {
    let act = Act::read(&body).map_err(invalid)?;
    let redriver = &desk.redriver;
    let outcomes = redriver
        .store()
        .discard(&act.selection, act.page, redriver.group(), &act.origin)
        .await
        .map_err(|error| unavailable(&error))?;
    let discarded = Discarded::new(&outcomes, &act.selection, act.page);
    let letters = discarded.count();
    metrics::discarded(letters);
    tracing::info!(letters, who = act.origin.who, "dead letters given up");
    Ok(answer(&discarded))
}

/// `limit` as a number of letters.
fn letters_max(limit: u32) -> Result<NonZeroU32, String> {
    NonZeroU32::new(limit)
        .filter(|limit| limit.get() <= crate::store::PAGE_LETTERS_MAX)
        .ok_or_else(|| format!("limit must be 1 to {}", crate::store::PAGE_LETTERS_MAX))
}
