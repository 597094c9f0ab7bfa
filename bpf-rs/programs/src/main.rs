//! The TC/TCX programs. They look at every packet of the hooks they are attached to, add it to its flow, and let it
//! pass unchanged: TCX_NEXT and TC_ACT_UNSPEC are the same number.
#![no_std]
#![no_main]
// The target has no core::sync::atomic; the intrinsics behind it become BPF atomic instructions.
#![allow(internal_features)]
#![feature(core_intrinsics)]

mod atomic;
mod flow;
mod maps;
mod notes;
mod owner;
mod skb;

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use flow::Booked;
use skb::Skb;
use types::{NO_VLAN, hook_id};

#[classifier]
pub fn mermin_ingress(ctx: TcContext) -> i32 {
    observe(&ctx, false, false)
}

#[classifier]
pub fn mermin_egress(ctx: TcContext) -> i32 {
    observe(&ctx, true, false)
}

#[classifier]
pub fn mermin_ip_in(ctx: TcContext) -> i32 {
    observe(&ctx, false, true)
}

#[classifier]
pub fn mermin_ip_out(ctx: TcContext) -> i32 {
    observe(&ctx, true, true)
}

/// Takes the place of the others at a stop: putting it into a link is a matter of microseconds, detaching one of a grace
/// period.
#[classifier]
pub fn mermin_off(_: TcContext) -> i32 {
    TC_ACT_UNSPEC
}

/// Sees one packet: parses it, counts it, and books the outcome at its hook. `bare_ip`: no Ethernet header.
#[inline(always)]
fn observe(ctx: &TcContext, egress: bool, bare_ip: bool) -> i32 {
    let skb = Skb::new(ctx);
    let hook_id = hook_id(skb.ifindex(), egress);
    // The loader makes this entry before it attaches and removes it after it detached.
    let Some(hook) = maps::HOOKS.get_ptr_mut(&hook_id) else {
        return TC_ACT_UNSPEC;
    };
    let bytes = skb.frame_bytes();
    let parsed = if bare_ip { parser::parse_network(&skb, skb.ethertype(), 0) } else { parser::parse_ethernet(&skb) };
    let booked = parsed.map(|parsed| {
        // A tag in the frame is inside of one that is kept beside it.
        let vlan = if parsed.vlan != NO_VLAN { parsed.vlan } else { skb.vlan() };
        flow::count(parsed, hook_id, vlan, bytes)
    });
    // SAFETY: an entry of a per-CPU map. Packets pass the hooks with softirqs off, so they do not nest on one CPU, and nobody
    // else writes it now; `close_gap`, which may write it too, has returned.
    let hook = unsafe { &mut *hook };
    hook.packets += 1;
    hook.bytes += bytes;
    match booked {
        Err(reason) => add_at(&mut hook.unparsed, reason),
        Ok(Err(reason)) => add_at(&mut hook.lost, reason),
        Ok(Ok(Booked::Duplicate)) => hook.duplicate = hook.duplicate.wrapping_add(1),
        Ok(Ok(Booked::Counted { is_conflict })) => {
            hook.counted = hook.counted.wrapping_add(1);
            hook.key_scope_conflict += u64::from(is_conflict);
        }
    }
    TC_ACT_UNSPEC
}

/// Adds one at an index that is known to be in range; the check is for the verifier.
#[inline(always)]
fn add_at(counters: &mut [u64], index: usize) {
    if let Some(counter) = counters.get_mut(index) {
        *counter += 1;
    }
}

#[cfg(not(test))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
