//! The flow table as the kernel side uses it.
//!
//! FLOW_INDEX leads from a key to the number of a slot in FLOW_STATS. A slot is retired by the loader in the order that
//! RCU gives: take the key out of the index, wait until no program can still hold the slot, read it, give it back. So a
//! program that found a slot may count in it until it returns, and nothing is lost. What remains is that an element of
//! the index may be reused between the look-up and the read of its value; the key in the slot tells.

use crate::maps::{FLOW_EVENTS, FLOW_INDEX, FLOW_STATS, FREE_SLOTS, TABLE_STATE};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_boot_ns};
use core::{
    intrinsics::{AtomicOrdering::Relaxed, atomic_cxchg, atomic_xadd},
    ptr,
};
use parser::Parsed;
use types::{Counters, FlowKey, FlowSlot, SLOT_LIVE, hook_id, lost, tcp};

/// Used slots beyond which the loader is woken; set at load.
#[unsafe(no_mangle)]
static HIGH_WATER: u64 = u64::MAX;

/// Rounds of idling at the two moments at which a flow may be retired under a packet; only a test sets it. At 0 the
/// verifier removes the loops.
#[unsafe(no_mangle)]
static RACE_WINDOW: u32 = 0;

/// Whose counters a packet went to.
pub enum Booked {
    /// The flow's own.
    Counted,
    /// None, or those kept in case the owner never sees this side.
    Noted,
}

/// Adds a packet to its flow, which is made if need be; `Err` is an index of [`types::lost`].
#[inline(always)]
pub fn count(parsed: &Parsed, ifindex: u32, egress: bool, bytes: u64) -> Result<Booked, usize> {
    // SAFETY: the helper has no preconditions.
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let slot = match find(&parsed.key) {
        Some(slot) => slot,
        None => match create(parsed, ifindex, egress, now)? {
            Some(slot) => slot,
            None => find(&parsed.key).ok_or(lost::CONTENDED)?,
        },
    };
    widen_race();
    Ok(add(slot, parsed, ifindex, egress, bytes, now))
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
fn create(parsed: &Parsed, ifindex: u32, egress: bool, now: u64) -> Result<Option<*mut FlowSlot>, usize> {
    let Ok(Some(index)) = FREE_SLOTS.pop() else {
        wake();
        return Err(lost::TABLE_FULL);
    };
    let slot = FLOW_STATS.get_ptr_mut(index).ok_or(lost::INDEX_ERROR)?;
    // SAFETY: a popped slot is ours alone until it is in the index; the loader gave it back with all its counters zero.
    unsafe {
        (*slot).key = parsed.key;
        (*slot).protocol = parsed.key.protocol;
        (*slot).owner_ifindex = ifindex;
        (*slot).first_side = parsed.side;
        (*slot).first_egress = egress as u8;
        (*slot).window_first_ns = now;
        (*slot).last_ns = now;
    }
    match FLOW_INDEX.insert(&parsed.key, &index, BPF_NOEXIST.into()) {
        Ok(()) => {
            // SAFETY: the word is in map memory.
            unsafe { ptr::write_volatile(&raw mut (*slot).state, SLOT_LIVE) };
            note_created();
            Ok(Some(slot))
        }
        Err(error) => {
            // Room was just made by the pop, so this cannot fail; a slot that were lost would show as leaked.
            let _ = FREE_SLOTS.push(index, 0);
            if error == -EEXIST { Ok(None) } else { Err(lost::INDEX_ERROR) }
        }
    }
}

const EEXIST: i32 = 17;

#[inline(always)]
fn note_created() {
    let Some(state) = TABLE_STATE.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: words in map memory; `freed` is written by the loader, a little staleness only moves the wake-up.
    let used = unsafe {
        atomic_add(&raw mut (*state).created, 1);
        ptr::read_volatile(&raw const (*state).created).wrapping_sub(ptr::read_volatile(&raw const (*state).freed))
    };
    // SAFETY: a global that the loader sets before the program is loaded.
    if used > unsafe { ptr::read_volatile(&raw const HIGH_WATER) } {
        wake();
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
fn add(slot: *mut FlowSlot, parsed: &Parsed, ifindex: u32, egress: bool, bytes: u64, now: u64) -> Booked {
    let side = usize::from(parsed.side & 1);
    // SAFETY: `slot` is a map value; several CPUs write it. Counters are added atomically. Two CPUs that store a time at
    // once leave one of the two, which are nanoseconds apart.
    unsafe {
        if now > (*slot).last_ns {
            (*slot).last_ns = now;
        }
        if (*slot).window_first_ns <= (*slot).cut_ns {
            (*slot).window_first_ns = now;
        }
        if parsed.tcp_flags != 0 {
            note_tcp(slot, side, parsed.tcp_flags);
        }
        let first_hook = (parsed.side == (*slot).first_side) == (egress as u8 == (*slot).first_egress);
        if (*slot).owner_ifindex == ifindex && first_hook {
            add_counters(&raw mut (*slot).counted[side], bytes);
            return Booked::Counted;
        }
        let hook = u64::from(hook_id(ifindex, egress));
        let other = &raw mut (*slot).other_hook[side];
        let mut seen = ptr::read_volatile(other);
        if seen == 0 {
            let (before, done) = atomic_cxchg::<u64, { Relaxed }, { Relaxed }>(other, 0, hook);
            seen = if done { hook } else { before };
        }
        if seen == hook {
            add_counters(&raw mut (*slot).other[side], bytes);
        }
        Booked::Noted
    }
}

/// Sets what a TCP segment shows for the first time.
///
/// # Safety
/// `slot` is a map value and `side` 0 or 1.
#[inline(always)]
unsafe fn note_tcp(slot: *mut FlowSlot, side: usize, flags: u8) {
    // SAFETY: by the contract; every store writes the same 1.
    unsafe {
        for lane in 0..8 {
            if flags & (1 << lane) != 0 && (*slot).tcp_flags[side][lane] == 0 {
                (*slot).tcp_flags[side][lane] = 1;
            }
        }
        match flags & (tcp::SYN | tcp::ACK) {
            tcp::SYN => (*slot).syn[side] = 1,
            both if both == tcp::SYN | tcp::ACK => (*slot).syn_ack[side] = 1,
            _ => {}
        }
    }
}

/// # Safety
/// `counters` is in a map value.
#[inline(always)]
unsafe fn add_counters(counters: *mut Counters, bytes: u64) {
    // SAFETY: by the contract.
    unsafe {
        atomic_add(&raw mut (*counters).packets, 1);
        atomic_add(&raw mut (*counters).bytes, bytes);
    }
}

/// # Safety
/// `word` is an aligned word in a map value.
#[inline(always)]
unsafe fn atomic_add(word: *mut u64, value: u64) {
    // SAFETY: by the contract.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(word, value) };
}
