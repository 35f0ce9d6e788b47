//! The OpenAPI document agrees with the handlers.

use std::collections::BTreeSet;

use http::header::CONTENT_TYPE;
use ingest_fn::error::ErrorCode;
use ingest_fn::openapi::document;
use ingest_fn::request::{ReadError, read_order};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::problems::families;
use crate::support::{Answer, get, order, order_with, post_order, send, service};

/// A validator for the schema at `pointer`, which may refer to any other.
fn validator(document: &Value, pointer: &str) -> Validator {
    assert!(document.pointer(pointer).is_some_and(Value::is_object), "{pointer} is documented");
    let mut schema = document.clone();
    // The braces of a path's parameter are not part of a URI.
    schema["$ref"] = json!(format!("#{}", pointer.replace('{', "%7B").replace('}', "%7D")));
    jsonschema::draft202012::new(&schema).expect("a schema")
}

/// Where the document describes the answers with `code`.
fn response_pointer(code: ErrorCode) -> String {
    match code {
        ErrorCode::NotFound | ErrorCode::MethodNotAllowed | ErrorCode::MalformedEvent => {
            format!("/components/responses/{}", code.as_str())
        }
        _ => format!("/paths/~1v1~1orders/post/responses/{}", code.status().as_u16()),
    }
}

/// Follows a `$ref`.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(reference.trim_start_matches('#')).expect("it leads somewhere"),
        None => value,
    }
}

