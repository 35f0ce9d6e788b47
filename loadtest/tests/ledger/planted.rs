//! One fault at a time.

use std::collections::BTreeSet;

use loadtest::ledger::{AnswerMatch, Attempt, AttemptEnding, FAULT_CODES, LedgerVerdict};
use loadtest::workload::stored_address;
use shared::order::OrderId;

use crate::fixture::{SoundRun, Sql, hex, literal};

/// The orders that the faults are planted in.
struct Targets {
    /// Sold out, without conflicts.
    sold_out: String,
    /// Over the limit of HOT-A, without conflicts or HOT-B.
    limited: String,
    /// Confirmed, without conflicts, without HOT-A and HOT-B.
    confirmed: String,
    unknown: String,
    /// Has one conflict.
    changed: String,
    /// The addresses that the requests of `sold_out` and `limited` ordered.
    addresses: [String; 2],
}

/// The address of an order, as the drain stores it.
fn address(sound: &SoundRun, order: &str) -> String {
    let run = &sound.run;
    let attempt = run.attempts.iter().find(|attempt| literal(attempt.order_id) == order).expect("sent");
    let spec = run.workload.request_spec(u64::from(attempt.number));
    stored_address(&run.workload.request(&spec).expect("valid").shipping_address)
}

impl Targets {
    async fn find(sound: &SoundRun) -> Self {
        let mut sql = Sql::connect(&sound.copy("targets")).await;
        let unknown = literal(sound.run.unknown);
        let mut find = async |condition: &str| {
            let text = format!(
                "SELECT order_id FROM orders WHERE order_id NOT IN (SELECT order_id FROM order_conflicts) \
                 AND order_id <> {unknown} AND {condition} ORDER BY order_id LIMIT 1"
            );
            format!("x'{}'", hex(&sql.bytes(&text).await))
        };
        let without = |sku: &str| format!("json_extract(items, '$.\"{sku}\"') IS NULL");
        let only_hot_b = without("HOT-A");
        let sold_out = find(&format!("reason = 1 AND {only_hot_b}")).await;
        let limited = find(&format!("reason = 2 AND {}", without("HOT-B"))).await;
        Self {
            addresses: [address(sound, &sold_out), address(sound, &limited)],
            sold_out,
            limited,
            confirmed: find(&format!("state = 1 AND {} AND {only_hot_b}", without("HOT-B"))).await,
            changed: literal(sound.run.order_id(sound.run.changed.0)),
            unknown,
        }
    }

    fn fill(&self, text: &str) -> String {
        let [sold_out, limited] = &self.addresses;
        let text = text.replace("{address of sold_out}", sold_out).replace("{address of limited}", limited);
        let text = text.replace("{sold_out}", &self.sold_out).replace("{limited}", &self.limited);
        let text = text.replace("{confirmed}", &self.confirmed).replace("{unknown}", &self.unknown);
        text.replace("{changed}", &self.changed)
    }
}

/// The quantity of a SKU of `sale_skus` in an order.
fn quantity(order: &str) -> String {
    format!(
        "COALESCE((SELECT json_extract(items, '$.\"' || sale_skus.sku || '\"[0]') FROM orders \
         WHERE order_id = {{{order}}}), 0)"
    )
}

/// Statements that confirm a rejected order as the drain would.
fn confirm(order: &str) -> String {
    format!(
        "UPDATE orders SET state = 1, reason = NULL, shipping_address = '{{address of {order}}}' WHERE order_id = {{{order}}};
         UPDATE sale_skus SET stock_reserved = stock_reserved + {quantity};
         INSERT INTO user_purchases (sale_id, user_id, sku, quantity) \
             SELECT sale_id, user_id, 'HOT-A', json_extract(items, '$.\"HOT-A\"[0]') FROM orders \
             WHERE order_id = {{{order}}} AND json_extract(items, '$.\"HOT-A\"') IS NOT NULL \
             ON CONFLICT (sale_id, user_id, sku) DO UPDATE SET quantity = quantity + excluded.quantity;",
        quantity = quantity(order)
    )
}

