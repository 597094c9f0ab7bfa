//! What can be read from a slot of the flow table, which the kernel may be writing.

use std::ptr;
use types::{Counters, FlowSlot, SIDE_NONE, SLOT_LIVE};

/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn is_live(flow: *const FlowSlot) -> bool {
    // SAFETY: by the contract.
    unsafe { ptr::read_volatile(&raw const (*flow).state) == SLOT_LIVE }
}

/// Per side, what the flow has counted since it began, and on which interface: that is the owner, unless it never saw
/// that side. The other hook may be ahead by a packet that is on its way to the owner.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn totals(flow: *const FlowSlot) -> ([Counters; 2], [u32; 2]) {
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

pub fn larger(one: Counters, other: Counters) -> Counters {
    Counters { packets: one.packets.max(other.packets), bytes: one.bytes.max(other.bytes) }
}

pub fn minus(total: Counters, before: Counters) -> Counters {
    Counters { packets: total.packets.saturating_sub(before.packets), bytes: total.bytes.saturating_sub(before.bytes) }
}

pub fn flag_bits(lanes: &[u8; 8]) -> u8 {
    lanes.iter().enumerate().fold(0, |bits, (lane, seen)| bits | (u8::from(*seen != 0) << lane))
}

pub fn side_of(seen: [u8; 2]) -> u8 {
    match seen {
        [0, 0] => SIDE_NONE,
        [_, 0] => 0,
        [0, _] => 1,
        // Both sides did it: nobody is known to have begun.
        _ => SIDE_NONE,
    }
}
