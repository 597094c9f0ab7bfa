//! The flow table as user space sees it: which flows are due, how they are retired, what is still to be exported.
//!
//! A flow is retired in the order of RCU: out of the index, wait for the programs that may hold its slot, read, zero,
//! give back. One wait serves all flows of a sweep.

use crate::{
    clock,
    due::{Verdict, View, judge, oldest},
    error::{Code, Error, Result},
    flow::{flag_bits, is_live, larger, minus, side_of, totals},
    kernel::{GracePeriod, MappedArray},
};
use aya::maps::{HashMap, MapData, MapError, Queue};
use std::{collections::BTreeSet, mem, ptr};
use types::{Exported, FlowKey, FlowRecord, FlowSlot, SLOT_FREE, SweepLimits, TableState, end_reason};

/// A key as aya's maps take it.
type KeyBytes = [u8; size_of::<FlowKey>()];

fn key_bytes(key: &FlowKey) -> KeyBytes {
    // SAFETY: FlowKey has no padding, so all its bytes are initialised.
    unsafe { mem::transmute_copy(key) }
}

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

/// The maps of the flow table.
pub struct Maps {
    pub slots: MappedArray<FlowSlot>,
    pub exported: MappedArray<Exported>,
    pub state: MappedArray<TableState>,
    pub index: HashMap<MapData, KeyBytes, u32>,
    pub free: Queue<MapData, u32>,
}

pub struct Table {
    maps: Maps,
    grace: GracePeriod,
    /// Chosen by the last sweep and not read yet, in reverse order.
    ready: Vec<Due>,
    /// Flows in `ready` were taken out of the index, and the programs that may hold them not waited for yet.
    must_wait: bool,
    /// Slots that are out of the index already and wait for the next sweep.
    orphans: BTreeSet<u32>,
    unix_offset_ns: i64,
    /// An earlier agent had made it.
    pub reused: bool,
    pub pressed: u64,
    pub leaked: u64,
}

impl Table {
    /// Takes a table over, or makes a new one ready: all slots into the queue.
    pub fn open(mut maps: Maps, grace: GracePeriod) -> Result<Self> {
        let state = maps.state.at(0);
        // SAFETY: a mapped word that only loaders write.
        let ready = unsafe { ptr::read_volatile(&raw const (*state).ready) } != 0;
        let mut orphans = BTreeSet::new();
        if ready {
            for slot in 0..maps.slots.len() {
                // SAFETY: mapped memory; the key of a live slot does not change before it is given back, by us.
                let (live, key) = unsafe { (is_live(maps.slots.at(slot)), (*maps.slots.at(slot)).key) };
                if live && maps.index.get(&key_bytes(&key), 0).ok() != Some(slot) {
                    orphans.insert(slot);
                }
            }
        } else {
            // An agent that was killed here left some slots queued; none can be in use yet.
            while maps.free.pop(0).is_ok() {}
            for slot in 0..maps.slots.len() {
                maps.free.push(slot, 0)?;
            }
            // SAFETY: as above.
            unsafe { ptr::write_volatile(&raw mut (*state).ready, 1) };
        }
        let mut table = Self {
            maps,
            grace,
            ready: Vec::new(),
            must_wait: false,
            reused: ready,
            orphans,
            unix_offset_ns: clock::unix_offset_ns(),
            pressed: 0,
            leaked: 0,
        };
        table.arm();
        Ok(table)
    }

    pub fn capacity(&self) -> u32 {
        self.maps.slots.len()
    }

    pub fn state(&self) -> TableState {
        let state = self.maps.state.at(0);
        // SAFETY: mapped words, each of which is read whole.
        unsafe {
            TableState {
                ready: ptr::read_volatile(&raw const (*state).ready),
                created: ptr::read_volatile(&raw const (*state).created),
                freed: ptr::read_volatile(&raw const (*state).freed),
                armed: ptr::read_volatile(&raw const (*state).armed),
            }
        }
    }

    pub fn used(&self) -> u32 {
        let state = self.state();
        state.created.saturating_sub(state.freed).min(self.capacity().into()) as u32
    }

    /// Packets of open flows that no record holds yet; reads the whole table.
    pub fn open_packets(&self) -> u64 {
        (0..self.maps.slots.len())
            .map(|slot| (self.maps.slots.at(slot), self.maps.exported.at(slot)))
            // SAFETY: mapped memory.
            .filter(|(flow, _)| unsafe { is_live(*flow) })
            .map(|(flow, exported)| {
                // SAFETY: as above; only this process writes what is exported.
                let (total, before) = unsafe { (totals(flow).0, (*exported).counters) };
                minus(total[0], before[0]).packets + minus(total[1], before[1]).packets
            })
            .sum()
    }

    /// Ends the flows of interfaces for which `is_owner` is false: nobody would count their packets any more. The next
    /// packet makes a new flow at once, the records come with the next sweep.
    pub fn end_flows_without(&mut self, is_owner: impl Fn(u32) -> bool) -> Result<()> {
        let known: BTreeSet<u32> = self.ready.iter().map(|due| due.slot).collect();
        for slot in 0..self.maps.slots.len() {
            let flow = self.maps.slots.at(slot);
            // SAFETY: mapped memory; the owner of a live slot does not change.
            let lost = unsafe { is_live(flow) && !is_owner((*flow).owner_ifindex) };
            if lost && !known.contains(&slot) {
                self.unlink(slot)?;
                self.orphans.insert(slot);
            }
        }
        Ok(())
    }

