//! The flow table as user space sees it: how it is taken over, and what is in it.
//!
//! `sweep` finds the flows that are due and takes them out of the kernel's sight, `read` hands them out and gives their slots
//! back, `maps` does what must not be left half done.

mod maps;
mod read;
mod sweep;

use crate::{
    clock,
    error::{Error, Result},
    flow::{counted, is_live, minus},
    foreign::{Foreign, Inheritance},
    kernel::GracePeriod,
};
pub use maps::{Maps, Settled};
use std::{collections::BTreeSet, path::Path, ptr};
use types::{TableState, end_reason};

/// More slots than programs may have taken and not counted as created yet: a few for each CPU.
const SLOTS_IN_FLIGHT: u32 = 1024;

/// A flow that the sweep chose, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    slot: u32,
    reason: u8,
}

impl Due {
    fn retires(self) -> bool {
        self.reason != end_reason::ACTIVE_TIMEOUT
    }
}

pub struct Table {
    maps: Maps,
    /// Chosen by the last sweep and not read yet, in reverse order.
    ready: Vec<Due>,
    /// Flows in `ready` were taken out of the index, and the programs that may hold them not waited for yet.
    must_wait: bool,
    /// Slots that are out of the index already and wait for the next sweep.
    orphans: BTreeSet<u32>,
    /// No slot from this one on was ever used, see [`Table::note_top`].
    top: u32,
    unix_offset_ns: i64,
    /// Packets of gaps that were handed out, by hook, and not booked there yet.
    pub moved: Vec<(u32, u64)>,
    /// Slots that wait to be retired whose interface nobody knows any more.
    nameless: BTreeSet<u32>,
    /// What agents of other versions left; it is handed out first.
    inherited: Inheritance,
    /// What [`Table::read`] has yet to tell.
    failed: Option<Error>,
    /// An earlier agent had made it.
    pub reused: bool,
    /// Records that an agent had which was killed before us.
    pub killed: u64,
    pub pressed: u64,
    pub leaked: u64,
}

impl Table {
    /// Takes a table over, or makes a new one ready: all slots onto the stack, the first on top.
    pub fn open(mut maps: Maps, grace: &GracePeriod) -> Result<Self> {
        let TableState { ready, top, .. } = maps.state();
        let reused = ready != 0;
        if reused {
            maps.recover(grace)?;
        } else {
            // An agent that was killed here left some slots on the stack; none can be in use yet.
            while maps.free.pop(0).is_ok() {}
            for slot in (0..maps.slots.len()).rev() {
                maps.free.push(slot, 0)?;
            }
            // SAFETY: a mapped word that only loaders write.
            unsafe { ptr::write_volatile(&raw mut (*maps.state.at(0)).ready, 1) };
        }
        let mut table = Self {
            killed: maps.note_killed(),
            maps,
            ready: Vec::new(),
            must_wait: false,
            reused,
            orphans: BTreeSet::new(),
            top: 0,
            unix_offset_ns: clock::unix_offset_ns(),
            moved: Vec::new(),
            nameless: BTreeSet::new(),
            inherited: Inheritance::default(),
            failed: None,
            pressed: 0,
            leaked: 0,
        };
        table.raise_top(u32::try_from(top).unwrap_or(u32::MAX));
        table.note_top();
        if reused {
            table.orphans = table.unindexed()?;
        }
        table.maps.arm();
        Ok(table)
    }

