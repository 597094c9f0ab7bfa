//! The flow table as user space sees it: which flows are due, how they are retired, what is still to be exported.
//!
//! A flow is retired in the order of RCU: out of the index, wait for the programs that may hold its slot, read, zero,
//! give back. One wait serves all flows of a sweep.

use crate::{
    clock,
    error::{Error, Result},
    kernel::{GracePeriod, MappedArray},
};
use aya::maps::{HashMap, MapData, MapError, Queue};
use std::{collections::BTreeSet, mem, ptr};
use types::{
    Counters, Exported, FlowKey, FlowRecord, FlowSlot, SIDE_NONE, SLOT_FREE, SLOT_LIVE, SweepLimits, TableState,
    end_reason, tcp,
};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

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
    /// Slots that an agent took out of the index and did not live to read.
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
        // SAFETY: a mapped struct of words, each of which is read whole.
        unsafe { ptr::read_volatile(self.maps.state.at(0)) }
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
                mem::take(&mut self.orphans).into_iter().map(|slot| Due { slot, reason: end_reason::IDLE_TIMEOUT }),
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
        // SAFETY: the slot is out of the index and its readers have been waited for: nobody else sees it.
        unsafe {
            ptr::write(self.maps.exported.at(slot), Exported::ZERO);
            ptr::write(self.maps.slots.at(slot), FlowSlot::ZERO);
        }
        debug_assert_eq!(SLOT_FREE, 0);
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

/// # Safety
/// `flow` is in the mapped table.
unsafe fn is_live(flow: *const FlowSlot) -> bool {
    // SAFETY: by the contract.
    unsafe { ptr::read_volatile(&raw const (*flow).state) == SLOT_LIVE }
}

/// What the decision needs of a slot.
struct View {
    protocol: u8,
    last_ns: u64,
    window_first_ns: u64,
    cut_ns: u64,
    reset: bool,
    finished: bool,
}

impl View {
    /// # Safety
    /// `flow` is in the mapped table.
    unsafe fn read(flow: *const FlowSlot) -> Self {
        // SAFETY: by the contract.
        unsafe {
            let flags = ptr::read_volatile(&raw const (*flow).tcp_flags);
            let (total, _) = totals(flow);
            let closed = |side: usize| flags[side][tcp::FIN_LANE] != 0 || total[side].packets == 0;
            Self {
                protocol: (*flow).key.protocol,
                last_ns: ptr::read_volatile(&raw const (*flow).last_ns),
                window_first_ns: ptr::read_volatile(&raw const (*flow).window_first_ns),
                cut_ns: (*flow).cut_ns,
                reset: flags[0][tcp::RST_LANE] != 0 || flags[1][tcp::RST_LANE] != 0,
                finished: (flags[0][tcp::FIN_LANE] | flags[1][tcp::FIN_LANE]) != 0 && closed(0) && closed(1),
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It has ended, for this reason.
    End(u8),
    /// It goes on, but its window is over.
    Cut,
    /// It goes on; `age` says how near to its end it is, in 256ths of its timeout.
    Open { age: u8 },
}

/// Decides about one flow at `now` (boot time).
fn judge(flow: &View, limits: &SweepLimits, now: u64) -> Verdict {
    if limits.force != 0 {
        return Verdict::End(end_reason::FORCED_END);
    }
    let (timeout, reason) = match flow.protocol {
        TCP if flow.reset => (limits.tcp_rst_ns, end_reason::END_OF_FLOW_DETECTED),
        TCP if flow.finished => (limits.tcp_fin_ns, end_reason::END_OF_FLOW_DETECTED),
        TCP => (limits.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        UDP => (limits.udp_idle_ns, end_reason::IDLE_TIMEOUT),
        ICMP | ICMPV6 => (limits.icmp_idle_ns, end_reason::IDLE_TIMEOUT),
        _ => (limits.generic_idle_ns, end_reason::IDLE_TIMEOUT),
    };
    let idle = now.saturating_sub(flow.last_ns);
    if idle >= timeout {
        return Verdict::End(reason);
    }
    let open_window = flow.window_first_ns > flow.cut_ns;
    if open_window && now.saturating_sub(flow.window_first_ns) >= limits.active_ns {
        return Verdict::Cut;
    }
    Verdict::Open { age: (u128::from(idle) * 256 / u128::from(timeout)) as u8 }
}

/// The `count` slots that are nearest to their end.
fn oldest(open: &[(u32, u8)], count: usize) -> Vec<u32> {
    let mut histogram = [0usize; 256];
    for (_, age) in open {
        histogram[usize::from(*age)] += 1;
    }
    let mut left = count;
    let mut victims = Vec::with_capacity(count.min(open.len()));
    // The youngest age of which any are taken, and how many of that age.
    let mut edge = 0;
    let mut of_edge = 0;
    for age in (0..256).rev() {
        edge = age;
        of_edge = left.min(histogram[age]);
        left -= of_edge;
        if left == 0 {
            break;
        }
    }
    for (slot, age) in open {
        match usize::from(*age) {
            age if age > edge => victims.push(*slot),
            age if age == edge && of_edge > 0 => {
                of_edge -= 1;
                victims.push(*slot);
            }
            _ => {}
        }
    }
    victims
}

/// Per side, what the flow has counted since it began, and on which interface: that is the owner, unless it never saw
/// that side. The other hook may be ahead by a packet that is on its way to the owner.
///
/// # Safety
/// `flow` is in the mapped table.
unsafe fn totals(flow: *const FlowSlot) -> ([Counters; 2], [u32; 2]) {
    let side = |side: usize| {
        // SAFETY: by the contract.
        unsafe {
            let counted = ptr::read_volatile(&raw const (*flow).counted[side]);
            let other = ptr::read_volatile(&raw const (*flow).other[side]);
            let most = if other.packets > counted.packets { other } else { counted };
            let owner = counted.packets > 0 || other.packets == 0;
            let ifindex = if owner { (*flow).owner_ifindex } else { ((*flow).other_hook[side] >> 1) as u32 };
            (most, ifindex)
        }
    };
    let (zero, one) = (side(0), side(1));
    ([zero.0, one.0], [zero.1, one.1])
}

fn larger(one: Counters, other: Counters) -> Counters {
    Counters { packets: one.packets.max(other.packets), bytes: one.bytes.max(other.bytes) }
}

fn minus(total: Counters, before: Counters) -> Counters {
    Counters { packets: total.packets.saturating_sub(before.packets), bytes: total.bytes.saturating_sub(before.bytes) }
}

fn flag_bits(lanes: &[u8; 8]) -> u8 {
    lanes.iter().enumerate().fold(0, |bits, (lane, seen)| bits | (u8::from(*seen != 0) << lane))
}

fn side_of(seen: [u8; 2]) -> u8 {
    match seen {
        [0, 0] => SIDE_NONE,
        [_, 0] => 0,
        [0, _] => 1,
        // Both sides did it: nobody is known to have begun.
        _ => SIDE_NONE,
    }
}

#[cfg(test)]
mod tests;
