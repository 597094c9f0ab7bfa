//! What becomes of a slot's words in a record.

use super::*;
use types::{NO_VLAN, hook_id, tcp};

const OWNER: [u32; 2] = [hook_id(3, false), hook_id(3, true)];
const OTHER: [u32; 2] = [hook_id(8, true), hook_id(9, false)];

fn counters(packets: u64) -> Counters {
    Counters { packets, bytes: packets * 100 }
}

/// A flow of two packets from side 0 and one from side 1, at 100, 300 and 200 ns.
fn slot() -> FlowSlot {
    FlowSlot {
        owner_hook: OWNER,
        other_hook: OTHER,
        vlan: NO_VLAN,
        counted: [counters(2), counters(1)],
        window_first_ns: [100, 200],
        last_ns: [300, 200],
        ..FlowSlot::ZERO
    }
}

fn record(flow: &FlowSlot, before: &Exported) -> FlowRecord {
    window(flow, before, [gap(flow, 0), gap(flow, 1)]).expect("a window with packets").0
}

#[test]
fn window_is_what_came_since_the_last_one() {
    let first = window(&slot(), &Exported::ZERO, [None; 2]).unwrap();
    assert_eq!((first.0.delta, first.0.total, first.0.first), (slot().counted, slot().counted, 1));
    assert_eq!((first.0.start_unix_ns, first.0.end_unix_ns), (100, 300));
    assert!(window(&slot(), &first.1, [None; 2]).is_none());
    let more = FlowSlot { counted: [counters(7), counters(1)], cut_ns: 300, ..slot() };
    let more = FlowSlot { window_first_ns: [400, 200], last_ns: [500, 200], ..more };
    let (record, exported) = window(&more, &first.1, [None; 2]).unwrap();
    assert_eq!((record.delta, record.total, record.first), ([counters(5), counters(0)], more.counted, 0));
    assert_eq!((record.start_unix_ns, record.end_unix_ns), (400, 500));
    assert_eq!((record.ip_known, exported.counters), ([1, 0], more.counted));
}

#[test]
fn window_of_a_packet_that_came_at_the_cut_lasts_no_time() {
    let flow = FlowSlot { cut_ns: 300, counted: [counters(3), counters(1)], ..slot() };
    let before = Exported { counters: slot().counted, ..Exported::ZERO };
    let record = record(&flow, &before);
    assert_eq!((record.start_unix_ns, record.end_unix_ns, record.ip_known), (300, 300, [0, 0]));
}

#[test]
fn window_counts_what_another_hook_saw_alone() {
    let flow = |since, counted, packets| FlowSlot {
        gap_since_ns: [0, since],
        other_last_ns: [900, 800],
        gap: [counters(6), counters(packets)],
        counted: [counters(2), counters(counted)],
        ..slot()
    };
    for (name, flow, total, hook, times) in [
        ("one-way owner", flow(150, 0, 4), 4, OTHER[1], (100, 800)),
        ("owner fell silent", flow(250, 1, 4), 5, OWNER[1], (100, 800)),
        ("perhaps copies", flow(0, 1, 4), 1, OWNER[1], (100, 300)),
        ("nothing", flow(250, 1, 0), 1, OWNER[1], (100, 300)),
    ] {
        let record = record(&flow, &Exported::ZERO);
        assert_eq!(record.total, [counters(2), counters(total)], "{name}");
        assert_eq!(record.hook, [OWNER[0], hook], "{name}");
        assert_eq!((record.start_unix_ns, record.end_unix_ns), times, "{name}");
    }
}

#[test]
fn window_gives_the_mean_of_its_own_answers() {
    let flow = FlowSlot { answer_sum_ns: [900, 0], answer_count: [4, 0], answer_jitter_ns: [7, 0], ..slot() };
    let before = Exported { answer_sum_ns: [300, 0], answer_count: [1, 0], ..Exported::ZERO };
    let (record, exported) = window(&flow, &before, [None; 2]).unwrap();
    assert_eq!((record.latency_ns, record.latency_count, record.jitter_ns), ([200, 0], [3, 0], [7, 0]));
    assert_eq!((exported.answer_sum_ns, exported.answer_count), ([900, 0], [4, 0]));
}

#[test]
fn window_tells_the_handshake_only_when_both_halves_were_seen() {
    let flow = |syn, syn_ack| FlowSlot { syn, syn_ack, syn_ns: 100, syn_ack_ns: 150, ..slot() };
    for (flow, handshake, established) in [
        (flow([1, 0], [0, 1]), 50, 0),
        (flow([1, 0], [1, 0]), 0, 0),
        (flow([1, 1], [0, 1]), 0, 0),
        (FlowSlot { syn_ns: 0, ..flow([0, 0], [0, 1]) }, 0, 0),
        (FlowSlot { syn_ack_ns: 0, ..flow([1, 0], [0, 0]) }, 0, 0),
        (FlowSlot { established: 1, ..flow([1, 0], [0, 1]) }, 50, 1),
        // Met in the middle; and no TCP at all.
        (FlowSlot { tcp_flags: [[1; 8], [0; 8]], ..slot() }, 0, 1),
        (slot(), 0, 0),
    ] {
        let record = record(&flow, &Exported::ZERO);
        assert_eq!(
            (record.handshake_ns, record.established),
            (handshake, established),
            "{:?}",
            (flow.syn, flow.syn_ack)
        );
    }
}

#[test]
fn window_names_the_side_of_the_first_fin() {
    for (first_fin, side) in [(0, SIDE_NONE), (1, 0), (2, 1)] {
        assert_eq!(record(&FlowSlot { first_fin, ..slot() }, &Exported::ZERO).fin_side, side);
    }
}

#[test]
fn snapshot_cuts_when_told_to() {
    let mut flow = slot();
    // SAFETY: a slot of our own.
    let seen = unsafe { snapshot(&mut flow, Some(77)) };
    assert_eq!((seen, flow.cut_ns), (slot(), 77));
    // SAFETY: as above.
    let seen = unsafe { snapshot(&mut flow, None) };
    assert_eq!((seen.cut_ns, flow.cut_ns), (77, 77));
}

#[test]
fn claim_is_given_to_one_but_the_loader_may_ask_again() {
    for (before, granted, after) in
        [(CLAIM_NONE, true, CLAIM_LOADER), (CLAIM_LOADER, true, CLAIM_LOADER), (CLAIM_KERNEL, false, CLAIM_KERNEL)]
    {
        let mut flow = FlowSlot { claim: before, ..slot() };
        // SAFETY: a slot of our own.
        let result = unsafe { claim(&mut flow) };
        assert_eq!((result, flow.claim), (granted, after));
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
    assert_eq!(tcp::FIN, 1 << tcp::FIN_LANE);
    assert_eq!(tcp::RST, 1 << tcp::RST_LANE);
}

#[test]
fn side_of_is_the_one_side_that_did_it() {
    for (seen, side) in [([0, 0], SIDE_NONE), ([1, 0], 0), ([0, 1], 1), ([1, 1], SIDE_NONE)] {
        assert_eq!(side_of(seen), side, "{seen:?}");
    }
}
