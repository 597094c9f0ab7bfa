//! The flow table as the kernel side uses it.
//!
//! FLOW_INDEX leads from a key to the number of a slot in FLOW_STATS. A slot is retired by the loader in the order that
//! RCU gives: take the key out of the index, wait until no program can still hold the slot, read it, give it back. So a
//! program that found a slot may count in it until it returns, and nothing is lost. What remains is that an element of
//! the index may be reused between the look-up and the read of its value; the key in the slot tells.

use crate::{
    atomic::{self, add_counters},
    maps::{FLOW_EVENTS, FLOW_INDEX, FLOW_STATS, FREE_SLOTS, TABLE_STATE},
    notes::{note_flags, note_segment, open_window},
    owner::{Role, role},
};
use aya_ebpf::{
    bindings::{BPF_ANY, BPF_NOEXIST},
    helpers::generated::bpf_ktime_get_boot_ns,
};
use core::ptr;
use parser::Parsed;
use types::{CLAIM_KERNEL, CLAIM_NONE, FlowKey, FlowSlot, NO_VLAN, SLOT_LIVE, lost, tcp};

/// Used slots beyond which the loader is woken; set at load.
#[unsafe(no_mangle)]
static HIGH_WATER: u64 = u64::MAX;

/// Rounds of idling at the two moments at which a flow may be retired under a packet; only a test sets it. At 0 the
/// verifier removes the loops.
#[unsafe(no_mangle)]
static RACE_WINDOW: u32 = 0;

/// 1: flows are told apart by their VLAN id too; set at load.
#[unsafe(no_mangle)]
static KEY_SCOPE_VLAN: u32 = 0;

/// One packet at one hook.
pub struct Sighting {
    pub hook: u32,
    pub bytes: u64,
    /// Innermost VLAN id, or [`types::NO_VLAN`].
    pub vlan: u16,
    /// Boot time.
    pub now: u64,
}

/// What became of a packet.
pub enum Booked {
    /// It is in the flow's counters; `is_conflict`: the flow began with another VLAN id.
    Counted { is_conflict: bool },
    /// Another hook counts it.
    Duplicate,
}

/// Adds a packet to its flow, which is made if need be; `Err` is an index of [`types::lost`].
#[inline(always)]
pub fn count(mut parsed: Parsed, hook: u32, vlan: u16, bytes: u64) -> Result<Booked, usize> {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let packet = Sighting { hook, bytes, vlan, now };
    // SAFETY: a global that the loader sets before the program is loaded.
    if unsafe { ptr::read_volatile(&raw const KEY_SCOPE_VLAN) } != 0 && vlan != NO_VLAN {
        parsed.key.vlan = vlan;
    }
    let slot = match find(&parsed.key) {
        Some(slot) => match supersede(slot, &parsed, &packet) {
            Some(next) => next,
            None => slot,
        },
        None => match create(&parsed, &packet)? {
            Some(slot) => slot,
            None => find(&parsed.key).ok_or(lost::CONTENDED)?,
        },
    };
    widen_race();
    Ok(add(slot, &parsed, &packet))
}

/// Gives the loader time to retire what this packet has just found.
#[inline(always)]
fn widen_race() {
    // SAFETY: a global that the loader sets before the program is loaded, and a helper with no preconditions.
    unsafe {
        for _ in 0..ptr::read_volatile(&raw const RACE_WINDOW) {
            bpf_ktime_get_boot_ns();
        }
    }
}

#[inline(always)]
fn find(key: &FlowKey) -> Option<*mut FlowSlot> {
    let index = FLOW_INDEX.get_ptr(key)?;
    widen_race();
    // SAFETY: a map value stays readable while the program runs.
    let index = unsafe { *index };
    let slot = FLOW_STATS.get_ptr_mut(index)?;
    // SAFETY: as above; the key of a slot does not change while a program may hold its index.
    same_key(unsafe { &(*slot).key }, key).then_some(slot)
}

/// Compares in eight-byte words: `==` on the struct becomes a call to `memcmp`.
#[inline(always)]
fn same_key(left: &FlowKey, right: &FlowKey) -> bool {
    const WORDS: usize = size_of::<FlowKey>() / 8;
    let left = ptr::from_ref(left).cast::<u64>();
    let right = ptr::from_ref(right).cast::<u64>();
    let mut different = 0;
    for word in 0..WORDS {
        // SAFETY: both keys are 40 readable bytes, aligned to 8.
        different |= unsafe { *left.add(word) ^ *right.add(word) };
    }
    different == 0
}

/// Makes the flow, or returns `None` when another CPU was quicker.
#[inline(always)]
fn create(parsed: &Parsed, packet: &Sighting) -> Result<Option<*mut FlowSlot>, usize> {
    let Ok(Some(index)) = FREE_SLOTS.pop() else {
        wake();
        return Err(lost::TABLE_FULL);
    };
    let slot = begin(index, parsed, packet).ok_or(lost::INDEX_ERROR)?;
    match FLOW_INDEX.insert(&parsed.key, &index, BPF_NOEXIST.into()) {
        Ok(()) => {
            publish(slot);
            Ok(Some(slot))
        }
        Err(error) => {
            give_back(index);
            if error == -EEXIST { Ok(None) } else { Err(lost::INDEX_ERROR) }
        }
    }
}

