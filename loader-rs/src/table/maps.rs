//! The maps of the flow table, and how the loader changes several of their words as one.
//!
//! A loader may be killed between any two words. So it first writes down, in a pinned place, what they will be ([`Step`]), and
//! whoever takes over finishes what it finds there.

use crate::{
    error::{Error, Result},
    kernel::{GracePeriod, cpus},
    mapped_array::{MappedArray, ShortArray, add},
};
use aya::maps::{HashMap, MapData, MapError, stack::Stack};
use std::{mem, ptr};
use types::{Exported, FlowKey, FlowSlot, Step, TableState, stage};

/// A key as aya's maps take it.
pub type KeyBytes = [u8; size_of::<FlowKey>()];

pub fn key_bytes(key: &FlowKey) -> KeyBytes {
    // SAFETY: FlowKey has no padding, so all its bytes are initialised.
    unsafe { mem::transmute_copy(key) }
}

pub struct Maps {
    pub slots: MappedArray<FlowSlot>,
    pub exported: MappedArray<Exported>,
    pub state: ShortArray<TableState>,
    pub index: HashMap<MapData, KeyBytes, u32>,
    pub free: Stack<MapData, u32>,
}

/// Tells, without waiting for a sweep that is under way, how many records of a session have a fate.
pub struct Settled {
    state: ShortArray<TableState>,
    /// Those of earlier sessions.
    before: u64,
}

impl Settled {
    /// So many of the records that were handed out since this was made.
    pub fn note(&self, records: u64) {
        // SAFETY: a mapped word that only loaders write, and while a session is open nobody else.
        unsafe { ptr::write_volatile(&raw mut (*self.state.at(0)).settled, self.before + records) };
    }
}

impl Maps {
    pub fn state(&self) -> TableState {
        // SAFETY: mapped words.
        unsafe { ptr::read_volatile(self.state.at(0)) }
    }

