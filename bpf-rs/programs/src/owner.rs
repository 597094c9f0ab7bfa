//! Which hook counts a packet, when several see it.
//!
//! Each side of a flow has one owner, which counts. What another hook sees is a copy of what the owner sees, unless the
//! owner is silent. So packets at one other hook are kept in `gap`, which the owner's next packet empties again: then they
//! were copies. If instead the hook goes on alone for longer than any packet takes from hook to hook, they were not: they
//! are added to what was counted, and the hook owns the side from then on. A packet between two hooks at the moment at which
//! a gap is judged may be taken for the wrong one of the two.

use crate::{
    atomic::{add_counters, replace, take},
    flow::Sighting,
    maps::HOOKS,
};
use core::ptr;
use types::{FlowSlot, SETTLED_NS, TRANSIT_NS};

/// What a packet is to its flow at this hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is counted here.
    Owner,
    /// The owner is silent: this is all that is known of the packet, until the owner speaks.
    StandIn,
    /// The owner has just seen this packet, or will see it soon.
    Bystander,
}

/// Finds the role and keeps account of the gap.
///
/// # Safety
/// `slot` is a map value.
#[inline(always)]
pub unsafe fn role(slot: *mut FlowSlot, side: usize, packet: &Sighting) -> Role {
    // SAFETY: by the contract.
    unsafe {
        if ptr::read_volatile(&raw const (*slot).owner_hook[side]) == packet.hook {
            if (*slot).gap_open[side] != 0 {
                close_gap(slot, side, packet, true);
            }
            return Role::Owner;
        }
        role_of_other(slot, side, packet)
    }
}

/// As [`role`], for a hook that does not own the side.
#[inline(always)]
unsafe fn role_of_other(slot: *mut FlowSlot, side: usize, packet: &Sighting) -> Role {
    // SAFETY: by the contract. Two CPUs of one hook may do the same at once: counters are taken and added atomically, flags
    // and times are nearly equal.
    unsafe {
        let now = packet.now;
        let silence = now.saturating_sub(ptr::read_volatile(&raw const (*slot).last_ns[side]));
        let is_new = note_interface(slot, packet.hook >> 1) && now.saturating_sub((*slot).created_ns) > SETTLED_NS;
        let tracked = ptr::read_volatile(&raw const (*slot).other_hook[side]);
        if tracked != packet.hook {
            let pause = now.saturating_sub(ptr::read_volatile(&raw const (*slot).other_last_ns[side]));
            if tracked != 0 && pause <= TRANSIT_NS && !is_new {
                return Role::Bystander;
            }
            close_gap(slot, side, packet, false);
            if replace(&raw mut (*slot).other_hook[side], tracked, packet.hook).is_err() {
                return Role::Bystander;
            }
        }
        (*slot).other_last_ns[side] = now;
        let since = ptr::read_volatile(&raw const (*slot).gap_since_ns[side]);
        if since != 0 && now.saturating_sub(since) > SETTLED_NS {
            close_gap(slot, side, packet, false);
            ptr::write_volatile(&raw mut (*slot).owner_hook[side], packet.hook);
            ptr::write_volatile(&raw mut (*slot).other_hook[side], 0);
            return Role::Owner;
        }
        // A hook that has not seen the flow in all that time has nothing to see copies of.
        if (*slot).gap_open[side] == 0 && silence <= TRANSIT_NS && !is_new {
            return Role::Bystander;
        }
        (*slot).gap_open[side] = 1;
        if since == 0 && silence > SETTLED_NS {
            ptr::write_volatile(&raw mut (*slot).gap_since_ns[side], now);
        }
        add_counters(&raw mut (*slot).gap[side], 1, packet.bytes);
        Role::StandIn
    }
}

/// Empties the gap: adds it to what was counted, here and at the hook that saw it, unless its packets may be copies of what
/// the owner saw. `by_owner`: the owner speaks again, so the last packet in the gap may be a copy of this one.
///
/// # Safety
/// `slot` is a map value.
#[inline(always)]
unsafe fn close_gap(slot: *mut FlowSlot, side: usize, packet: &Sighting, by_owner: bool) {
    // SAFETY: by the contract.
    unsafe {
        let since = ptr::read_volatile(&raw const (*slot).gap_since_ns[side]);
        (*slot).gap_open[side] = 0;
        ptr::write_volatile(&raw mut (*slot).gap_since_ns[side], 0);
        let mut packets = take(&raw mut (*slot).gap[side].packets);
        let mut bytes = take(&raw mut (*slot).gap[side].bytes);
        if since == 0 || packet.now.saturating_sub(since) <= SETTLED_NS || packets == 0 {
            return;
        }
        let last = ptr::read_volatile(&raw const (*slot).other_last_ns[side]);
        if by_owner && packet.now.saturating_sub(last) <= TRANSIT_NS {
            packets -= 1;
            bytes = bytes.saturating_sub(packet.bytes);
        }
        let hook = ptr::read_volatile(&raw const (*slot).other_hook[side]);
        // Without its counters the hook is gone, and so is what it saw.
        let Some(counters) = HOOKS.get_ptr_mut(&hook) else {
            return;
        };
        // This CPU's share may wrap; the sum over all is right.
        (*counters).counted = (*counters).counted.wrapping_add(packets);
        (*counters).duplicate = (*counters).duplicate.wrapping_sub(packets);
        if ptr::read_volatile(&raw const (*slot).window_first_ns[side]) <= (*slot).cut_ns {
            ptr::write_volatile(&raw mut (*slot).window_first_ns[side], since.max((*slot).cut_ns + 1));
        }
        add_counters(&raw mut (*slot).counted[side], packets, bytes);
    }
}

/// Adds the interface to those that saw the flow; returns whether it is new there.
///
/// # Safety
/// `slot` is a map value.
#[inline(always)]
unsafe fn note_interface(slot: *mut FlowSlot, ifindex: u32) -> bool {
    // SAFETY: by the contract.
    unsafe {
        for place in 0..(*slot).interfaces.len() {
            let word = &raw mut (*slot).interfaces[place];
            let mut seen = ptr::read_volatile(word);
            if seen == 0 {
                match replace(word, 0, ifindex) {
                    Ok(()) => return true,
                    Err(other) => seen = other,
                }
            }
            if seen == ifindex {
                return false;
            }
        }
        false
    }
}
