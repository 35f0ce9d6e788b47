//! The connections of a thread. Free ones are reused last in, first out, so that few stay warm.

use std::collections::{HashMap, VecDeque};

use mio::{Registry, Token};

use super::connection::ClientConnection;
use super::in_flight::InFlight;
use super::timers::ConnectionSlot;
use crate::target::Target;

/// Ends of idle times that may remain in the queue beyond two for each open connection.
const STALE_MAX: usize = 64;

/// The place of a free connection, until it is taken or closed.
#[derive(Clone, Copy, Debug)]
struct IdlePlace {
    slot: usize,
    since: u64,
}

/// Connections by slot; the slot number is also the token.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    target: Target,
    slots: Vec<Option<ClientConnection>>,
    free_slots: Vec<usize>,
    /// Free connections, the last one at the back, and places that are free no more.
    idle: VecDeque<IdlePlace>,
    /// Free connections by buyer, if each has its own, and places that are free no more.
    by_buyer: Option<HashMap<u32, IdlePlace>>,
    idle_count: usize,
    releases: u64,
    connections_max: usize,
    open: usize,
    opened: u64,
    most: u64,
}

impl ConnectionPool {
    /// `per_buyer`: a connection carries the requests of one buyer only.
    pub(super) fn new(target: Target, connections_max: usize, per_buyer: bool) -> Self {
        Self {
            target,
            slots: Vec::with_capacity(connections_max),
            free_slots: Vec::with_capacity(connections_max),
            idle: VecDeque::with_capacity(2 * connections_max + STALE_MAX),
            by_buyer: per_buyer.then(HashMap::new),
            idle_count: 0,
            releases: 0,
            connections_max,
            open: 0,
            opened: 0,
            most: 0,
        }
    }

    pub(super) fn get(&mut self, slot: usize) -> Option<&mut ClientConnection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Takes a free connection for a request of `buyer`.
    pub(super) fn take_idle(&mut self, buyer: u32) -> Option<usize> {
        if let Some(by_buyer) = &mut self.by_buyer {
            let place = by_buyer.remove(&buyer)?;
            return self.take(place);
        }
        while let Some(place) = self.idle.pop_back() {
            // The peer may have closed it meanwhile.
            if let Some(slot) = self.take(place) {
                return Some(slot);
            }
        }
        None
    }

    fn take(&mut self, place: IdlePlace) -> Option<usize> {
        let connection = self.slots.get_mut(place.slot)?.as_mut()?;
        connection.idle_since.take_if(|since| *since == place.since)?;
        self.idle_count -= 1;
        Some(place.slot)
    }

    /// Opens another connection, at the maximum in the place of the one that another buyer has left free for longest;
    /// `None` if there is none.
    pub(super) fn open(&mut self, registry: &Registry) -> Option<std::io::Result<usize>> {
        if self.open >= self.connections_max {
            let oldest = loop {
                let place = self.idle.pop_front()?;
                if let Some(slot) = self.take(place) {
                    break slot;
                }
            };
            self.close(oldest, registry);
        }
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        match ClientConnection::open(&self.target, registry, Token(slot)) {
            Ok(connection) => {
                self.slots[slot] = Some(connection);
                self.open += 1;
                self.opened += 1;
                self.most = self.most.max(self.open as u64);
                Some(Ok(slot))
            }
            Err(error) => {
                self.free_slots.push(slot);
                Some(Err(error))
            }
        }
    }

    /// Closes a connection; returns its request in flight.
    pub(super) fn close(&mut self, slot: usize, registry: &Registry) -> Option<InFlight> {
        let mut connection = self.slots.get_mut(slot)?.take()?;
        connection.deregister(registry);
        self.idle_count -= usize::from(connection.idle_since.is_some());
        self.free_slots.push(slot);
        self.open -= 1;
        connection.flight.take()
    }

    /// Frees a connection whose request, of `buyer`, has ended.
    pub(super) fn release(&mut self, slot: usize, buyer: u32) {
        let Some(connection) = self.slots.get_mut(slot).and_then(Option::as_mut) else { return };
        self.releases += 1;
        let place = IdlePlace { slot, since: self.releases };
        connection.idle_since = Some(place.since);
        self.idle_count += 1;
        if self.idle.len() >= 2 * self.open + STALE_MAX {
            let slots = &self.slots;
            self.idle.retain(|idle| {
                slots[idle.slot].as_ref().is_some_and(|connection| connection.idle_since == Some(idle.since))
            });
        }
        self.idle.push_back(place);
        if let Some(by_buyer) = &mut self.by_buyer {
            by_buyer.insert(buyer, place);
        }
    }

    /// True if a connection of one buyer must not carry another's request.
    pub(super) const fn is_per_buyer(&self) -> bool {
        self.by_buyer.is_some()
    }

    pub(super) const fn under_way(&self) -> usize {
        self.open - self.idle_count
    }

    pub(super) fn is_under_way(&self, place: ConnectionSlot) -> bool {
        self.slots
            .get(place.slot)
            .and_then(Option::as_ref)
            .is_some_and(|connection| connection.carries(place))
    }

    /// Connections opened in total, and the maximum at one time.
    pub(super) const fn opened(&self) -> (u64, u64) {
        (self.opened, self.most)
    }
}
