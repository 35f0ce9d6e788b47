//! Transitions, event by event.

use std::time::Duration;

use super::{SECOND, small};
use fc_model::{
    ComputeQuota, DeliveryRate, InstanceId, PlacementDecision, Platform, PlatformAction, PlatformFacts,
    PlatformRules, ProvisionedWindow, ThrottleReason,
};

fn started(platform: &mut Platform, now: u64) -> InstanceId {
    match platform.arrive(now) {
        PlacementDecision::Start(id) => id,
        other => panic!("{other:?}"),
    }
}

fn tick(platform: &mut Platform, now: u64) -> Vec<PlatformAction> {
    let mut actions = Vec::new();
    platform.tick(now, &mut actions);
    actions
}

#[test]
fn requests_wait_on_a_starting_instance_up_to_its_slots_and_then_start_another() {
    let mut platform = Platform::new(&small()).expect("rules");
    let first = started(&mut platform, 0);
    assert_eq!(platform.arrive(0), PlacementDecision::Wait(first));
    let second = started(&mut platform, 0);
    assert_ne!(first, second);
    assert_eq!(platform.instance_ready(1, first), 2, "both waited for it");
    assert_eq!(platform.instance_ready(1, first), 0, "it is ready only once");
    assert_eq!(platform.arrive(2), PlacementDecision::Wait(second));
    let third = started(&mut platform, 2);
    assert_eq!(platform.arrive(2), PlacementDecision::Wait(third));
    assert_eq!(platform.arrive(2), PlacementDecision::Throttle(ThrottleReason::Instances));
    platform.request_done(3, first);
    assert_eq!(platform.arrive(3), PlacementDecision::Assign(first));
}

#[test]
fn the_instance_used_last_is_used_next_so_that_others_become_idle() {
    let mut platform = Platform::new(&PlatformRules { concurrency: 1, ..small() }).expect("rules");
    let [first, second] = [0, 0].map(|now| started(&mut platform, now));
    for id in [first, second] {
        platform.instance_ready(0, id);
    }
    platform.request_done(1, second);
    platform.request_done(2, first);
    for now in 3..10 {
        assert_eq!(platform.arrive(now), PlacementDecision::Assign(first));
        platform.request_done(now, first);
    }
    assert_eq!(tick(&mut platform, SECOND + 1), [PlatformAction::Freeze(second)]);
}

#[test]
fn an_idle_instance_is_frozen_then_thawed_by_a_request_or_stopped() {
    let mut platform = Platform::new(&small()).expect("rules");
    let id = started(&mut platform, 0);
    platform.instance_ready(0, id);
    assert_eq!(platform.next_timer(), None, "a busy instance waits for nothing");
    platform.request_done(SECOND, id);
    assert_eq!(platform.next_timer(), Some(2 * SECOND));
    assert_eq!(tick(&mut platform, 2 * SECOND - 1), []);
    assert_eq!(tick(&mut platform, 2 * SECOND), [PlatformAction::Freeze(id)]);
    assert_eq!(platform.instance_counts().on_demand.frozen, 1);
    assert_eq!(platform.arrive(5 * SECOND), PlacementDecision::Thaw(id));
    assert_eq!(platform.arrive(5 * SECOND), PlacementDecision::Assign(id), "it is thawed only once");
    platform.request_done(6 * SECOND, id);
    platform.request_done(7 * SECOND, id);
    assert_eq!(tick(&mut platform, 8 * SECOND), [PlatformAction::Freeze(id)]);
    assert_eq!(platform.next_timer(), Some(67 * SECOND));
    assert_eq!(tick(&mut platform, 67 * SECOND), [PlatformAction::Stop { instance: id, frozen: true }]);
    assert_eq!(platform.instance_counts().stopping, 1, "it counts until it is gone");
    platform.instance_gone(68 * SECOND, id);
    assert_eq!(platform.instance_counts().total(), 0);
    assert_eq!(platform.requests_of(id), None);
    // From 0 to 1 s and 5 to 7 s with requests, 1 to 2 s and 7 to 8 s without, the rest frozen.
    let usage = platform.usage(100 * SECOND).on_demand;
    let seconds = [usage.active, usage.idle, usage.frozen].map(|nanos| nanos / u128::from(SECOND));
    assert_eq!(seconds, [3, 2, 62]);
}

#[test]
fn a_failed_instance_loses_its_requests_and_frees_its_slot() {
    let mut platform = Platform::new(&PlatformRules { instances_max: 1, ..small() }).expect("rules");
    let id = started(&mut platform, 0);
    platform.arrive(0);
    assert_eq!(platform.instance_failed(1, id), 2);
    assert_eq!(platform.instance_failed(1, id), 0, "it fails only once");
    platform.request_done(1, id);
    let next = started(&mut platform, 2);
    assert_eq!(next.index(), id.index(), "its slot is reused");
    assert_ne!(next, id, "its name is not");
    assert_eq!(platform.event_counts().lost, 2);
    assert_eq!(platform.event_counts().ended, 0);
}

#[test]
fn a_client_that_disconnects_while_it_waits_frees_its_slot() {
    let mut platform =
        Platform::new(&PlatformRules { instances_max: 1, concurrency: 1, ..small() }).expect("rules");
    let id = started(&mut platform, 0);
    assert_eq!(platform.arrive(0), PlacementDecision::Throttle(ThrottleReason::Instances));
    platform.request_done(1, id);
    assert_eq!(platform.arrive(2), PlacementDecision::Wait(id));
}

