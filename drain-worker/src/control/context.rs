//! The author and the reason of an action, for the audit trail.

use shared::order::moves_text;

/// Maximum length of the operator's name, characters.
pub const NAME_CHARS_MAX: usize = 64;

/// Maximum length of the reason, characters.
pub const REASON_CHARS_MAX: usize = 200;

/// The author and the reason of an action: the token is checked, the rest is what the caller states.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditContext {
    /// The name of the token that the caller presented; empty: none.
    pub actor: String,
    /// Empty: not stated.
    pub who: String,
    /// Empty: not stated.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditContextError {
    #[error("{name} has at most {chars_max} characters")]
    TooLong { name: &'static str, chars_max: usize },
    /// A terminal or a browser would obey it.
    #[error("{name} must be one line without control characters and changes of the text's direction")]
    ControlCharacter { name: &'static str },
}

impl AuditContext {
    /// Validates what a caller states.
    ///
    /// # Errors
    /// The first [`AuditContextError`].
    pub fn new(who: String, reason: String) -> Result<Self, AuditContextError> {
        for (name, text, chars_max) in [("who", &who, NAME_CHARS_MAX), ("reason", &reason, REASON_CHARS_MAX)]
        {
            if text.chars().count() > chars_max {
                return Err(AuditContextError::TooLong { name, chars_max });
            }
            if text.chars().any(moves_text) {
                return Err(AuditContextError::ControlCharacter { name });
            }
        }
        Ok(Self { actor: String::new(), who, reason })
    }

    /// The same, by the token of the name `actor`.
    #[must_use]
    pub fn by(self, actor: &str) -> Self {
        Self { actor: actor.to_owned(), ..self }
    }

    /// See [`author`].
    #[must_use]
    pub fn author(&self) -> String {
        author(&self.actor, &self.who)
    }
}

/// `ops (ann)`: the token, and the stated name as a note beside it; empty if both are.
#[must_use]
pub fn author(actor: &str, who: &str) -> String {
    match (actor, who) {
        ("", who) => who.to_owned(),
        (actor, "") => actor.to_owned(),
        (actor, who) => format!("{actor} ({who})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_steers_a_terminal_is_refused() {
        let check = |who: &str, reason: &str| AuditContext::new(who.to_owned(), reason.to_owned());
        for (what, text) in [
            ("an escape sequence that clears the screen", "ann\u{1b}[2J"),
            ("a line feed that begins another row", "ann\n2026-11-11 bob rate_set"),
            ("a carriage return", "ann\rbob"),
            ("a tab", "ann\tbob"),
            ("NUL", "ann\0"),
            ("DEL", "ann\u{7f}"),
            ("C1: control sequence introducer", "ann\u{9b}2J"),
            ("a line separator", "ann\u{2028}bob"),
            ("right-to-left override", "ann\u{202e}bob"),
            ("an isolate", "ann\u{2066}bob"),
            ("an Arabic letter mark", "ann\u{61c}"),
        ] {
            let who = AuditContextError::ControlCharacter { name: "who" };
            let reason = AuditContextError::ControlCharacter { name: "reason" };
            assert_eq!(check(text, ""), Err(who), "{what}");
            assert_eq!(check("ann", text), Err(reason), "{what}");
        }
        assert!(check("王芳", "大促开始, naïve – שלום").is_ok());
    }

    #[test]
    fn text_is_bounded() {
        let long = AuditContextError::TooLong { name: "who", chars_max: 64 };
        assert!(AuditContext::new("é".repeat(64), "é".repeat(200)).is_ok());
        assert_eq!(AuditContext::new("é".repeat(65), String::new()), Err(long));
        assert_eq!(
            AuditContext::new(String::new(), "é".repeat(201)).map_err(|error| error.to_string()),
            Err("reason has at most 200 characters".to_owned())
        );
    }
}
