use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Separates the keys and buyers of one run from those of all others: 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(u64);

impl RunId {
    pub fn random() -> Self {
        Self(rand::random())
    }

    pub const fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for RunId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let is_valid = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_valid);
        number.map(Self).ok_or("expected 16 digits of 0-9 and a-f, as `loadtest prepare` prints them")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl TryFrom<String> for RunId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(run_id: RunId) -> Self {
        run_id.to_string()
    }
}
