//! What can be read from a slot of the flow table, which the kernel may be writing.

use std::{
    ptr,
    sync::atomic::{
        AtomicU8, AtomicU32,
        Ordering::{Acquire, Relaxed},
    },
};
use types::{CLAIM_KERNEL, CLAIM_LOADER, CLAIM_NONE, Counters, Exported, FlowRecord, FlowSlot, SIDE_NONE, SLOT_LIVE};

/// Packets that another hook saw in the owner's place, and that no owner will see any more.
#[derive(Clone, Copy)]
pub struct Gap {
    pub hook: u32,
    pub counters: Counters,
    first_ns: u64,
    last_ns: u64,
}

/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn is_live(flow: *mut FlowSlot) -> bool {
    // SAFETY: by the contract. What the kernel wrote before it set this byte is read after it.
    unsafe { AtomicU8::from_ptr(&raw mut (*flow).state) }.load(Acquire) == SLOT_LIVE
}

/// Per side, what the flow has counted since it began.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn counted(flow: *const FlowSlot) -> [Counters; 2] {
    // SAFETY: by the contract.
    [0, 1].map(|side| unsafe { ptr::read_volatile(&raw const (*flow).counted[side]) })
}

/// The slot as it is now. `cut_ns`: the window ends here, and what the kernel adds later is in the next.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn snapshot(flow: *mut FlowSlot, cut_ns: Option<u64>) -> FlowSlot {
    // SAFETY: by the contract. The first packet of the next window may follow the cut at once, so what is of the first packet
    // is read before it; counters are read after it, and the time of the last packet after them.
    unsafe {
        let mut slot = ptr::read_volatile(flow);
        if let Some(cut_ns) = cut_ns {
            ptr::write_volatile(&raw mut (*flow).cut_ns, cut_ns);
        }
        slot.counted = counted(flow);
        slot.last_ns = ptr::read_volatile(&raw const (*flow).last_ns);
        slot
    }
}

/// The gap of a side of a flow that has ended. Packets that may be copies of what the owner saw are none.
pub fn gap(flow: &FlowSlot, side: usize) -> Option<Gap> {
    let first_ns = flow.gap_since_ns[side];
    let counters = flow.gap[side];
    let gap = Gap { hook: flow.other_hook[side], counters, first_ns, last_ns: flow.other_last_ns[side] };
    (first_ns != 0 && counters.packets != 0).then_some(gap)
}

/// Time of the last packet, whoever saw it.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn last_ns(flow: *const FlowSlot) -> u64 {
    // SAFETY: by the contract.
    unsafe {
        let of = |side: usize| {
            let other = if (*flow).gap_open[side] != 0 { (*flow).other_last_ns[side] } else { 0 };
            ptr::read_volatile(&raw const (*flow).last_ns[side]).max(other)
        };
        of(0).max(of(1))
    }
}

/// Claims the right to take the slot out of the index; false: the kernel has put another in its place, or is doing it.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn claim(flow: *mut FlowSlot) -> bool {
    // SAFETY: by the contract; the kernel changes this word atomically too.
    let word = unsafe { AtomicU32::from_ptr(&raw mut (*flow).claim) };
    word.compare_exchange(CLAIM_NONE, CLAIM_LOADER, Relaxed, Relaxed).err() != Some(CLAIM_KERNEL)
}

/// Whether the kernel has put another slot in its place, or is doing it.
///
/// # Safety
/// `flow` is in the mapped table.
pub unsafe fn is_superseded(flow: *const FlowSlot) -> bool {
    // SAFETY: by the contract.
    unsafe { ptr::read_volatile(&raw const (*flow).claim) == CLAIM_KERNEL }
}

