//! The text fields of an order, each a type that holds valid values only.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::displayed_text;
use super::field_error::{FieldError, check_length};

/// Declares a text type with its bound, its alphabet, its schema and the conversions that all have. `$parse` takes text and
/// bound, and returns what the type holds.
macro_rules! text_field {
    ($(#[$meta:meta])* $name:ident, max $max:literal, $parse:expr, $pattern:expr) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Maximum length, characters.
            pub const LENGTH_MAX: usize = $max;

            /// Regular expression (ECMA-262) of the allowed characters, for schemas.
            pub const PATTERN: &'static str = $pattern;

            /// Checks `text`.
            ///
            /// # Errors
            /// The first bound that `text` breaks.
            pub fn parse(text: &str) -> Result<Self, FieldError> {
                let parse: fn(&str, usize) -> Result<Cow<'_, str>, FieldError> = $parse;
                Ok(Self(parse(text, $max)?.into()))
            }

            /// Borrows the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = FieldError;

            fn from_str(text: &str) -> Result<Self, FieldError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        inline_schema!($name, json_schema!({
            "type": "string", "minLength": 1, "maxLength": $max, "pattern": $pattern
        }));
    };
}

/// Describes a field where it is used: a schema of its own would only be looked up.
macro_rules! inline_schema {
    ($name:ident, $schema:expr) => {
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}
pub(super) use inline_schema;

/// Adds `Display` and a plain `Debug` to a field that may appear in logs.
macro_rules! loggable {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }
    };
}

/// Adds a `Debug` that masks the value.
macro_rules! masked {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(***)"))
            }
        }
    };
}

/// Letters, digits, `-`, `_` and `.`.
fn name(text: &str, max: usize) -> Result<Cow<'_, str>, FieldError> {
    check_length(text, max)?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.bytes().all(is_name) {
        Ok(text.into())
    } else {
        Err(FieldError::Characters { allowed: "letters, digits, '-', '_' and '.'" })
    }
}

fn visible_ascii(text: &str, max: usize) -> Result<Cow<'_, str>, FieldError> {
    check_length(text, max)?;
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err(FieldError::Characters { allowed: "visible ASCII characters" })
    }
}

text_field!(
    /// Names a flash sale.
    SaleId, max 64, name, r"^[A-Za-z0-9._-]+$"
);
loggable!(SaleId);

text_field!(
    /// Names a stock-keeping unit within a sale.
    Sku, max 64, name, r"^[A-Za-z0-9._-]+$"
);
loggable!(Sku);

text_field!(
    /// Identifies a buyer. As long as the `sub` of OpenID Connect (Core 1.0, section 2). Masked in `Debug`: it may be a
    /// telephone number or an e-mail address.
    UserId, max 255, visible_ascii, r"^[!-~]+$"
);
masked!(UserId);

text_field!(
    /// Two requests of one buyer with the same key, in one sale, are the same order.
    IdempotencyKey, max 255, visible_ascii, r"^[!-~]+$"
);
masked!(IdempotencyKey);

text_field!(
    /// The client's own reference of an order, trimmed and normalized. Masked in `Debug`: it may hold personal data.
    ClientReference, max 128, displayed_text::normalize, displayed_text::PATTERN
);
masked!(ClientReference);

text_field!(
    /// A line of an address, trimmed and normalized: it has something to see, and nothing that moves it on a screen.
    /// Personal data, masked in `Debug`.
    AddressLine, max 200, displayed_text::normalize, displayed_text::PATTERN
);
masked!(AddressLine);

/// An ISO 4217 alphabetic code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Regular expression (ECMA-262), for schemas.
    pub const PATTERN: &'static str = "^[A-Z]{3}$";

    /// Checks `text`.
    ///
    /// # Errors
    /// [`FieldError::Characters`] unless it is three letters A to Z.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(FieldError::Characters { allowed: "a three-letter ISO 4217 code such as CNY" }),
        }
    }

    /// Borrows the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes are ASCII by construction, so the fallback is unreachable.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

inline_schema!(Currency, json_schema!({ "type": "string", "pattern": Currency::PATTERN }));

