//! The sweep: which flows are due, and how those that end are taken out of the kernel's sight.
//!
//! A flow is retired in the order of RCU: out of the index, wait for the programs that may hold its slot, read, zero,
//! give back. One wait serves all flows of a sweep.

use super::{Due, Table};
use crate::{
    clock,
    due::{Verdict, View, judge, oldest},
    error::Result,
    flow::{claim, is_live, is_superseded},
};
use std::mem;
use types::{SweepLimits, end_reason};

impl Table {
    /// Finds the flows that are due and takes those that end out of the kernel's sight; what an earlier sweep found is read
    /// first. True: the programs that run now must be waited for, then comes [`Table::settle`].
    pub fn begin_sweep(&mut self, limits: &SweepLimits) -> Result<bool> {
        if self.ready.is_empty() {
            self.unix_offset_ns = clock::unix_offset_ns();
            self.note_top();
            let mut due = self.choose(limits, clock::boot_ns())?;
            let mut failed = None;
            due.retain(|flow| {
                let unlinked = if flow.retires() { self.unlink(flow.slot) } else { Ok(()) };
                // A flow that cannot be taken out of the index goes on; the next sweep tries again.
                unlinked.map_err(|error| failed = Some(error)).is_ok()
            });
            due.extend(
                mem::take(&mut self.orphans).into_iter().map(|slot| Due { slot, reason: end_reason::FORCED_END }),
            );
            self.must_wait = due.iter().any(|flow| flow.retires());
            // They are read from the end: in the order of the slots, which is about that of their beginning.
            due.reverse();
            // From here on these flows are ours alone to remember, whatever fails.
            self.ready = due;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        Ok(self.must_wait)
    }

    /// Goes on with a sweep after a wait. True: there is something more to wait for.
    pub fn settle(&mut self) -> Result<bool> {
        self.must_wait = self.unlink_superseded()?;
        Ok(self.must_wait)
    }

    /// Returns how many records may be read now.
    pub fn end_sweep(&mut self) -> u32 {
        if self.ready.is_empty() {
            self.maps.arm();
        }
        self.ready.len() as u32
    }

    /// Takes a slot out of the index that is in there, unless the kernel has put another into its place, or is about to: then it
    /// stays, and [`Table::unlink_superseded`] looks again when that is done.
    pub(super) fn unlink(&mut self, slot: u32) -> Result<()> {
        let flow = self.maps.slots.at(slot)?;
        // SAFETY: mapped memory. With the claim the key leads to this slot until we take it away: the kernel makes no other
        // flow for a key that is there.
        if unsafe { claim(flow) } { self.maps.remove_key(slot) } else { Ok(()) }
    }

    /// Takes slots out of the index that the kernel wanted to replace and could not; true: there were some.
    fn unlink_superseded(&mut self) -> Result<bool> {
        let mut slots = Vec::new();
        for due in self.ready.iter().filter(|due| due.retires()) {
            let flow = self.maps.slots.at(due.slot)?;
            // SAFETY: mapped memory.
            if unsafe { is_superseded(flow) } {
                slots.push(due.slot);
            }
        }
        let mut found = false;
        for slot in slots {
            if self.maps.is_indexed(slot)? {
                self.maps.remove_key(slot)?;
                found = true;
            }
        }
        Ok(found)
    }

    fn choose(&mut self, limits: &SweepLimits, now: u64) -> Result<Vec<Due>> {
        let mut due = Vec::new();
        let mut open = Vec::new();
        let pressed = self.used() > limits.high_water;
        let mut ending = 0u32;
        for slot in 0..self.top {
            let flow = self.maps.slots.at(slot)?;
            // SAFETY: mapped memory.
            if !unsafe { is_live(flow) } || self.orphans.contains(&slot) {
                continue;
            }
            // SAFETY: as above; every word is read once.
            match judge(&unsafe { View::read(flow) }, limits, now) {
                Verdict::End(reason) => {
                    ending += 1;
                    due.push(Due { slot, reason });
                }
                Verdict::Cut => due.push(Due { slot, reason: end_reason::ACTIVE_TIMEOUT }),
                Verdict::Open { age } if pressed => open.push((slot, age)),
                Verdict::Open { .. } => {}
            }
        }
        if pressed {
            let excess = self.used().saturating_sub(ending).saturating_sub(limits.low_water);
            let victims = oldest(&open, excess as usize);
            self.pressed += victims.len() as u64;
            due.extend(victims.into_iter().map(|slot| Due { slot, reason: end_reason::LACK_OF_RESOURCES }));
        }
        Ok(due)
    }
}
