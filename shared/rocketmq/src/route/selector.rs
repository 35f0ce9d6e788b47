//! The choice of a queue or broker for a call.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{BrokerKey, BrokerRests, Route, Target};

impl Route {
    /// Returns a queue to write to: of a broker that was not `tried`, does not rest and is not to be avoided, if there is
    /// one, and of those the broker with the fewest sends in flight, so that one which hangs holds few of the places. Equals
    /// take turns.
    pub(crate) fn write_target(
        &self,
        tried: &[Arc<BrokerKey>],
        rests: &BrokerRests,
        avoid: Option<Avoid<'_>>,
    ) -> Option<&Target> {
        choose(&self.writable, self.next_write.fetch_add(1, Ordering::Relaxed), tried, rests, avoid)
    }

    /// Returns the queue of a message group: the same for every producer that has the same route, even if its broker fails,
    /// because another queue would break the order.
    pub(crate) fn group_target(&self, group: &str) -> Option<&Target> {
        let hash = usize::try_from(crc32fast::hash(group.as_bytes())).unwrap_or(usize::MAX);
        self.writable.get(hash.checked_rem(self.writable.len())?)
    }

    /// Returns a broker to receive from: one that does not rest, if there is one, and of those the one with the fewest
    /// receives in flight. Equals take turns.
    pub(crate) fn read_target(&self, rests: &BrokerRests) -> Option<&Target> {
        choose(&self.readable, self.next_read.fetch_add(1, Ordering::Relaxed), &[], rests, None)
    }
}

/// True for brokers to which a call goes only if there is no other.
pub(crate) type Avoid<'a> = &'a dyn Fn(&Arc<BrokerKey>) -> bool;

fn choose<'a>(
    targets: &'a [Target],
    turn: usize,
    tried: &[Arc<BrokerKey>],
    rests: &BrokerRests,
    avoid: Option<Avoid<'_>>,
) -> Option<&'a Target> {
    let first = turn.checked_rem(targets.len())?;
    let (before, after) = targets.split_at(first);
    let mut in_turn = after.iter().chain(before);
    if tried.is_empty() && rests.is_empty() && avoid.is_none() && targets[first].calls() == 0 {
        return in_turn.next();
    }
    let untried = |target: &&Target| !tried.contains(&target.broker);
    let rested = |target: &&Target| !rests.is_resting(&target.broker);
    let welcome = |target: &&Target| avoid.is_none_or(|avoid| !avoid(&target.broker));
    // Of equals, the first in turn.
    let least =
        |rested_untried: &mut dyn Iterator<Item = &'a Target>| rested_untried.min_by_key(|it| it.calls());
    let usable = || {
        least(&mut in_turn.clone().filter(|it| untried(it) && rested(it) && welcome(it)))
            .or_else(|| least(&mut in_turn.clone().filter(|it| rested(it) && welcome(it))))
            .or_else(|| least(&mut in_turn.clone().filter(rested)))
    };
    // A rest that ends is for one caller; the others look once more.
    [(); 2]
        .into_iter()
        .find_map(|()| usable().filter(|target| rests.try_use(&target.broker)))
        .or_else(|| in_turn.clone().find(untried))
        .or_else(|| in_turn.clone().next())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use super::*;
    use crate::error::ClientError;
    use crate::protocol::{Broker, MessageQueue, Permission};

    const PROBE: Duration = Duration::from_secs(3);

    fn target(name: &str) -> Target {
        let endpoints = "127.0.0.1:1".parse().expect("valid");
        Target {
            broker: Arc::new(BrokerKey { endpoints, name: name.to_owned() }),
            queue: MessageQueue::default(),
            calls: Arc::default(),
        }
    }

    fn failure() -> Result<(), ClientError> {
        Err(ClientError::Transport { endpoint: String::new(), reason: String::new() })
    }

    #[test]
    fn a_message_group_has_one_queue_and_the_groups_use_all() {
        let names = ["a", "b", "c"];
        let brokers = names.map(|name| Broker { name: name.to_owned(), id: 0, endpoints: None });
        let queues = brokers.map(|broker| MessageQueue {
            broker: Some(broker),
            permission: Permission::ReadWrite.into(),
            ..MessageQueue::default()
        });
        let endpoint = "127.0.0.1:1".parse().expect("valid");
        let routes = [(); 2].map(|()| Route::new(&endpoint, queues.to_vec(), None));
        let mut groups_by_broker = HashMap::new();
        for number in 0..300 {
            let group = format!("buyer-{number}");
            let [one, other] = routes.each_ref().map(|route| route.group_target(&group).map(|it| &it.broker));
            assert_eq!(one, other);
            *groups_by_broker.entry(one.expect("a queue").name.clone()).or_insert(0) += 1;
        }
        assert!(names.iter().all(|name| groups_by_broker[*name] > 70), "{groups_by_broker:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn another_broker_that_does_not_rest_comes_first() {
        let targets = [target("a"), target("a"), target("b"), target("c")];
        let [a, _, b, _] = targets.clone().map(|target| target.broker);
        let rests = BrokerRests::new(PROBE);
        let chosen = |turn, tried: &[Arc<BrokerKey>]| {
            choose(&targets, turn, tried, &rests, None).map_or("", |target| &target.broker.name).to_owned()
        };
        assert_eq!([0, 1, 2, 3, 4].map(|turn| chosen(turn, &[])), ["a", "a", "b", "c", "a"]);
        assert_eq!(chosen(0, std::slice::from_ref(&a)), "b");
        rests.record(&b, &failure());
        assert_eq!(chosen(0, std::slice::from_ref(&a)), "c");
        assert_eq!(chosen(2, &[]), "c");
        // Every broker was tried: one that does not rest.
        let all = [a.clone(), b, targets[3].broker.clone()];
        assert_eq!(chosen(2, &all), "c");
        rests.record(&targets[3].broker, &failure());
        rests.record(&a, &failure());
        assert_eq!(chosen(2, &[]), "b", "all rest: in turn");
        assert!(choose(&[], 0, &[], &rests, None).is_none());

        let rests = BrokerRests::new(PROBE);
        let avoiding = |turn, tried: &[Arc<BrokerKey>], avoided: &[&str]| {
            let avoid = |broker: &Arc<BrokerKey>| avoided.contains(&broker.name.as_str());
            let target = choose(&targets, turn, tried, &rests, Some(&avoid));
            target.map_or("", |target| &target.broker.name).to_owned()
        };
        assert_eq!(avoiding(0, &[], &["a"]), "b");
        assert_eq!(avoiding(0, &[all[1].clone()], &["a"]), "c");
        assert_eq!(avoiding(0, &all, &["a", "b"]), "c");
        assert_eq!(avoiding(2, &[], &["a", "b", "c"]), "b", "all are avoided: in turn");
    }

    /// One of three brokers hangs: only the calls that came before the others answered wait there.
    #[test]
    fn the_broker_with_the_fewest_calls_comes_first() {
        let targets = ["hangs", "a", "a", "b"].map(target);
        let rests = BrokerRests::new(PROBE);
        let chosen = |turn| choose(&targets, turn, &[], &rests, None).expect("a target");
        let mut hanging = Vec::new();
        let mut counts = HashMap::new();
        for turn in 0..100 {
            let target = chosen(turn);
            *counts.entry(target.broker.name.as_str()).or_insert(0) += 1;
            let call = target.begin_call();
            if target.broker.name == "hangs" {
                hanging.push(call);
            }
        }
        assert_eq!(counts, HashMap::from([("hangs", 1), ("a", 74), ("b", 25)]));
    }
}
