//! From bytes to an order.

use std::fmt;

use serde_json::error::Category;
use shared::order::{
    AddressLine, ClientReference, Country, Currency, FieldError, ITEMS_MAX, Item, Items, ItemsError, Order,
    Quantity, SaleId, ShippingAddress, Sku, UserId,
};
use shared::problem::FieldProblem;
use validator::Validate;

use super::faults::field_problems;
use super::object::Object;
use super::{ItemRequest, OrderRequest};
use crate::error::ApiError;

/// Reads the body.
///
/// # Errors
/// [`ApiError::MalformedJson`], with a pointer to where it stops making sense.
pub fn read_json(body: &[u8]) -> Result<OrderRequest, ApiError> {
    // The good path pays nothing for the place of a fault: only a bad body is read again, watching the path.
    serde_json::from_slice(body).map(|Object(request)| request).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, Object<OrderRequest>>(&mut deserializer) {
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
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What is wrong, without serde's quotation of the value: it may be personal data.
fn fault(mut pointer: String, error: &serde_json::Error) -> FieldProblem {
    let place = format_args!("at line {}, column {}", error.line(), error.column());
    let (code, detail) = match error.classify() {
        Category::Syntax | Category::Eof => ("not_json", format!("the body is not JSON {place}")),
        Category::Data | Category::Io => {
            let text = error.to_string();
            if text.starts_with("unknown field") {
                ("unknown_member", "the member is not known; check its spelling".to_owned())
            } else if let Some(name) =
                text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next())
            {
                // The path ends at the object; the name is one of ours.
                pointer.push('/');
                pointer.push_str(name);
                ("duplicate_member", "the member is given twice".to_owned())
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
    // A good order is looked at once: the types themselves know the rules. Only for a bad one are all faults gathered.
    let first = match parse(request) {
        Ok(order) => return Ok(order),
        Err(first) => first,
    };
    let mut problems = request.validate().err().map(|errors| field_problems(&errors)).unwrap_or_default();
    problems.extend(duplicate_skus(&request.items));
    if problems.is_empty() {
        // The derives ask the same types, so that they find at least as much; if not, it is told all the same.
        problems.push(first);
    }
    problems.sort_by(|left, right| left.pointer.cmp(&right.pointer).then_with(|| left.code.cmp(&right.code)));
    Err(problems)
}

/// Every line whose SKU an earlier line has. Too many lines are a fault of their own and not compared.
fn duplicate_skus(items: &[ItemRequest]) -> impl Iterator<Item = FieldProblem> {
    let compared = if items.len() <= ITEMS_MAX { items } else { &[] };
    let is_duplicate = |index: &usize| {
        let (earlier, sku) = (&compared[..*index], &compared[*index].sku);
        !sku.is_empty() && earlier.iter().any(|item| item.sku == *sku)
    };
    (1..compared.len()).filter(is_duplicate).map(|index| items_problem(ItemsError::DuplicateSku { index }))
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
    let line = |text: &str, name: &str| {
        AddressLine::parse(text).map_err(at(format_args!("/shipping_address/{name}")))
    };
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
            country: Country::parse(&address.country)
                .map_err(at(format_args!("/shipping_address/country")))?,
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body() -> Value {
        json!({
            "sale_id": "s", "user_id": "u", "currency": "CNY",
            "items": [{ "sku": "A", "quantity": 1 }, { "sku": "B", "quantity": 2 }],
            "shipping_address": { "recipient": "R", "line1": "L", "city": "C", "country": "CN" }
        })
    }

    fn faults(body: &Value) -> Vec<(String, String)> {
        let request = read_json(body.to_string().as_bytes()).expect("well-formed");
        let problems = into_order(&request).expect_err("invalid");
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    fn as_strs(faults: &[(String, String)]) -> Vec<(&str, &str)> {
        faults.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect()
    }

    #[test]
    fn a_valid_body_is_an_order() {
        let request = read_json(body().to_string().as_bytes()).expect("well-formed");
        let order = into_order(&request).expect("valid");
        assert_eq!(order.items.as_slice().len(), 2);
    }

    #[test]
    fn all_faults_are_told_at_once_with_pointers() {
        let mut bad = body();
        bad["sale_id"] = json!("has space");
        bad["items"] = json!([
            { "sku": "A", "quantity": 1 },
            { "sku": "A", "quantity": 0 },
            { "sku": "", "quantity": 1 },
            { "sku": "A", "quantity": 1 },
        ]);
        bad["shipping_address"]["city"] = json!("");
        bad["client_reference"] = json!("x".repeat(129));
        let expected = [
            ("/client_reference", "too_long"),
            ("/items/1/quantity", "out_of_range"),
            ("/items/1/sku", "duplicate_sku"),
            ("/items/2/sku", "required"),
            ("/items/3/sku", "duplicate_sku"),
            ("/sale_id", "invalid_format"),
            ("/shipping_address/city", "required"),
        ];
        assert_eq!(as_strs(&faults(&bad)), expected);
    }

    #[test]
    fn missing_members_are_told_all_at_once_like_empty_ones() {
        let expected = [
            ("/currency", "invalid_format"),
            ("/items", "wrong_count"),
            ("/sale_id", "required"),
            ("/shipping_address/city", "required"),
            ("/shipping_address/country", "invalid_format"),
            ("/shipping_address/line1", "required"),
            ("/shipping_address/recipient", "required"),
            ("/user_id", "required"),
        ];
        assert_eq!(as_strs(&faults(&json!({}))), expected);
        let mut bad = body();
        bad["items"] = json!([{}]);
        assert_eq!(
            as_strs(&faults(&bad)),
            [("/items/0/quantity", "out_of_range"), ("/items/0/sku", "required")]
        );
    }

    #[test]
    fn a_wrong_count_of_items_is_one_fault_however_bad_they_are() {
        for items in [json!([]), vec![json!({ "sku": "", "quantity": 0 }); 21].into()] {
            let mut bad = body();
            bad["items"] = items;
            assert_eq!(as_strs(&faults(&bad)), [("/items", "wrong_count")]);
        }
    }

    #[test]
    fn malformed_bodies_say_where_and_never_quote_values() {
        let wrong_type = json!({ "sale_id": "s", "user_id": 5_551_234, "items": [] }).to_string();
        let trailing = format!("{} x", body());
        let cases = [
            ("", "", "not_json"),
            ("{", "", "not_json"),
            ("nonsense", "", "not_json"),
            (r#"{"user_id":"\ud800"}"#, "/user_id", "not_json"),
            (trailing.as_str(), "", "not_json"),
            ("[]", "", "wrong_type"),
            ("null", "", "wrong_type"),
            (r#"["s","u",[],"CNY",{},null]"#, "", "wrong_type"),
            (r#"{"items":[["A",1]]}"#, "/items/0", "wrong_type"),
            (r#"{"items":{"0":1}}"#, "/items", "wrong_type"),
            (r#"{"shipping_address":["R","L"]}"#, "/shipping_address", "wrong_type"),
            (wrong_type.as_str(), "/user_id", "wrong_type"),
            (r#"{"items":[{"sku":"A","quantity":1},{"quantity":-1}]}"#, "/items/1/quantity", "wrong_type"),
            (r#"{"shipping_address":{"phone":5551234}}"#, "/shipping_address/phone", "wrong_type"),
            (r#"{"sale_id":"s","prize":"hunter2"}"#, "/prize", "unknown_member"),
            (r#"{"shipping_address":{"street":"hunter2"}}"#, "/shipping_address/street", "unknown_member"),
            (r#"{"shipping_address":{"hunter2@example.com":1}}"#, "/shipping_address", "unknown_member"),
            (r#"{"+86 5551234":1}"#, "", "unknown_member"),
            (r#"{"sale_id":"s","sale_id":"t"}"#, "/sale_id", "duplicate_member"),
        ];
        for (text, pointer, code) in cases {
            let Err(ApiError::MalformedJson(fault)) = read_json(text.as_bytes()) else {
                panic!("{text} is malformed")
            };
            assert_eq!((fault.pointer.as_str(), fault.code.as_str()), (pointer, code), "{text}");
            let told = format!("{fault:?}");
            assert!(!told.contains("5551234") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_request_shows_nothing_personal_in_debug() {
        let request = read_json(body().to_string().as_bytes()).expect("well-formed");
        assert_eq!(format!("{request:?}"), r#"OrderRequest { sale_id: "s", .. }"#);
        assert_eq!(format!("{:?}", request.shipping_address), "AddressRequest { .. }");
    }
}
