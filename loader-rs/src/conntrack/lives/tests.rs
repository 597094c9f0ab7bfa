//! What is chosen, against what really happened.

use super::*;
use crate::random::{self, Random};
use std::collections::BTreeSet;

const SECOND: u64 = 1_000_000_000;
const ALIVE: u64 = u64::MAX;

/// Name, lives, window, what is meant.
type Case = (&'static str, &'static [(u64, u64, u8)], (u64, u64, Kind), Option<u8>);

fn chosen(lives: &[(u64, u64, u8)], window: (u64, u64, Kind)) -> Option<u8> {
    let lives = lives.iter().map(|&(start_ns, end_ns, what)| Life { start_ns, end_ns, what });
    choose(lives, Window { start_ns: window.0, end_ns: window.1, kind: window.2 })
}

#[test]
fn choose_takes_the_life_of_the_window() {
    use Kind::{Continuation, Handshake, Mixed};
    // In tenths of a second.
    let at = |tenths: u64| if tenths == ALIVE { ALIVE } else { 1000 * SECOND + tenths * SECOND / 10 };
    let cases: [Case; 17] = [
        ("nothing", &[], (0, 10, Mixed), None),
        ("the only one", &[(0, ALIVE, 1)], (0, 10, Mixed), Some(1)),
        ("one that ended before", &[(0, 9, 1)], (10, 20, Mixed), None),
        ("one whose event is late", &[(8, ALIVE, 1)], (0, 0, Mixed), Some(1)),
        ("one that began long after", &[(100, ALIVE, 1)], (0, 10, Mixed), None),
        ("several to the same", &[(0, 5, 1), (6, ALIVE, 1)], (0, 10, Mixed), Some(1)),
        ("the second", &[(0, 50, 1), (50, ALIVE, 2)], (60, 90, Mixed), Some(2)),
        ("the first", &[(0, 50, 1), (50, ALIVE, 2)], (0, 40, Mixed), Some(1)),
        ("UDP of both", &[(0, 50, 1), (50, ALIVE, 2)], (0, 60, Mixed), None),
        ("UDP, near the change", &[(0, 50, 1), (50, ALIVE, 2)], (0, 50, Mixed), None),
        ("TCP, ports used again at once: the new one", &[(0, 50, 1), (50, ALIVE, 2)], (50, 60, Handshake), Some(2)),
        ("TCP, ports used again at once: the old one", &[(0, 50, 1), (50, ALIVE, 2)], (0, 49, Handshake), Some(1)),
        ("the rest of the old one", &[(0, 51, 1), (51, ALIVE, 2)], (50, 50, Continuation), Some(1)),
        ("the rest of the new one", &[(0, 50, 1), (50, ALIVE, 2)], (55, 60, Continuation), Some(2)),
        ("both at once, in two zones", &[(0, ALIVE, 1), (0, ALIVE, 2)], (5, 6, Handshake), None),
        ("both at once, one later", &[(0, ALIVE, 1), (30, ALIVE, 2)], (50, 60, Mixed), None),
        ("translated from the second try on", &[(30, ALIVE, 1)], (0, 40, Mixed), Some(1)),
    ];
    for (name, lives, (start, end, kind), expected) in cases {
        let lives: Vec<_> = lives.iter().map(|&(start, end, what)| (at(start), at(end), what)).collect();
        assert_eq!(chosen(&lives, (at(start), at(end), kind)), expected, "{name}");
    }
}

/// Connections with one five-tuple, one after the other: when they really lived, when events told so, and their packets.
struct Truth {
    told: Vec<(u64, u64, u8)>,
    real: Vec<(u64, u64)>,
    packets: Vec<Vec<u64>>,
}

