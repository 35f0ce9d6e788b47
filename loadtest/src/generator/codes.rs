//! Problem codes as small numbers, the same in every thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::outcomes::NO_CODE;

/// Maximum distinct codes; the service has about twenty. All further ones are [`OTHER`].
pub(super) const CODES_MAX: usize = 200;

const OTHER: &str = "other";

/// The codes of a run, by number.
#[derive(Debug)]
pub(super) struct CodeTable(Mutex<Vec<Arc<str>>>);

impl Default for CodeTable {
    fn default() -> Self {
        Self(Mutex::new(vec![OTHER.into()]))
    }
}

impl CodeTable {
    pub(super) fn number(&self, code: &str) -> u16 {
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = codes.iter().position(|known| **known == *code);
        let number = known.or_else(|| {
            (codes.len() <= CODES_MAX).then(|| {
                codes.push(code.into());
                codes.len() - 1
            })
        });
        // The first one stands for all others.
        number.unwrap_or_default() as u16
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One thread's copy of the table, so that a known code needs no lock.
#[derive(Debug)]
pub(super) struct CodeCache {
    table: Arc<CodeTable>,
    numbers: HashMap<Box<str>, u16>,
}

impl CodeCache {
    pub(super) fn new(table: Arc<CodeTable>) -> Self {
        Self { table, numbers: HashMap::with_capacity(CODES_MAX) }
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.table.names()
    }

    /// [`NO_CODE`] for `None`.
    pub(super) fn number(&mut self, code: Option<&str>) -> u16 {
        let Some(code) = code else { return NO_CODE };
        if let Some(number) = self.numbers.get(code) {
            return *number;
        }
        let number = self.table.number(code);
        if self.numbers.len() < CODES_MAX {
            self.numbers.insert(code.into(), number);
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_share_numbers_and_all_codes_past_the_maximum_are_one() {
        let table = Arc::new(CodeTable::default());
        let mut threads = [CodeCache::new(table.clone()), CodeCache::new(table.clone())];
        for code in 0..300 {
            for thread in &mut threads {
                let number = thread.number(Some(&format!("code_{code}")));
                let name = table.names()[usize::from(number)].to_string();
                let expected = if code < CODES_MAX { format!("code_{code}") } else { "other".to_owned() };
                assert_eq!(name, expected);
            }
        }
        assert_eq!(table.names().len(), CODES_MAX + 1);
        assert_eq!(threads[1].number(Some("code_7")), threads[0].number(Some("code_7")));
        assert_eq!(threads[0].number(None), NO_CODE);
    }
}
