//! The rules reproduce the published figures.

use std::collections::VecDeque;
use std::time::Duration;

use super::{MS, SECOND};
use fc_model::{
    PlacementDecision, Platform, PlatformFacts, PlatformRules, ProvisionedWindow, ThrottleReason,
};

fn rules(quota: &str, concurrency: u16) -> PlatformRules {
    let facts = PlatformFacts::shipped().expect("the data file");
    facts.rules(facts.quota(quota).expect("a quota"), concurrency)
}

/// Sends `requests` at once; returns the number of starts and the reason for throttling.
fn flood(platform: &mut Platform, now: u64, requests: u32) -> (u32, Option<ThrottleReason>) {
    let (mut started, mut throttle) = (0, None);
    for _ in 0..requests {
        match platform.arrive(now) {
            PlacementDecision::Start(_) => started += 1,
            PlacementDecision::Throttle(why) => throttle = Some(why),
            _ => {}
        }
    }
    (started, throttle)
}

#[test]
fn the_article_quota_delivers_ten_thousand_instances_within_three_seconds() {
    let mut platform = Platform::new(&rules("article", 1)).expect("rules");
    let mut started = 0;
    let mut complete_at = None;
    for ms in 0..3_000 {
        started += flood(&mut platform, ms * MS, 20).0;
        if started == 10_000 && complete_at.is_none() {
            complete_at = Some(ms);
        }
    }
    // 300 at once if all arrive together; at 3,250 a second, 9,700 more take 2,985 ms.
    assert_eq!(complete_at, Some(2_985));
    assert_eq!(flood(&mut platform, 3 * SECOND, 1), (0, Some(ThrottleReason::Instances)));
}

#[test]
fn delivery_is_a_burst_and_then_a_rate_per_minute() {
    // Quota, instances at once, after one more second, and after a minute in total. The total limit is raised, so that
    // only the delivery bounds.
    for (quota, burst, second, minute) in
        [("large-region", 300, 5, 600), ("medium-region", 100, 1, 200), ("small-region", 100, 1, 200)]
    {
        let raised = PlatformRules { instances_max: 10_000, ..rules(quota, 1) };
        let mut platform = Platform::new(&raised).expect("rules");
        assert_eq!(flood(&mut platform, 0, 5_000), (burst, Some(ThrottleReason::Delivery)), "{quota}");
        assert_eq!(flood(&mut platform, SECOND, 5_000), (second, Some(ThrottleReason::Delivery)), "{quota}");
        for tenth in 11..=600 {
            flood(&mut platform, tenth * SECOND / 10, 10);
        }
        assert_eq!(platform.instance_counts().total(), minute, "{quota}");
    }
}

#[test]
fn default_quotas_stop_at_their_totals() {
    for (quota, total) in
        [("large-region", 300), ("medium-region", 100), ("small-region", 100), ("article", 10_000)]
    {
        let mut platform = Platform::new(&rules(quota, 1)).expect("rules");
        for second in 0..600 {
            flood(&mut platform, second * SECOND, 4_000);
        }
        assert_eq!(platform.instance_counts().total(), total, "{quota}");
        assert_eq!(flood(&mut platform, 600 * SECOND, 1), (0, Some(ThrottleReason::Instances)), "{quota}");
    }
}

#[test]
fn half_of_the_cpu_quota_is_delivered_at_once_and_the_rest_per_minute() {
    let facts = PlatformFacts::shipped().expect("the data file");
    let quota = facts.quota("large-region").expect("a quota");
    // vCPU in thousandths, MB; at once (of 300 vCPU), after ten seconds (6 vCPU each), in total (of 600 vCPU and 1,200
    // GB).
    for (millivcpu, mb, at_once, ten_seconds, total) in
        [(2_000, 4_096, 150, 30, 300), (4_000, 8_192, 75, 15, 150), (2_000, 8_192, 150, 0, 150)]
    {
        let rules = PlatformRules {
            instances_max: 1_000,
            delivery: fc_model::DeliveryRate { burst: 1_000, per_min: 0 },
            compute: quota.compute(millivcpu, mb),
            ..rules("large-region", 1)
        };
        let mut platform = Platform::new(&rules).expect("rules");
        let case = format!("{millivcpu} {mb}");
        assert_eq!(flood(&mut platform, 0, 1_000), (at_once, Some(ThrottleReason::Compute)), "{case}");
        assert_eq!(flood(&mut platform, 10 * SECOND, 1_000).0, ten_seconds, "{case}");
        flood(&mut platform, 60 * SECOND, 1_000);
        assert_eq!(platform.instance_counts().total(), total, "{case}");
    }
}

#[test]
fn a_steady_load_needs_the_instances_of_the_formula() {
    // Instances = requests a second × latency / concurrency, as documented.
    for (latency_ms, concurrency, instances) in [(20, 100, 10), (100, 100, 50), (100, 200, 25)] {
        let mut platform = Platform::new(&rules("large-region", concurrency)).expect("rules");
        let mut under_way = VecDeque::new();
        let mut actions = Vec::new();
        for number in 0..50_000_u64 {
            let now = number * (SECOND / 50_000);
            while let Some((_, id)) = under_way.pop_front_if(|(until, _)| *until <= now) {
                platform.request_done(now, id);
            }
            platform.tick(now, &mut actions);
            let id = match platform.arrive(now) {
                PlacementDecision::Start(id) => {
                    platform.instance_ready(now, id);
                    id
                }
                PlacementDecision::Assign(id) | PlacementDecision::Thaw(id) | PlacementDecision::Wait(id) => {
                    id
                }
                PlacementDecision::Throttle(why) => panic!("{why:?}"),
            };
            under_way.push_back((now + latency_ms * MS, id));
        }
        assert_eq!(platform.instance_counts().total(), instances, "{latency_ms} ms, {concurrency}");
    }
}

#[test]
fn fifty_instances_are_ready_five_minutes_before_the_sale_and_stop_after_it() {
    let minutes = |count: u64| Duration::from_secs(count * 60);
    // From 11:00: a sale at 12:00, pre-warmed from 11:55 to 12:30.
    let rules = PlatformRules {
        provisioned: vec![ProvisionedWindow { target: 50, from: minutes(55), until: minutes(90) }],
        ..rules("large-region", 100)
    };
    let mut platform = Platform::new(&rules).expect("rules");
    let mut actions = Vec::new();
    let mut seen = Vec::new();
    while let Some(at) = platform.next_timer() {
        actions.clear();
        platform.tick(at, &mut actions);
        seen.push((at / SECOND, actions.len()));
        for action in &actions {
            match *action {
                fc_model::PlatformAction::StartProvisioned(id) => {
                    platform.instance_ready(at, id);
                }
                fc_model::PlatformAction::Stop { instance, .. } => platform.instance_gone(at, instance),
                fc_model::PlatformAction::Freeze(_) => {}
            }
        }
    }
    // Started, released, frozen, and stopped a minute later.
    assert_eq!(seen, [(55 * 60, 50), (90 * 60, 0), (90 * 60, 50), (91 * 60, 50)]);
    assert_eq!(platform.instance_counts().total(), 0);
    let usage = platform.usage(91 * 60 * SECOND);
    assert_eq!(usage.provisioned.idle, 50 * 35 * 60 * u128::from(SECOND));
}
