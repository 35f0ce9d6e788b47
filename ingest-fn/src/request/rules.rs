//! `validator`'s view of the rules: each asks the type in [`shared::order`] that states the rule, and every violation
//! becomes a problem with a JSON pointer.

use shared::order::{
    AddressLine, ClientReference, Country, Currency, FieldError, ITEMS_MAX, ItemsError, Quantity, SaleId,
    Sku, UserId,
};
use shared::problem::FieldProblem;
use validator::{Validate, ValidationError, ValidationErrors, ValidationErrorsKind};

use super::{ItemRequest, OrderRequest};

macro_rules! rules {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(pub(super) fn $name(text: &str) -> Result<(), ValidationError> {
            <$type>::parse(text).map(drop).map_err(violation)
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

fn violation(error: FieldError) -> ValidationError {
    let code = match error {
        FieldError::Empty => "required",
        FieldError::TooLong { .. } => "too_long",
        FieldError::Characters { .. } => "invalid_format",
    };
    ValidationError::new(code).with_message(error.to_string().into())
}

pub(super) fn item_count(items: &[ItemRequest]) -> Result<(), ValidationError> {
    if (1..=ITEMS_MAX).contains(&items.len()) {
        return Ok(());
    }
    Err(ValidationError::new("wrong_count").with_message(ItemsError::Count.to_string().into()))
}

pub(super) fn quantity(value: u32) -> Result<(), ValidationError> {
    let message = || format!("must be 1 to {}", Quantity::MAX).into();
    let quantity = Quantity::new(value).map(drop);
    quantity.ok_or_else(|| ValidationError::new("out_of_range").with_message(message()))
}

/// Every violation, sorted by pointer and code. Values never appear: they may be personal data.
pub(super) fn problems(request: &OrderRequest) -> Vec<FieldProblem> {
    let mut problems = Vec::new();
    if let Err(errors) = request.validate() {
        collect(&errors, "", &mut problems);
    }
    problems.extend(duplicate_skus(&request.items));
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer).then_with(|| left.code.cmp(&right.code)));
    problems
}

fn collect(errors: &ValidationErrors, parent: &str, problems: &mut Vec<FieldProblem>) {
    for (field, kind) in errors.errors() {
        // The members' names need no escaping (RFC 6901): they contain neither `~` nor `/`.
        let pointer = format!("{parent}/{field}");
        match kind {
            ValidationErrorsKind::Field(errors) => problems.extend(errors.iter().map(|error| FieldProblem {
                code: error.code.clone().into_owned(),
                pointer: pointer.clone(),
                detail: error.message.as_deref().unwrap_or("is not valid").to_owned(),
            })),
            ValidationErrorsKind::Struct(inner) => collect(inner, &pointer, problems),
            ValidationErrorsKind::List(list) => {
                for (index, inner) in list {
                    collect(inner, &format!("{pointer}/{index}"), problems);
                }
            }
        }
    }
}

/// Every line whose SKU an earlier line has. Too many lines are a problem of their own and not compared.
fn duplicate_skus(items: &[ItemRequest]) -> impl Iterator<Item = FieldProblem> {
    let compared = if items.len() <= ITEMS_MAX { items } else { &[] };
    let is_duplicate = |index: &usize| {
        let (earlier, sku) = (&compared[..*index], &compared[*index].sku);
        !sku.is_empty() && earlier.iter().any(|item| item.sku == *sku)
    };
    (1..compared.len()).filter(is_duplicate).map(|index| FieldProblem {
        code: "duplicate_sku".to_owned(),
        pointer: format!("/items/{index}/sku"),
        detail: ItemsError::DuplicateSku { index }.to_string(),
    })
}
