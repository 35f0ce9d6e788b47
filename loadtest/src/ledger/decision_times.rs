use std::collections::{BTreeMap, VecDeque};

const WINDOW_US: i64 = 1_000_000;

/// The times at which orders were decided, microseconds since 1970 by this machine's clock. A batch of the drain has one
/// time, so they take memory by distinct times and not by orders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecisionTimes(BTreeMap<i64, usize>);

impl DecisionTimes {
    pub(super) fn add(&mut self, decided_us: i64) {
        *self.0.entry(decided_us).or_default() += 1;
    }

    pub fn last_us(&self) -> Option<i64> {
        self.0.last_key_value().map(|(decided_us, _)| *decided_us)
    }

    /// Each time, ascending, with the number of its orders.
    pub fn counts(&self) -> impl Iterator<Item = (i64, usize)> {
        self.0.iter().map(|(decided_us, orders)| (*decided_us, *orders))
    }

    pub fn orders(&self) -> usize {
        self.0.values().sum()
    }

    /// Returns the maximum number of orders within any half-open window of a second.
    pub fn busiest_second(&self) -> usize {
        let (mut window, mut within, mut busiest) = (VecDeque::new(), 0, 0);
        for (decided_us, orders) in self.counts() {
            window.push_back((decided_us, orders));
            within += orders;
            while let Some((_, before)) =
                window.pop_front_if(|(first_us, _)| *first_us + WINDOW_US <= decided_us)
            {
                within -= before;
            }
            busiest = busiest.max(within);
        }
        busiest
    }
}

impl FromIterator<i64> for DecisionTimes {
    fn from_iter<Times: IntoIterator<Item = i64>>(times: Times) -> Self {
        let mut all = Self::default();
        times.into_iter().for_each(|decided_us| all.add(decided_us));
        all
    }
}
