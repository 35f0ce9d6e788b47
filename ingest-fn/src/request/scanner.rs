//! Reads JSON (RFC 8259) from front to back without building a tree. The number of values, their depth and the length of
//! each text are bounded while reading, so a hostile body costs no more than its bytes.
//!
//! serde's deserialisers return the first fault and cannot resume; this one leaves the judgement of values to its
//! caller, so that a caller can report all of their faults.

use std::borrow::Cow;

use memchr::memchr2;

/// Maximum values in a body: an order within its bounds has at most 80.
pub(super) const VALUES_MAX: usize = 256;

/// Maximum nesting: an order has 3.
pub(super) const DEPTH_MAX: usize = 8;

/// Maximum bytes of a text as it is written, without its quotes. The longest text of an order has 255 characters, each
/// of at most two escapes.
pub(super) const TEXT_BYTES_MAX: usize = 255 * "\\ud83d\\ude00".len();

/// Reason why the reading ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScanEnd {
    /// The text is not JSON at this byte.
    NotJson(usize),
    /// More than [`VALUES_MAX`] values, or deeper than [`DEPTH_MAX`].
    TooComplex,
    /// A text of more than [`TEXT_BYTES_MAX`].
    LongText,
}

/// A value. Arrays and objects are entered, not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Boolean,
    /// The number as it is written.
    Number(&'a str),
    Text(QuotedText<'a>),
    Array,
    Object,
}

/// A string with its quotes, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct QuotedText<'a> {
    quoted: &'a str,
    has_escapes: bool,
}

impl<'a> QuotedText<'a> {
    /// Resolves the escapes. Returns `None` if one is half of a surrogate pair: JSON allows it (RFC 8259, section 8.2),
    /// and no text contains it.
    pub(super) fn resolve(self) -> Option<Cow<'a, str>> {
        if self.has_escapes {
            serde_json::from_str::<String>(self.quoted).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(&self.quoted[1..self.quoted.len() - 1]))
        }
    }
}

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    values_left: usize,
}

