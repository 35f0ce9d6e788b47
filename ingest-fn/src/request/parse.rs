//! From bytes to an order.

use serde_json::error::Category;
use shared::order::{
    AddressLine, ClientReference, Country, Currency, Item, Items, Order, Quantity, SaleId, ShippingAddress,
    Sku, UserId,
};
use shared::problem::FieldProblem;

use super::object::Object;
use super::{OrderRequest, rules};
use crate::error::ApiError;

/// Reads the body as JSON.
///
/// # Errors
/// [`ApiError::MalformedJson`], with a pointer to the first member that cannot be read.
pub fn read_json(body: &[u8]) -> Result<OrderRequest, ApiError> {
    // Only a malformed body is read a second time, to find the path of the error.
    serde_json::from_slice(body).map(|Object(request)| request).map_err(|error| {
        let mut deserializer = serde_json::Deserializer::from_slice(body);
        match serde_path_to_error::deserialize::<_, Object<OrderRequest>>(&mut deserializer) {
            Err(error) => ApiError::MalformedJson(problem(pointer(error.path()), error.inner())),
            // The order is well-formed; the bytes after it are not.
            Ok(_) => ApiError::MalformedJson(problem(String::new(), &error)),
        }
    })
}

/// JSON pointer of `path`. A name that does not look like a member's is omitted, because it may be personal data; the
/// pointer is then its parent's.
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

/// True if `name` could be a misspelt member. Such a name needs no escaping in a pointer (RFC 6901).
fn is_like_a_member(name: &str) -> bool {
    name.len() <= 32
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Describes `error` without serde's quotation of the value, which may be personal data.
fn problem(mut pointer: String, error: &serde_json::Error) -> FieldProblem {
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
                // serde's path ends at the object; a duplicate name is always a known member.
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

/// Parses a request into types that cannot hold an invalid order.
///
/// # Errors
/// Every problem of the request, sorted by pointer; the catalogue's rules are not checked here.
pub fn parse_order(request: &OrderRequest) -> Result<Order, Vec<FieldProblem>> {
    // A valid order is checked once, by the types. Only an invalid one is validated again for all of its problems.
    parse(request).ok_or_else(|| {
        let mut problems = rules::problems(request);
        if problems.is_empty() {
            // Unreachable while `rules` asks the same types; an order is never rejected without a reason.
            let detail = "the order is not valid".to_owned();
            problems.push(FieldProblem { code: "invalid_format".to_owned(), pointer: String::new(), detail });
        }
        problems
    })
}

fn parse(request: &OrderRequest) -> Option<Order> {
    let mut items = Vec::with_capacity(request.items.len());
    for item in &request.items {
        items.push(Item { sku: Sku::parse(&item.sku).ok()?, quantity: Quantity::new(item.quantity)? });
    }
    let address = &request.shipping_address;
    let line = |text: &str| AddressLine::parse(text).ok();
    Some(Order {
        sale_id: SaleId::parse(&request.sale_id).ok()?,
        user_id: UserId::parse(&request.user_id).ok()?,
        items: Items::new(items).ok()?,
        currency: Currency::parse(&request.currency).ok()?,
        shipping_address: ShippingAddress {
            recipient: line(&address.recipient)?,
            line1: line(&address.line1)?,
            line2: optional(address.line2.as_deref(), line)?,
            city: line(&address.city)?,
            region: optional(address.region.as_deref(), line)?,
            postal_code: optional(address.postal_code.as_deref(), line)?,
            country: Country::parse(&address.country).ok()?,
            phone: optional(address.phone.as_deref(), line)?,
        },
        client_reference: optional(request.client_reference.as_deref(), |text| {
            ClientReference::parse(text).ok()
        })?,
    })
}

/// `Some(None)` for an absent member, `None` for an invalid one.
fn optional<T>(text: Option<&str>, parse: impl FnOnce(&str) -> Option<T>) -> Option<Option<T>> {
    match text {
        Some(text) => parse(text).map(Some),
        None => Some(None),
    }
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

    fn problems_of(body: &Value) -> Vec<(String, String)> {
        let request = read_json(body.to_string().as_bytes()).expect("well-formed");
        let problems = parse_order(&request).expect_err("invalid");
        problems.into_iter().map(|problem| (problem.pointer, problem.code)).collect()
    }

    fn as_strs(problems: &[(String, String)]) -> Vec<(&str, &str)> {
        problems.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect()
    }

    #[test]
    fn a_valid_body_is_an_order() {
        let request = read_json(body().to_string().as_bytes()).expect("well-formed");
        let order = parse_order(&request).expect("valid");
        assert_eq!(order.items.as_slice().len(), 2);
    }

    #[test]
    fn all_problems_are_reported_together_with_pointers() {
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
        assert_eq!(as_strs(&problems_of(&bad)), expected);
    }

    #[test]
    fn missing_members_are_all_reported_like_empty_ones() {
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
        assert_eq!(as_strs(&problems_of(&json!({}))), expected);
        let mut bad = body();
        bad["items"] = json!([{}]);
        assert_eq!(
            as_strs(&problems_of(&bad)),
            [("/items/0/quantity", "out_of_range"), ("/items/0/sku", "required")]
        );
    }

    #[test]
    fn a_wrong_count_of_items_is_one_problem_regardless_of_the_items() {
        for items in [json!([]), vec![json!({ "sku": "", "quantity": 0 }); 21].into()] {
            let mut bad = body();
            bad["items"] = items;
            assert_eq!(as_strs(&problems_of(&bad)), [("/items", "wrong_count")]);
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
            let Err(ApiError::MalformedJson(problem)) = read_json(text.as_bytes()) else {
                panic!("{text} is malformed")
            };
            assert_eq!((problem.pointer.as_str(), problem.code.as_str()), (pointer, code), "{text}");
            let text_of_problem = format!("{problem:?}");
            assert!(!text_of_problem.contains("5551234"), "{text_of_problem}");
            assert!(!text_of_problem.contains("hunter2"), "{text_of_problem}");
        }
    }

    #[test]
    fn a_request_shows_nothing_personal_in_debug() {
        let request = read_json(body().to_string().as_bytes()).expect("well-formed");
        assert_eq!(format!("{request:?}"), r#"OrderRequest { sale_id: "s", .. }"#);
        assert_eq!(format!("{:?}", request.shipping_address), "AddressRequest { .. }");
    }
}
