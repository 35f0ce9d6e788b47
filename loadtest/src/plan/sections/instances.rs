//! Instances: which size, how many, how early.

use super::super::facts::{Basis, Fact, Facts};
use super::super::figures::{Book, amount, number, span};
use super::super::queueing::Cores;
use super::super::sizing::{Bound, Point, SWEET_SPOT_WITHIN, by_concurrency, by_cpu};
use super::super::target::Target;

/// What the figures of an instance rest on.
struct Bases {
    peak: Basis,
    publish: Basis,
    cpu: Basis,
    speed: Basis,
    concurrency: Basis,
    headroom: Basis,
    rule: Basis,
}

/// Size, number and warming of the instances.
pub(in super::super) fn instances(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point) {
    let limits = &facts.specs.instance;
    let bases = Bases {
        peak: target.peak_rps.basis(),
        publish: target.publish_ms.basis(),
        cpu: target.us_per_order.basis(),
        speed: limits.vcpu_speed.basis(),
        concurrency: target.concurrency.basis(),
        headroom: target.headroom.basis(),
        rule: limits.by_concurrency.basis(),
    };
    one(book, target, facts, chosen, &bases);
    number_of(book, target, chosen, &bases);
    warm(book, target, facts, chosen, &bases);
}

fn one(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point, bases: &Bases) {
    let limits = &facts.specs.instance;
    let (us, publish) = (target.us_per_order.value, target.publish_ms.value);
    let cores = Cores::of(chosen.vcpu);
    book.section("An instance");
    let (vcpu_how, vcpu_bases) = match &target.vcpu {
        Some(fact) => ("as asked".to_owned(), vec![fact.basis()]),
        None => (
            format!(
                "the fewest instances within {} % of the least cost that keep p99: see the curve",
                number(SWEET_SPOT_WITHIN * 100.0)
            ),
            vec![
                bases.cpu.clone(),
                bases.speed.clone(),
                target.p99_ms.basis(),
                facts.prices.cu.vcpu_active_s.basis(),
            ],
        ),
    };
    let vcpu_bases: Vec<_> = vcpu_bases.iter().collect();
    book.figure(("vcpu", "vCPU"), amount(chosen.vcpu, "vCPU"), vcpu_how, &vcpu_bases);
    let memory_basis =
        target.memory_mb.as_ref().map_or_else(|| limits.memory_gb_per_vcpu_min.basis(), Fact::basis);
    book.figure(
        ("memory_mb", "memory"),
        amount(chosen.memory_mb, "MB"),
        format!(
            "at least 128 MB, 1 GB a vCPU, and {} MB resident; in steps of 64",
            number(facts.measured.ingest.rss_mb.value)
        ),
        &[&memory_basis, &facts.measured.ingest.rss_mb.basis()],
    );
    book.figure(
        ("concurrency", "requests at once to allow"),
        amount(chosen.concurrency, ""),
        format!(
            "⌈{1} vCPU × ({2} ms + CPU) / {3} µs⌉ keep its CPU busy, more would wait; at most {0}, at least room for 4 standard deviations above what is under way",
            number(target.concurrency.value),
            number(chosen.vcpu),
            number(publish),
            number(us)
        ),
        &[&bases.concurrency, &bases.cpu, &bases.speed, &bases.publish],
    );
    let service_ms = cores.service_us(us) / 1000.0;
    book.figure(
        ("latency_mean_ms", "time of a request in it"),
        amount(chosen.latency_mean_ms, "ms"),
        format!(
            "{} publish + {} CPU + {} wait for CPU: M/D/{} at {} %",
            number(publish),
            number(service_ms),
            number(chosen.latency_mean_ms - publish - service_ms),
            cores.servers,
            number((chosen.utilisation * 100.0).round())
        ),
        &[&bases.publish, &bases.cpu, &bases.speed],
    );
    book.figure(
        ("latency_p99_ms", "the same, 99 in 100"),
        amount(chosen.latency_p99_ms, "ms"),
        format!(
            "the wait by M/D/{}'s exponential tail, publishing taken as constant; goal {} ms",
            cores.servers,
            number(target.p99_ms.value)
        ),
        &[&bases.publish, &bases.cpu, &bases.speed, &target.p99_ms.basis()],
    );
    if !chosen.keeps_p99 {
        book.remark("No size keeps the latency goal, or the one asked for does not: publishing alone may take longer.");
    }
}

