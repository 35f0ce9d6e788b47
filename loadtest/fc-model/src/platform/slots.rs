//! Storage of instances: a slab whose slots are in at most one list each.

use crate::Nanos;

/// Identifies an instance; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstanceId {
    pub(super) index: u32,
    pub(super) generation: u32,
}

impl InstanceId {
    /// Index below the maximum number of simultaneous instances; reused after the instance is gone.
    pub const fn index(self) -> usize {
        self.index as usize
    }

    pub const fn number(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    Vacant,
    Starting,
    Ready,
    Frozen,
    Stopping,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InstanceClass {
    Provisioned = 0,
    OnDemand = 1,
}

/// The lists, in the order in which placement searches them. In the first six the most recently used instance is first;
/// among the starting ones the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SlotList(u8);

impl SlotList {
    pub(super) const STARTING: Self = Self(6);
    const NONE: Self = Self(7);

    pub(super) const fn partial(class: InstanceClass) -> Self {
        Self(class as u8 * 3)
    }

    pub(super) const fn idle(class: InstanceClass) -> Self {
        Self(class as u8 * 3 + 1)
    }

    pub(super) const fn frozen(class: InstanceClass) -> Self {
        Self(class as u8 * 3 + 2)
    }
}

const LISTS: usize = 8;
const END: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
pub(super) struct InstanceSlot {
    pub(super) generation: u32,
    pub(super) state: SlotState,
    pub(super) class: InstanceClass,
    /// In flight, or waiting for the start.
    pub(super) requests: u16,
    /// Valid only while the instance has no requests.
    pub(super) idle_since: Nanos,
    list: SlotList,
    before: u32,
    after: u32,
}

#[derive(Clone, Debug)]
pub(super) struct InstanceSlots {
    slots: Vec<InstanceSlot>,
    vacant: Vec<u32>,
    heads: [u32; LISTS],
    tails: [u32; LISTS],
}

impl InstanceSlots {
    pub(super) fn new() -> Self {
        Self { slots: Vec::new(), vacant: Vec::new(), heads: [END; LISTS], tails: [END; LISTS] }
    }

    pub(super) fn id(&self, index: u32) -> InstanceId {
        InstanceId { index, generation: self.get(index).generation }
    }

    pub(super) fn get(&self, index: u32) -> &InstanceSlot {
        &self.slots[index as usize]
    }

    pub(super) fn get_mut(&mut self, index: u32) -> &mut InstanceSlot {
        &mut self.slots[index as usize]
    }

    /// `None` after the instance is gone.
    pub(super) fn find(&self, id: InstanceId) -> Option<u32> {
        let slot = self.slots.get(id.index())?;
        (slot.generation == id.generation && slot.state != SlotState::Vacant).then_some(id.index)
    }

    /// Takes a slot for a new instance; the slot is in no list.
    pub(super) fn occupy(&mut self, class: InstanceClass, requests: u16) -> u32 {
        let slot = InstanceSlot {
            generation: 0,
            state: SlotState::Starting,
            class,
            requests,
            idle_since: 0,
            list: SlotList::NONE,
            before: END,
            after: END,
        };
        if let Some(index) = self.vacant.pop() {
            let generation = self.get(index).generation;
            *self.get_mut(index) = InstanceSlot { generation, ..slot };
            index
        } else {
            self.slots.push(slot);
            // The number of instances is bounded far below.
            (self.slots.len() - 1) as u32
        }
    }

    pub(super) fn vacate(&mut self, index: u32) {
        self.unlink(index);
        let slot = self.get_mut(index);
        slot.state = SlotState::Vacant;
        slot.requests = 0;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant.push(index);
    }

    /// The most recently used instance of a list.
    pub(super) fn head(&self, list: SlotList) -> Option<u32> {
        Some(self.heads[list.0 as usize]).filter(|index| *index != END)
    }

    /// The least recently used instance of a list.
    pub(super) fn tail(&self, list: SlotList) -> Option<u32> {
        Some(self.tails[list.0 as usize]).filter(|index| *index != END)
    }

    /// The ready instance that gets the next request.
    pub(super) fn first_free(&self) -> Option<u32> {
        self.heads[..SlotList::STARTING.0 as usize].iter().copied().find(|index| *index != END)
    }

    /// Moves an instance to the list that its state requires; keeps its position if the list does not change.
    pub(super) fn place(&mut self, index: u32, concurrency: u16) {
        let slot = self.get(index);
        let list = match slot.state {
            SlotState::Starting if slot.requests < concurrency => SlotList::STARTING,
            SlotState::Ready if slot.requests == 0 => SlotList::idle(slot.class),
            SlotState::Ready if slot.requests < concurrency => SlotList::partial(slot.class),
            SlotState::Frozen => SlotList::frozen(slot.class),
            SlotState::Starting | SlotState::Ready | SlotState::Stopping | SlotState::Vacant => {
                SlotList::NONE
            }
        };
        if list == slot.list {
            return;
        }
        self.unlink(index);
        match list {
            SlotList::NONE => {}
            SlotList::STARTING => self.push_back(index, list),
            _ => self.push_front(index, list),
        }
    }

    fn push_front(&mut self, index: u32, list: SlotList) {
        let lane = list.0 as usize;
        let first = self.heads[lane];
        let slot = self.get_mut(index);
        (slot.list, slot.before, slot.after) = (list, END, first);
        self.heads[lane] = index;
        match first {
            END => self.tails[lane] = index,
            first => self.get_mut(first).before = index,
        }
    }

    fn push_back(&mut self, index: u32, list: SlotList) {
        let lane = list.0 as usize;
        let last = self.tails[lane];
        let slot = self.get_mut(index);
        (slot.list, slot.before, slot.after) = (list, last, END);
        self.tails[lane] = index;
        match last {
            END => self.heads[lane] = index,
            last => self.get_mut(last).after = index,
        }
    }

    fn unlink(&mut self, index: u32) {
        let InstanceSlot { list, before, after, .. } = *self.get(index);
        if list == SlotList::NONE {
            return;
        }
        match before {
            END => self.heads[list.0 as usize] = after,
            before => self.get_mut(before).after = after,
        }
        match after {
            END => self.tails[list.0 as usize] = before,
            after => self.get_mut(after).before = before,
        }
        let slot = self.get_mut(index);
        (slot.list, slot.before, slot.after) = (SlotList::NONE, END, END);
    }
}
