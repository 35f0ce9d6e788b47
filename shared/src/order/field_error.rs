//! The bounds that every text field has.

/// The bound that a field's text breaks. Never holds the text: it may be personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The text is empty.
    #[error("must not be empty")]
    Empty,
    /// The text is too long.
    #[error("must be at most {max} characters long")]
    TooLong {
        /// Maximum length, characters.
        max: usize,
    },
    /// The text has characters outside the allowed set.
    #[error("may hold only {allowed}")]
    Characters {
        /// Description of the allowed set.
        allowed: &'static str,
    },
}

/// # Errors
/// [`FieldError::Empty`] or [`FieldError::TooLong`].
pub(super) fn check_length(text: &str, max: usize) -> Result<(), FieldError> {
    if text.is_empty() {
        return Err(FieldError::Empty);
    }
    // A text never has more characters than bytes. Counting stops at the bound, so a hostile megabyte costs no more
    // than a long name.
    if text.len() > max && text.chars().nth(max).is_some() {
        return Err(FieldError::TooLong { max });
    }
    Ok(())
}
