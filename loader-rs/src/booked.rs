//! What becomes known of packets after the kernel has counted them: kept beside the kernel's counters, and pinned with
//! them, so that the figures of a hook add up across restarts.

use crate::{
    error::{Code, Error, Result},
    mapped_array::{ShortArray, add},
};
use std::{collections::BTreeMap, ptr};
use types::HookBooked;

/// The entries of HOOKS_BOOKED by hook id.
pub struct Booked {
    entries: ShortArray<HookBooked>,
    places: BTreeMap<u32, u32>,
}

impl Booked {
    pub fn open(entries: ShortArray<HookBooked>) -> Self {
        // SAFETY: mapped words that only loaders write, and there is one at a time.
        let hook = |place| unsafe { ptr::read_volatile(&raw const (*entries.at(place)).hook) };
        let places = (0..entries.len()).map(|place| (hook(place), place)).filter(|(hook, _)| *hook != 0).collect();
        Self { entries, places }
    }

    /// What is booked for a hook; zero when nothing is.
    pub fn of(&self, hook: u32) -> HookBooked {
        // SAFETY: as in `open`.
        self.places.get(&hook).map_or(HookBooked::ZERO, |place| unsafe { ptr::read_volatile(self.entries.at(*place)) })
    }

    pub fn has(&self, hook: u32) -> bool {
        self.places.contains_key(&hook)
    }

    /// Takes packets of dropped records out of what the hook counted.
    pub fn add_filtered(&mut self, hook: u32, packets: u64) -> Result<()> {
        let entry = self.entry(hook)?;
        // SAFETY: as in `open`.
        unsafe { add(&raw mut (*entry).filtered, packets) };
        Ok(())
    }

    /// Takes packets of a gap, which the hook saw in the place of a flow's owner, from duplicate to counted.
    pub fn add_moved(&mut self, hook: u32, packets: u64) -> Result<()> {
        let entry = self.entry(hook)?;
        // SAFETY: as in `open`.
        unsafe { add(&raw mut (*entry).moved, packets) };
        Ok(())
    }

    /// Adds what is booked for a hook to what is for another, and forgets it.
    pub fn retire(&mut self, hook: u32, into: u32) -> Result<()> {
        let Some(place) = self.places.remove(&hook) else {
            return Ok(());
        };
        // SAFETY: as in `open`.
        let HookBooked { filtered, moved, .. } = unsafe { ptr::read_volatile(self.entries.at(place)) };
        // SAFETY: as above.
        unsafe { ptr::write_volatile(self.entries.at(place), HookBooked::ZERO) };
        let entry = self.entry(into)?;
        // SAFETY: as above.
        unsafe {
            add(&raw mut (*entry).filtered, filtered);
            add(&raw mut (*entry).moved, moved);
        }
        Ok(())
    }

    fn entry(&mut self, hook: u32) -> Result<*mut HookBooked> {
        if let Some(place) = self.places.get(&hook) {
            return Ok(self.entries.at(*place));
        }
        // SAFETY: as in `open`.
        let is_free = |place: &u32| unsafe { ptr::read_volatile(&raw const (*self.entries.at(*place)).hook) } == 0;
        let place = (0..self.entries.len()).find(is_free);
        let place = place.ok_or_else(|| Error::new(Code::System, "HOOKS_BOOKED is full"))?;
        let entry = self.entries.at(place);
        // SAFETY: as above.
        unsafe { ptr::write_volatile(&raw mut (*entry).hook, hook) };
        self.places.insert(hook, place);
        Ok(entry)
    }
}
