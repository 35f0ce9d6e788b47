//! The connections of a thread. Free ones are reused last in, first out, so that few stay warm.

use mio::{Registry, Token};

use super::connection::ClientConnection;
use super::in_flight::InFlight;
use super::timers::ConnectionSlot;
use crate::target::Target;

/// Connections by slot; the slot number is also the token.
#[derive(Debug)]
pub(super) struct ConnectionPool {
    target: Target,
    slots: Vec<Option<ClientConnection>>,
    free_slots: Vec<usize>,
    idle: Vec<usize>,
    connections_max: usize,
    open: usize,
    opened: u64,
    most: u64,
}

impl ConnectionPool {
    pub(super) const fn new(target: Target, connections_max: usize) -> Self {
        Self {
            target,
            slots: Vec::new(),
            free_slots: Vec::new(),
            idle: Vec::new(),
            connections_max,
            open: 0,
            opened: 0,
            most: 0,
        }
    }

    pub(super) fn get(&mut self, slot: usize) -> Option<&mut ClientConnection> {
        self.slots.get_mut(slot)?.as_mut()
    }

    pub(super) fn idle(&mut self) -> Option<usize> {
        while let Some(slot) = self.idle.pop() {
            // The peer may have closed it meanwhile.
            if self.slots[slot].as_ref().is_some_and(|connection| connection.flight.is_none()) {
                return Some(slot);
            }
        }
        None
    }

    /// Opens another connection; `None` at the maximum.
    pub(super) fn open(&mut self, registry: &Registry) -> Option<std::io::Result<usize>> {
        if self.open >= self.connections_max {
            return None;
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
        self.idle.retain(|idle| *idle != slot);
        self.free_slots.push(slot);
        self.open -= 1;
        connection.flight.take()
    }

    /// Frees a connection whose request has ended.
    pub(super) fn release(&mut self, slot: usize) {
        self.idle.push(slot);
    }

    pub(super) fn under_way(&self) -> usize {
        self.open - self.idle.len()
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