fn number_of(book: &mut Book, target: &Target, chosen: &Point, bases: &Bases) {
    let peak = target.peak_rps.value;
    book.section("Instances at the peak");
    let under_way = peak * chosen.latency_mean_ms / 1000.0;
    book.figure(
        ("requests_under_way", "requests under way"),
        amount(under_way, ""),
        format!("{}/s × {} ms (Little)", number(peak), number(chosen.latency_mean_ms)),
        &[&bases.peak, &bases.publish, &bases.cpu, &bases.speed],
    );
    let slots = by_concurrency(peak, chosen.latency_mean_ms, target.concurrency.value);
    book.figure(
        ("instances_by_concurrency", "by requests at once"),
        amount(slots, ""),
        format!("⌈{} / {}⌉", number(under_way), number(target.concurrency.value)),
        &[&bases.rule, &bases.peak, &bases.publish, &bases.concurrency],
    );
    let cpu = by_cpu(peak, target.us_per_order.value, chosen.vcpu);
    book.figure(
        ("instances_by_cpu", "by CPU"),
        amount(cpu, ""),
        format!(
            "⌈{}/s × {} µs / {} vCPU⌉",
            number(peak),
            number(target.us_per_order.value),
            number(chosen.vcpu)
        ),
        &[&bases.peak, &bases.cpu, &bases.speed],
    );
    let which = match chosen.bound {
        Bound::Cpu => "CPU binds",
        Bound::Concurrency => "requests at once bind",
    };
    book.figure(
        ("instances", "instances, with headroom"),
        amount(chosen.instances, ""),
        format!("{which}; {} % kept free", number(target.headroom.value * 100.0)),
        &[
            &bases.rule,
            &bases.peak,
            &bases.publish,
            &bases.cpu,
            &bases.speed,
            &bases.concurrency,
            &bases.headroom,
        ],
    );
    book.figure(
        ("vcpu_total", "vCPU in all"),
        amount(chosen.instances * chosen.vcpu, "vCPU"),
        format!("{} × {}", number(chosen.instances), number(chosen.vcpu)),
        &[&bases.peak, &bases.cpu, &bases.speed, &bases.headroom],
    );
}

fn warm(book: &mut Book, target: &Target, facts: &Facts, chosen: &Point, bases: &Bases) {
    let quota = &target.quota;
    let [instances_max, burst] = [&quota.instances_max, &quota.burst].map(Fact::from);
    let provisioned_max = &facts.specs.instance.provisioned_max;
    book.section("Warming and quotas");
    book.figure(
        ("prewarm", "provisioned instances"),
        amount(chosen.instances.min(provisioned_max.value), ""),
        "all that the peak needs: the sale begins before more can start".to_owned(),
        &[&bases.peak, &bases.cpu, &bases.speed, &bases.headroom, &provisioned_max.basis()],
    );
    book.figure(
        ("lead_s", "warmed before the sale by"),
        span(target.lead_s.value),
        String::new(),
        &[&target.lead_s.basis()],
    );
    let ok = |holds: bool| if holds { "fits" } else { "DOES NOT FIT: ask for a higher quota" };
    book.figure(
        ("quota_instances", "instances of the account"),
        amount(instances_max.value, ""),
        format!("{}: {}", quota.name, ok(chosen.instances <= instances_max.value)),
        &[&instances_max.basis()],
    );
    if let Some(vcpu_max) = quota.vcpu_max.as_ref().map(Fact::from) {
        book.figure(
            ("quota_vcpu", "vCPU of the account"),
            amount(vcpu_max.value, "vCPU"),
            format!("{}: {}", quota.name, ok(chosen.instances * chosen.vcpu <= vcpu_max.value)),
            &[&vcpu_max.basis()],
        );
    }
    let container = &facts.platform.cold_start.container;
    let cold = Basis { certainty: container.certainty.into(), source: container.source.clone() };
    let waiting =
        [container.min_ms, container.max_ms].map(|ms| target.peak_rps.value * f64::from(ms) / 1000.0);
    let needed = waiting.map(|requests| (requests / chosen.concurrency).ceil());
    let verdict = if needed[1] > burst.value {
        "more than start at once: the rest gets 429"
    } else {
        "they start at once, and everybody waits"
    };
    book.figure(
        ("instances_cold_max", "instances, were none warm"),
        (Some(needed[1]), format!("{} to {}", number(needed[0]), number(needed[1]))),
        format!(
            "{} to {} requests come during a start of {} to {} ms, {} to an instance; {} start at once: {verdict}",
            number(waiting[0]),
            number(waiting[1]),
            number(container.min_ms.into()),
            number(container.max_ms.into()),
            number(chosen.concurrency),
            number(burst.value)
        ),
        &[&bases.peak, &cold, &burst.basis()],
    );
}
