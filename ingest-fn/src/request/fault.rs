//! The codes of `errors` in a problem document.

use std::borrow::Cow;

use shared::problem::FieldProblem;

macro_rules! field_faults {
    ($($(#[doc = $doc:literal])+ $variant:ident, $name:literal;)*) => {
        /// A fault of one place in the body.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum FieldFault {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl FieldFault {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code, which never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// A sentence for the OpenAPI document.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim(),)* }
            }
        }
    };
}

field_faults! {
    /// The body is not JSON; nothing else is reported.
    NotJson, "not_json";
    /// The member is missing or empty.
    Required, "required";
    /// The value has another type, or is a fraction instead of a whole number.
    WrongType, "wrong_type";
    /// The text has too many characters.
    TooLong, "too_long";
    /// The text has characters that the member does not allow, or nothing visible.
    InvalidFormat, "invalid_format";
    /// The number is too small or too large.
    OutOfRange, "out_of_range";
    /// There are no items, or too many.
    WrongCount, "wrong_count";
    /// An earlier line has the same SKU.
    DuplicateSku, "duplicate_sku";
    /// The member is not known.
    UnknownMember, "unknown_member";
    /// The member is given twice.
    DuplicateMember, "duplicate_member";
    /// The body has far more values or a far longer text than an order, or nests too deep.
    TooComplex, "too_complex";
    /// There is no such sale.
    UnknownSale, "unknown_sale";
    /// The sale does not sell the SKU.
    UnknownSku, "unknown_sku";
    /// The line exceeds the purchase limit of one buyer.
    QuantityOverLimit, "quantity_over_limit";
    /// The sale has another currency.
    WrongCurrency, "wrong_currency";
}

impl FieldFault {
    /// `detail` never repeats the value: it may be personal data.
    pub(crate) fn at(self, pointer: String, detail: impl Into<Cow<'static, str>>) -> FieldProblem {
        FieldProblem { code: Cow::Borrowed(self.as_str()), pointer, detail: detail.into() }
    }
}
