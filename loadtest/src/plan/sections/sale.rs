//! The sale and its queue.

use super::super::drain::Drain;
use super::super::figures::{Book, amount, number, span};
use super::super::target::Target;

/// What is asked, and what becomes of the queue.
pub(in super::super) fn sale(book: &mut Book, target: &Target) {
    let (peak, orders) = (&target.peak_rps, &target.orders);
    let (sale_s, rate) = (&target.sale_s, &target.drain_rate);
    let [peak_b, orders_b, sale_b, rate_b] =
        [peak, orders, sale_s, rate].map(super::super::facts::Fact::basis);
    let drain = Drain::of(peak.value, orders.value, sale_s.value, rate.value);
    book.section("The sale and its queue");
    book.figure(("orders", "orders"), amount(orders.value, ""), String::new(), &[&orders_b]);
    book.figure(("sale_s", "length of the sale"), span(sale_s.value), String::new(), &[&sale_b]);
    let all = [&peak_b, &orders_b, &sale_b, &rate_b];
    let (n, p, d, r) = (number(orders.value), number(peak.value), number(sale_s.value), number(rate.value));
    book.figure(
        ("queue_depth_max", "queue, deepest"),
        amount(drain.depth_max, "orders"),
        format!("{n} × (1 − {r}/{p}): everything comes at the peak rate"),
        &[&orders_b, &peak_b, &rate_b],
    );
    book.figure(
        ("queue_depth_at_end", "queue when the sale ends"),
        amount(drain.depth_at_end, "orders"),
        format!("{n} − {r}/s × {d} s, not below 0"),
        &all,
    );
    book.figure(
        ("oldest_at_end_s", "oldest order when the sale ends"),
        span(drain.oldest_at_end_s),
        format!(
            "{d} s − {} / {p}, when the first order that was not yet drained came",
            number(rate.value * sale_s.value)
        ),
        &all,
    );
    book.figure(
        ("oldest_max_s", "longest wait of an order"),
        span(drain.oldest_max_s),
        format!("of the last one: {n}/{r} − {n}/{p}, first in first out"),
        &[&orders_b, &peak_b, &rate_b],
    );
    book.figure(
        ("drained_s", "drained, from the beginning"),
        span(drain.drained_s),
        format!("{n} / {r}"),
        &[&orders_b, &rate_b],
    );
    book.figure(
        ("drained_after_end_s", "drained, from the end"),
        span(drain.drained_after_end_s),
        format!("{n} / {r} − {d} s, not below 0"),
        &all,
    );
}
