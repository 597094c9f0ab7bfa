//! Atomic operations on words in map values: the target has no `core::sync::atomic`.
//!
//! All but [`add_between`] are relaxed: nothing but the word itself is handed from one CPU to another by them.

use core::intrinsics::{
    AtomicOrdering::{AcqRel, Relaxed},
    atomic_cxchg, atomic_xadd, atomic_xchg,
};
use types::Counters;

/// # Safety
/// `word` is an aligned word in a map value.
#[inline(always)]
pub unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: by the contract.
    unsafe { atomic_xadd::<u64, u64, { Relaxed }>(word, value) };
}

/// Adds, and returns what there is then. What this CPU wrote before is seen by others before what it writes after: an addition
/// that fetches is a full barrier in BPF. Safety: as [`add`].
#[inline(always)]
pub unsafe fn add_between(word: *mut u64, value: u64) -> u64 {
    // SAFETY: by the contract.
    unsafe { atomic_xadd::<u64, u64, { AcqRel }>(word, value).wrapping_add(value) }
}

/// Takes what is in the word and leaves 0. Safety: as [`add`].
#[inline(always)]
pub unsafe fn take(word: *mut u64) -> u64 {
    // SAFETY: by the contract.
    unsafe { atomic_xchg::<u64, { Relaxed }>(word, 0) }
}

/// Replaces `old` by `new`; `Err` is what was there instead. Safety: as [`add`].
#[inline(always)]
pub unsafe fn replace(word: *mut u32, old: u32, new: u32) -> Result<(), u32> {
    // SAFETY: by the contract.
    let (before, done) = unsafe { atomic_cxchg::<u32, { Relaxed }, { Relaxed }>(word, old, new) };
    if done { Ok(()) } else { Err(before) }
}

/// # Safety
/// `counters` is in a map value.
#[inline(always)]
pub unsafe fn add_counters(counters: *mut Counters, packets: u64, bytes: u64) {
    // SAFETY: by the contract.
    unsafe {
        add(&raw mut (*counters).packets, packets);
        add(&raw mut (*counters).bytes, bytes);
    }
}
