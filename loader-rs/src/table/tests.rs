//! The decisions of the sweep. What needs the kernel's maps is tested in tests/kernel.

use super::*;
use crate::due::{ICMP, ICMPV6, TCP, UDP};
use types::{Counters, SIDE_NONE, SLOT_LIVE, hook_id, tcp};

/// All different, so that a mixed-up limit shows.
const LIMITS: SweepLimits = SweepLimits {
    active_ns: 60_000,
    generic_idle_ns: 30_000,
    icmp_idle_ns: 10_000,
    tcp_idle_ns: 20_000,
    tcp_fin_ns: 5_000,
    tcp_rst_ns: 2_000,
    udp_idle_ns: 40_000,
    high_water: 8,
    low_water: 6,
    force: 0,
    pad: 0,
};

const FIN: u8 = tcp::FIN;
const SYN: u8 = tcp::SYN;
const RST: u8 = tcp::RST;
const ACK: u8 = tcp::ACK;

fn counters(packets: u64) -> Counters {
    Counters { packets, bytes: packets * 100 }
}

/// A live flow whose first and last packet was at 1 ns.
fn slot(protocol: u8) -> FlowSlot {
    let mut slot = FlowSlot { state: SLOT_LIVE, owner_ifindex: 3, ..FlowSlot::ZERO };
    slot.key.protocol = protocol;
    slot.protocol = protocol;
    (slot.window_first_ns, slot.last_ns) = (1, 1);
    slot.counted = [counters(1), counters(1)];
    slot
}

fn tcp_slot(flags: [u8; 2]) -> FlowSlot {
    let mut slot = slot(TCP);
    slot.tcp_flags = flags.map(|bits| std::array::from_fn(|lane| bits >> lane & 1));
    slot
}

fn judged(slot: &FlowSlot, limits: &SweepLimits, now: u64) -> Verdict {
    // SAFETY: a slot of our own.
    judge(&unsafe { View::read(slot) }, limits, now)
}

#[test]
fn judge_ends_a_flow_after_the_idle_time_of_its_protocol() {
    for (protocol, idle) in [
        (TCP, LIMITS.tcp_idle_ns),
        (UDP, LIMITS.udp_idle_ns),
        (ICMP, LIMITS.icmp_idle_ns),
        (ICMPV6, LIMITS.icmp_idle_ns),
        (0, LIMITS.generic_idle_ns),
        (47, LIMITS.generic_idle_ns),
        (132, LIMITS.generic_idle_ns),
        (136, LIMITS.generic_idle_ns),
    ] {
        let flow = slot(protocol);
        assert_eq!(judged(&flow, &LIMITS, idle), Verdict::Open { age: 255 }, "{protocol}");
        assert_eq!(judged(&flow, &LIMITS, 1 + idle), Verdict::End(end_reason::IDLE_TIMEOUT), "{protocol}");
    }
}

