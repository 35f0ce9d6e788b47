//! From bytes to an order.

use shared::order::{
    AddressLine, ClientReference, Country, Currency, FieldError, Item, Items, ItemsError, Order, Quantity, SaleId,
    ShippingAddress, Sku, UserId,
};
use shared::problem::FieldProblem;
use validator::Validate;

use super::{OrderRequest, field_problems};
use crate::error::ApiError;

/// Reads the body.
///
/// # Errors
/// [`ApiError::MalformedJson`], with a pointer to where it stops making sense.
pub fn read_json(body: &[u8]) -> Result<OrderRequest, ApiError> {
    serde_json::from_slice(body).or_else(|_| {
        // The good path pays nothing for the place of a fault: only a bad body is read again, watching the path.
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        let result = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let pointer = pointer(error.path());
            ApiError::MalformedJson { pointer, detail: describe(error.inner()) }
        })?;
        deserializer.end().map_err(|error| ApiError::MalformedJson {
            pointer: String::new(),
            detail: describe(&error),
        })?;
        Ok(result)
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            // A member's name comes from the client: bounded, and escaped as RFC 6901 says.
            Segment::Map { key } => {
                let key: String = key.chars().take(64).collect();
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

/// What is wrong and where, without serde's quotation of the value: it may be personal data.
fn describe(error: &serde_json::Error) -> String {
    let place = format!("at line {}, column {}", error.line(), error.column());
    let text = error.to_string();
    match error.classify() {
        serde_json::error::Category::Syntax | serde_json::error::Category::Eof => {
            format!("the body is not JSON {place}")
        }
        serde_json::error::Category::Data | serde_json::error::Category::Io => {
            // `missing field` and `unknown field` name members; `invalid type` and `invalid value` quote values.
            if let Some(field) = text.strip_prefix("missing field ").and_then(|rest| rest.split(" at ").next()) {
                format!("member {field} is missing")
            } else if text.starts_with("unknown field") {
                "the member is not known; check its spelling".to_owned()
            } else if text.starts_with("duplicate field") {
                "a member is given twice".to_owned()
            } else {
                format!("the value has the wrong type or is out of range {place}")
            }
        }
    }
}

/// Validates and parses.
///
/// # Errors
/// Every fault of the request, each with its pointer.
pub fn into_order(request: &OrderRequest) -> Result<Order, Vec<FieldProblem>> {
    request.validate().map_err(|errors| field_problems(&errors))?;
    // The derives ask the same types, so that only what spans fields can still fail.
    parse(request).map_err(|problem| vec![problem])
}

fn parse(request: &OrderRequest) -> Result<Order, FieldProblem> {
    let mut items = Vec::with_capacity(request.items.len());
    for (index, item) in request.items.iter().enumerate() {
        items.push(Item {
            sku: Sku::parse(&item.sku).map_err(at(format!("/items/{index}/sku")))?,
            quantity: Quantity::new(item.quantity).ok_or_else(|| FieldProblem {
                code: "out_of_range".to_owned(),
                pointer: format!("/items/{index}/quantity"),
                detail: format!("must be 1 to {}", Quantity::MAX),
            })?,
        });
    }
    let address = &request.shipping_address;
    let line = |text: &str, name: &str| AddressLine::parse(text).map_err(at(format!("/shipping_address/{name}")));
    let optional = |text: Option<&String>, name: &str| text.map(|text| line(text, name)).transpose();
    Ok(Order {
        sale_id: SaleId::parse(&request.sale_id).map_err(at("/sale_id"))?,
        user_id: UserId::parse(&request.user_id).map_err(at("/user_id"))?,
        items: Items::new(items).map_err(items_problem)?,
        currency: Currency::parse(&request.currency).map_err(at("/currency"))?,
        shipping_address: ShippingAddress {
            recipient: line(&address.recipient, "recipient")?,
            line1: line(&address.line1, "line1")?,
            line2: optional(address.line2.as_ref(), "line2")?,
            city: line(&address.city, "city")?,
            region: optional(address.region.as_ref(), "region")?,
            postal_code: optional(address.postal_code.as_ref(), "postal_code")?,
            country: Country::parse(&address.country).map_err(at("/shipping_address/country"))?,
            phone: optional(address.phone.as_ref(), "phone")?,
        },
        client_reference: request
            .client_reference
            .as_deref()
            .map(ClientReference::parse)
            .transpose()
            .map_err(at("/client_reference"))?,
    })
}

fn at(pointer: impl Into<String>) -> impl FnOnce(FieldError) -> FieldProblem {
    move |error| FieldProblem {
        code: "invalid_format".to_owned(),
        pointer: pointer.into(),
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
        into_order(&request)
            .expect_err("invalid")
            .into_iter()
            .map(|problem| (problem.pointer, problem.code))
            .collect()
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
        bad["items"][1]["quantity"] = json!(0);
        bad["shipping_address"]["city"] = json!("");
        bad["client_reference"] = json!("x".repeat(129));
        let expected = [
            ("/client_reference", "too_long"),
            ("/items/1/quantity", "out_of_range"),
            ("/sale_id", "invalid_format"),
            ("/shipping_address/city", "required"),
        ];
        let found = faults(&bad);
        let found: Vec<_> = found.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn counts_and_duplicates_are_faults() {
        let mut bad = body();
        bad["items"] = json!([]);
        assert_eq!(faults(&bad), [("/items".to_owned(), "wrong_count".to_owned())]);
        bad["items"] = json!([{ "sku": "A", "quantity": 1 }, { "sku": "A", "quantity": 2 }]);
        assert_eq!(faults(&bad), [("/items/1/sku".to_owned(), "duplicate_sku".to_owned())]);
    }

    #[test]
    fn malformed_bodies_say_where_and_never_quote_values() {
        let wrong_type = json!({ "sale_id": "s", "user_id": 5_551_234, "items": [] }).to_string();
        let cases = [
            ("{", "", "not JSON"),
            ("[]", "", "wrong type"),
            (wrong_type.as_str(), "/user_id", "wrong type"),
            (r#"{"sale_id":"s"}"#, "", "missing"),
            (r#"{"sale_id":"s","prize":"hunter2"}"#, "/prize", "not known"),
        ];
        for (text, expected_pointer, expected_detail) in cases {
            let Err(ApiError::MalformedJson { pointer, detail }) = read_json(text.as_bytes()) else {
                panic!("{text} is malformed")
            };
            assert_eq!(pointer, expected_pointer, "{text}");
            assert!(detail.contains(expected_detail), "{text}: {detail}");
            assert!(!detail.contains("5551234") && !detail.contains("hunter2"), "{detail}");
        }
        let trailing = format!("{} x", body());
        assert!(matches!(read_json(trailing.as_bytes()), Err(ApiError::MalformedJson { .. })));
    }
}
