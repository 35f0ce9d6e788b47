//! One JSON object per line, with the members that queries and alerts use.

use std::fmt::{self, Write as _};
use std::io;

use time::{OffsetDateTime, UtcOffset};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fc_log_markers;
use super::truncate::{ELLIPSIS, Truncated, truncate};

/// Maximum bytes of a line, line end included. Function Compute accepts 32 KB a line (certain: vendor documentation
/// of its limits, which does not say if a KB has 1,000 or 1,024 bytes).
pub const LINE_BYTES_MAX: usize = 32_000;

/// Maximum bytes of one member's value, as written.
const VALUE_BYTES_MAX: usize = 4_096;

/// Members that every reader relies on, and the bytes reserved for each.
const RESERVED_BYTES: [(&str, usize); 4] =
    [("requestId", 256), ("message", VALUE_BYTES_MAX), ("errorMessage", VALUE_BYTES_MAX), ("errorCode", 128)];

/// Bytes reserved for these members, their names and the line end.
const RESERVED_BYTES_TOTAL: usize = 2 * VALUE_BYTES_MAX + 256 + 128 + 256;

const _: () = assert!(RESERVED_BYTES_TOTAL < LINE_BYTES_MAX / 2);

/// `errorCode` of an error event without one.
const CODE_UNNAMED: &str = "internal";

/// Formats events: `timestamp` (RFC 3339, UTC, milliseconds), `level` in upper case, `target`, `message`, then the
/// event's own fields, flat.
///
/// - The fields `request_id`, `error` and `error_code` become `requestId`, `errorMessage` and `errorCode`. A line of
///   level `ERROR` always has the last two.
/// - A field `x_json` that holds valid JSON becomes the member `x`, unquoted.
/// - Values are truncated so that no line exceeds [`LINE_BYTES_MAX`]; the line then has `truncated: true`.
/// - Spans are not written: a request's lines carry `requestId`.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write_line(writer, event, OffsetDateTime::now_utc())
    }
}

fn write_line(mut writer: Writer<'_>, event: &Event<'_>, now: OffsetDateTime) -> fmt::Result {
    let metadata = event.metadata();
    if metadata.target() == fc_log_markers::TARGET {
        let mut line = BareMessage(&mut writer, Ok(()));
        event.record(&mut line);
        line.1?;
        return writer.write_char('\n');
    }
    let is_error = *metadata.level() == Level::ERROR;
    let mut line = Line::new(&mut writer);
    line.timestamp(now);
    line.text("level", level(*metadata.level()));
    line.text("target", metadata.target());
    let mut members = Members { line, scratch: String::new(), is_error, message: None, has: Has::default() };
    event.record(&mut members);
    members.finish()
}

const fn level(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG => "DEBUG",
        Level::TRACE => "TRACE",
    }
}

/// Writes the message alone, for marker lines.
struct BareMessage<'a, 'writer>(&'a mut Writer<'writer>, fmt::Result);

impl Visit for BareMessage<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.1 = write!(self.0, "{value:?}");
        }
    }
}

/// A JSON object that accepts members while they fit.
struct Line<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    room: usize,
    is_first: bool,
    is_truncated: bool,
    result: fmt::Result,
}

impl<'a, 'writer> Line<'a, 'writer> {
    const fn new(writer: &'a mut Writer<'writer>) -> Self {
        let room = LINE_BYTES_MAX - RESERVED_BYTES_TOTAL;
        Self { writer, room, is_first: true, is_truncated: false, result: Ok(()) }
    }

    fn timestamp(&mut self, now: OffsetDateTime) {
        let now = now.to_offset(UtcOffset::UTC);
        let (date, time) = (now.date(), now.time());
        self.raw(
            "timestamp",
            format_args!(
                "\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z\"",
                date.year(),
                u8::from(date.month()),
                date.day(),
                time.hour(),
                time.minute(),
                time.second(),
                time.millisecond()
            ),
            26,
        );
    }