impl<'a> Scanner<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0, values_left: VALUES_MAX }
    }

    /// Reads the next value.
    pub(super) fn value(&mut self) -> Result<Value<'a>, ScanEnd> {
        self.values_left = self.values_left.checked_sub(1).ok_or(ScanEnd::TooComplex)?;
        match self.peek() {
            Some(b'"') => self.text().map(Value::Text),
            Some(b'{') => Ok(self.enter(Value::Object)),
            Some(b'[') => Ok(self.enter(Value::Array)),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b't') => self.literal("true", Value::Boolean),
            Some(b'f') => self.literal("false", Value::Boolean),
            _ => Err(self.not_json()),
        }
    }

    /// Moves to the next element of the array that was entered; returns false at its end. `is_first` starts as true.
    pub(super) fn next_element(&mut self, is_first: &mut bool) -> Result<bool, ScanEnd> {
        let more = self.next_part(b']', is_first)?;
        // A comma without a value after it is found by the caller, who reads one.
        Ok(more)
    }

    /// Moves to the value of the next member of the object that was entered; returns its name, or `None` at the end.
    pub(super) fn next_member(&mut self, is_first: &mut bool) -> Result<Option<QuotedText<'a>>, ScanEnd> {
        if !self.next_part(b'}', is_first)? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(self.not_json());
        }
        let name = self.text()?;
        if self.peek() != Some(b':') {
            return Err(self.not_json());
        }
        self.at += 1;
        Ok(Some(name))
    }

    /// Reads to the end of `value`, which lies `depth` deep.
    pub(super) fn skip(&mut self, value: Value<'a>, depth: usize) -> Result<(), ScanEnd> {
        if depth > DEPTH_MAX {
            return Err(ScanEnd::TooComplex);
        }
        let mut is_first = true;
        match value {
            Value::Array => {
                while self.next_element(&mut is_first)? {
                    let element = self.value()?;
                    self.skip(element, depth + 1)?;
                }
            }
            Value::Object => {
                while self.next_member(&mut is_first)?.is_some() {
                    let member = self.value()?;
                    self.skip(member, depth + 1)?;
                }
            }
            Value::Null | Value::Boolean | Value::Number(_) | Value::Text(_) => {}
        }
        Ok(())
    }

    /// Checks that nothing but white space follows.
    pub(super) fn end(&mut self) -> Result<(), ScanEnd> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.not_json()),
        }
    }

    const fn not_json(&self) -> ScanEnd {
        ScanEnd::NotJson(self.at)
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.byte() {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    const fn enter(&mut self, value: Value<'a>) -> Value<'a> {
        self.at += 1;
        value
    }

    fn next_part(&mut self, end: u8, is_first: &mut bool) -> Result<bool, ScanEnd> {
        let is_first = std::mem::replace(is_first, false);
        match self.peek() {
            Some(byte) if byte == end => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !is_first => {
                self.at += 1;
                // A comma before the end would be skipped otherwise.
                if self.peek() == Some(end) { Err(self.not_json()) } else { Ok(true) }
            }
            Some(_) if is_first => Ok(true),
            _ => Err(self.not_json()),
        }
    }

    fn literal(&mut self, name: &str, value: Value<'a>) -> Result<Value<'a>, ScanEnd> {
        if !self.text.as_bytes()[self.at..].starts_with(name.as_bytes()) {
            return Err(self.not_json());
        }
        self.at += name.len();
        Ok(value)
    }

    /// RFC 8259, section 6.
    fn number(&mut self) -> Result<&'a str, ScanEnd> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), ScanEnd> {
        let rest = &self.text.as_bytes()[self.at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(self.not_json()) } else { Ok(()) }
    }

    /// RFC 8259, section 7. The next byte is the first quote.
    fn text(&mut self) -> Result<QuotedText<'a>, ScanEnd> {
        let start = self.at;
        // With the last quote.
        let end = self.text.len().min(start + 1 + TEXT_BYTES_MAX + 1);
        let mut has_escapes = false;
        self.at += 1;
        loop {
            let rest = self.text.as_bytes().get(self.at..end).unwrap_or_default();
            let Some(length) = memchr2(b'"', b'\\', rest) else {
                if end < self.text.len() {
                    return Err(ScanEnd::LongText);
                }
                self.at = end;
                return Err(self.not_json());
            };
            let plain = &rest[..length];
            // Without a branch for each byte.
            if plain.iter().fold(false, |found, byte| found | (*byte < b' ')) {
                self.at += plain.iter().take_while(|byte| **byte >= b' ').count();
                return Err(self.not_json());
            }
            self.at += length;
            if rest[length] == b'"' {
                self.at += 1;
                return Ok(QuotedText { quoted: &self.text[start..self.at], has_escapes });
            }
            has_escapes = true;
            self.escape()?;
        }
    }

    /// The next byte is a backslash.
    fn escape(&mut self) -> Result<(), ScanEnd> {
        self.at += 1;
        match self.byte() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
                if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.not_json());
                }
                self.at += 5;
            }
            _ => return Err(self.not_json()),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::de::IgnoredAny;

    use super::*;

    /// Reads a text as one value of any kind.
    fn scan(text: &str) -> Result<(), ScanEnd> {
        let mut scanner = Scanner::new(text);
        let value = scanner.value()?;
        scanner.skip(value, 1)?;
        scanner.end()
    }

    #[test]
    fn the_grammar_is_that_of_rfc_8259() {
        for json in [
            "0",
            "-0",
            "-1.5e+3",
            "1E400",
            "1e-400",
            "\"\"",
            "\"\\u00e9\\n\\/\"",
            "\"\\ud800\"",
            "\"\u{7f}\u{85}\"",
            "null",
            "true",
            "false",
            "[]",
            "{}",
            " [ 1 , [ ] , { } ] ",
            "{\"a\":{\"b\":[1,2]},\"a\":null}",
            "\t\r\n 1 ",
            "9".repeat(1_000).as_str(),
        ] {
            assert_eq!(scan(json), Ok(()), "{json}");
        }
        for (text, at) in [
            ("", 0),
            (" ", 1),
            ("+1", 0),
            ("01", 1),
            ("1.", 2),
            (".5", 0),
            ("1e", 2),
            ("-", 1),
            ("NaN", 0),
            ("nul", 0),
            ("\"", 1),
            ("\"\t\"", 1),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 2),
            ("\"\\u12", 2),
            ("[1,]", 3),
            ("[,1]", 1),
            ("[1 2]", 3),
            ("[", 1),
            ("[1", 2),
            ("]", 0),
            ("{\"a\"}", 4),
            ("{\"a\":}", 5),
            ("{\"a\":1,}", 7),
            ("{a:1}", 1),
            ("{\"a\":1 \"b\":2}", 7),
            ("{,}", 1),
            ("1 1", 2),
            ("[1}", 2),
            ("'a'", 0),
            ("\u{feff}1", 0),
            ("\u{a0}1", 0),
        ] {
            assert_eq!(scan(text), Err(ScanEnd::NotJson(at)), "{text}");
        }
    }

    #[test]
    fn values_depth_and_texts_are_bounded_while_reading() {
        let values = |count: usize| format!("[{}]", vec!["0"; count - 1].join(","));
        assert_eq!(scan(&values(VALUES_MAX)), Ok(()));
        assert_eq!(scan(&values(VALUES_MAX + 1)), Err(ScanEnd::TooComplex));
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(scan(&nested(DEPTH_MAX)), Ok(()));
        assert_eq!(scan(&nested(DEPTH_MAX + 1)), Err(ScanEnd::TooComplex));
        // The rest is not read: it need not even be JSON.
        assert_eq!(scan(&"[".repeat(16_000)), Err(ScanEnd::TooComplex));
        for part in ["x", "\\n", "\\u0041", "\\ud83d\\ude00"] {
            let text = |bytes: usize| format!("\"{}\"", part.repeat(bytes / part.len()));
            assert_eq!(scan(&text(TEXT_BYTES_MAX)), Ok(()), "{part}");
            assert_eq!(scan(&text(TEXT_BYTES_MAX + part.len())), Err(ScanEnd::LongText), "{part}");
            assert_eq!(scan(text(16_000).trim_end_matches('"')), Err(ScanEnd::LongText), "{part}");
        }
    }

    #[test]
    fn escapes_are_resolved_and_half_pairs_are_not_text() {
        let resolved = |json: &str| match Scanner::new(json).value() {
            Ok(Value::Text(text)) => text.resolve().map(Cow::into_owned),
            other => panic!("{other:?}"),
        };
        assert_eq!(resolved(r#""Stra\u00dfe \"7\" \ud83d\ude00""#).as_deref(), Some("Straße \"7\" 😀"));
        assert_eq!(resolved(r#""plain""#).as_deref(), Some("plain"));
        for half in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#] {
            assert_eq!(resolved(half), None, "{half}");
        }
    }

    /// Texts that are nearly JSON.
    fn near_json() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[\\[\\]{}:,\" \\\\]",
            "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,3})?",
            "(null|true|false|nul)",
            "\"[a-z\\\\/u0-9\u{e9}]{0,6}\"",
            Just("\"a\":".to_owned()),
            Just("\\ud800".to_owned()),
        ];
        proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_096))]
        #[test]
        fn the_scanner_and_serde_json_agree_on_what_is_json(text in near_json()) {
            let by_serde = serde_json::from_str::<IgnoredAny>(&text).is_ok();
            prop_assert_eq!(scan(&text).is_ok(), by_serde, "{}", text);
        }

        #[test]
        fn the_scanner_resolves_every_text(text in any::<String>()) {
            let json = serde_json::to_string(&text).expect("serialises");
            let Ok(Value::Text(quoted)) = Scanner::new(&json).value() else { panic!("{json}") };
            let resolved = quoted.resolve();
            prop_assert_eq!(resolved.as_deref(), Some(text.as_str()));
        }
    }
}