/// Statements that reject a confirmed order without limited SKUs.
fn reject(order: &str, reason: u8) -> String {
    format!(
        "UPDATE orders SET state = 2, reason = {reason}, shipping_address = NULL WHERE order_id = {{{order}}};
         UPDATE sale_skus SET stock_reserved = stock_reserved - {quantity};",
        quantity = quantity(order)
    )
}

fn letter(columns: &str) -> String {
    format!(
        "INSERT INTO dead_letters (dedup_key, order_id, payload_digest, user_id, reason, detail, payload, \
         first_failed_at, last_failed_at) SELECT {columns}, decided_at, decided_at FROM orders \
         WHERE order_id = {{sold_out}};"
    )
}

/// Drops the keys of a table and doubles the rows of `condition`.
fn double(table: &str, condition: &str) -> String {
    format!(
        "CREATE TABLE doubled AS SELECT * FROM {table}; \
         INSERT INTO doubled SELECT * FROM {table} WHERE {condition} LIMIT 1; \
         DROP TABLE {table}; ALTER TABLE doubled RENAME TO {table};"
    )
}

const REMOVE: &str = "DELETE FROM orders WHERE order_id = {sold_out};";

const OF_SOLD_OUT: &str = "order_id, payload_digest, user_id";

fn sql_cases() -> Vec<(&'static str, String)> {
    let set = |column: &str| format!("UPDATE orders SET {column} WHERE order_id = {{sold_out}}");
    // Each line is [quantity,price].
    let items = |change: &str| format!("UPDATE orders SET items = {change} WHERE order_id = {{sold_out}}");
    vec![
        ("accepted_order_lost", REMOVE.to_owned()),
        (
            "accepted_order_dead_lettered",
            letter(&format!("order_id, {OF_SOLD_OUT}, 'unknown_sku', '', x'00'")) + REMOVE,
        ),
        ("order_doubled", double("orders", "order_id = {sold_out}")),
        (
            "row_without_request",
            "CREATE TEMP TABLE copy AS SELECT * FROM orders WHERE order_id = {sold_out}; \
             UPDATE copy SET sequence = NULL, order_id = x'00000000000000000000000000000001', decided_at = '2035-01-01 00:00:00.000'; INSERT INTO orders SELECT * FROM copy;"
                .to_owned(),
        ),
        (
            "row_with_unknown_payload",
            "UPDATE orders SET payload_digest = zeroblob(32) WHERE order_id = {unknown}".to_owned(),
        ),
        ("inconsistent_state", set("reason = NULL")),
        ("decided_before_sent", set("decided_at = '2020-01-01 00:00:00.000'")),
        ("conflict_not_recorded", "DELETE FROM order_conflicts WHERE order_id = {changed}".to_owned()),
        (
            "conflict_without_cause",
            "INSERT INTO order_conflicts SELECT order_id, zeroblob(32), decided_at FROM orders WHERE order_id = {sold_out}"
                .to_owned(),
        ),
        ("conflict_doubled", double("order_conflicts", "order_id = {changed}")),
        (
            "conflict_before_decision",
            "UPDATE order_conflicts SET first_seen_at = '2020-01-01 00:00:00.000' WHERE order_id = {changed}".to_owned(),
        ),
        ("order_without_lines", items("'{}'")),
        ("wrong_sale", set("sale_id = 'another'")),
        ("wrong_buyer", set("user_id = 'another'")),
        ("wrong_lines", items("replace(items, '[', '[1')")),
        ("wrong_price", items("replace(items, ']', '1]')")),
        ("wrong_total", set("total_minor = total_minor + 1")),
        ("wrong_currency", set("currency = 'EUR'")),
        ("wrong_address", "UPDATE orders SET shipping_address = replace(shipping_address, 'Nanjing', 'Peking') WHERE order_id = {confirmed}"
                .to_owned()),
        ("address_kept", set("shipping_address = 'kept'")),
        ("wrong_reference", set("client_reference = 'mine'")),
        ("rejected_in_stock", reject("confirmed", 1)),
        ("rejected_within_limit", reject("confirmed", 2)),
        ("oversold", confirm("sold_out")),
        ("limit_exceeded", confirm("limited")),
        (
            "stock_counter_wrong",
            "UPDATE sale_skus SET stock_reserved = stock_reserved + 1 WHERE sku = 'SKU-C'".to_owned(),
        ),
        (
            "stock_differs_from_catalogue",
            "UPDATE sale_skus SET stock_total = stock_total + 1 WHERE sku = 'SKU-C'".to_owned(),
        ),
        (
            "limit_differs_from_catalogue",
            "UPDATE sale_skus SET per_user_limit = 4 WHERE sku = 'HOT-A'".to_owned(),
        ),
        ("sku_missing", "DELETE FROM sale_skus WHERE sku = 'SKU-C'".to_owned()),
        (
            "sku_unlisted",
            "INSERT INTO sale_skus (sale_id, sku, stock_total) VALUES ('sale', 'SKU-E', 1)".to_owned(),
        ),
        (
            "purchases_missing",
            "DELETE FROM user_purchases WHERE (user_id, sku) = (SELECT user_id, sku FROM user_purchases LIMIT 1)".to_owned(),
        ),
        (
            "purchases_without_order",
            "INSERT INTO user_purchases (sale_id, user_id, sku, quantity) VALUES ('sale', 'another', 'HOT-A', 1)"
                .to_owned(),
        ),
        (
            "purchases_wrong",
            "UPDATE user_purchases SET quantity = quantity + 1 WHERE (user_id, sku) = (SELECT user_id, sku FROM user_purchases LIMIT 1)"
                .to_owned(),
        ),
        ("second_over_the_cap", set("decided_at = (SELECT MAX(decided_at) FROM orders)")),
        ("unreadable_message", letter("x'01', NULL, NULL, NULL, 'malformed_message', '', x'00'")),
        (
            "dead_letter_without_request",
            letter("x'01', x'00000000000000000000000000000001', payload_digest, user_id, 'unknown_sku', '', x'00'"),
        ),
        ("dead_letter_beside_row", letter(&format!("order_id, {OF_SOLD_OUT}, 'unknown_sku', '', x'00'"))),
    ]
}

