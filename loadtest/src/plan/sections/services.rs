//! Broker, gateway, database.

use super::super::broker::{MessageType, Tps};
use super::super::facts::{Basis, Certainty, Fact, Facts};
use super::super::figures::{Book, amount, number};
use super::super::sizing::Point;
use super::super::target::Target;

/// RocketMQ's specification, with and without coalescing.
pub(in super::super) fn broker(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point) {
    let rules = &facts.specs.rocketmq;
    let coalescing = &facts.measured.coalescing;
    book.section("RocketMQ");
    let gather =
        target.orders_per_message.as_ref().map_or_else(|| coalescing.linger_ms.basis(), |fact| fact.basis());
    let (per_instance, linger) =
        (target.peak_rps.value / chosen.instances, coalescing.linger_ms.value.min(target.publish_ms.value));
    let how = match &target.orders_per_message {
        Some(_) => "as asked, at most what fits into one message".to_owned(),
        None => format!("1 + {}/s of an instance × {} ms", number(per_instance), number(linger)),
    };
    book.figure(
        ("orders_per_message", "orders in a message"),
        amount(chosen.orders_per_message, ""),
        format!(
            "{how}; at most {} and {} bytes of {}",
            number(coalescing.batch_orders_max.value),
            number(coalescing.batch_bytes_max.value),
            number(target.order_bytes.value)
        ),
        &[
            &target.peak_rps.basis(),
            &gather,
            &coalescing.batch_bytes_max.basis(),
            &target.order_bytes.basis(),
        ],
    );
    let names = [
        ["tps_send", "tps_receive", "tps_needed", "rocketmq_spec"],
        ["tps_send_single", "tps_receive_single", "tps_needed_single", "rocketmq_spec_single"],
    ];
    for (names, orders_per_message) in names.into_iter().zip([chosen.orders_per_message, 1.0]) {
        let tps = Tps::of(
            rules,
            target.message_type,
            target.peak_rps.value,
            target.drain_rate.value,
            target.order_bytes.value,
            orders_per_message,
        );
        specification(book, target, facts, &tps, names);
    }
    smaller(book, target, facts, chosen);
    if target.message_type == MessageType::Normal {
        let factor = &rules.special_type_factor;
        book.remark(format!(
            "Ordered, delayed or transactional messages would count {} times [{}]: see --message-type.",
            number(factor.value),
            factor.certainty.word()
        ));
    }
    book.remark("Drain workers are taken to receive at the drain's cap. Only these specifications are known here; there are others.");
}