    /// Waits until no running program can still be counting.
    pub fn wait_for_programs(&self) -> Result<()> {
        self.grace.wait()
    }

    /// Finds the flows that are due and takes those that end out of the kernel's sight. Returns how many records may be
    /// read now; what an earlier sweep found is read first.
    pub fn sweep(&mut self, limits: &SweepLimits) -> Result<u32> {
        if self.ready.is_empty() {
            self.unix_offset_ns = clock::unix_offset_ns();
            let mut due = self.choose(limits, clock::boot_ns());
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
        if self.must_wait {
            self.grace.wait()?;
            self.must_wait = false;
        }
        if self.ready.is_empty() {
            self.arm();
        }
        Ok(self.ready.len() as u32)
    }

    /// Takes a slot out of the index, unless the index has another slot for the key already.
    fn unlink(&mut self, slot: u32) -> Result<()> {
        // SAFETY: the key of a live slot does not change before we give it back.
        let key = key_bytes(unsafe { &(*self.maps.slots.at(slot)).key });
        match self.maps.index.get(&key, 0) {
            Ok(indexed) if indexed == slot => Ok(self.maps.index.remove(&key)?),
            Ok(_) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn choose(&mut self, limits: &SweepLimits, now: u64) -> Vec<Due> {
        let mut due = Vec::new();
        let mut open = Vec::new();
        let pressed = self.used() > limits.high_water;
        let mut ending = 0u32;
        for slot in 0..self.maps.slots.len() {
            let flow = self.maps.slots.at(slot);
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
        due
    }

    /// Writes the next records into `out` and gives the slots of ended flows back; returns how many were written.
    /// Fewer than fit means that the sweep is read to its end.
    pub fn read(&mut self, out: &mut [FlowRecord]) -> Result<usize> {
        if self.must_wait {
            return Err(Error::new(Code::Usage, "read before a sweep has succeeded"));
        }
        let mut written = 0;
        while written < out.len() {
            let Some(due) = self.ready.pop() else {
                self.arm();
                break;
            };
            if let Some(record) = self.record(due) {
                out[written] = record;
                written += 1;
            }
            if due.retires() {
                self.give_back(due.slot)?;
            }
        }
        Ok(written)
    }

    /// The window of a flow since its last export; `None` when it holds no packet.
    fn record(&mut self, due: Due) -> Option<FlowRecord> {
        let flow = self.maps.slots.at(due.slot);
        let exported = self.maps.exported.at(due.slot);
        let now = clock::boot_ns();
        // SAFETY: mapped memory. The kernel may be adding to a flow that goes on: what it adds after a word was read is in
        // the next window. `cut_ns` and `exported` are ours alone to write.
        unsafe {
            let cut = (*flow).cut_ns;
            let before = (*exported).counters;
            // Before the cut: the first packet after it begins the next window here.
            let first = ptr::read_volatile(&raw const (*flow).window_first_ns);
            if !due.retires() {
                ptr::write_volatile(&raw mut (*flow).cut_ns, now);
            }
            let (total, ifindex) = totals(flow);
            // Hooks may see different lengths; what was exported stays true.
            let total = [larger(total[0], before[0]), larger(total[1], before[1])];
            let delta = [minus(total[0], before[0]), minus(total[1], before[1])];
            if delta[0].packets == 0 && delta[1].packets == 0 {
                return None;
            }
            (*exported).counters = total;
            let last = ptr::read_volatile(&raw const (*flow).last_ns);
            let start = if first > cut { first.min(last) } else { last };
            Some(FlowRecord {
                key: (*flow).key,
                start_unix_ns: self.unix(start),
                end_unix_ns: self.unix(last),
                delta,
                total,
                slot: due.slot,
                ifindex,
                tcp_flags: (*flow).tcp_flags.map(|lanes| flag_bits(&lanes)),
                syn_side: side_of((*flow).syn),
                syn_ack_side: side_of((*flow).syn_ack),
                first_side: (*flow).first_side,
                end_reason: due.reason,
                last: due.retires().into(),
                first: (before[0].packets == 0 && before[1].packets == 0).into(),
                pad: [0; 4],
            })
        }
    }

    fn unix(&self, boot_ns: u64) -> u64 {
        boot_ns.saturating_add_signed(self.unix_offset_ns)
    }

    fn give_back(&mut self, slot: u32) -> Result<()> {
        // SAFETY: the slot is out of the index and its readers have been waited for: nobody else sees it. Whoever takes over
        // from us, should we be killed here, sees a free slot first.
        unsafe {
            ptr::write_volatile(&raw mut (*self.maps.slots.at(slot)).state, SLOT_FREE);
            ptr::write_volatile(self.maps.slots.at(slot), FlowSlot::ZERO);
            ptr::write_volatile(self.maps.exported.at(slot), Exported::ZERO);
        }
        if let Err(error) = self.maps.free.push(slot, 0) {
            self.leaked += 1;
            return Err(Error::chain("cannot give a slot of the flow table back", &error));
        }
        let state = self.maps.state.at(0);
        // SAFETY: a mapped word that only loaders write.
        unsafe {
            let freed = ptr::read_volatile(&raw const (*state).freed);
            ptr::write_volatile(&raw mut (*state).freed, freed + 1);
        }
        Ok(())
    }

    /// Asks the kernel to wake us when the table fills up.
    fn arm(&mut self) {
        // SAFETY: a mapped word; the kernel only ever clears it.
        unsafe { ptr::write_volatile(&raw mut (*self.maps.state.at(0)).armed, 1) };
    }
}

#[cfg(test)]
mod tests;
