//! Orders and catalogues for tests.

use std::fmt::Write;

use drain_worker::store::{CommitOutcome, CommitResult, DeadLetterReason, StoreError};
use sha2::{Digest, Sha256};
use shared::catalogue::Catalogue;
use shared::order::{AcceptedOrder, OrderId, Outcome, RejectReason};
use shared::testkit::accepted_order;
pub(crate) use shared::testkit::{SALE, catalogue};

pub(crate) const CONFIRMED: CommitOutcome = CommitOutcome::New(Outcome::Confirmed);
pub(crate) const SOLD_OUT: CommitOutcome = CommitOutcome::New(Outcome::Rejected(RejectReason::SoldOut));
pub(crate) const OVER_LIMIT: CommitOutcome =
    CommitOutcome::New(Outcome::Rejected(RejectReason::LimitExceeded));
pub(crate) const AGAIN: CommitOutcome = CommitOutcome::Duplicate(Outcome::Confirmed);
pub(crate) const UNKNOWN_SKU: CommitOutcome =
    CommitOutcome::DeadLettered { reason: DeadLetterReason::UnknownSku };
pub(crate) const REFUSED: CommitOutcome =
    CommitOutcome::DeadLettered { reason: DeadLetterReason::RefusedByDatabase };

pub(crate) fn outcomes_of(results: &[CommitResult]) -> Vec<CommitOutcome> {
    results.iter().map(|result| result.outcome).collect()
}

pub(crate) fn id(number: u64) -> OrderId {
    accepted_order(number).build().order_id
}

/// An order in [`SALE`], with its lines in the given order.
pub(crate) fn order(number: u64, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
    order_in(SALE, number, user, lines)
}

/// The digest depends on sale, user and lines.
pub(crate) fn order_in(sale: &str, number: u64, user: &str, lines: &[(&str, u32)]) -> AcceptedOrder {
    let digest = Sha256::digest(format!("{sale} {user} {lines:?}"));
    let order = accepted_order(number).sale(sale).user(user).digest(digest.into());
    lines.iter().fold(order, |order, &(sku, quantity)| order.line(sku, quantity)).build()
}

/// A SKU with stock and limit.
pub(crate) type SkuTerms<'a> = (&'a str, u32, Option<u32>);

pub(crate) fn catalogue_of(sales: &[(&str, &[SkuTerms<'_>])]) -> Catalogue {
    let mut text = "revision = \"r1\"\n".to_owned();
    for (sale, skus) in sales {
        write!(
            text,
            "[[sales]]\nid = \"{sale}\"\nopens_at = \"2026-11-11T00:00:00+08:00\"\n\
             closes_at = \"2026-11-12T00:00:00+08:00\"\ncurrency = \"CNY\"\n"
        )
        .expect("to memory");
        for (sku, stock, limit) in *skus {
            write!(text, "[[sales.skus]]\nsku = \"{sku}\"\nunit_price_minor = 1999\nstock = {stock}\n")
                .expect("to memory");
            if let Some(limit) = limit {
                writeln!(text, "per_user_limit = {limit}").expect("to memory");
            }
        }
    }
    Catalogue::from_toml(&text).expect("valid")
}

/// Three orders, of one and two lines, over the SKUs `a` and `b`.
pub(crate) fn batch(first: u64) -> Vec<AcceptedOrder> {
    (first..first + 3)
        .map(|number| order(number, "ann", &[("a", 1), ("b", 2)][..1 + number as usize % 2]))
        .collect()
}

pub(crate) fn is_transient<T>(result: Result<T, StoreError>) -> bool {
    result.is_err_and(|error| error.is_transient())
}