    /// Whether the index leads from the key of a live slot to that slot.
    pub fn is_indexed(&self, slot: u32) -> Result<bool> {
        match self.index.get(&self.key(slot)?, 0) {
            Ok(indexed) => Ok(indexed == slot),
            Err(MapError::KeyNotFound) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the key of a live slot out of the index, to which it leads.
    pub fn remove_key(&mut self, slot: u32) -> Result<()> {
        Ok(self.index.remove(&self.key(slot)?)?)
    }

    fn key(&self, slot: u32) -> Result<KeyBytes> {
        let flow = self.slots.at(slot)?;
        // SAFETY: mapped memory; the key of a live slot does not change before we give it back.
        Ok(key_bytes(unsafe { &(*flow).key }))
    }

    /// Counts a record as handed out: its packets, and what has been exported of its slot by now.
    pub fn hand_out(&self, slot: u32, exported: Exported, packets: u64) -> Result<()> {
        // Nothing may fail once the step has begun.
        self.exported.at(slot)?;
        let TableState { taken, records, .. } = self.state();
        let (taken, records) = (taken + packets, records + 1);
        let step = Step { stage: stage::HANDING, slot, exported, taken, records, freed: 0 };
        self.begin(&step);
        self.finish_handing(&step)
    }

    fn finish_handing(&self, step: &Step) -> Result<()> {
        let (state, exported) = (self.state.at(0), self.exported.at(step.slot)?);
        // SAFETY: mapped words that only loaders write.
        unsafe {
            ptr::write_volatile(exported, step.exported);
            ptr::write_volatile(&raw mut (*state).taken, step.taken);
            ptr::write_volatile(&raw mut (*state).records, step.records);
        }
        self.set_stage(stage::NONE);
        Ok(())
    }

    /// Gives a slot back that is out of the index and whose readers have been waited for, so that nobody else sees it.
    pub fn give_back(&mut self, slot: u32) -> Result<()> {
        // As above.
        self.slots.at(slot)?;
        self.exported.at(slot)?;
        let step = Step { stage: stage::CLEARING, slot, freed: self.state().freed + 1, ..Step::ZERO };
        self.begin(&step);
        self.finish_clearing(&step)
    }

    fn finish_clearing(&mut self, step: &Step) -> Result<()> {
        let (flow, exported) = (self.slots.at(step.slot)?, self.exported.at(step.slot)?);
        // SAFETY: nobody else sees the slot, by the contract of `give_back`.
        unsafe {
            ptr::write_volatile(flow, FlowSlot::ZERO);
            ptr::write_volatile(exported, Exported::ZERO);
        }
        self.set_stage(stage::FREEING);
        self.finish_freeing(step)
    }

    fn finish_freeing(&mut self, step: &Step) -> Result<()> {
        if let Err(error) = self.free.push(step.slot, 0) {
            self.set_stage(stage::NONE);
            return Err(Error::chain("cannot give a slot of the flow table back", &error));
        }
        self.end_freeing(step);
        Ok(())
    }

    fn end_freeing(&self, step: &Step) {
        let state = self.state.at(0);
        // SAFETY: a mapped word that only loaders write.
        unsafe { ptr::write_volatile(&raw mut (*state).freed, step.freed) };
        self.set_stage(stage::NONE);
    }

    fn begin(&self, step: &Step) {
        let state = self.state.at(0);
        // SAFETY: mapped words that only loaders write. The stage comes last: from there on the step holds.
        unsafe { ptr::write_volatile(&raw mut (*state).step, Step { stage: stage::NONE, ..*step }) };
        self.set_stage(step.stage);
    }

    fn set_stage(&self, stage: u32) {
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.state.at(0)).step.stage, stage) };
    }

    /// Counts a record as handed out that comes from another table.
    pub fn hand_out_foreign(&self, packets: u64) {
        let state = self.state.at(0);
        // SAFETY: mapped words that only loaders write.
        unsafe {
            add(&raw mut (*state).records, 1);
            add(&raw mut (*state).taken, packets);
        }
    }

    /// For telling which of the records handed out from now on have a fate.
    pub fn settled(&self) -> Result<Settled> {
        Ok(Settled { state: self.state.again()?, before: self.state().settled })
    }

    /// No record is left without a fate.
    pub fn settle_all(&self) {
        let TableState { records, killed, .. } = self.state();
        // SAFETY: a mapped word that only loaders write.
        unsafe { ptr::write_volatile(&raw mut (*self.state.at(0)).settled, records.saturating_sub(killed)) };
    }

    /// Counts what an agent had that was killed; returns how many records it was.
    pub fn note_killed(&self) -> u64 {
        let TableState { records, settled, killed, .. } = self.state();
        // What is written says the same when it is written again.
        let now = records.saturating_sub(settled);
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*self.state.at(0)).killed, now) };
        now.saturating_sub(killed)
    }

    /// Adds what the records of another table held.
    pub fn add_totals(&self, other: &TableState) {
        let (state, step) = (self.state.at(0), other.step);
        let is_handing = step.stage == stage::HANDING;
        let (taken, records) = if is_handing { (step.taken, step.records) } else { (other.taken, other.records) };
        // What its agents had is with nobody any more.
        let killed = records.saturating_sub(other.settled);
        // SAFETY: as above.
        unsafe {
            add(&raw mut (*state).taken, taken);
            add(&raw mut (*state).filtered, other.filtered);
            add(&raw mut (*state).records, killed);
            add(&raw mut (*state).killed, killed);
        }
    }

    /// Adds to the packets of records that a filter dropped.
    pub fn note_filtered(&self, packets: u64) {
        // SAFETY: as above.
        unsafe { add(&raw mut (*self.state.at(0)).filtered, packets) };
    }

    /// Asks the kernel to wake us when the table fills up.
    pub fn arm(&self) {
        // SAFETY: a mapped word; the kernel only ever clears it.
        unsafe { ptr::write_volatile(&raw mut (*self.state.at(0)).armed, 1) };
    }

    /// Finishes what a loader had begun that was killed. Programs may be running.
    pub fn recover(&mut self, grace: &GracePeriod) -> Result<()> {
        let step = self.state().step;
        match step.stage {
            stage::HANDING => self.finish_handing(&step),
            stage::CLEARING => self.finish_clearing(&step),
            stage::FREEING if self.was_pushed(step.slot, grace)? => {
                self.end_freeing(&step);
                Ok(())
            }
            stage::FREEING => self.finish_freeing(&step),
            _ => Ok(()),
        }
    }

    /// Whether a slot that was all zeros has come onto the stack. A loader that is killed in here may leave a few slots beside
    /// the stack for good.
    fn was_pushed(&mut self, slot: u32, grace: &GracePeriod) -> Result<bool> {
        // Above it is at most what programs have given back that were running when it was pushed: one on each CPU.
        let mut popped = Vec::new();
        while popped.len() <= cpus()? && popped.last() != Some(&slot) {
            match self.free.pop(0) {
                Ok(top) => popped.push(top),
                Err(_) => break,
            }
        }
        let is_there = popped.last() == Some(&slot);
        for top in popped.into_iter().rev() {
            self.free.push(top, 0)?;
        }
        if is_there {
            return Ok(true);
        }
        // A program that has taken it from there has written into it by then.
        grace.wait()?;
        // SAFETY: mapped memory.
        Ok(unsafe { ptr::read_volatile(&raw const (*self.slots.at(slot)?).created_ns) } != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_bytes_are_those_that_the_kernel_hashes() {
        let key = FlowKey {
            a: [u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]), u64::from_ne_bytes([9, 10, 11, 12, 13, 14, 15, 16])],
            b: [
                u64::from_ne_bytes([17, 18, 19, 20, 21, 22, 23, 24]),
                u64::from_ne_bytes([25, 26, 27, 28, 29, 30, 31, 32]),
            ],
            port_a: u16::from_ne_bytes([33, 34]),
            port_b: u16::from_ne_bytes([35, 36]),
            protocol: 37,
            family: 38,
            vlan: u16::from_ne_bytes([39, 40]),
        };
        assert_eq!(key_bytes(&key).to_vec(), (1..=40).collect::<Vec<u8>>());
    }
}
