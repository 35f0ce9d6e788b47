//! Truncation of text to a number of bytes as JSON.

/// Ends a truncated text.
pub(super) const ELLIPSIS: char = '…';

/// Bytes of `character` in a JSON string, with serde_json's escapes.
const fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// The part of a text that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Truncated<'a> {
    pub(super) prefix: &'a str,
    /// True if the text is longer than `prefix`; the writer then appends an [`ELLIPSIS`].
    pub(super) is_truncated: bool,
    /// Bytes of the JSON string, quotes and ellipsis included.
    pub(super) bytes: usize,
}

/// Returns the longest prefix of `text` that takes at most `bytes_max` bytes as a JSON string.
pub(super) fn truncate(text: &str, bytes_max: usize) -> Truncated<'_> {
    const QUOTES: usize = 2;
    let room = bytes_max.saturating_sub(QUOTES);
    let room_if_truncated = room.saturating_sub(ELLIPSIS.len_utf8());
    let (mut bytes, mut end_if_truncated, mut bytes_if_truncated) = (0, 0, 0);
    for (index, character) in text.char_indices() {
        if bytes <= room_if_truncated {
            (end_if_truncated, bytes_if_truncated) = (index, bytes);
        }
        bytes += escaped_bytes(character);
        if bytes > room {
            let prefix = text.get(..end_if_truncated).unwrap_or_default();
            return Truncated {
                prefix,
                is_truncated: true,
                bytes: bytes_if_truncated + ELLIPSIS.len_utf8() + QUOTES,
            };
        }
    }
    Truncated { prefix: text, is_truncated: false, bytes: bytes + QUOTES }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_prefix_is_the_longest_that_fits(
            text in proptest::string::string_regex("(?s)([\\x00-\\x7f]|é|路|😀){0,60}").expect("a pattern"),
            bytes_max in 5_usize..200,
        ) {
            let Truncated { prefix, is_truncated, bytes } = truncate(&text, bytes_max);
            prop_assert!(text.starts_with(prefix));
            prop_assert_eq!(is_truncated, prefix.len() < text.len());
            let json = |text: &str| serde_json::to_string(text).expect("JSON").len();
            let shown = if is_truncated { format!("{prefix}{ELLIPSIS}") } else { prefix.to_owned() };
            prop_assert_eq!(json(&shown), bytes);
            prop_assert!(bytes <= bytes_max);
            if is_truncated {
                prop_assert!(json(&text) > bytes_max, "a text that fits is not truncated");
                let next: String = text.chars().take(prefix.chars().count() + 1).chain([ELLIPSIS]).collect();
                prop_assert!(json(&next) > bytes_max, "one more character does not fit");
            }
        }
    }
}
