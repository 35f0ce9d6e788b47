//! Whole numbers, however they are written.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};

/// For a member that is a whole number. JSON knows one kind of number, and JSON Schema counts `3.0` and `3e0` as
/// integers: some clients' libraries write them so. serde alone takes only `3`.
pub(super) fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    deserializer.deserialize_u32(Whole)
}

struct Whole;

impl Visitor<'_> for Whole {
    type Value = u32;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<u32, E> {
        u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u32, E> {
        u32::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u32, E> {
        let is_whole = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
        // Exact: it is whole and within bounds.
        if is_whole { Ok(value as u32) } else { Err(E::invalid_value(Unexpected::Float(value), &self)) }
    }
}
