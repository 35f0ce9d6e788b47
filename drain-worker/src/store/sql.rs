//! Statements and rows without a dialect: text made of fixed parts, bound values, results as plain cells.
//!
//! # Few texts
//! Each connection caches prepared statements by their text, and each costs the server memory. So only usual texts are
//! prepared: lists and rows of a few lengths. A list is padded to the next of [`LIST_SIZES`] by repeating its last value.
//! Rows of another number than [`ROW_SIZES`] become a statement with its values in the text, as do rare statements
//! ([`Statement::rare`]): one round trip as well, and nothing for the server to keep.

use std::fmt::Write as _;

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime, UtcOffset};

use super::error::{DbError, DbErrorDetail};

/// Numbers of rows of a prepared INSERT.
const ROW_SIZES: [usize; 5] = [1, 64, 128, 200, ROWS_MAX];

/// Lengths of lists.
const LIST_SIZES: [usize; 5] = [1, 8, 64, 200, ROWS_MAX];

/// From this number on, rows are worth a prepared statement and a second one for the rest.
const ROWS_CUT_MIN: usize = 64;

/// Maximum rows of one INSERT and values of one list.
///
/// The widest row binds 14 values, 7,000 in all: MySQL allows 65,535 and SQLite 32,766. MariaDB would turn a list of
/// 1,000 or more into a temporary table.
pub(super) const ROWS_MAX: usize = 500;

pub(super) const ROW_VALUES_MAX: usize = 14;

const _: () = assert!(ROWS_MAX * ROW_VALUES_MAX <= 32_766, "SQLite's bound on the values of a statement");

/// The length to which a list of `length` values, at most [`ROWS_MAX`], is padded.
pub(super) fn padded(length: usize) -> usize {
    LIST_SIZES[LIST_SIZES.partition_point(|size| *size < length).min(LIST_SIZES.len() - 1)]
}

/// Cuts `rows` into chunks of at most [`ROWS_MAX`]; up to that number there are at most two: the largest prepared size,
/// and the rest.
pub(super) fn chunks<T>(rows: &[T]) -> impl Iterator<Item = &[T]> {
    let (mut rest, mut is_cut) = (rows, false);
    std::iter::from_fn(move || {
        let length = match rest.len() {
            0 => return None,
            ROWS_MAX.. => ROWS_MAX,
            few if few < ROWS_CUT_MIN || is_cut => few,
            many => {
                is_cut = true;
                ROW_SIZES[ROW_SIZES.partition_point(|size| *size <= many) - 1]
            }
        };
        let (chunk, tail) = rest.split_at(length);
        rest = tail;
        Some(chunk)
    })
}

/// A placeholder for bytes, which are sent as hexadecimal text: pooling proxies read parameters as text and corrupt
/// others (ShardingSphere-Proxy 5.1 does). The function exists in MySQL and SQLite. See [`Statement::native`].
pub(super) const BYTES: &str = "UNHEX(?)";

#[derive(Clone, Copy)]
pub(super) enum SqlValue<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    /// Uses the placeholder [`BYTES`].
    Bytes(&'a [u8]),
}

impl SqlValue<'_> {
    /// Appends the value as a literal that MySQL and SQLite read alike. A text is quoted only if it has no character
    /// that any mode of a server could take for the quote's end or an escape; every other one is hexadecimal.
    fn write_literal(&self, text: &mut String) {
        let is_plain = |character: char| {
            character == '\n' || !(character.is_control() || matches!(character, '\'' | '\\'))
        };
        let _to_memory = match self {
            Self::Null => write!(text, "NULL"),
            Self::Int(value) => write!(text, "{value}"),
            Self::Text(value) if value.chars().all(is_plain) => write!(text, "'{value}'"),
            Self::Text(value) => write!(text, "CAST(UNHEX('{}') AS CHAR)", hex::encode(value)),
            Self::Bytes(value) => write!(text, "'{}'", hex::encode(value)),
        };
    }
}

impl From<i64> for SqlValue<'_> {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u32> for SqlValue<'_> {
    fn from(value: u32) -> Self {
        Self::Int(i64::from(value))
    }
}

impl<'a> From<&'a str> for SqlValue<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(value)
    }
}

impl<'a> From<&'a [u8]> for SqlValue<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(value)
    }
}

impl<'a, T: Into<SqlValue<'a>>> From<Option<T>> for SqlValue<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement: its text consists of parts fixed at compile time, everything else is bound.
#[derive(Clone)]
pub(super) struct Statement<'a> {
    pub(super) text: String,
    pub(super) values: Vec<SqlValue<'a>>,
    /// True if bytes are bound unchanged.
    pub(super) is_native: bool,
    /// True if the values are sent within the text.
    pub(super) is_inlined: bool,
}