fn history(random: &mut Random) -> Truth {
    let mut truth = Truth { told: Vec::new(), real: Vec::new(), packets: Vec::new() };
    let mut now = 1000 * SECOND;
    // Events wait until somebody reads them all, one after the other.
    let (mut read_ns, mut last_ns) = (now, now);
    let mut event = |random: &mut Random, time: u64| {
        while read_ns.max(last_ns) < time {
            read_ns += 1 + random.below(SWITCH_NS as usize * 9 / 10) as u64;
        }
        last_ns = read_ns.max(last_ns) + random.below(3_000_000) as u64;
        last_ns
    };
    for _ in 0..1 + random.below(4) {
        let start = now;
        let packets = (0..1 + random.below(6)).map(|i| {
            now += if i == 0 { 0 } else { random.pick(&[1_000_000, SECOND / 20, SECOND, 20 * SECOND]) };
            now
        });
        truth.packets.push(packets.collect());
        // The kernel ends it when its ports are used again, or before that.
        let end = now + random.pick(&[1_000_000, SECOND / 5, 30 * SECOND]);
        now = end + random.pick(&[0, 0, SECOND / 5, 10 * SECOND]);
        let what = random.below(2) as u8;
        truth.told.push((event(random, start), event(random, end), what));
        truth.real.push((start, end));
    }
    truth
}

/// The windows that flows make of the packets, each with the connections that it is of.
fn windows(truth: &Truth, is_tcp: bool, random: &mut Random) -> Vec<((u64, u64, Kind), BTreeSet<usize>)> {
    let mut windows: Vec<((u64, u64, Kind), BTreeSet<usize>)> = Vec::new();
    for (connection, packets) in truth.packets.iter().enumerate() {
        for (i, &time) in packets.iter().enumerate() {
            let is_new = is_tcp && i == 0;
            // No window is cut as short as events may be late.
            let mut is_cut = |start: u64| time - start > 2 * SWITCH_NS && random.below(3) == 0;
            match windows.last_mut() {
                Some(((start, end, _), of)) if !is_new && !is_cut(*start) => {
                    *end = time;
                    of.insert(connection);
                }
                _ => {
                    let kind = match (is_tcp, i) {
                        (false, _) => Kind::Mixed,
                        (true, 0) => Kind::Handshake,
                        (true, _) => Kind::Continuation,
                    };
                    windows.push(((time, time, kind), BTreeSet::from([connection])));
                }
            }
        }
    }
    windows
}

#[test]
fn choose_is_never_wrong_and_finds_what_can_be_told() {
    let mut random = Random::seeded();
    let (mut found, mut doubted) = (0, 0);
    for _ in 0..random::rounds(20_000) {
        let truth = history(&mut random);
        let is_tcp = random.below(2) == 0;
        for (window, of) in windows(&truth, is_tcp, &mut random) {
            // What passed before the change does not count when that was in the window's first moment.
            let begins_soon = |connection: &&usize| truth.real[**connection].0 <= window.0 + SWITCH_NS;
            let counts = |connection: &&usize| Some(*connection) >= of.iter().rfind(begins_soon);
            let really: BTreeSet<u8> = of.iter().filter(counts).map(|connection| truth.told[*connection].2).collect();
            let chosen = chosen(&truth.told, window);
            let case = format!("{window:?} of {of:?} in {:?}", truth.told);
            match chosen {
                Some(what) => assert_eq!(really, BTreeSet::from([what]), "{case}"),
                None => {
                    doubted += 1;
                    // The window is of several connections, or another one is too near: to a packet, or of TCP to the handshake.
                    let near_ns = 3 * SWITCH_NS;
                    let is_near = |(start, end): (u64, u64)| match window.2 {
                        Kind::Mixed => start <= window.1 + near_ns && window.0 <= end + near_ns,
                        Kind::Handshake => start.abs_diff(window.0) <= near_ns,
                        Kind::Continuation => false,
                    };
                    let others = truth.real.iter().enumerate().filter(|(connection, _)| !of.contains(connection));
                    assert!(of.len() > 1 || others.into_iter().any(|(_, life)| is_near(*life)), "{case}");
                }
            }
            found += u64::from(chosen.is_some());
        }
    }
    assert!(found > 5 * doubted && doubted > 0, "{found} found, {doubted} in doubt");
}
