//! From bytes to an order.

use std::fmt;

use serde_json::error::Category;
use shared::order::{
    AddressLine, ClientReference, Country, Currency, FieldError, Item, Items, ItemsError, Order, Quantity, SaleId,
    ShippingAddress, Sku, UserId,
};
use shared::problem::FieldProblem;
use validator::Validate;

use super::{ItemRequest, OrderRequest, field_problems};
use crate::error::ApiError;

/// Reads the body.
///
/// # Errors
/// [`ApiError::MalformedJson`], with a pointer to where it stops making sense.
pub fn read_json(body: &[u8]) -> Result<OrderRequest, ApiError> {
    // The good path pays nothing for the place of a fault: only a bad body is read again, watching the path.
    serde_json::from_slice(body).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, OrderRequest>(&mut deserializer) {
            Err(error) => ApiError::MalformedJson(fault(pointer(error.path()), error.inner())),
            // The order itself is sound, so it is what follows it that is not.
            Ok(_) => ApiError::MalformedJson(fault(String::new(), &error)),
        }
    })
}

/// Where a fault lies. A name that could not be a member's, misspelt or not, is left out, so that the pointer is its
/// parent's: it may be personal data.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } if is_like_a_member(key) => {
                pointer.push('/');
                pointer.push_str(key);
            }
            Segment::Map { .. } | Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// Such a name needs no escaping in a pointer (RFC 6901) either.
fn is_like_a_member(name: &str) -> bool {
    (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'1' || byte == b'2')
}

/// What is wrong, without serde's quotation of the value: it may be personal data.
fn fault(pointer: String, error: &serde_json::Error) -> FieldProblem {
    let place = format_args!("at line {}, column {}", error.line(), error.column());
    let (code, detail) = match error.classify() {
        Category::Syntax | Category::Eof => ("not_json", format!("the body is not JSON {place}")),
        Category::Data | Category::Io => {
            let text = error.to_string();
            if text.starts_with("unknown field") {
                ("unknown_member", "the member is not known; check its spelling".to_owned())
            } else if text.starts_with("duplicate field") {
                ("duplicate_member", "a member is given twice".to_owned())
            } else {
                ("wrong_type", format!("the value has the wrong type or is out of range {place}"))
            }
        }
    };
    FieldProblem { code: code.to_owned(), pointer, detail }
}

/// Validates and parses.
///
/// # Errors
/// Every fault of the request, each with its pointer.
pub fn into_order(request: &OrderRequest) -> Result<Order, Vec<FieldProblem>> {
    let mut problems = request.validate().err().map(|errors| field_problems(&errors)).unwrap_or_default();
    problems.extend(duplicate_skus(&request.items));
    if problems.is_empty() {
        // The derives asked the same types, so that this cannot fail any more; if it does, it is told all the same.
        return parse(request).map_err(|problem| vec![problem]);
    }
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer).then_with(|| left.code.cmp(&right.code)));
    Err(problems)
}

/// Every line whose SKU an earlier line has. Too many lines are a fault of their own, and are not compared.
fn duplicate_skus(items: &[ItemRequest]) -> impl Iterator<Item = FieldProblem> {
    let compared = if items.len() > shared::order::ITEMS_MAX { &[] } else { items };
    let given_before =
        |index: &usize| compared[..*index].iter().any(|earlier| earlier.sku == compared[*index].sku && !earlier.sku.is_empty());
    (1..compared.len()).filter(given_before).map(|index| items_problem(ItemsError::DuplicateSku { index }))
}

fn parse(request: &OrderRequest) -> Result<Order, FieldProblem> {
    let mut items = Vec::with_capacity(request.items.len());
    for (index, item) in request.items.iter().enumerate() {
        items.push(Item {
            sku: Sku::parse(&item.sku).map_err(at(format_args!("/items/{index}/sku")))?,
            quantity: Quantity::new(item.quantity).ok_or_else(|| FieldProblem {
                code: "out_of_range".to_owned(),
                pointer: format!("/items/{index}/quantity"),
                detail: format!("must be 1 to {}", Quantity::MAX),
            })?,
        });
    }
    let address = &request.shipping_address;
    let line = |text: &str, name: &str| AddressLine::parse(text).map_err(at(format_args!("/shipping_address/{name}")));
    let optional = |text: Option<&String>, name: &str| text.map(|text| line(text, name)).transpose();
    Ok(Order {
        sale_id: SaleId::parse(&request.sale_id).map_err(at(format_args!("/sale_id")))?,
        user_id: UserId::parse(&request.user_id).map_err(at(format_args!("/user_id")))?,
        items: Items::new(items).map_err(items_problem)?,
        currency: Currency::parse(&request.currency).map_err(at(format_args!("/currency")))?,
        shipping_address: ShippingAddress {
            recipient: line(&address.recipient, "recipient")?,
            line1: line(&address.line1, "line1")?,
            line2: optional(address.line2.as_ref(), "line2")?,
            city: line(&address.city, "city")?,
            region: optional(address.region.as_ref(), "region")?,
            postal_code: optional(address.postal_code.as_ref(), "postal_code")?,
            country: Country::parse(&address.country).map_err(at(format_args!("/shipping_address/country")))?,
            phone: optional(address.phone.as_ref(), "phone")?,
        },
        client_reference: request
            .client_reference
            .as_deref()
            .map(ClientReference::parse)
            .transpose()
            .map_err(at(format_args!("/client_reference")))?,
    })
}

/// Makes a field's fault a problem. The pointer is written only if it is needed.
fn at(pointer: fmt::Arguments<'_>) -> impl FnOnce(FieldError) -> FieldProblem {
    move |error| FieldProblem {
        code: "invalid_format".to_owned(),
        pointer: pointer.to_string(),
        detail: error.to_string(),
    }
}

fn items_problem(error: ItemsError) -> FieldProblem {
    let (code, pointer) = match error {
        ItemsError::Count => ("wrong_count", "/items".to_owned()),
        ItemsError::DuplicateSku { index } => ("duplicate_sku", format!("/items/{index}/sku")),
    };
    FieldProblem { code: code.to_owned(), pointer, detail: error.to_string() }
}