impl fmt::Display for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A shipping address. Personal data: its `Debug` shows only the country.
#[derive(Clone, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ShippingAddress {
    /// Name of the recipient.
    pub recipient: AddressLine,
    /// Street and number.
    pub line1: AddressLine,
    /// Second line, such as building or room.
    pub line2: Option<AddressLine>,
    /// City.
    pub city: AddressLine,
    /// Province or state.
    pub region: Option<AddressLine>,
    /// Postal code.
    pub postal_code: Option<AddressLine>,
    /// ISO 3166-1 alpha-2 code.
    pub country: Country,
    /// Telephone number.
    pub phone: Option<AddressLine>,
}

impl fmt::Debug for ShippingAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ShippingAddress(*** {})", self.country.as_str())
    }
}

/// An ISO 3166-1 alpha-2 code: two upper-case letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Regular expression (ECMA-262), for schemas.
    pub const PATTERN: &'static str = "^[A-Z]{2}$";

    /// Checks `text`.
    ///
    /// # Errors
    /// [`FieldError::Characters`] unless it is two letters A to Z.
    pub fn parse(text: &str) -> Result<Self, FieldError> {
        match <[u8; 2]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(FieldError::Characters { allowed: "a two-letter ISO 3166 code such as CN" }),
        }
    }

    /// Borrows the code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

inline_schema!(Country, json_schema!({ "type": "string", "pattern": Country::PATTERN }));

/// A W3C `traceparent` header: `00-<32 hex>-<16 hex>-<2 hex>`, lower case, ids not all zero.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TraceParent(Box<str>);

impl TraceParent {
    /// Checks `text` against W3C Trace Context, level 1 (version 00).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let lower_hex = |part: &str, length: usize| {
            part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let not_zero = |part: &str| part.bytes().any(|byte| byte != b'0');
        let valid = parts.next() == Some("00")
            && parts.next().is_some_and(|id| lower_hex(id, 32) && not_zero(id))
            && parts.next().is_some_and(|id| lower_hex(id, 16) && not_zero(id))
            && parts.next().is_some_and(|flags| lower_hex(flags, 2))
            && parts.next().is_none();
        valid.then(|| Self(text.into()))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
loggable!(TraceParent);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_keep_to_their_alphabet() {
        let cases = [
            ("", Err(FieldError::Empty)),
            ("double-eleven_2026.1", Ok(())),
            ("a b", Err(FieldError::Characters { allowed: "letters, digits, '-', '_' and '.'" })),
            ("日", Err(FieldError::Characters { allowed: "letters, digits, '-', '_' and '.'" })),
        ];
        for (text, expected) in cases {
            assert_eq!(SaleId::parse(text).map(drop), expected, "{text:?}");
        }
        assert!(SaleId::parse(&"x".repeat(64)).is_ok());
        assert_eq!(SaleId::parse(&"x".repeat(65)), Err(FieldError::TooLong { max: 64 }));
        assert!(UserId::parse(&"~".repeat(255)).is_ok());
        assert_eq!(UserId::parse(&"~".repeat(256)), Err(FieldError::TooLong { max: 255 }));
    }

    #[test]
    fn lengths_count_characters_not_bytes() {
        assert!(AddressLine::parse(&"路".repeat(200)).is_ok());
        assert_eq!(AddressLine::parse(&"路".repeat(201)), Err(FieldError::TooLong { max: 200 }));
    }

    #[test]
    fn personal_fields_do_not_show_in_debug() {
        let user = UserId::parse("alice@example.com").expect("valid");
        assert_eq!(format!("{user:?}"), "UserId(***)");
        let line = AddressLine::parse("1 Long Street").expect("valid");
        assert_eq!(format!("{line:?}"), "AddressLine(***)");
    }

    #[test]
    fn currency_and_country_are_upper_case_codes() {
        for text in ["CNY", "USD"] {
            assert_eq!(Currency::parse(text).expect("valid").as_str(), text);
        }
        for text in ["", "cny", "CN", "CNYY", "C1Y", "日"] {
            assert!(Currency::parse(text).is_err(), "{text:?}");
        }
        assert!(Country::parse("CN").is_ok());
        assert!(Country::parse("cn").is_err());
    }

    #[test]
    fn traceparent_follows_the_w3c_grammar() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(TraceParent::parse(good).expect("valid").as_str(), good);
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        ] {
            assert!(TraceParent::parse(bad).is_none(), "{bad:?}");
        }
    }
}