/// Makes a new flow of a SYN whose ports belong to a connection that has ended, and leaves the old slot to the loader.
/// `None`: the packet belongs to the old one.
#[inline(always)]
fn supersede(slot: *mut FlowSlot, parsed: &Parsed, packet: &Sighting) -> Option<*mut FlowSlot> {
    if parsed.tcp.flags & (tcp::SYN | tcp::ACK) != tcp::SYN {
        return None;
    }
    // SAFETY: a map value.
    let flags = unsafe { &(*slot).tcp_flags };
    let is_reset = flags[0][tcp::RST_LANE] | flags[1][tcp::RST_LANE] != 0;
    let is_finished = flags[0][tcp::FIN_LANE] & flags[1][tcp::FIN_LANE] != 0;
    if !is_reset && !is_finished {
        return None;
    }
    // Without a free slot, or when the loader is at it, the old flow counts what comes.
    let index = FREE_SLOTS.pop().ok().flatten()?;
    // SAFETY: a word in a map value.
    if unsafe { atomic::replace(&raw mut (*slot).claim, CLAIM_NONE, CLAIM_KERNEL) }.is_err() {
        give_back(index);
        return None;
    }
    let next = begin(index, parsed, packet)?;
    if FLOW_INDEX.insert(&parsed.key, &index, BPF_ANY.into()).is_err() {
        give_back(index);
        return None;
    }
    publish(next);
    Some(next)
}

/// Fills a popped slot, which is ours alone until it is in the index. The loader gives slots back with all their words zero,
/// [`give_back`] with what was written here.
#[inline(always)]
fn begin(index: u32, parsed: &Parsed, packet: &Sighting) -> Option<*mut FlowSlot> {
    let slot = FLOW_STATS.get_ptr_mut(index)?;
    let side = usize::from(parsed.side & 1);
    // SAFETY: as above.
    unsafe {
        (*slot).key = parsed.key;
        (*slot).first_side = parsed.side;
        (*slot).owner_hook[side] = packet.hook;
        // The other direction of the same interface.
        (*slot).owner_hook[side ^ 1] = packet.hook ^ 1;
        (*slot).interfaces[0] = packet.hook >> 1;
        (*slot).vlan = packet.vlan;
        (*slot).created_ns = packet.now;
        // So that it is not idle before it is counted.
        (*slot).last_ns[side] = packet.now;
        (*slot).last_ns[side ^ 1] = 0;
    }
    Some(slot)
}

/// Shows a slot that is in the index to the loader. It is counted first, which is the barrier: who sees that a slot is live
/// sees what is in it.
#[inline(always)]
fn publish(slot: *mut FlowSlot) {
    let used = note_created();
    // SAFETY: a byte in map memory.
    unsafe { ptr::write_volatile(&raw mut (*slot).state, SLOT_LIVE) };
    // SAFETY: a global that the loader sets before the program is loaded.
    if used > unsafe { ptr::read_volatile(&raw const HIGH_WATER) } {
        wake();
    }
}

/// Gives a slot back that was popped for nothing. Room was made by the pop, and a lock that this CPU holds already is the
/// only other thing that stops it, so this cannot fail outside of an NMI, where no packet is.
#[inline(always)]
fn give_back(index: u32) {
    let _ = FREE_SLOTS.push(index, 0);
}

const EEXIST: i32 = 17;

/// Counts a new flow; returns how many slots are used.
#[inline(always)]
fn note_created() -> u64 {
    let Some(state) = TABLE_STATE.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: words in map memory; `freed` is written by the loader, a little staleness only moves the wake-up.
    unsafe {
        atomic::add_between(&raw mut (*state).created, 1).wrapping_sub(ptr::read_volatile(&raw const (*state).freed))
    }
}

/// Wakes the loader, once each time that it has asked for it.
#[inline(always)]
fn wake() {
    let Some(state) = TABLE_STATE.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a word in map memory; two CPUs may both wake, which does no harm.
    unsafe {
        if ptr::read_volatile(&raw const (*state).armed) != 0 {
            ptr::write_volatile(&raw mut (*state).armed, 0);
            // A full ring has woken the loader already.
            let _ = FLOW_EVENTS.output::<u64>(&0, 0);
        }
    }
}

#[inline(always)]
fn add(slot: *mut FlowSlot, parsed: &Parsed, packet: &Sighting) -> Booked {
    let side = usize::from(parsed.side & 1);
    // SAFETY: `slot` is a map value; several CPUs write it. Counters are added atomically. Two CPUs that store a time at
    // once leave one of the two, which are nanoseconds apart.
    unsafe {
        let role = role(slot, side, packet);
        if role == Role::Bystander {
            return Booked::Duplicate;
        }
        // One cache line, which another CPU may want at the same time.
        let last = ptr::read_volatile(&raw const (*slot).last_ns[side]);
        let is_open = ptr::read_volatile(&raw const (*slot).window_first_ns[side]) > (*slot).cut_ns;
        if role == Role::Owner {
            if packet.now > last {
                ptr::write_volatile(&raw mut (*slot).last_ns[side], packet.now);
            }
            add_counters(&raw mut (*slot).counted[side], 1, packet.bytes);
        }
        if !is_open {
            ptr::write_volatile(&raw mut (*slot).window_first_ns[side], packet.now);
        }
        // What another hook saw first may have come another way.
        if !is_open || (last == 0 && role == Role::Owner) {
            open_window(slot, side, parsed);
        }
        if parsed.tcp.flags != 0 {
            note_segment(slot, side, &parsed.tcp, packet.now);
            note_flags(slot, side, parsed.tcp.flags);
        }
        match role {
            Role::Owner => Booked::Counted { is_conflict: packet.vlan != (*slot).vlan },
            _ => Booked::Duplicate,
        }
    }
}
