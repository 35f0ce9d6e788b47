//! Text that people read: on a parcel, or on a support desk's screen.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use super::field_error::{FieldError, check_length};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();

/// Regular expression (ECMA-262) of the rules, for schemas. It lists the blank characters of the basic plane only.
pub(super) const PATTERN: &str = concat!(
    r"^[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*",
    r"[^\x00-\x20\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u2028-\u202f",
    r"\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8]",
    r"[^\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]*$"
);

pub(super) const ALLOWED: &str = "printable characters, at least one of them visible, and no line breaks or controls of the text's direction";

/// Returns `text` without surrounding white space, in Unicode's normalization form C (UAX #15), so that the notations of
/// one text are one order. `max` bounds the characters as given and as returned.
pub(super) fn normalize(text: &str, max: usize) -> Result<Cow<'_, str>, FieldError> {
    check_length(text, max)?;
    // A byte that is neither a control nor beyond ASCII.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        let text = text.trim_ascii();
        return if text.is_empty() {
            Err(FieldError::Characters { allowed: ALLOWED })
        } else {
            Ok(text.into())
        };
    }
    let text = text.trim();
    if text.chars().any(moves_text) || !text.chars().any(is_visible) {
        return Err(FieldError::Characters { allowed: ALLOWED });
    }
    let composed = NFC.normalize(text);
    check_length(&composed, max)?;
    Ok(composed)
}

/// True for controls, line and paragraph separators, and `Bidi_Control` (UAX #9): they move text on a screen. False for
/// joiners, with which Persian and Indic names are spelt.
#[must_use]
pub fn moves_text(character: char) -> bool {
    // The last of them, so that most scripts need one comparison.
    character <= '\u{2069}'
        && (matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        ) || character.is_control())
}

/// False for white space, for `Default_Ignorable_Code_Point` (Unicode 16, `DerivedCoreProperties.txt`), which has no
/// glyph, and for the blank of Braille.
fn is_visible(character: char) -> bool {
    if character.is_ascii() {
        return character.is_ascii_graphic();
    }
    !matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    ) && !character.is_whitespace()
        && !character.is_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::*;

    fn normalized(text: &str) -> Option<String> {
        normalize(text, 200).ok().map(Cow::into_owned)
    }

    #[test]
    fn names_of_many_scripts_are_kept_as_they_are() {
        for name in [
            "Li Lei",
            "张伟",
            "O'Neil-Ştefănescu",
            "Nguyễn Thị Minh Khai",
            // Persian: a zero-width non-joiner inside "می‌خواهم", as its orthography demands.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            // Hindi and Sinhala conjuncts: virama and a zero-width joiner.
            "\u{915}\u{94d}\u{200d}\u{937}\u{947}\u{92e}",
            "\u{dc1}\u{dca}\u{200d}\u{dbb}\u{dd3}",
            "山田\u{3000}太郎",
            "👩\u{200d}👩\u{200d}👧 Flat 7",
            "Unit\u{a0}7",
        ] {
            assert_eq!(normalized(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn blank_texts_and_moving_texts_are_rejected() {
        for text in [
            " ",
            "\u{3000}",
            "\u{a0}\u{2003}",
            "\u{200b}",
            "\u{2800}",
            "\u{3164}",
            "\u{115f}",
            "\u{ffa0}",
            "\u{feff}",
            "\u{200c}\u{200d}",
            "\u{ad}",
            "\u{2060}",
            "\u{e0041}",
            "\u{fe0f}",
            "a\u{202e}b",
            "\u{202a}a",
            "a\u{2066}b\u{2069}",
            "\u{200e}a",
            "a\u{200f}b",
            "a\u{61c}b",
            "a\u{2028}b",
            "a\u{2029}b",
            "a\tb",
            "a\nb",
            "a\u{0}",
            "a\u{7f}",
            "a\u{85}b",
            "é\u{9f}",
        ] {
            assert_eq!(normalized(text), None, "{text:?}");
        }
        assert_eq!(normalize("", 200), Err(FieldError::Empty));
    }

    /// Pairs of the second and third column of `NormalizationTest.txt` (Unicode 16, part 0 and 1), and of UAX #15,
    /// figures 3 and 5.
    #[test]
    fn notations_of_one_text_become_one() {
        for (given, composed) in [
            ("\u{41}\u{30a}", "\u{c5}"),
            ("\u{212b}", "\u{c5}"),
            ("\u{2126}", "\u{3a9}"),
            ("\u{1e0a}\u{323}", "\u{1e0c}\u{307}"),
            ("\u{110b}\u{116e}\u{11af}", "\u{c6b8}"),
            ("\u{64}\u{307}\u{323}", "\u{1e0d}\u{307}"),
            // Composition exclusions: DEVANAGARI LETTER QA, as "क़ुरैशी" is typed.
            ("\u{958}", "\u{915}\u{93c}"),
            ("\u{928}\u{93c}", "\u{929}"),
            // ARABIC ALEF WITH MADDA ABOVE.
            ("\u{627}\u{653}", "\u{622}"),
            ("  Li Lei\u{3000}", "Li Lei"),
            ("\u{2003}张伟\u{a0}", "张伟"),
        ] {
            assert_eq!(normalized(given).as_deref(), Some(composed), "{given:?}");
        }
    }

    #[test]
    fn the_bound_holds_before_and_after() {
        // Two characters each once it is composed.
        let grows = "\u{958}".repeat(101);
        assert_eq!(normalize(&grows, 200), Err(FieldError::TooLong { max: 200 }));
        assert!(normalize(&"\u{958}".repeat(100), 200).is_ok());
        assert_eq!(normalize(&" ".repeat(201), 200), Err(FieldError::TooLong { max: 200 }));
    }

    /// The tables of `regex`, which are Unicode's.
    #[test]
    fn every_character_is_judged_as_unicode_defines_it() {
        let visible = Regex::new(r"^[^\p{White_Space}\p{Default_Ignorable_Code_Point}\p{Cc}\u{2800}]$")
            .expect("a regex");
        let forbidden = Regex::new(r"^[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]$").expect("a regex");
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            assert_eq!(is_visible(character), visible.is_match(&text), "{character:?}");
            assert_eq!(moves_text(character), forbidden.is_match(&text), "{character:?}");
        }
    }

    proptest! {
        #[test]
        fn a_normalized_text_stays_as_it_is(text in "(?s)[ a-zé\u{300}-\u{330}\u{958}\u{200c}\u{3000}क़क़ا\u{653}]{0,40}") {
            if let Some(once) = normalized(&text) {
                let twice = normalized(&once);
                prop_assert_eq!(twice.as_deref(), Some(once.as_str()));
                prop_assert!(!once.starts_with(char::is_whitespace) && !once.ends_with(char::is_whitespace));
            }
        }
    }
}
