//! Texts that fit.

/// What stands at the end of a text that was cut.
pub(super) const ELLIPSIS: char = '…';

/// Bytes of `character` in a JSON string, escaped as serde_json does.
const fn escaped_bytes(character: char) -> usize {
    match character {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        other => other.len_utf8(),
    }
}

/// As much of a text as fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut<'a> {
    /// The part that fits, from the start.
    pub(super) kept: &'a str,
    /// Whether something is left out; then an [`ELLIPSIS`] belongs at the end.
    pub(super) is_cut: bool,
    /// Bytes in a JSON string, with the quotes and the ellipsis.
    pub(super) bytes: usize,
}

/// The longest part of `text` that takes at most `bytes_max` bytes as a JSON string.
pub(super) fn cut(text: &str, bytes_max: usize) -> Cut<'_> {
    const QUOTES: usize = 2;
    let room = bytes_max.saturating_sub(QUOTES);
    let room_if_cut = room.saturating_sub(ELLIPSIS.len_utf8());
    let (mut bytes, mut end_if_cut, mut bytes_if_cut) = (0, 0, 0);
    for (index, character) in text.char_indices() {
        if bytes <= room_if_cut {
            (end_if_cut, bytes_if_cut) = (index, bytes);
        }
        bytes += escaped_bytes(character);
        if bytes > room {
            let kept = text.get(..end_if_cut).unwrap_or_default();
            return Cut { kept, is_cut: true, bytes: bytes_if_cut + ELLIPSIS.len_utf8() + QUOTES };
        }
    }
    Cut { kept: text, is_cut: false, bytes: bytes + QUOTES }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_cut_fits_and_no_more_would(
            text in proptest::string::string_regex("(?s)([\\x00-\\x7f]|é|路|😀){0,60}").expect("a pattern"),
            bytes_max in 5_usize..200,
        ) {
            let Cut { kept, is_cut, bytes } = cut(&text, bytes_max);
            prop_assert!(text.starts_with(kept));
            prop_assert_eq!(is_cut, kept.len() < text.len());
            let json = |text: &str| serde_json::to_string(text).expect("JSON").len();
            let shown = if is_cut { format!("{kept}{ELLIPSIS}") } else { kept.to_owned() };
            prop_assert_eq!(json(&shown), bytes);
            prop_assert!(bytes <= bytes_max);
            if is_cut {
                prop_assert!(json(&text) > bytes_max, "only what does not fit is cut");
                let next: String = text.chars().take(kept.chars().count() + 1).chain([ELLIPSIS]).collect();
                prop_assert!(json(&next) > bytes_max, "one more would not fit");
            }
        }
    }
}
