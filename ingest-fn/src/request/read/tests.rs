use serde_json::{Value as Json, json};

use super::*;

fn body() -> Json {
    json!({
        "sale_id": "s", "user_id": "u", "currency": "CNY",
        "items": [{ "sku": "A", "quantity": 1 }, { "sku": "B", "quantity": 2 }],
        "shipping_address": { "recipient": "R", "line1": "L", "city": "C", "country": "CN" }
    })
}

fn problems_of(text: &str) -> Vec<(String, String)> {
    let Err(ReadError::Faulty(faulty)) = read_order(text.as_bytes(), None) else {
        panic!("{text} is faulty")
    };
    faulty.problems.into_iter().map(|problem| (problem.pointer, problem.code.into_owned())).collect()
}

#[track_caller]
fn assert_problems(text: &str, expected: &[(&str, &str)]) {
    let problems = problems_of(text);
    let problems: Vec<_> = problems.iter().map(|(pointer, code)| (pointer.as_str(), code.as_str())).collect();
    assert_eq!(problems, expected, "{text}");
}

/// The body with `text` in place of the first line's quantity.
fn with_quantity(text: &str) -> String {
    body().to_string().replacen("\"quantity\":1", &format!("\"quantity\":{text}"), 1)
}

#[test]
fn a_valid_body_is_an_order() {
    let text = body().to_string();
    let request = read_order(text.as_bytes(), None).expect("valid");
    assert_eq!(request.order.items.as_slice().len(), 2);
    assert_eq!(request.expected_total_minor, None);
    let mut with_total = body();
    with_total["expected_total_minor"] = json!(9_007_199_254_740_991_i64);
    let text = with_total.to_string();
    let total = read_order(text.as_bytes(), None).expect("valid").expected_total_minor;
    assert_eq!(total, Some(9_007_199_254_740_991));
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
        ["A", 1],
    ]);
    bad["shipping_address"]["city"] = json!("");
    bad["shipping_address"]["street"] = json!([{ "deep": [1, 2] }]);
    bad["shipping_address"]["phone"] = json!(5_551_234);
    bad["client_reference"] = json!("x".repeat(129));
    bad["expected_total_minor"] = json!(-1);
    assert_problems(
        &bad.to_string(),
        &[
            ("/client_reference", "too_long"),
            ("/expected_total_minor", "out_of_range"),
            ("/items/1/quantity", "out_of_range"),
            ("/items/1/sku", "duplicate_sku"),
            ("/items/2/sku", "required"),
            ("/items/3/sku", "duplicate_sku"),
            ("/items/4", "wrong_type"),
            ("/sale_id", "invalid_format"),
            ("/shipping_address/city", "required"),
            ("/shipping_address/phone", "wrong_type"),
            ("/shipping_address/street", "unknown_member"),
        ],
    );
}

#[test]
fn missing_members_are_all_reported() {
    assert_problems(
        "{}",
        &[
            ("/currency", "required"),
            ("/items", "required"),
            ("/sale_id", "required"),
            ("/shipping_address", "required"),
            ("/user_id", "required"),
        ],
    );
    let mut bad = body();
    bad["items"] = json!([{}]);
    bad["shipping_address"] = json!({});
    assert_problems(
        &bad.to_string(),
        &[
            ("/items/0/quantity", "required"),
            ("/items/0/sku", "required"),
            ("/shipping_address/city", "required"),
            ("/shipping_address/country", "required"),
            ("/shipping_address/line1", "required"),
            ("/shipping_address/recipient", "required"),
        ],
    );
}