    /// Writes a text, truncated to the room left.
    fn text(&mut self, name: &str, value: &str) {
        let reserved = RESERVED_BYTES.iter().find(|(reserved, _)| *reserved == name).map(|(_, bytes)| *bytes);
        let room = reserved.unwrap_or_else(|| self.left_for(name).min(VALUE_BYTES_MAX));
        let Truncated { prefix, is_truncated, bytes } = truncate(value, room);
        self.is_truncated |= is_truncated;
        // Reserved bytes do not count against the other members.
        self.room += reserved.map_or(0, |_| bytes + Self::bytes_around(name));
        if is_truncated {
            self.raw(name, Quoted(&format!("{prefix}{ELLIPSIS}")), bytes);
        } else {
            self.raw(name, Quoted(prefix), bytes);
        }
    }

    /// Bytes of a member besides its value.
    const fn bytes_around(name: &str) -> usize {
        name.len() + 4
    }

    const fn left_for(&self, name: &str) -> usize {
        self.room.saturating_sub(Self::bytes_around(name))
    }

    /// Writes a JSON value of at most `bytes` bytes.
    fn raw(&mut self, name: &str, value: impl fmt::Display, bytes: usize) {
        if bytes > self.left_for(name) {
            self.is_truncated = true;
            return;
        }
        self.room -= bytes + Self::bytes_around(name);
        let opening = if std::mem::take(&mut self.is_first) { '{' } else { ',' };
        let written = write!(self.writer, "{opening}{}:{value}", Quoted(name));
        self.result = self.result.and(written);
    }
}

/// Visits an event's fields and writes them as members.
struct Members<'a, 'writer> {
    line: Line<'a, 'writer>,
    /// Buffer for values before truncation.
    scratch: String,
    is_error: bool,
    /// Only for errors: `errorMessage` defaults to it.
    message: Option<String>,
    has: Has,
}

#[derive(Default)]
struct Has {
    error_message: bool,
    error_code: bool,
}

impl Members<'_, '_> {
    /// Maps a field's name to the member's.
    fn name(&mut self, field: &Field) -> &'static str {
        match field.name() {
            "request_id" => "requestId",
            "error" | "errorMessage" => {
                self.has.error_message = true;
                "errorMessage"
            }
            "error_code" | "errorCode" => {
                self.has.error_code = true;
                "errorCode"
            }
            // A repeated member would make the line ambiguous.
            "timestamp" => "timestamp_",
            "level" => "level_",
            "target" => "target_",
            other => other,
        }
    }

    fn string(&mut self, field: &Field, value: &str) {
        let name = self.name(field);
        if name == "message" && self.is_error {
            self.message = Some(value.to_owned());
        }
        match name.strip_suffix("_json") {
            Some(name) if is_json(value) => self.line.raw(name, value, value.len()),
            _ => self.line.text(name, value),
        }
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        let name = self.name(field);
        // No 128-bit integer is longer.
        self.line.raw(name, value, 40);
    }

    fn finish(self) -> fmt::Result {
        let Self { mut line, is_error, message, has, .. } = self;
        if is_error && !has.error_message {
            line.text("errorMessage", message.as_deref().unwrap_or_default());
        }
        if is_error && !has.error_code {
            line.text("errorCode", CODE_UNNAMED);
        }
        if line.is_truncated {
            line.room += Line::bytes_around("truncated") + 4;
            line.raw("truncated", true, 4);
        }
        line.result?;
        line.writer.write_str("}\n")
    }
}

impl Visit for Members<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.string(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // If formatting fails, the line carries the part that was written.
        let _partial = write!(scratch, "{value:?}");
        self.string(field, &scratch);
        self.scratch = scratch;
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.number(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let name = self.name(field);
        match serde_json::Number::from_f64(value) {
            Some(number) => self.line.raw(name, number, 32),
            // JSON has no infinities.
            None => self.line.raw(name, "null", 4),
        }
    }
}

fn is_json(text: &str) -> bool {
    // A line break would split the line.
    !text.contains(['\n', '\r']) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Formats a text as a JSON string.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        serde_json::to_writer(Utf8(formatter), self.0).map_err(|_| fmt::Error)
    }
}

/// Passes serde_json's output on; each piece is UTF-8.
struct Utf8<'a, 'formatter>(&'a mut fmt::Formatter<'formatter>);

impl io::Write for Utf8<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(bytes).map_err(io::Error::other)?;
        self.0.write_str(text).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