type ChangeAttempts = fn(&mut [Attempt], OrderId);

fn attempt_cases() -> Vec<(&'static str, ChangeAttempts)> {
    fn of(attempts: &mut [Attempt], order_id: OrderId) -> &mut Attempt {
        attempts.iter_mut().find(|attempt| attempt.order_id == order_id).expect("there")
    }
    vec![
        ("response_names_another_order", |attempts, _| {
            let accepted = attempts.iter_mut().find(|attempt| attempt.is_accepted());
            accepted.expect("some").answer = AnswerMatch::Differs;
        }),
        ("row_of_refused_request", |attempts, unknown| of(attempts, unknown).ending = AttemptEnding::Refused),
        ("row_of_invalid_request", |attempts, unknown| of(attempts, unknown).ending = AttemptEnding::Invalid),
    ]
}

fn names(verdict: &LedgerVerdict) -> Vec<String> {
    verdict.faults.iter().map(|fault| fault.code.to_string()).collect()
}

#[tokio::test]
async fn a_sound_run_adds_up() {
    let sound = SoundRun::make().await;
    let judgement = sound.run.judge(&sound.copy("sound"), &sound.scope, &sound.run.attempts).await;
    let verdict = judgement.verdict;
    assert!(verdict.adds_up(), "{verdict}");
    let count = |ending| sound.run.attempts.iter().filter(|attempt| attempt.ending == ending).count();
    assert_eq!(verdict.accepted, count(AttemptEnding::Accepted));
    assert_eq!((verdict.refused, verdict.unknown), (2, 2));
    assert_eq!(verdict.requests, sound.run.attempts.len() - count(AttemptEnding::Invalid));
    let ids = |ending: AttemptEnding| -> BTreeSet<_> {
        sound.run.attempts.iter().filter(|attempt| attempt.ending == ending).map(|it| it.order_id).collect()
    };
    assert_eq!(verdict.accepted_orders, ids(AttemptEnding::Accepted).len());
    assert_eq!(verdict.rows, verdict.accepted_orders + 2, "one unknown and one failed request made an order");
    assert_eq!(verdict.rows_of_unknown, 2);
    assert_eq!(judgement.decisions.orders(), verdict.rows);
    assert_eq!(verdict.confirmed + verdict.rejected.values().sum::<usize>(), verdict.rows);
    assert!(verdict.rejected.len() == 2 && verdict.conflicts > 0, "{verdict}");
    assert_eq!((verdict.busiest_second, verdict.cap), (1, Some(1)));
    assert_eq!(judgement.sample.len(), 10);
}