    /// Flows that an earlier agent took out of the index and did not live to hand out, and those that the kernel replaced.
    fn unindexed(&self) -> Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        for slot in 0..self.top {
            let flow = self.maps.slots.at(slot)?;
            // SAFETY: mapped memory.
            if unsafe { is_live(flow) } && !self.maps.is_indexed(slot)? {
                found.insert(slot);
            }
        }
        Ok(found)
    }

    /// Raises `top`. Of the free slots the kernel takes the one that was freed last, so one that was never used is taken only
    /// when all that were are in use: no slot beyond the greatest number that ever were in use at once is. That number only
    /// falls when we give a slot back, so it is looked at just before.
    fn note_top(&mut self) {
        self.raise_top(self.used().saturating_add(SLOTS_IN_FLIGHT));
    }

    fn raise_top(&mut self, top: u32) {
        let top = top.min(self.capacity());
        if top > self.top {
            self.top = top;
            // SAFETY: a mapped word that only loaders write.
            unsafe { ptr::write_volatile(&raw mut (*self.maps.state.at(0)).top, top.into()) };
        }
    }

    pub fn capacity(&self) -> u32 {
        self.maps.slots.len()
    }

    pub fn state(&self) -> TableState {
        self.maps.state()
    }

    pub fn used(&self) -> u32 {
        let state = self.state();
        state.created.saturating_sub(state.freed).min(self.capacity().into()) as u32
    }

    /// Packets of open flows that no record holds yet; reads all slots that were ever used.
    pub fn open_packets(&self) -> Result<u64> {
        let mut packets = self.inherited.open_packets();
        for slot in 0..self.top {
            let (flow, exported) = (self.maps.slots.at(slot)?, self.maps.exported.at(slot)?);
            // SAFETY: mapped memory.
            if !unsafe { is_live(flow) } {
                continue;
            }
            // SAFETY: as above; only this process writes what is exported.
            let (total, before) = unsafe { (counted(flow), (*exported).counters) };
            packets += minus(total[0], before[0]).packets + minus(total[1], before[1]).packets;
        }
        Ok(packets)
    }

    /// Whether the table at this path is being handed out.
    pub fn inherits(&self, layout: &Path) -> bool {
        self.inherited.has(layout)
    }

    /// Hands the flows of another table out before our own.
    pub fn inherit(&mut self, mut table: Foreign) -> Result<()> {
        table.count_open(read::inherited_packets)?;
        self.inherited.add(table);
        Ok(())
    }

    /// Ends the flows of interfaces for which `is_owner` is false: nobody would count their packets any more. The next
    /// packet makes a new flow at once, the records come with the next sweep.
    pub fn end_flows_without(&mut self, is_owner: impl Fn(u32) -> bool) -> Result<()> {
        self.note_top();
        // One whose window is only cut goes on behind that.
        let ending = self.ready.iter().filter(|due| due.retires()).map(|due| due.slot);
        let known: BTreeSet<u32> = ending.chain(self.orphans.iter().copied()).collect();
        for slot in 0..self.top {
            let flow = self.maps.slots.at(slot)?;
            // SAFETY: mapped memory.
            let lost = unsafe { is_live(flow) && (*flow).owner_hook.iter().any(|hook| !is_owner(hook >> 1)) };
            if lost && !known.contains(&slot) {
                self.unlink(slot)?;
                self.orphans.insert(slot);
            }
        }
        Ok(())
    }

    /// Ends the flows of an interface that went away while nobody looked: another one has its index now, and must not be taken
    /// for it.
    pub fn disown(&mut self, ifindex: u32) -> Result<()> {
        self.end_flows_without(|owner| owner != ifindex)?;
        for slot in &self.orphans {
            let flow = self.maps.slots.at(*slot)?;
            // SAFETY: mapped memory.
            let owners = unsafe { (*flow).owner_hook };
            if owners.iter().any(|hook| hook >> 1 == ifindex) {
                self.nameless.insert(*slot);
            }
        }
        Ok(())
    }

    /// See [`Maps::settled`].
    pub fn settled(&self) -> Result<Settled> {
        self.maps.settled()
    }

    /// See [`Maps::settle_all`].
    pub fn settle_all(&self) {
        self.maps.settle_all();
    }

    /// Adds what the records of another table held.
    pub fn add_totals(&self, other: &TableState) {
        self.maps.add_totals(other);
    }

    /// Adds to the packets of records that a filter dropped.
    pub fn note_filtered(&self, packets: u64) {
        self.maps.note_filtered(packets);
    }

    fn unix(&self, boot_ns: u64) -> u64 {
        boot_ns.saturating_add_signed(self.unix_offset_ns)
    }

    /// The other way round, for times of the records of the last sweep.
    pub fn boot(&self, unix_ns: u64) -> u64 {
        unix_ns.saturating_add_signed(-self.unix_offset_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_retires_all_but_a_cut() {
        for reason in end_reason::IDLE_TIMEOUT..=end_reason::LACK_OF_RESOURCES {
            assert_eq!(Due { slot: 0, reason }.retires(), reason != end_reason::ACTIVE_TIMEOUT, "{reason}");
        }
    }
}