#[track_caller]
fn assert_documented(document: &Value, pointer: &str, media_type: &str, name: &str, answer: &Answer) {
    let content = format!("{pointer}/content/{}/schema", media_type.replace('/', "~1"));
    assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some(media_type), "{name}");
    let faults: Vec<_> = validator(document, &content)
        .iter_errors(&answer.json())
        .map(|fault| format!("{}: {fault}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{name}: {faults:?} in {}", answer.text);
    // The value of a header is validated by its own schema.
    let headers = document.pointer(pointer).expect("documented")["headers"].as_object().expect("headers");
    for (header, described) in headers {
        if let Some(value) = answer.header(&header.to_ascii_lowercase()) {
            let schema = &resolved(document, described)["schema"];
            let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
            let schema = jsonschema::draft202012::new(schema).expect("a schema");
            assert!(schema.is_valid(&value), "{name}: {header}: {value}");
        }
    }
    for header in ["location", "retry-after", "allow", "www-authenticate"]
        .into_iter()
        .filter(|name| answer.header(name).is_some())
    {
        assert!(headers.keys().any(|name| name.eq_ignore_ascii_case(header)), "{name}: {header}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_answer_is_documented_and_every_documented_status_is_returned() {
    let document = document();
    let mut answered = BTreeSet::new();
    let accepted = send(&service(), post_order(&order())).await;
    assert_documented(
        &document,
        "/paths/~1v1~1orders/post/responses/202",
        "application/json",
        "accepted",
        &accepted,
    );
    answered.insert("202".to_owned());
    for (name, answer) in families().await.into_iter().flat_map(|(_, answers)| answers) {
        let (status, code) = answer.rejection();
        let code = *ErrorCode::ALL.iter().find(|known| known.as_str() == code).expect("a code");
        let pointer = response_pointer(code);
        assert_documented(&document, &pointer, "application/problem+json", name, &answer);
        if pointer.starts_with("/paths") {
            answered.insert(status.to_string());
        }
    }
    let responses = document["paths"]["/v1/orders"]["post"]["responses"].as_object().expect("responses");
    let documented: BTreeSet<_> = responses.keys().cloned().collect();
    assert_eq!(answered, documented);
    assert!(!documented.contains("default"), "a catch-all would document anything");
}

#[test]
fn every_code_is_listed_with_its_meaning() {
    let document = document();
    for code in ErrorCode::ALL {
        let response = document.pointer(&response_pointer(*code)).expect("documented");
        let names = &response["content"]["application/problem+json"]["schema"]["properties"]["code"]["enum"];
        assert!(names.as_array().is_some_and(|names| names.contains(&json!(code.as_str()))), "{code:?}");
        let description = response["description"].as_str().expect("text");
        assert!(description.contains(code.meaning()) && code.meaning().len() > 10, "{code:?}: {description}");
    }
}

#[tokio::test]
async fn the_document_is_served_and_its_example_is_an_order() {
    let answer = send(&service(), get("/openapi.json")).await;
    assert_eq!(answer.header(CONTENT_TYPE.as_str()), Some("application/json"));
    let served = answer.json();
    assert_eq!(served, document());
    assert_eq!(served["openapi"], "3.1.0");
    let example =
        &served["paths"]["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]["example"];
    assert!(request_schema().is_valid(example));
    read_order(example.to_string().as_bytes(), None).expect("an order");
}

fn request_schema() -> Validator {
    validator(&document(), "/components/schemas/OrderRequest")
}

/// True if the handlers parse `body` as an order, the catalogue aside. JSON Schema cannot express that each SKU occurs
/// once.
fn is_read_as_an_order(body: &Value) -> bool {
    match read_order(body.to_string().as_bytes(), None) {
        Ok(_) => true,
        Err(ReadError::Faulty(faulty)) => {
            faulty.problems.iter().all(|problem| problem.code == "duplicate_sku")
        }
        Err(_) => false,
    }
}

#[test]
fn the_schema_has_the_bounds_of_the_handlers() {
    let schema = request_schema();
    let line = |length: usize| json!("界".repeat(length));
    type Change = Box<dyn Fn(&mut Value)>;
    let set = |pointer: &'static str, value: Value| -> Change {
        Box::new(move |order: &mut Value| *order.pointer_mut(pointer).expect("a member") = value.clone())
    };
    let without = |parent: &'static str, member: &'static str| -> Change {
        Box::new(move |order: &mut Value| {
            order.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(member);
        })
    };
    let items = |count: usize| json!(vec![json!({ "sku": "A", "quantity": 1 }); count]);
    let cases: Vec<(&str, bool, Change)> = vec![
        ("64 characters", true, set("/sale_id", json!("a".repeat(64)))),
        ("65 characters", false, set("/sale_id", json!("a".repeat(65)))),
        ("255 characters", true, set("/user_id", json!("a".repeat(255)))),
        ("256 characters", false, set("/user_id", json!("a".repeat(256)))),
        ("200 characters", true, set("/shipping_address/city", line(200))),
        ("201 characters", false, set("/shipping_address/city", line(201))),
        ("128 characters", true, set("/client_reference", line(128))),
        ("129 characters", false, set("/client_reference", line(129))),
        ("a control character", false, set("/client_reference", json!("a\u{85}b"))),
        ("a line break at the end", false, set("/user_id", json!("user\n"))),
        ("20 items", true, set("/items", items(20))),
        ("21 items", false, set("/items", items(21))),
        ("no items", false, set("/items", items(0))),
        ("quantity 0", false, set("/items/0/quantity", json!(0))),
        ("quantity 10000", true, set("/items/0/quantity", json!(10_000))),
        ("quantity 10001", false, set("/items/0/quantity", json!(10_001))),
        ("a whole number with a fraction of zero", true, set("/items/0/quantity", json!(2.0))),
        ("a fraction", false, set("/items/0/quantity", json!(1.5))),
        ("lower-case currency", false, set("/currency", json!("cny"))),
        ("country of three letters", false, set("/shipping_address/country", json!("CHN"))),
        ("no recipient", false, without("/shipping_address", "recipient")),
        ("no SKU", false, without("/items/0", "sku")),
        ("no phone", true, without("/shipping_address", "phone")),
        ("phone null", true, set("/shipping_address/phone", Value::Null)),
        ("phone empty", false, set("/shipping_address/phone", json!(""))),
        ("a blank city", false, set("/shipping_address/city", json!("\u{3000}"))),
        ("a direction override", false, set("/shipping_address/city", json!("a\u{202e}b"))),
        ("a joiner", true, set("/shipping_address/city", json!("\u{645}\u{6cc}\u{200c}\u{62e}"))),
        ("user null", false, set("/user_id", Value::Null)),
        ("unknown member", false, Box::new(|order| order["items"][0]["price"] = json!(1))),
        ("items by position", false, set("/items/0", json!(["PHONE", 1]))),
    ];
    for (name, is_valid, change) in cases {
        let body = order_with(|order| change(order));
        assert_eq!(is_read_as_an_order(&body), is_valid, "{name}: the handlers");
        assert_eq!(schema.is_valid(&body), is_valid, "{name}: the schema");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-Za-z0-9._-]{0,70}",
        "[ -~]{0,66}",
        "[A-Z]{2,3}",
        "(?s).{0,210}",
        Just("\u{9f}".to_owned()),
        Just(String::new()),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => any_text().prop_map(Value::from),
        2 => (0_u32..12_000).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => prop_oneof![any::<f64>(), (-2_i32..12_000).prop_map(f64::from)].prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

proptest! {
    #[test]
    fn the_schema_accepts_exactly_what_the_handlers_accept(
        changes in proptest::collection::vec((0_usize..14, any_value()), 0..3),
    ) {
        const MEMBERS: [&str; 14] = [
            "/sale_id", "/user_id", "/currency", "/client_reference", "/items/0/sku", "/items/0/quantity",
            "/items/1/sku", "/shipping_address/recipient", "/shipping_address/line2", "/shipping_address/city",
            "/shipping_address/postal_code", "/shipping_address/country", "/shipping_address/phone", "/items/1",
        ];
        let body = order_with(|order| {
            for (member, value) in changes {
                if let Some(place) = order.pointer_mut(MEMBERS[member]) {
                    *place = value;
                }
            }
        });
        prop_assert_eq!(request_schema().is_valid(&body), is_read_as_an_order(&body), "{}", body);
    }
}

/// The copy in the repository, so that a change to the API shows in a diff. `INSTA_UPDATE=always` rewrites it.
#[test]
fn the_copy_in_the_repository_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let current = format!("{:#}\n", document());
    if std::env::var_os("INSTA_UPDATE").is_some_and(|value| value == "always") {
        std::fs::write(path, &current).expect("written");
    }
    assert_eq!(std::fs::read_to_string(path).expect("a copy"), current, "run with INSTA_UPDATE=always");
}

#[test]
fn every_example_fits_its_schema() {
    let document = document();
    let mut examples = 0;
    for (path, method) in [("/v1/orders", "post"), ("/v1/orders/{order_id}", "get")] {
        let pointer = format!("/paths/{}/{method}/responses", path.replace('/', "~1"));
        for (status, response) in document.pointer(&pointer).and_then(Value::as_object).expect("responses") {
            for (media_type, content) in response["content"].as_object().expect("content") {
                let schema = format!("{pointer}/{status}/content/{}/schema", media_type.replace('/', "~1"));
                let validator = validator(&document, &schema);
                let several = content["examples"].as_object().into_iter().flatten();
                let values = several.map(|(_, example)| &example["value"]).chain(content.get("example"));
                for value in values {
                    assert!(validator.is_valid(value), "{path} {status}: {value}");
                    examples += 1;
                }
            }
        }
    }
    assert!(examples > ErrorCode::ALL.len(), "{examples}");
}