/// The window of a flow, with boot times, and what will have been exported of it then; `None` when it had no packet.
pub fn window(flow: &FlowSlot, before: &Exported, gaps: [Option<Gap>; 2]) -> Option<(FlowRecord, Exported)> {
    let total = [0, 1].map(|side| gaps[side].map_or(flow.counted[side], |gap| plus(flow.counted[side], gap.counters)));
    let delta = [0, 1].map(|side| minus(total[side], before.counters[side]));
    if delta[0].packets == 0 && delta[1].packets == 0 {
        return None;
    }
    let is_open = [0, 1].map(|side| flow.window_first_ns[side] > flow.cut_ns && delta[side].packets != 0);
    let (start, end) = times(flow, is_open, gaps);
    let count = [0, 1].map(|side| flow.answer_count[side].wrapping_sub(before.answer_count[side]));
    let latency = [0, 1].map(|side| {
        let sum = flow.answer_sum_ns[side].wrapping_sub(before.answer_sum_ns[side]);
        sum.checked_div(count[side].into()).unwrap_or(0)
    });
    // A side that only the other hook saw was counted there.
    let is_elsewhere = |side: usize| minus(flow.counted[side], before.counters[side]).packets == 0;
    let hook = |side: usize| gaps[side].filter(|_| is_elsewhere(side)).map_or(flow.owner_hook[side], |gap| gap.hook);
    let record = FlowRecord {
        key: flow.key,
        start_unix_ns: start,
        end_unix_ns: end,
        delta,
        total,
        handshake_ns: handshake_ns(flow),
        latency_ns: latency,
        jitter_ns: flow.answer_jitter_ns,
        latency_count: count,
        hook: [hook(0), hook(1)],
        interfaces: flow.interfaces,
        flow_label: flow.flow_label,
        spi: flow.spi,
        vlan: flow.vlan,
        tcp_flags: flow.tcp_flags.map(|lanes| flag_bits(&lanes)),
        traffic_class: flow.traffic_class,
        ttl: flow.ttl,
        icmp_type: flow.icmp_type,
        icmp_code: flow.icmp_code,
        ip_known: is_open.map(u8::from),
        icmp_known: [0, 1].map(|side| (is_open[side] && flow.icmp_known[side] != 0).into()),
        fin_acked: flow.fin_acked,
        syn_side: side_of(flow.syn),
        syn_ack_side: side_of(flow.syn_ack),
        fin_side: flow.first_fin.checked_sub(1).unwrap_or(SIDE_NONE),
        first_side: flow.first_side,
        established: is_established(flow).into(),
        first: (before.counters[0].packets == 0 && before.counters[1].packets == 0).into(),
        ..FlowRecord::ZERO
    };
    Some((record, Exported { counters: total, answer_sum_ns: flow.answer_sum_ns, answer_count: flow.answer_count }))
}

/// First and last packet of the window. A packet that came at the moment of the cut opened no window: then the last one is
/// all that is known.
fn times(flow: &FlowSlot, is_open: [bool; 2], gaps: [Option<Gap>; 2]) -> (u64, u64) {
    let gaps = gaps.iter().flatten();
    let end = gaps.clone().map(|gap| gap.last_ns).chain(flow.last_ns).max().unwrap_or(0);
    let firsts = (0..2).filter(|side| is_open[*side]).map(|side| flow.window_first_ns[side]);
    let start = gaps.map(|gap| gap.first_ns).chain(firsts).min().unwrap_or(end);
    (start.min(end), end)
}

/// From the first SYN to the first SYN-ACK, which must be the other side's; 0: not seen.
fn handshake_ns(flow: &FlowSlot) -> u64 {
    let (syn, syn_ack) = (side_of(flow.syn), side_of(flow.syn_ack));
    let answered = syn != SIDE_NONE && syn_ack != SIDE_NONE && syn != syn_ack;
    if answered { flow.syn_ack_ns.saturating_sub(flow.syn_ns) } else { 0 }
}

/// Whether a TCP connection has come further than its handshake.
fn is_established(flow: &FlowSlot) -> bool {
    let saw_handshake = [flow.syn, flow.syn_ack] != [[0; 2]; 2];
    flow.established != 0 || (flow.tcp_flags != [[0; 8]; 2] && !saw_handshake)
}

pub fn plus(one: Counters, other: Counters) -> Counters {
    Counters { packets: one.packets + other.packets, bytes: one.bytes + other.bytes }
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

#[cfg(test)]
mod tests;
