//! The guesses of an attempt at a transaction, which save statements.
//!
//! The database refutes a wrong guess. Then the attempt is rolled back, and the next one does without that guess, so a
//! batch takes at most one attempt more than there are guesses. Rolling back, rather than going on, is what keeps
//! transactions from deadlocking: an INSERT that finds its key keeps a shared lock on it, and two transactions that both
//! have it wait for each other when they go on to change the row.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::store::error::{DbError, ErrorClass};

/// After a refuted guess, so many batches do without it: a worker that died leaves many committed messages, which are
/// redelivered one after the other, and a SKU that sells out does so over many batches.
const CAREFUL_BATCHES: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// No order is decided yet: insert without reading. An existing key refutes it.
    NewOrders,
    /// No buyer has purchases: insert them without reading. An existing key refutes it.
    NewBuyers,
    /// The stock suffices and the limits are the cached ones: reserve without reading. A reservation that does not find
    /// each of its SKUs refutes it.
    AmpleStock,
    /// Orders that the cached stock rejects stay rejected: do not lock their buyers. The locked stock refutes it.
    FinalRejections,
}

const GUESSES: usize = 4;

/// A failed attempt.
pub(super) enum AttemptError {
    Refuted(Guess),
    Failed(DbError),
}

impl From<DbError> for AttemptError {
    fn from(failure: DbError) -> Self {
        Self::Failed(failure)
    }
}

/// The guesses that recent batches speak against.
#[derive(Debug, Default)]
pub(in crate::store) struct RefutedGuesses([AtomicU32; GUESSES]);

impl RefutedGuesses {
    pub(super) fn note(&self, guess: Guess) {
        // Whether an order fits in place of another says nothing about the next batch.
        if guess != Guess::FinalRejections {
            self.0[guess as usize].store(CAREFUL_BATCHES, Ordering::Relaxed);
        }
    }
}

/// The guesses of one batch, over its attempts.
pub(super) struct Guesses<'a> {
    made: [bool; GUESSES],
    refuted: &'a RefutedGuesses,
}

impl<'a> Guesses<'a> {
    pub(super) fn new(refuted: &'a RefutedGuesses) -> Self {
        let is_made = |careful: &AtomicU32| {
            let one_less = |batches: u32| batches.checked_sub(1);
            careful.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_err()
        };
        Self { made: refuted.0.each_ref().map(is_made), refuted }
    }

    pub(super) const fn makes(&self, guess: Guess) -> bool {
        self.made[guess as usize]
    }

    pub(super) fn refute(&mut self, guess: Guess) {
        self.made[guess as usize] = false;
        self.refuted.note(guess);
    }

    /// Notes that a guess would have been wrong, so that the next batches do without it as well.
    pub(super) fn avoid(&self, guess: Guess) {
        self.refuted.note(guess);
    }

    /// The error of an INSERT that relies on `guess`.
    pub(super) fn of_insert(&self, guess: Guess, failure: DbError) -> AttemptError {
        if failure.class == ErrorClass::DuplicateKey && self.makes(guess) {
            AttemptError::Refuted(guess)
        } else {
            AttemptError::Failed(failure)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refuted_guess_is_avoided_for_a_number_of_batches() {
        let refuted = RefutedGuesses::default();
        let mut guesses = Guesses::new(&refuted);
        assert!(guesses.makes(Guess::NewOrders) && guesses.makes(Guess::FinalRejections));
        guesses.refute(Guess::NewOrders);
        guesses.refute(Guess::FinalRejections);
        assert!(!guesses.makes(Guess::NewOrders) && !guesses.makes(Guess::FinalRejections));
        let makes = |guess| (0..100).map(|_| Guesses::new(&refuted).makes(guess)).collect::<Vec<_>>();
        assert_eq!(makes(Guess::NewOrders).iter().filter(|made| !**made).count(), CAREFUL_BATCHES as usize);
        assert!(!makes(Guess::FinalRejections).contains(&false), "it says nothing about other batches");
    }
}
