//! The share of a scenario's requests that one of several processes plays.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Maximum processes of one run.
const SHARDS_MAX: u32 = 1_000;

/// Shard `index` (from 1) of `count`: the requests whose number is `index - 1` modulo `count`. Each second of the scenario
/// is shared evenly, and together the shards are exactly the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// All requests, in one process.
    pub const WHOLE: Self = Self { index: 1, count: 1 };

    pub const fn count(self) -> u32 {
        self.count
    }

    /// All shards of the same run, ascending.
    pub fn all(self) -> impl Iterator<Item = Self> {
        (1..=self.count).map(move |index| Self { index, ..self })
    }

    /// The first request number of `thread` (from 0) of `threads`, and the distance to each further one.
    pub(super) fn numbers(self, thread: u64, threads: u64) -> (u64, u64) {
        let count = u64::from(self.count);
        (u64::from(self.index) - 1 + count * thread, count * threads)
    }

    /// Requests of this shard, of `requests` in the scenario.
    pub fn requests(self, requests: u64) -> u64 {
        requests.saturating_sub(u64::from(self.index) - 1).div_ceil(u64::from(self.count))
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some(Self { index: index.parse().ok()?, count: count.parse().ok()? }));
        let valid = |shard: &Self| shard.count <= SHARDS_MAX && (1..=shard.count).contains(&shard.index);
        numbers
            .filter(valid)
            .ok_or_else(|| format!("expected I/N with I from 1 to N, N at most {SHARDS_MAX}, such as 2/3"))
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_with_any_threads_play_every_request_once(
            threads in prop::collection::vec(1_u64..9, 1..12),
            requests in 0_u64..3_000,
        ) {
            let last: Shard = format!("{0}/{0}", threads.len()).parse().expect("valid");
            let mut played = Vec::new();
            for (shard, threads) in last.all().zip(&threads) {
                let before = played.len();
                for thread in 0..*threads {
                    let (first, step) = shard.numbers(thread, *threads);
                    played.extend((first..requests).step_by(step as usize));
                }
                prop_assert_eq!((played.len() - before) as u64, shard.requests(requests));
            }
            played.sort_unstable();
            prop_assert!(played.into_iter().eq(0..requests));
        }
    }

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["1/1", "2/3", "1000/1000"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "1", "0/3", "4/3", "1/0", "a/b", "1/1001", "-1/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