/// RFC 8259, section 6, bounds neither size nor precision of a number.
#[test]
fn every_notation_of_a_quantity_is_judged_by_one_rule() {
    for text in ["1", "10000", "1.0", "2e1", "1E+4", "10000.000", "0.5e1"] {
        assert!(read_order(with_quantity(text).as_bytes(), None).is_ok(), "{text}");
    }
    for (text, code) in [
        ("0", "out_of_range"),
        ("-0", "out_of_range"),
        ("10001", "out_of_range"),
        ("-1", "out_of_range"),
        ("4294967296", "out_of_range"),
        ("4294967297", "out_of_range"),
        ("9223372036854775808", "out_of_range"),
        ("1e400", "out_of_range"),
        ("-1e400", "out_of_range"),
        ("1.5", "wrong_type"),
        ("\"1\"", "wrong_type"),
        ("null", "wrong_type"),
        ("true", "wrong_type"),
        ("[1]", "wrong_type"),
        ("{\"1\":1}", "wrong_type"),
    ] {
        let bad = with_quantity(text).replace("\"s\"", "\"\"");
        assert_problems(&bad, &[("/items/0/quantity", code), ("/sale_id", "required")]);
    }
    assert_problems(&with_quantity(&"9".repeat(8_000)), &[("/items/0/quantity", "out_of_range")]);
}

