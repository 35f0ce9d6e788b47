//! Collects [`BrokerStats`]. Costs a scan of topics, groups, queues and waiting messages, not of messages in queues.

use tokio::time::Instant;

use super::clock::system_time;
use super::state::State;
use super::subscription::Subscription;
use super::topic::Topic;
use crate::stats::{BrokerStats, GroupStats, TopicStats};

impl State {
    pub(crate) fn stats(&mut self, now: Instant) -> BrokerStats {
        let waiting = self.waiting.counts();
        let mut topics: Vec<TopicStats> = Vec::with_capacity(self.topics.len());
        for (id, topic) in (0_u32..).zip(&self.topics) {
            let mut groups: Vec<GroupStats> = Vec::new();
            for ((_, group), subscription) in self.subscriptions.range_mut((id, 0)..=(id, u32::MAX)) {
                subscription.lapse(now);
                groups.push(group_stats(&self.groups[*group as usize], topic, subscription));
            }
            groups.sort_by(|left, right| left.name.cmp(&right.name));
            topics.push(TopicStats {
                name: topic.name.clone(),
                queues: topic.queues.len(),
                sent: topic.sent,
                stored: topic.queues.iter().map(|queue| queue.messages.len() as u64).sum(),
                waiting: waiting.get(&id).copied().unwrap_or(0),
                groups,
            });
        }
        topics.sort_by(|left, right| left.name.cmp(&right.name));
        BrokerStats { topics, log_bytes: self.segments.bytes_total(), segments: self.segments.len() }
    }
}

fn group_stats(name: &str, topic: &Topic, subscription: &Subscription) -> GroupStats {
    let mut stats = GroupStats {
        name: name.to_owned(),
        in_flight: subscription.hidden() as u64,
        ..GroupStats::default()
    };
    let mut oldest_ms: Option<u64> = None;
    for (queue, cursor) in topic.queues.iter().zip(&subscription.cursors) {
        let Some(cursor) = cursor else { continue };
        stats.ready += cursor.again.len() as u64 + queue.next_offset.saturating_sub(cursor.next);
        stats.acked += cursor.settled;
        // The message with a queue's lowest offset was stored first.
        if let Some(stored) = queue.messages.get(&cursor.oldest()) {
            oldest_ms = Some(oldest_ms.map_or(stored.stored_ms, |oldest| oldest.min(stored.stored_ms)));
        }
    }
    stats.oldest_unacked = oldest_ms.map(system_time);
    stats
}