fn specification(book: &mut Book, target: &Target, facts: &Facts, tps: &Tps, names: [&'static str; 4]) {
    let rules = &facts.specs.rocketmq;
    let single = names[0].ends_with("_single");
    let kind = if single { "each order alone" } else { "coalesced" };
    let rule = rules.unit_bytes.basis();
    let mut bases = vec![rule, target.order_bytes.basis()];
    if target.message_type != MessageType::Normal {
        bases.push(rules.special_type_factor.basis());
    }
    let unit = format!("/ {} × {}", number(tps.orders_per_message), number(tps.units));
    let [peak, drain, share_basis] =
        [&target.peak_rps, &target.drain_rate, &rules.send_share_max].map(Fact::basis);
    let with =
        |more: &[&'_ Basis]| -> Vec<Basis> { bases.iter().chain(more.iter().copied()).cloned().collect() };
    book.figure(
        (names[0], &format!("sends, {kind}")),
        amount(tps.send, "TPS"),
        format!("{} {unit}", number(target.peak_rps.value)),
        &refs(&with(&[&peak])),
    );
    book.figure(
        (names[1], &format!("receives, {kind}")),
        amount(tps.receive, "TPS"),
        format!("{} {unit}", number(target.drain_rate.value)),
        &refs(&with(&[&drain])),
    );
    let share = &rules.send_share_max;
    book.figure(
        (names[2], &format!("specification needed, {kind}")),
        amount(tps.needed, "TPS"),
        format!(
            "the greater of {} + {} and {} / {}",
            number(tps.send),
            number(tps.receive),
            number(tps.send),
            number(share.value)
        ),
        &refs(&with(&[&peak, &drain, &share_basis])),
    );
    let label = format!("smallest one known, {kind}");
    match tps.spec(rules) {
        Some(spec) => {
            let connections = spec.connections.map_or_else(
                || "its connections are not known here".to_owned(),
                |most| format!("{} connections", number(most)),
            );
            book.figure(
                (names[3], &label),
                (Some(spec.tps), spec.name.clone()),
                format!(
                    "{} TPS, {} more for a while; {connections}",
                    number(spec.tps),
                    number(spec.burst_tps)
                ),
                &[&spec.basis()],
            );
        }
        None => book.figure(
            (names[3], &label),
            (None, "none".to_owned()),
            "larger than any that is known here: coalesce, or spread over instances".to_owned(),
            &rules.specs.last().map(|spec| spec.basis()).iter().collect::<Vec<_>>(),
        ),
    }
}

/// How well orders would have to share messages for the next smaller specification.
fn smaller(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point) {
    let rules = &facts.specs.rocketmq;
    let (peak, share) = (target.peak_rps.value, rules.send_share_max.value);
    let at = |orders_per_message: f64| {
        let (drain, bytes) = (target.drain_rate.value, target.order_bytes.value);
        Tps::of(rules, target.message_type, peak, drain, bytes, orders_per_message)
    };
    let needed = at(chosen.orders_per_message).needed;
    let Some(spec) = rules.specs.iter().rev().find(|spec| spec.tps < needed) else { return };
    // Whole orders, as long as they fit into one unit; more in a message never counts for more within it.
    let most = (facts.measured.coalescing.batch_bytes_max.value / target.order_bytes.value).floor() as u32;
    let most = most.min(facts.measured.coalescing.batch_orders_max.value as u32);
    let Some(enough) = (1..=most).map(f64::from).find(|orders| at(*orders).needed <= spec.tps) else {
        return;
    };
    let a_while = if spec.tps + spec.burst_tps >= needed {
        "; its burst would carry this peak for a while"
    } else {
        ""
    };
    book.figure(
        ("orders_per_message_smaller_spec", &format!("orders in a message for {}", spec.name)),
        amount(enough, ""),
        format!(
            "{}/s / ({} × {}): fewer, larger instances, or a longer --linger-ms{a_while}",
            number(peak),
            number(spec.tps),
            number(share)
        ),
        &[
            &target.peak_rps.basis(),
            &rules.send_share_max.basis(),
            &target.order_bytes.basis(),
            &spec.basis(),
        ],
    );
}

fn refs(bases: &[Basis]) -> Vec<&Basis> {
    bases.iter().collect()
}

/// The gateway's class.
pub(in super::super) fn gateway(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point) {
    let classes = &facts.specs.gateway;
    let peak = target.peak_rps.value;
    let outbound = peak * chosen.latency_mean_ms / 1000.0;
    book.section("Gateway (traditional, dedicated instance)");
    book.figure(
        ("gateway_outbound_connections", "connections to the function"),
        amount(outbound, ""),
        format!("{}/s × {} ms, one request at a time on each", number(peak), number(chosen.latency_mean_ms)),
        &[&target.peak_rps.basis(), &target.publish_ms.basis(), &target.us_per_order.basis()],
    );
    let class = classes.iter().find(|class| class.rps >= peak && class.outbound_connections >= outbound);
    match class {
        Some(class) => book.figure(
            ("gateway_class", "smallest one known"),
            (Some(class.rps), class.name.clone()),
            format!(
                "{} requests/s, {} connections out, {} new ones a second",
                number(class.rps),
                number(class.outbound_connections),
                number(class.new_connections_per_s)
            ),
            &[&class.basis()],
        ),
        None => book.figure(
            ("gateway_class", "smallest one known"),
            (None, "none".to_owned()),
            "beyond the largest: spread over several".to_owned(),
            &classes.last().map(|class| class.basis()).iter().collect::<Vec<_>>(),
        ),
    }
    if let Some(class) = class.filter(|class| class.rps < peak * 1.1) {
        book.remark(format!("{} leaves less than 10 % above the peak.", class.name));
    }
    book.remark(
        "A class may not be changeable in place [likely]: choose before the sale. Classes between the known ones exist. \
         A full pool queues for up to 500 ms, then answers D504CO [certain].",
    );
}

/// What is known of the database.
pub(in super::super) fn database(book: &mut Book, target: &Target, facts: &Facts) {
    let assumed = &facts.measured.assumed;
    let (writers, readers, workers) = (&assumed.writers, &assumed.readers, &assumed.workers);
    let connections = (writers.value + readers.value) * workers.value;
    book.section("PolarDB");
    book.figure(
        ("database_connections", "connections of the drain"),
        amount(connections, ""),
        format!(
            "{} workers × ({} that write + {} that read)",
            number(workers.value),
            number(writers.value),
            number(readers.value)
        ),
        &[&workers.basis(), &writers.basis(), &readers.basis()],
    );
    let class = facts.specs.polardb.iter().find(|class| class.connections >= connections);
    if let Some(class) = class {
        book.figure(
            ("database_class_connections", "smallest class known"),
            (Some(class.connections), class.name.clone()),
            format!("{} connections", number(class.connections)),
            &[&class.basis()],
        );
    }
    let unknown = Basis {
        certainty: Certainty::Unknown,
        source: "how many rows a second a PolarDB class writes: measure, then set the drain's cap".to_owned(),
    };
    book.figure(
        ("database_rate", "orders a second it must take"),
        amount(target.drain_rate.value, "/s"),
        "the drain's cap, whatever the peak".to_owned(),
        &[&target.drain_rate.basis(), &unknown],
    );
}
