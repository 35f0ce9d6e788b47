//! The head of `POST /v1/orders`.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, GetAll};
use http::{HeaderMap, HeaderValue};
use shared::order::IdempotencyKey;

use crate::error::ApiError;
use crate::request_context::IDEMPOTENCY_KEY;

/// The only media type of a body.
pub(crate) const MEDIA_TYPE: &str = "application/json";

/// Checks the head of a request for an order: JSON in UTF-8, not encoded, and exactly one valid `Idempotency-Key`.
///
/// # Errors
/// [`ApiError::MediaType`], then [`ApiError::ContentEncoding`], then [`ApiError::IdempotencyKey`].
pub(crate) fn check_head(headers: &HeaderMap) -> Result<IdempotencyKey, ApiError> {
    if !only(&headers.get_all(CONTENT_TYPE)).is_some_and(is_json) {
        return Err(ApiError::MediaType);
    }
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        return Err(ApiError::ContentEncoding);
    }
    // With two keys the order would be ambiguous.
    only(&headers.get_all(IDEMPOTENCY_KEY)).and_then(idempotency_key).ok_or(ApiError::IdempotencyKey)
}

/// The value of a header that occurs once.
fn only<'a>(values: &GetAll<'a, HeaderValue>) -> Option<&'a HeaderValue> {
    let mut values = values.iter();
    values.next().filter(|_| values.next().is_none())
}

/// RFC 8259, section 8.1: JSON is UTF-8. The media type defines no charset; a client that declares another one sends
/// other characters than would be read.
fn is_json(value: &HeaderValue) -> bool {
    let mut parts = value.to_str().unwrap_or_default().split(';').map(str::trim_ascii);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case(MEDIA_TYPE) && parts.all(is_harmless)
}

/// True unless `parameter` names another charset than UTF-8 (RFC 9110, sections 5.6.6 and 8.3.2). A semicolon inside
/// quotes splits a parameter, whose parts are then rejected or without meaning.
fn is_harmless(parameter: &str) -> bool {
    match parameter.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
            quoted.unwrap_or(value).eq_ignore_ascii_case("utf-8")
        }
        Some(_) => true,
        None => parameter.is_empty(),
    }
}

/// True if the codings in `value`, a list, leave the body as it is (RFC 9110, section 8.4).
fn is_identity(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|codings| {
        codings
            .split(',')
            .map(str::trim_ascii)
            .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
    })
}

/// A bare key, or a String of structured fields (RFC 9651, section 3.3.3), as the IETF's draft of the header has it; both
/// forms of one key are the same key.
fn idempotency_key(value: &HeaderValue) -> Option<IdempotencyKey> {
    let text = value.to_str().ok()?;
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest.strip_suffix('"')?)?,
        None => Cow::Borrowed(text),
    };
    IdempotencyKey::parse(&key).ok()
}

/// Resolves the escapes of what stands between the quotes: a backslash before a quote or a backslash.
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['"', '\\']) {
        return Some(Cow::Borrowed(text));
    }
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return None,
            '\\' => key.push(characters.next().filter(|escaped| matches!(escaped, '"' | '\\'))?),
            other => key.push(other),
        }
    }
    Some(Cow::Owned(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &[u8]) -> HeaderValue {
        HeaderValue::from_bytes(text).expect("a header")
    }

    #[test]
    fn json_is_read_in_utf_8_only() {
        for value in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json; charset=\"utf-8\"",
            "application/json ; Charset=\"Utf-8\"",
            "application/json; v=1",
            "application/json;",
        ] {
            assert!(is_json(&header(value.as_bytes())), "{value}");
        }
        for value in [
            "",
            "application",
            "application/json; charset=gbk",
            "application/json; charset=iso-8859-1",
            "application/json; charset=utf-8; charset=gbk",
            "application/json; charset=\"utf-16\"",
            "application/json; charset=utf8",
            "application/json-seq",
            "application/problem+json",
            "text/json",
            "application/json, text/plain",
            "application/json; charset",
        ] {
            assert!(!is_json(&header(value.as_bytes())), "{value}");
        }
    }

    #[test]
    fn only_the_identity_coding_is_read() {
        for value in ["identity", "Identity", "identity, identity", ""] {
            assert!(is_identity(&header(value.as_bytes())), "{value}");
        }
        for value in ["gzip", "br", "identity, gzip", "x-gzip", "identity;q=1"] {
            assert!(!is_identity(&header(value.as_bytes())), "{value}");
        }
    }

    /// RFC 9651, section 3.3.3; the draft's example is `"8e03978e-40d5-43e8-bc93-6894a57f9324"`.
    #[test]
    fn a_key_is_one_key_in_both_forms() {
        let read = |text: &[u8]| idempotency_key(&header(text)).map(|key| key.as_str().to_owned());
        for (form, key) in [
            ("8e03978e-40d5-43e8-bc93-6894a57f9324", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            ("\"8e03978e-40d5-43e8-bc93-6894a57f9324\"", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
            (r#""a\"b""#, r#"a"b"#),
            (r#"a"b"#, r#"a"b"#),
            (r#""a\\b""#, r"a\b"),
            (r"a\b", r"a\b"),
            (r#""\"""#, "\""),
        ] {
            assert_eq!(read(form.as_bytes()).as_deref(), Some(key), "{form}");
        }
        for form in [
            "\"",
            "\"\"",
            "\"abc",
            "\"a\"b\"",
            "\"abc\";a=1",
            r#""a\b""#,
            r#""a\""#,
            "\"two words\"",
            "two words",
            "",
        ] {
            assert_eq!(read(form.as_bytes()), None, "{form}");
        }
        assert_eq!(read("schl\u{fc}ssel".as_bytes()), None);
        let longest = "k".repeat(255);
        assert_eq!(read(longest.as_bytes()), Some(longest.clone()));
        assert_eq!(read(format!("\"{longest}\"").as_bytes()), Some(longest.clone()));
        assert_eq!(read(format!("{longest}k").as_bytes()), None);
    }
}
