//! What a flow keeps of its packets beside their number: the first packet of a window, and what TCP does.

use core::ptr;
use parser::{Parsed, Segment};
use types::{FlowSlot, tcp};

/// Keeps what the side's first packet in the window says.
///
/// # Safety
/// `slot` is a map value and `side` 0 or 1.
#[inline(always)]
pub unsafe fn open_window(slot: *mut FlowSlot, side: usize, parsed: &Parsed) {
    // SAFETY: by the contract.
    unsafe {
        (*slot).traffic_class[side] = parsed.traffic_class;
        (*slot).ttl[side] = parsed.ttl;
        (*slot).flow_label[side] = parsed.flow_label;
        (*slot).spi[side] = parsed.spi;
        let (kind, code) = parsed.icmp.unwrap_or((0, 0));
        (*slot).icmp_type[side] = kind;
        (*slot).icmp_code[side] = code;
        (*slot).icmp_known[side] = parsed.icmp.is_some() as u8;
    }
}

/// Keeps which flags a side has sent.
///
/// # Safety
/// As [`open_window`].
#[inline(always)]
pub unsafe fn note_flags(slot: *mut FlowSlot, side: usize, flags: u8) {
    // Bit k of the flags in byte k.
    let lanes = (u64::from(flags) * 0x0101_0101_0101_0101 & 0x8040_2010_0804_0201).to_le();
    // SAFETY: by the contract; the lanes of a side are an aligned word, and every store to a lane writes the same.
    unsafe {
        let place = &raw mut (*slot).tcp_flags[side];
        if ptr::read_volatile(place.cast::<u64>()) & lanes == lanes {
            return;
        }
        for lane in 0..8 {
            if flags & (1 << lane) != 0 {
                (*place)[lane] = 1 << lane;
            }
        }
    }
}

/// Follows the connection: handshake, answers, end. Called before [`note_flags`].
///
/// # Safety
/// As [`open_window`].
#[inline(always)]
pub unsafe fn note_segment(slot: *mut FlowSlot, side: usize, segment: &Segment, now: u64) {
    const BOTH: u8 = tcp::SYN | tcp::ACK;
    // SAFETY: by the contract.
    unsafe {
        let flags = segment.flags;
        match flags & BOTH {
            tcp::SYN => note_once((&raw mut (*slot).syn[side], &raw mut (*slot).syn_ns), now),
            BOTH => note_once((&raw mut (*slot).syn_ack[side], &raw mut (*slot).syn_ack_ns), now),
            tcp::ACK if (*slot).established == 0 && flags & tcp::RST == 0 => {
                if (*slot).syn[side] | (*slot).syn_ack[0] | (*slot).syn_ack[1] != 0 {
                    (*slot).established = 1;
                }
            }
            _ => {}
        }
        let other = side ^ 1;
        if (*slot).tcp_flags[other][tcp::FIN_LANE] != 0
            && (*slot).fin_acked[other] == 0
            && flags & tcp::ACK != 0
            && segment.acknowledgment.wrapping_sub((*slot).fin_end[other]) as i32 >= 0
        {
            (*slot).fin_acked[other] = 1;
        }
        if flags & tcp::FIN != 0 && (*slot).tcp_flags[side][tcp::FIN_LANE] == 0 {
            (*slot).fin_end[side] = segment.sequence.wrapping_add(segment.payload_bytes).wrapping_add(1);
            if (*slot).first_fin == 0 {
                (*slot).first_fin = side as u8 + 1;
            }
        }
        if segment.payload_bytes != 0 {
            note_payload(slot, side, now);
        }
    }
}

/// Sets the mark of a side, and the time if it is the first mark of either.
///
/// # Safety
/// Both are in a map value.
#[inline(always)]
unsafe fn note_once((mark, time): (*mut u8, *mut u64), now: u64) {
    // SAFETY: by the contract.
    unsafe {
        *mark = 1;
        if ptr::read_volatile(time) == 0 {
            ptr::write_volatile(time, now);
        }
    }
}

/// Takes the time of an answer: from the other side's last payload to this side's first after it.
///
/// # Safety
/// As [`open_window`].
#[inline(always)]
unsafe fn note_payload(slot: *mut FlowSlot, side: usize, now: u64) {
    // SAFETY: by the contract. A side's packets are rarely on two CPUs at once; then an answer may be missed or taken twice,
    // which is not worth an atomic operation.
    unsafe {
        ptr::write_volatile(&raw mut (*slot).data_ns[side], now);
        let asked = ptr::read_volatile(&raw const (*slot).data_ns[side ^ 1]);
        if asked == 0 {
            return;
        }
        ptr::write_volatile(&raw mut (*slot).data_ns[side ^ 1], 0);
        let answer = now.saturating_sub(asked);
        // RFC 3550, 6.4.1: J += (|D| - J) / 16, from the second answer on.
        if (*slot).answer_count[side] != 0 {
            let difference = answer.abs_diff((*slot).answer_last_ns[side]);
            let jitter = (*slot).answer_jitter_ns[side];
            (*slot).answer_jitter_ns[side] = jitter - jitter / 16 + difference / 16;
        }
        (*slot).answer_last_ns[side] = answer;
        (*slot).answer_sum_ns[side] += answer;
        (*slot).answer_count[side] += 1;
    }
}
