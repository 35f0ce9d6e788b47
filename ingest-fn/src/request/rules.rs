//! The rules live in the types; these let `validator` ask them.

use shared::order::{AddressLine, ClientReference, Country, Currency, FieldError, SaleId, Sku, UserId};
use validator::ValidationError;

macro_rules! rules {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(pub(super) fn $name(text: &str) -> Result<(), ValidationError> {
            <$type>::parse(text).map(drop).map_err(fault)
        })*
    };
}

rules! {
    sale_id: SaleId,
    user_id: UserId,
    sku: Sku,
    currency: Currency,
    line: AddressLine,
    country: Country,
    client_reference: ClientReference,
}

fn fault(error: FieldError) -> ValidationError {
    let code = match error {
        FieldError::Empty => "required",
        FieldError::TooLong { .. } => "too_long",
        FieldError::Characters { .. } => "invalid_format",
    };
    ValidationError::new(code).with_message(error.to_string().into())
}