#[test]
fn judge_ends_a_tcp_flow_that_was_closed_or_reset() {
    let one_way = |flags| FlowSlot { counted: [counters(1), counters(0)], ..tcp_slot([flags, 0]) };
    let elsewhere = |packets| FlowSlot { other: [counters(0), counters(packets)], ..one_way(FIN | ACK) };
    for (name, flow, limit, reason) in [
        ("open", tcp_slot([SYN | ACK, SYN | ACK]), LIMITS.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        ("half closed", tcp_slot([FIN | ACK, ACK]), LIMITS.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        ("half closed", tcp_slot([ACK, FIN | ACK]), LIMITS.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        ("closed", tcp_slot([FIN, FIN | ACK]), LIMITS.tcp_fin_ns, end_reason::END_OF_FLOW_DETECTED),
        ("one side seen, open", one_way(ACK), LIMITS.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        ("one side seen, closed", one_way(FIN | ACK), LIMITS.tcp_fin_ns, end_reason::END_OF_FLOW_DETECTED),
        ("other side seen elsewhere", elsewhere(1), LIMITS.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        ("other side seen nowhere", elsewhere(0), LIMITS.tcp_fin_ns, end_reason::END_OF_FLOW_DETECTED),
        ("reset by a", tcp_slot([RST, ACK]), LIMITS.tcp_rst_ns, end_reason::END_OF_FLOW_DETECTED),
        ("reset by b", tcp_slot([SYN, RST | ACK]), LIMITS.tcp_rst_ns, end_reason::END_OF_FLOW_DETECTED),
        ("closed, then reset", tcp_slot([FIN | RST, FIN]), LIMITS.tcp_rst_ns, end_reason::END_OF_FLOW_DETECTED),
    ] {
        assert_eq!(judged(&flow, &LIMITS, limit), Verdict::Open { age: 255 }, "{name}");
        assert_eq!(judged(&flow, &LIMITS, 1 + limit), Verdict::End(reason), "{name}");
    }
    // Bytes where TCP has its flags mean nothing for other protocols.
    let mut flow = tcp_slot([FIN | RST, FIN | RST]);
    flow.key.protocol = UDP;
    flow.protocol = UDP;
    assert_eq!(judged(&flow, &LIMITS, LIMITS.udp_idle_ns), Verdict::Open { age: 255 });
}

#[test]
fn judge_cuts_a_flow_that_goes_on_when_its_window_is_over() {
    let flow = |window_first_ns, cut_ns, last_ns| FlowSlot { window_first_ns, cut_ns, last_ns, ..slot(UDP) };
    let active = LIMITS.active_ns;
    for (name, flow, now, expected) in [
        ("before", flow(1, 0, active), active, Verdict::Open { age: 0 }),
        ("at the end", flow(1, 0, active), 1 + active, Verdict::Cut),
        ("idle as well", flow(1, 0, 1), 1 + active, Verdict::End(end_reason::IDLE_TIMEOUT)),
        ("no packet since the cut", flow(1, 100, active), 1 + active, Verdict::Open { age: 0 }),
        ("cut at the first packet", flow(100, 100, active), 100 + active, Verdict::Open { age: 0 }),
        ("second window", flow(101, 100, active), 100 + active, Verdict::Open { age: 0 }),
        ("second window over", flow(101, 100, active), 101 + active, Verdict::Cut),
        // A CPU that took its time before the sweep took its own.
        ("packet of the future", flow(1 + active, 0, 2 + active), active, Verdict::Open { age: 0 }),
    ] {
        assert_eq!(judged(&flow, &LIMITS, now), expected, "{name}");
    }
}

#[test]
fn judge_ends_every_flow_when_forced() {
    let limits = SweepLimits { force: 1, ..LIMITS };
    for flow in [slot(UDP), tcp_slot([RST, FIN]), slot(255)] {
        for now in [0, 1, LIMITS.active_ns, u64::MAX] {
            assert_eq!(judged(&flow, &limits, now), Verdict::End(end_reason::FORCED_END));
        }
    }
}

#[test]
fn judge_tells_the_age_in_parts_of_the_flow_s_own_timeout() {
    let tcp = LIMITS.tcp_idle_ns;
    for (protocol, idle, age) in [
        (TCP, 0, 0),
        (TCP, tcp / 256, 0),
        (TCP, tcp / 256 + 1, 1),
        (TCP, tcp / 2, 128),
        (UDP, tcp / 2, 64),
        (ICMP, tcp / 2 - 1, 255),
    ] {
        assert_eq!(judged(&slot(protocol), &LIMITS, 1 + idle), Verdict::Open { age }, "{protocol} {idle}");
    }
    let long = SweepLimits { udp_idle_ns: u64::MAX, active_ns: u64::MAX, ..LIMITS };
    assert_eq!(judged(&slot(UDP), &long, u64::MAX / 2 + 2), Verdict::Open { age: 128 });
    assert_eq!(
        judged(&slot(UDP), &SweepLimits { udp_idle_ns: 0, ..LIMITS }, 1),
        Verdict::End(end_reason::IDLE_TIMEOUT)
    );
}

#[test]
fn oldest_takes_those_nearest_to_their_end() {
    let open = [(10, 0), (11, 255), (12, 7), (13, 7), (14, 7), (15, 8)];
    for (count, expected) in [
        (0, &[][..]),
        (1, &[11]),
        (2, &[11, 15]),
        // Of the same age any will do, but no more than asked for.
        (3, &[11, 12, 15]),
        (4, &[11, 12, 13, 15]),
        (5, &[11, 12, 13, 14, 15]),
        (6, &[10, 11, 12, 13, 14, 15]),
        (7, &[10, 11, 12, 13, 14, 15]),
        (usize::MAX, &[10, 11, 12, 13, 14, 15]),
    ] {
        assert_eq!(oldest(&open, count), expected, "{count}");
    }
    assert!(oldest(&[], 3).is_empty());
    assert_eq!(oldest(&[(1, 0), (2, 0), (3, 0)], 2), vec![1, 2]);
}

#[test]
fn due_retires_all_but_a_cut() {
    for reason in end_reason::IDLE_TIMEOUT..=end_reason::LACK_OF_RESOURCES {
        assert_eq!(Due { slot: 0, reason }.retires(), reason != end_reason::ACTIVE_TIMEOUT, "{reason}");
    }
}

#[test]
fn totals_are_the_greater_and_the_interface_is_the_owner_unless_it_saw_nothing() {
    let owner = (3, 3);
    for (counted, other, expected, ifindex) in [
        ([5, 2], [0, 0], [5, 2], owner),
        ([5, 2], [5, 2], [5, 2], owner),
        ([5, 2], [4, 1], [5, 2], owner),
        ([5, 0], [5, 4], [5, 4], (3, 9)),
        ([0, 4], [6, 4], [6, 4], (8, 3)),
        ([1, 1], [2, 2], [2, 2], owner),
        ([0, 0], [0, 0], [0, 0], owner),
    ] {
        let mut flow = slot(UDP);
        flow.counted = counted.map(counters);
        flow.other = other.map(counters);
        flow.other_hook = [hook_id(8, true).into(), hook_id(9, false).into()];
        // SAFETY: a slot of our own.
        let (total, indexes) = unsafe { totals(&flow) };
        assert_eq!(total, expected.map(counters), "{counted:?} {other:?}");
        assert_eq!((indexes[0], indexes[1]), ifindex, "{counted:?} {other:?}");
    }
}

#[test]
fn minus_never_goes_below_zero() {
    let of = |packets, bytes| Counters { packets, bytes };
    assert_eq!(minus(of(5, 500), of(2, 120)), of(3, 380));
    assert_eq!(minus(of(5, 500), of(5, 500)), of(0, 0));
    assert_eq!(minus(of(1, 500), of(2, 120)), of(0, 380));
    assert_eq!(minus(of(5, 100), of(2, 120)), of(3, 0));
}

#[test]
fn flag_bits_has_a_bit_for_each_lane() {
    assert_eq!(flag_bits(&[0; 8]), 0);
    assert_eq!(flag_bits(&[1; 8]), 0xff);
    for lane in 0..8 {
        let mut lanes = [0; 8];
        lanes[lane] = 1;
        assert_eq!(flag_bits(&lanes), 1 << lane);
    }
    assert_eq!(FIN, 1 << tcp::FIN_LANE);
    assert_eq!(RST, 1 << tcp::RST_LANE);
}

#[test]
fn side_of_is_the_one_side_that_did_it() {
    for (seen, side) in [([0, 0], SIDE_NONE), ([1, 0], 0), ([0, 1], 1), ([1, 1], SIDE_NONE)] {
        assert_eq!(side_of(seen), side, "{seen:?}");
    }
}

#[test]
fn key_bytes_are_those_that_the_kernel_hashes() {
    let key = FlowKey {
        a: [u64::from_ne_bytes([1, 2, 3, 4, 5, 6, 7, 8]), u64::from_ne_bytes([9, 10, 11, 12, 13, 14, 15, 16])],
        b: [u64::from_ne_bytes([17, 18, 19, 20, 21, 22, 23, 24]), u64::from_ne_bytes([25, 26, 27, 28, 29, 30, 31, 32])],
        port_a: u16::from_ne_bytes([33, 34]),
        port_b: u16::from_ne_bytes([35, 36]),
        protocol: 37,
        family: 38,
        pad: [39, 40],
    };
    assert_eq!(key_bytes(&key).to_vec(), (1..=40).collect::<Vec<u8>>());
}
