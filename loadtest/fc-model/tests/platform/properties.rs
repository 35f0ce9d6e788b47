//! Invariants under any order of events.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::proptest;

use super::MS;
use super::model::{ModelPhase, RuleModel};
use fc_model::{DeliveryRate, PlatformRules, ProvisionedWindow};

#[derive(Clone, Copy, Debug)]
enum ModelEvent {
    Arrive(u8),
    /// Index of the affected instance: the number modulo the count of candidates.
    Ready(usize),
    Fail(usize),
    Done(usize),
    Gone(usize),
    Advance(u64),
}

fn event() -> impl Strategy<Value = ModelEvent> {
    prop_oneof![
        6 => (1_u8..12).prop_map(ModelEvent::Arrive),
        4 => any::<usize>().prop_map(ModelEvent::Ready),
        1 => any::<usize>().prop_map(ModelEvent::Fail),
        8 => any::<usize>().prop_map(ModelEvent::Done),
        2 => any::<usize>().prop_map(ModelEvent::Gone),
        4 => (0_u64..40_000).prop_map(ModelEvent::Advance),
    ]
}

fn rules() -> impl Strategy<Value = PlatformRules> {
    let freeze = prop_oneof![Just(None), Just(Some(0)), (1_u64..3_000).prop_map(Some)];
    let window = (0_u32..5, 0_u64..100_000, 0_u64..200_000);
    let limits = (1_u16..5, 1_u32..8, 1_u32..6, 0_u32..200);
    (limits, 0_u64..90_000, freeze, window, any::<bool>()).prop_map(
        |(limits, linger, freeze, window, always)| {
            let (concurrency, instances_max, burst, per_min) = limits;
            let (target, from, length) = window;
            PlatformRules {
                concurrency,
                instances_max,
                delivery: DeliveryRate { burst, per_min },
                compute: None,
                idle_linger: Duration::from_millis(linger),
                freeze_after_idle: freeze.map(Duration::from_millis),
                provisioned: vec![ProvisionedWindow {
                    target,
                    from: Duration::from_millis(from),
                    until: Duration::from_millis(from + length),
                }],
                provisioned_always_cpu: always,
            }
        },
    )
}

fn apply(model: &mut RuleModel, event: ModelEvent) {
    let pick = |of: Vec<_>, number: usize| of.get(number % of.len().max(1)).copied();
    match event {
        ModelEvent::Arrive(count) => (0..count).for_each(|_| model.arrive()),
        ModelEvent::Ready(number) => {
            if let Some(id) = pick(model.some(|instance| instance.phase == ModelPhase::Starting), number) {
                model.ready(id);
            }
        }
        ModelEvent::Fail(number) => {
            if let Some(id) = pick(model.some(|_| true), number) {
                model.fail(id);
            }
        }
        ModelEvent::Done(number) => {
            if let Some(id) = pick(model.some(|instance| instance.requests > 0), number) {
                model.done(id);
            }
        }
        ModelEvent::Gone(number) => {
            if let Some(id) = pick(model.some(|instance| instance.phase == ModelPhase::Stopping), number) {
                model.gone(id);
            }
        }
        ModelEvent::Advance(ms) => {
            model.now += ms * MS;
            model.tick();
        }
    }
    model.check();
}

/// Ends all requests in flight and waits until no timer is due.
fn settle(model: &mut RuleModel) {
    for _ in 0..1_000 {
        for id in model.some(|instance| instance.phase == ModelPhase::Starting) {
            model.ready(id);
        }
        while let Some(id) = model.some(|instance| instance.requests > 0).first() {
            model.done(*id);
        }
        for id in model.some(|instance| instance.phase == ModelPhase::Stopping) {
            model.gone(id);
        }
        let Some(at) = model.platform.next_timer() else {
            model.check();
            return;
        };
        model.now = model.now.max(at);
        model.tick();
    }
    panic!("it reaches an idle state");
}

proptest! {
    #[test]
    fn the_rules_hold_and_every_run_ends(rules in rules(), events in vec(event(), 1..200)) {
        let mut model = RuleModel::new(rules);
        for event in events {
            apply(&mut model, event);
        }
        settle(&mut model);
        model.check_delivery();
        assert_eq!(model.instances.len(), 0, "the window is over and every instance is gone");
    }
}