#[tokio::test]
async fn every_planted_fault_is_named_and_no_other() {
    let sound = SoundRun::make().await;
    let targets = Targets::find(&sound).await;
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    let mut note = |code: &'static str, found: Vec<String>| {
        named.insert(code);
        if found != [code] {
            wrong.push(format!("{code}: {found:?}"));
        }
    };
    for (code, text) in sql_cases() {
        let url = sound.copy(code);
        let mut sql = Sql::connect(&url).await;
        sql.run(&targets.fill(&text)).await;
        sql.close().await;
        note(code, names(&sound.run.judge(&url, &sound.scope, &sound.run.attempts).await.verdict));
    }
    let url = sound.copy("attempts");
    for (code, change) in attempt_cases() {
        let mut attempts = sound.run.attempts.clone();
        change(&mut attempts, sound.run.unknown);
        note(code, names(&sound.run.judge(&url, &sound.scope, &attempts).await.verdict));
    }
    let (url, code) = (sound.copy("later"), "later_payload_won");
    let mut sql = Sql::connect(&url).await;
    sql.run(&later_payload_wins(&sound)).await;
    sql.close().await;
    note(code, names(&sound.run.judge(&url, &sound.scope, &sound.run.attempts).await.verdict));
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The faults of look-ups have tests of their own.
    let others = FAULT_CODES.iter().filter(|(code, _)| !named.contains(code));
    let others: Vec<_> = others.map(|(code, _)| *code).filter(|code| !code.starts_with("lookup_")).collect();
    assert_eq!(others, ["replay_names_another_order"]);
}

/// The second payload's row, long after the first was accepted; the first is the conflict.
fn later_payload_wins(sound: &SoundRun) -> String {
    let (first, second) = sound.run.changed;
    assert!(sound.run.due_us(second) - sound.run.due_us(first) > 60_000_000, "{:?}", sound.run.changed);
    let workload = &sound.run.workload;
    let spec = |number| workload.request_spec(number);
    let digest = |number| {
        let (_, digest) = workload.expected(&spec(number)).expect("valid");
        format!("x'{}'", hex(digest.as_bytes()))
    };
    let reference = workload.request(&spec(second)).expect("valid").client_reference.expect("changed");
    let reference = reference.as_str();
    let order = literal(sound.run.order_id(first));
    format!(
        "UPDATE orders SET payload_digest = {second}, client_reference = '{reference}', \
             decided_at = (SELECT first_seen_at FROM order_conflicts WHERE order_id = {order} AND payload_digest = {second}) \
             WHERE order_id = {order}; \
         UPDATE order_conflicts SET payload_digest = {first} WHERE order_id = {order} AND payload_digest = {second};",
        first = digest(first),
        second = digest(second),
    )
}

#[test]
fn the_readme_explains_every_fault() {
    let readme = include_str!("../../README.md");
    for (code, _) in FAULT_CODES {
        assert!(readme.contains(&format!("`{code}`")), "{code}");
    }
}
