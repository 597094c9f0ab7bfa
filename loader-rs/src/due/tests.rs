//! The decisions of the sweep. What needs the kernel's maps is tested in tests/kernel.

use super::*;
use types::{CLAIM_KERNEL, CLAIM_LOADER, CLAIM_NONE, Counters, SLOT_LIVE, hook_id};

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
    let owner_hook = [hook_id(3, false), hook_id(3, true)];
    let mut slot = FlowSlot { state: SLOT_LIVE, owner_hook, ..FlowSlot::ZERO };
    slot.key.protocol = protocol;
    (slot.window_first_ns, slot.last_ns) = ([1, 0], [1, 0]);
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
    let elsewhere = |packets: u8| FlowSlot { gap_open: [0, packets], ..one_way(FIN | ACK) };
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
    assert_eq!(judged(&flow, &LIMITS, LIMITS.udp_idle_ns), Verdict::Open { age: 255 });
}

#[test]
fn judge_cuts_a_flow_that_goes_on_when_its_window_is_over() {
    let flow = |first, cut_ns, last| {
        let (window_first_ns, last_ns) = ([first, 0], [last, 0]);
        FlowSlot { window_first_ns, cut_ns, last_ns, ..slot(UDP) }
    };
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
fn judge_ends_a_flow_whose_place_the_kernel_has_given_away() {
    let flow = |flags, claim| FlowSlot { claim, ..tcp_slot(flags) };
    let over = Verdict::End(end_reason::END_OF_FLOW_DETECTED);
    for (flow, expected) in [
        (flow([FIN, FIN], CLAIM_KERNEL), over),
        (flow([RST, 0], CLAIM_KERNEL), Verdict::End(end_reason::END_OF_FLOW_DETECTED)),
        (flow([FIN, FIN], CLAIM_LOADER), Verdict::Open { age: 0 }),
        (flow([FIN, FIN], CLAIM_NONE), Verdict::Open { age: 0 }),
    ] {
        assert_eq!(judged(&flow, &LIMITS, 1), expected);
    }
}

#[test]
fn judge_looks_at_both_sides_and_at_what_another_hook_sees() {
    let idle = LIMITS.udp_idle_ns;
    let flow = |last_ns, gap_open, other_last_ns| FlowSlot { last_ns, gap_open, other_last_ns, ..slot(UDP) };
    for (name, flow, last) in [
        ("side 0", flow([9, 3], [0, 0], [0, 0]), 9),
        ("side 1", flow([3, 9], [0, 0], [0, 0]), 9),
        ("no gap", flow([3, 3], [0, 0], [9, 9]), 3),
        ("a gap", flow([3, 3], [0, 1], [9, 5]), 5),
    ] {
        assert_eq!(judged(&flow, &LIMITS, last + idle - 1), Verdict::Open { age: 255 }, "{name}");
        assert_eq!(judged(&flow, &LIMITS, last + idle), Verdict::End(end_reason::IDLE_TIMEOUT), "{name}");
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