impl<'a> Statement<'a> {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new(), is_native: false, is_inlined: false }
    }

    /// Sends the values within the text: a statement that is seldom sent stays unprepared.
    pub(super) const fn rare(mut self) -> Self {
        self.is_inlined = true;
        self
    }

    /// Returns the text with the values in place of the placeholders. The texts' fixed parts have no other `?`.
    pub(super) fn inlined(&self) -> String {
        let mut parts = self.text.split('?');
        let mut text = String::with_capacity(self.text.len() + self.values.len() * 16);
        text.push_str(parts.next().unwrap_or_default());
        for (part, value) in parts.zip(&self.values) {
            value.write_literal(&mut text);
            text.push_str(part);
        }
        text
    }

    /// Binds bytes unchanged, where the connection transports them correctly. This saves the server a function call
    /// for each, about a tenth of a batch's cost.
    pub(super) fn native(mut self) -> Self {
        self.text = self.text.replace(BYTES, "?");
        self.is_native = true;
        self
    }

    pub(super) fn text(mut self, text: &'static str) -> Self {
        self.text.push_str(text);
        self
    }

    /// Adds a number to the text, where the grammar allows no `?`.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.text.push_str(&number.to_string());
        self
    }

    /// Binds the value of a `?` in the text.
    pub(super) fn bind(mut self, value: impl Into<SqlValue<'a>>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Adds `(?, ?, …)` with `values`, 1 to [`ROWS_MAX`], padded to one of [`LIST_SIZES`].
    pub(super) fn list<V: Into<SqlValue<'a>>>(self, values: impl IntoIterator<Item = V>) -> Self {
        self.list_at("?", values)
    }

    /// As [`Statement::list`], for bytes.
    pub(super) fn list_of_bytes(self, values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        self.list_at(BYTES, values)
    }

    fn list_at<V: Into<SqlValue<'a>>>(
        mut self,
        place: &'static str,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let before = self.values.len();
        self.values.extend(values.into_iter().map(Into::into));
        let count = self.values.len() - before;
        debug_assert!((1..=ROWS_MAX).contains(&count), "a list has 1 to {ROWS_MAX} values");
        if let Some(&last) = self.values.last() {
            self.values.resize(before + padded(count), last);
        }
        self.text.push('(');
        self.repeat(padded(count), &[place], ", ");
        self.text.push(')');
        self
    }

    /// Adds the parts of a row `count` times, separated by commas; call [`Statement::bind`] for each `?`.
    pub(super) fn rows(mut self, count: usize, row: &[&'static str]) -> Self {
        self.is_inlined |= !ROW_SIZES.contains(&count);
        self.values.reserve(count * ROW_VALUES_MAX);
        self.repeat(count, row, ", ");
        self
    }

    /// Adds `part` `count` times; call [`Statement::bind`] for each `?`.
    pub(super) fn repeated(mut self, count: usize, part: &'static str) -> Self {
        self.repeat(count, &[part], "");
        self
    }

    fn repeat(&mut self, count: usize, parts: &[&'static str], separator: &str) {
        self.text.reserve(count * (parts.iter().map(|part| part.len()).sum::<usize>() + separator.len()));
        for index in 0..count {
            if index > 0 {
                self.text.push_str(separator);
            }
            parts.iter().for_each(|part| self.text.push_str(part));
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum ColumnKind {
    Int,
    Text,
    Bytes,
}

pub(super) enum SqlCell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

pub(super) struct SqlRow(pub(super) Vec<SqlCell>);

impl SqlRow {
    pub(super) fn int(&self, index: usize) -> Result<i64, DbError> {
        self.optional_int(index)?.ok_or_else(|| unexpected(index))
    }

    pub(super) fn optional_int(&self, index: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(index) {
            Some(SqlCell::Int(value)) => Ok(Some(*value)),
            Some(SqlCell::Null) => Ok(None),
            _ => Err(unexpected(index)),
        }
    }

    pub(super) fn text(&self, index: usize) -> Result<&str, DbError> {
        self.optional_text(index)?.ok_or_else(|| unexpected(index))
    }

    pub(super) fn optional_text(&self, index: usize) -> Result<Option<&str>, DbError> {
        match self.0.get(index) {
            Some(SqlCell::Text(value)) => Ok(Some(value)),
            Some(SqlCell::Null) => Ok(None),
            _ => Err(unexpected(index)),
        }
    }

    pub(super) fn bytes(&self, index: usize) -> Result<&[u8], DbError> {
        match self.0.get(index) {
            Some(SqlCell::Bytes(value)) => Ok(value),
            _ => Err(unexpected(index)),
        }
    }

    pub(super) fn array<const N: usize>(&self, index: usize) -> Result<[u8; N], DbError> {
        self.bytes(index)?.try_into().map_err(|_| unexpected(index))
    }

    pub(super) fn optional_array<const N: usize>(&self, index: usize) -> Result<Option<[u8; N]>, DbError> {
        match self.0.get(index) {
            Some(SqlCell::Null) => Ok(None),
            _ => self.array(index).map(Some),
        }
    }
}

/// The error for a value that this version never writes.
pub(super) fn unexpected(index: usize) -> DbError {
    DbError::fatal(DbErrorDetail::new(
        "read a row",
        format!("column {index} has a value that this version does not know"),
    ))
}

// Instants are sent as text in UTC, `2026-11-11 00:00:00.123`: every dialect reads it, and proxies pass it unchanged.

/// Truncated to milliseconds, not rounded: MySQL and SQLite treat further digits differently.
const WRITTEN: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");
const READ: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond]");

pub(super) fn to_database(instant: OffsetDateTime) -> String {
    // The format uses only parts that every instant has, so formatting cannot fail.
    instant.to_offset(UtcOffset::UTC).format(WRITTEN).unwrap_or_default()
}

pub(super) fn from_database(row: &SqlRow, index: usize) -> Result<OffsetDateTime, DbError> {
    let instant = PrimitiveDateTime::parse(row.text(index)?, READ).map_err(|_| unexpected(index))?;
    Ok(instant.assume_utc())
}

/// As [`from_database`], for a column that may be NULL.
pub(super) fn optional_from_database(row: &SqlRow, index: usize) -> Result<Option<OffsetDateTime>, DbError> {
    row.optional_text(index)?.map(|_| from_database(row, index)).transpose()
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn chunks_keep_every_row_in_order_and_are_at_most_two() {
        for length in 0..=2_000 {
            let rows: Vec<_> = (0..length).collect();
            let cut: Vec<_> = chunks(&rows).collect();
            assert_eq!(cut.concat(), rows);
            assert!(cut.len() <= length / ROWS_MAX + 2, "{length} in {} chunks", cut.len());
            let is_cut = (64..=ROWS_MAX).contains(&length);
            assert!(!is_cut || ROW_SIZES.contains(&cut[0].len()), "{length}");
        }
        for one in [1, 2, 63, 64, 128, 200, 500] {
            assert_eq!(chunks(&vec![(); one]).count(), 1, "{one}");
        }
    }

    /// MySQL's and SQLite's rules: a quoted text ends at a quote; MySQL's may have escapes after a backslash.
    #[test]
    fn rare_statements_have_their_values_in_the_text() {
        let bytes: &[&[u8]] = &[&[0xab, 1], &[2]];
        let statement =
            Statement::new("x = ? AND y IN ").bind(7_i64).list_of_bytes(bytes.iter().copied().take(1));
        let statement = statement.text(" AND z IN ").list(["it's", "a\\b", "家 ?\n"]).rare();
        assert_eq!(
            statement.inlined(),
            "x = 7 AND y IN (UNHEX('ab01')) AND z IN (CAST(UNHEX('69742773') AS CHAR), CAST(UNHEX('615c62') AS CHAR), \
             '家 ?\n', '家 ?\n', '家 ?\n', '家 ?\n', '家 ?\n', '家 ?\n')"
        );
        assert_eq!(
            Statement::new("VALUES ").rows(2, &["(?)"]).bind(None::<i64>).bind(1_i64).inlined(),
            "VALUES (NULL), (1)"
        );
    }

    #[test]
    fn native_bytes_replace_hexadecimal_ones() {
        let statement = Statement::new("x IN ").list_of_bytes([[1_u8].as_slice()]);
        assert_eq!(statement.text, "x IN (UNHEX(?))");
        let native = statement.native();
        assert_eq!(native.text, "x IN (?)");
        assert!(native.is_native && native.values.len() == 1);
    }

    #[test]
    fn lists_are_padded_with_their_last_value() {
        let statement =
            Statement::new("x IN ").list((1..=5_i64).map(SqlValue::Int)).text(" AND y = ?").bind("z");
        assert_eq!(statement.text, "x IN (?, ?, ?, ?, ?, ?, ?, ?) AND y = ?");
        assert_eq!(statement.values.len(), 9);
        assert!(matches!(statement.values[7], SqlValue::Int(5)));
    }

    #[test]
    fn instants_round_trip_in_utc_to_the_microsecond() {
        assert_eq!(to_database(datetime!(2026-11-11 08:00:00.123999 +8)), "2026-11-11 00:00:00.123");
        for (text, expected) in [
            ("2026-11-11 00:00:00.123", datetime!(2026-11-11 00:00:00.123 UTC)),
            ("2026-11-11 00:00:00.123456", datetime!(2026-11-11 00:00:00.123456 UTC)),
        ] {
            let row = SqlRow(vec![SqlCell::Text(text.to_owned())]);
            assert_eq!(from_database(&row, 0).expect("valid"), expected);
        }
        assert!(from_database(&SqlRow(vec![SqlCell::Text("noon".to_owned())]), 0).is_err());
    }
}