#[test]
fn provisioned_instances_come_first_stay_warm_and_are_replaced() {
    let provisioned =
        vec![ProvisionedWindow { target: 1, from: Duration::ZERO, until: Duration::from_secs(3_600) }];
    let mut platform =
        Platform::new(&PlatformRules { provisioned, concurrency: 1, ..small() }).expect("rules");
    let [PlatformAction::StartProvisioned(kept)] = tick(&mut platform, 0)[..] else {
        panic!("one is started")
    };
    assert_eq!(platform.arrive(0), PlacementDecision::Wait(kept), "a request may wait for it");
    platform.instance_ready(1, kept);
    let other = started(&mut platform, 2);
    platform.instance_ready(2, other);
    platform.request_done(3, kept);
    platform.request_done(4, other);
    assert_eq!(
        platform.arrive(5),
        PlacementDecision::Assign(kept),
        "the other was used last, yet this one is provisioned"
    );
    platform.request_done(5, kept);
    assert_eq!(tick(&mut platform, 10 * SECOND), [PlatformAction::Freeze(other)], "it is neither frozen");
    let stop = PlatformAction::Stop { instance: other, frozen: true };
    assert_eq!(tick(&mut platform, 600 * SECOND), [stop], "nor stopped");
    platform.instance_failed(601 * SECOND, kept);
    assert_eq!(platform.next_timer(), Some(601 * SECOND));
    assert!(matches!(tick(&mut platform, 601 * SECOND)[..], [PlatformAction::StartProvisioned(_)]));
}

#[test]
fn provisioning_beyond_the_delivery_quota_continues_at_its_rate() {
    let provisioned =
        vec![ProvisionedWindow { target: 5, from: Duration::ZERO, until: Duration::from_secs(60) }];
    let mut platform =
        Platform::new(&PlatformRules { provisioned, instances_max: 4, ..small() }).expect("rules");
    assert_eq!(tick(&mut platform, 0).len(), 3);
    assert_eq!(platform.next_timer(), Some(SECOND), "sixty a minute");
    assert_eq!(tick(&mut platform, SECOND).len(), 1);
    assert_eq!(
        platform.next_timer(),
        Some(60 * SECOND),
        "the total is reached: only the window's end remains"
    );
}

#[test]
fn a_released_instance_does_not_delay_one_that_a_late_tick_freezes() {
    let provisioned =
        vec![ProvisionedWindow { target: 1, from: Duration::ZERO, until: Duration::from_secs(100) }];
    let rules = PlatformRules { provisioned, provisioned_always_cpu: false, concurrency: 1, ..small() };
    let mut platform = Platform::new(&rules).expect("rules");
    let [PlatformAction::StartProvisioned(kept)] = tick(&mut platform, 0)[..] else {
        panic!("one is started")
    };
    platform.instance_ready(0, kept);
    assert_eq!(tick(&mut platform, SECOND), [PlatformAction::Freeze(kept)]);
    assert_eq!(platform.arrive(50 * SECOND), PlacementDecision::Thaw(kept));
    let other = started(&mut platform, 50 * SECOND);
    platform.instance_ready(50 * SECOND, other);
    platform.request_done(50 * SECOND, kept);
    assert_eq!(tick(&mut platform, 51 * SECOND), [PlatformAction::Freeze(kept)]);
    platform.request_done(52 * SECOND, other);
    assert_eq!(tick(&mut platform, 100 * SECOND), [PlatformAction::Freeze(other)], "due since 53 s");
    assert_eq!(tick(&mut platform, 112 * SECOND), [PlatformAction::Stop { instance: other, frozen: true }]);
    assert_eq!(tick(&mut platform, 160 * SECOND), [PlatformAction::Stop { instance: kept, frozen: true }]);
}

#[test]
fn rules_out_of_bounds_are_rejected() {
    let facts = PlatformFacts::shipped().expect("the data file");
    assert_eq!(facts.limits.concurrency_max.value, u32::from(fc_model::CONCURRENCY_MAX));
    let compute = ComputeQuota {
        instance_millivcpu: 0,
        instance_mb: 1,
        vcpu_max: 1,
        mb_max: 1,
        delivery: DeliveryRate { burst: 1, per_min: 1 },
    };
    let backwards =
        ProvisionedWindow { target: 1, from: Duration::from_secs(2), until: Duration::from_secs(1) };
    for (rules, name) in [
        (PlatformRules { concurrency: 0, ..small() }, "concurrency"),
        (PlatformRules { concurrency: 201, ..small() }, "concurrency"),
        (PlatformRules { instances_max: 0, ..small() }, "instances_max"),
        (PlatformRules { delivery: DeliveryRate { burst: 0, per_min: 1 }, ..small() }, "delivery.burst"),
        (PlatformRules { compute: Some(compute), ..small() }, "compute.instance_millivcpu"),
        (PlatformRules { provisioned: vec![backwards], ..small() }, "window"),
    ] {
        let error = Platform::new(&rules).expect_err(name);
        assert!(error.to_string().contains(name), "{error}");
    }
    assert!(facts.quotas.iter().all(|quota| facts.rules(quota, 100).check().is_ok()));
}