#[test]
fn what_is_not_an_order_and_still_json_is_a_problem_of_its_place() {
    for (text, expected) in [
        ("[]", ("", "wrong_type")),
        ("null", ("", "wrong_type")),
        ("1e400", ("", "wrong_type")),
        (r#"["s","u",[],"CNY",{},null]"#, ("", "wrong_type")),
    ] {
        assert_problems(text, &[expected]);
    }
    for (member, value, pointer, code) in [
        ("items", r#"[["A",1]]"#, "/items/0", "wrong_type"),
        ("items", r#"{"0":1}"#, "/items", "wrong_type"),
        ("items", "[]", "/items", "wrong_count"),
        ("items", "1e400", "/items", "wrong_type"),
        ("shipping_address", r#"["R","L"]"#, "/shipping_address", "wrong_type"),
        ("user_id", "5551234", "/user_id", "wrong_type"),
        ("user_id", "1e999", "/user_id", "wrong_type"),
        ("user_id", r#""\ud800""#, "/user_id", "invalid_format"),
        ("sale_id", "null", "/sale_id", "wrong_type"),
    ] {
        let mut order = body();
        order[member] = json!("PLACEHOLDER");
        assert_problems(&order.to_string().replace("\"PLACEHOLDER\"", value), &[(pointer, code)]);
    }
}

#[test]
fn unknown_and_repeated_members_are_problems_and_never_quoted() {
    let with = |member: &str| body().to_string().replacen('{', &format!("{{{member},"), 1);
    for (member, pointer, code) in [
        (r#""prize":"hunter2""#, "/prize", "unknown_member"),
        (r#""hunter2@example.com":1"#, "", "unknown_member"),
        (r#""+86 5551234":1"#, "", "unknown_member"),
        (r#""\ud800":1"#, "", "unknown_member"),
        (r#""sale_id":"t""#, "/sale_id", "duplicate_member"),
        // The same name, escaped.
        (r#""sale\u005fid":"t""#, "/sale_id", "duplicate_member"),
    ] {
        assert_problems(&with(member), &[(pointer, code)]);
    }
    let address =
        body().to_string().replace("\"recipient\"", "\"street\":\"hunter2\",\"city\":null,\"recipient\"");
    assert_problems(
        &address,
        &[("/shipping_address/city", "duplicate_member"), ("/shipping_address/street", "unknown_member")],
    );
    for text in [with(r#""hunter2@example.com":"hunter2""#), address] {
        let shown = format!("{:?}", read_order(text.as_bytes(), None));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn what_is_not_json_is_the_only_problem_and_says_where() {
    let trailing = format!("{} x", body());
    for (text, place) in [
        ("", "line 1, byte 1"),
        ("{", "line 1, byte 2"),
        ("nonsense", "line 1, byte 1"),
        ("{\"sale_id\": 1,\n\n  oops}", "line 3, byte 3"),
        (r#"{"items":[{"quantity":01}]}"#, "line 1, byte 24"),
        (r#"{"user_id":"\u12"}"#, "line 1, byte 14"),
        (trailing.as_str(), ""),
    ] {
        let Err(ReadError::NotJson(problem)) = read_order(text.as_bytes(), None) else { panic!("{text}") };
        assert_eq!((problem.pointer.as_str(), &*problem.code), ("", "not_json"));
        assert!(problem.detail.ends_with(place), "{text}: {}", problem.detail);
    }
    let Err(ReadError::NotJson(_)) = read_order(b"{\"sale_id\":\"\xff\"}", None) else { panic!("not UTF-8") };
}

#[test]
fn a_fault_of_count_ends_the_reading_and_keeps_what_was_found() {
    let mut many = body();
    many["items"] = (0..20).map(|number| json!({ "sku": format!("S{number}"), "quantity": 1 })).collect();
    assert!(read_order(many.to_string().as_bytes(), None).is_ok());
    let many: Json =
        (0..21).map(|number| json!({ "sku": format!("S{number}"), "quantity": number })).collect();
    // Nothing after the 21st line is read: it need not be JSON.
    let text = format!(r#"{{"sale_id":"a b","items":{} oops"#, many.to_string().trim_end_matches(']'));
    assert_problems(
        &text,
        &[("/items", "wrong_count"), ("/items/0/quantity", "out_of_range"), ("/sale_id", "invalid_format")],
    );
    let unknown: String = (0..200).map(|number| format!("\"m{number}\":0,")).collect();
    let problems = problems_of(&format!("{{{unknown} oops"));
    assert_eq!(problems.len(), PROBLEMS_MAX);
    let deep = format!(r#"{{"sale_id":"","x":{} oops"#, "[".repeat(1_000));
    assert_problems(&deep, &[("", "too_complex"), ("/sale_id", "required")]);
    let wide = format!(r#"{{"sale_id":"","x":[{} oops"#, "0,".repeat(1_000));
    assert_problems(&wide, &[("", "too_complex"), ("/sale_id", "required")]);
    let long = "x".repeat(4_000);
    for (member, pointer, code) in [
        (format!(r#""currency":"{long}"#), "/currency", "too_long"),
        (format!(r#""client_reference":"{long}"#), "/client_reference", "too_long"),
        (format!(r#""items":[{{"sku":"{long}"#), "/items/0/sku", "too_long"),
        (format!(r#""x":"{long}"#), "", "too_complex"),
        (format!(r#""{long}"#), "", "too_complex"),
    ] {
        let text = format!(r#"{{"sale_id":"",{member}" oops"#);
        assert_problems(&text, &[(pointer, code), ("/sale_id", "required")]);
    }
    let city = format!(r#"{{"sale_id":"","shipping_address":{{"city":"{long}" oops"#);
    assert_problems(&city, &[("/sale_id", "required"), ("/shipping_address/city", "too_long")]);
}

#[test]
fn the_gateways_buyer_fills_in_for_the_bodys() {
    let buyer = UserId::parse("u").expect("valid");
    let mut order = body();
    let read = |order: &Json| match read_order(order.to_string().as_bytes(), Some(&buyer)) {
        Ok(request) => Ok(request.order.user_id.as_str().to_owned()),
        Err(ReadError::OtherBuyer) => Err("another"),
        Err(_) => Err("faulty"),
    };
    assert_eq!(read(&order).as_deref(), Ok("u"));
    order["user_id"] = json!(null);
    assert_eq!(read(&order).as_deref(), Ok("u"));
    drop(order.as_object_mut().expect("an object").remove("user_id"));
    assert_eq!(read(&order).as_deref(), Ok("u"));
    order["user_id"] = json!("v");
    assert_eq!(read(&order), Err("another"));
    // The buyer is settled before anything else is reported.
    order["currency"] = json!("");
    assert_eq!(read(&order), Err("another"));
    order["user_id"] = json!("a b");
    assert_eq!(read(&order), Err("faulty"));
}

#[test]
fn a_request_shows_nothing_personal_in_debug() {
    let text = body().to_string();
    let request = read_order(text.as_bytes(), None).expect("valid");
    assert_eq!(format!("{request:?}"), r#"OrderRequest { sale_id: "s", .. }"#);
}
