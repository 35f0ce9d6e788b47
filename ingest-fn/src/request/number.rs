//! Whole numbers in any notation of JSON.

/// Maximum of a whole number: every JSON library represents it exactly (RFC 8259, section 6).
pub(super) const WHOLE_NUMBER_MAX: i64 = (1 << 53) - 1;

/// Maximum characters of a number. A longer one is no amount.
const NUMBER_BYTES_MAX: usize = 64;

pub(super) enum WholeNumber {
    Value(i64),
    Fraction,
    Huge,
}

/// A whole number in any notation: JSON has one kind of number, JSON Schema counts `3.0` and `3e0` as integers, and some
/// clients' libraries write them so.
pub(super) fn parse_whole_number(text: &str) -> WholeNumber {
    if text.len() > NUMBER_BYTES_MAX {
        return WholeNumber::Huge;
    }
    if let Ok(value) = text.parse::<i64>() {
        return WholeNumber::Value(value);
    }
    // The grammar is Rust's as well; a number beyond the range of a double is infinite.
    match text.parse::<f64>() {
        Ok(value) if value.abs() > WHOLE_NUMBER_MAX as f64 => WholeNumber::Huge,
        // Exact: the value is whole and below 2^53.
        Ok(value) if value.fract() == 0.0 => WholeNumber::Value(value as i64),
        _ => WholeNumber::Fraction,
    }
}
