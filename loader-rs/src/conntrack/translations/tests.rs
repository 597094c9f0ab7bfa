use super::*;
use crate::{
    conntrack::message::End as Address,
    random::{self, Random},
};
use types::{FlowKey, IPV4, NAT_NONE};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1000 * SECOND;
const CLIENT: u8 = 9;
const SERVICE: u8 = 5;

fn address(last: u8, port: u16) -> Address {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&[10, 0, 0, last]);
    Address { address: bytes, port: port.to_be_bytes() }
}

/// From a port of the client to the service, which is a server there.
fn connection(port: u16, server: u8) -> Connection {
    Connection {
        id: u32::from(port) << 8 | u32::from(server),
        zone: 0,
        protocol: TCP,
        family: IPV4,
        original: [address(CLIENT, port), address(SERVICE, 80)],
        translated: [address(CLIENT, port), address(server, 8080)],
    }
}

/// A record of what passes between two ends, in the order of keys.
fn record(mut ends: [Address; 2], protocol: u8) -> FlowRecord {
    ends.sort();
    let [a, b] = ends;
    let key =
        FlowKey { a: a.words(), b: b.words(), port_a: a.port(), port_b: b.port(), protocol, family: IPV4, vlan: 7 };
    FlowRecord { key, first: 1, syn_side: 0, ..FlowRecord::ZERO }
}

/// What a record with these ends is told: its kind, and the other tuple, who began first.
fn told(table: &mut Translations, ends: [Address; 2], protocol: u8, time: u64, last: u8) -> Option<(u8, [Address; 2])> {
    let mut record = FlowRecord { last, ..record(ends, protocol) };
    table.tell(&mut record, time, time + SECOND);
    let others = [Address::new(record.nat_a, record.nat_port[0]), Address::new(record.nat_b, record.nat_port[1])];
    let from = usize::from(record.nat_from);
    (record.nat != NAT_NONE).then_some((record.nat, [others[from], others[1 - from]]))
}

#[test]
fn both_sides_of_a_connection_are_told_the_other() {
    let mut table = Translations::new(8);
    // The server sorts before the service and the client, or behind both.
    for server in [1, 200] {
        let connection = connection(1000, server);
        table.begin(connection, NOW, NOW);
        let mut tell = |ends| told(&mut table, ends, TCP, NOW, 0);
        assert_eq!(tell(connection.original), Some((NAT_ORIGINAL, connection.translated)), "{server}");
        assert_eq!(tell(connection.translated), Some((NAT_TRANSLATED, connection.original)), "{server}");
        let [client, service] = connection.original;
        assert_eq!(tell([client, address(SERVICE, 81)]), None);
        assert_eq!(tell([service, client]).map(|(_, others)| others), Some(connection.translated));
        table.end(&connection, NOW);
        table.purge(u64::MAX);
        table.retain_for(0);
        table.purge(NOW + 1);
        assert_eq!((table.len(), table.chains.len()), (0, 0));
    }
}

#[test]
fn a_connection_on_ports_that_are_used_again_ends_the_one_before_unless_it_is_in_another_zone() {
    let mut table = Translations::new(8);
    let (first, second) = (connection(1000, 1), connection(1000, 2));
    table.begin(first, 0, NOW);
    table.begin(second, NOW + 20 * SECOND, NOW + 20 * SECOND);
    let mut translated = |time| told(&mut table, first.original, TCP, time, 0).map(|(_, others)| others);
    assert_eq!(translated(NOW), Some(first.translated));
    assert_eq!(translated(NOW + 20 * SECOND), Some(second.translated));
    let mut table = Translations::new(8);
    table.begin(first, 0, NOW);
    table.begin(Connection { zone: 1, ..second }, 0, NOW);
    assert_eq!(told(&mut table, first.original, TCP, NOW, 0), None);
}

fn ping(id: u32, server: u8) -> Connection {
    Connection {
        id,
        protocol: ICMP,
        original: [address(CLIENT, 8), address(SERVICE, 0)],
        translated: [address(CLIENT, 8), address(server, 0)],
        ..connection(0, server)
    }
}

#[test]
fn pings_to_one_address_may_go_to_several() {
    let mut table = Translations::new(8);
    table.begin(ping(1, 1), NOW, NOW);
    table.begin(ping(2, 1), NOW, NOW);
    table.end(&ping(1, 1), NOW + SECOND);
    let original = ping(1, 1).original;
    let later = NOW + 10 * SECOND;
    assert_eq!(told(&mut table, original, ICMP, later, 0), Some((NAT_ORIGINAL, ping(1, 1).translated)));
    table.begin(ping(3, 2), NOW, NOW);
    assert_eq!(told(&mut table, original, ICMP, later, 0), None);
}

#[test]
fn pings_that_flows_do_not_tell_apart_take_one_place_until_the_last_has_ended() {
    let mut table = Translations::new(8);
    let lives = |table: &Translations| table.entries[0].end_ns == LIVES;
    (1..=1000).for_each(|id| table.begin(ping(id, 1), NOW, NOW));
    assert_eq!((table.len(), table.lost), (1, 0));
    (2..=1000).for_each(|id| table.end(&ping(id, 1), NOW));
    assert!(lives(&table));
    // Others came and went unseen.
    table.begin_dump();
    [7, 8].into_iter().for_each(|id| table.begin(ping(id, 1), NOW, NOW));
    table.end_dump(NOW);
    table.end(&ping(7, 1), NOW);
    assert!(lives(&table));
    table.end(&ping(8, 1), NOW);
    assert!(!lives(&table));
}

#[test]
fn a_dump_ends_what_it_does_not_find() {
    let mut table = Translations::new(8);
    let (stays, goes, comes) = (connection(1, 1), connection(2, 1), connection(3, 1));
    table.begin(stays, NOW, NOW);
    table.begin(goes, NOW, NOW);
    table.begin_dump();
    table.begin(stays, NOW, NOW);
    table.begin(comes, NOW + 5 * SECOND, NOW + 10 * SECOND);
    table.end_dump(NOW + 10 * SECOND);
    let mut at = |connection: Connection, time| told(&mut table, connection.original, TCP, time, 0).is_some();
    let (before, later) = (NOW, NOW + 20 * SECOND);
    assert_eq!([at(stays, before), at(goes, before), at(comes, before)], [true, true, false]);
    assert_eq!([at(stays, later), at(goes, later), at(comes, later)], [true, false, true]);
}

#[test]
fn who_has_ended_or_was_handed_out_gives_way_when_there_is_no_room() {
    let mut table = Translations::new(3);
    for port in 1..=3 {
        table.begin(connection(port, 1), NOW, NOW);
    }
    table.begin(connection(4, 1), NOW, NOW);
    assert_eq!((table.len(), table.lost), (3, 1));
    let known =
        |table: &mut Translations, port: u16, last| told(table, connection(port, 1).original, TCP, NOW, last).is_some();
    table.end(&connection(2, 1), NOW);
    assert!(known(&mut table, 2, 0), "there is no hurry");
    table.begin(connection(5, 1), NOW, NOW);
    assert_eq!([1, 2, 3, 5].map(|port| known(&mut table, port, 0)), [true, false, true, true]);
    assert!(known(&mut table, 3, 1), "its last record");
    table.begin(connection(6, 1), NOW, NOW);
    assert_eq!([1, 3, 5, 6].map(|port| known(&mut table, port, 0)), [true, false, true, true]);
    table.begin(connection(7, 1), NOW, NOW);
    assert_eq!((table.len(), table.lost), (3, 2));
}

/// Everything in one list, looked through from its beginning to its end.
struct Reference(Vec<(Connection, u64, u64)>);

impl Reference {
    fn tell(&self, ends: [Address; 2], time: u64) -> Option<(u8, [Address; 2])> {
        let is = |pair: [Address; 2]| pair == ends || pair == [ends[1], ends[0]];
        let lives = self.0.iter().rev().flat_map(|(connection, start_ns, end_ns)| {
            let views = [
                (NAT_ORIGINAL, connection.original, connection.translated),
                (NAT_TRANSLATED, connection.translated, connection.original),
            ];
            views.into_iter().filter(|(_, own, _)| is(*own)).map(|(nat, _, other)| Life {
                start_ns: *start_ns,
                end_ns: *end_ns,
                what: (nat, other),
            })
        });
        let lives: Vec<_> = lives.collect();
        choose(lives.iter().copied(), Window { start_ns: time, end_ns: time + SECOND, kind: Kind::Handshake })
    }
}

#[test]
fn the_table_agrees_with_a_plain_list() {
    let mut random = Random::seeded();
    for _ in 0..random::rounds(200) {
        let mut table = Translations::new(1000);
        table.retain_for(50 * SECOND);
        let mut list = Reference(Vec::new());
        let mut now = NOW;
        let mut told_some = 0;
        for _ in 0..200 {
            now += random.pick(&[1, SECOND, 5 * SECOND]);
            // Few tuples, so that they meet; the client may be the server.
            let one = connection(random.below(3) as u16, random.pick(&[1, 2, SERVICE, CLIENT]));
            let lives = |pair: &(Connection, u64, u64)| pair.2 == LIVES;
            let index = list.0.iter().position(|entry| entry.0 == one && lives(entry));
            match random.below(4) {
                0 | 1 if one.original != one.translated => {
                    table.begin(one, now, now);
                    if index.is_none() {
                        let [original, translated] = one.tuples();
                        for entry in list.0.iter_mut().filter(|entry| lives(entry)) {
                            let others = entry.0.tuples();
                            if others[0] == original || others[1] == translated {
                                entry.2 = now;
                            }
                        }
                        list.0.push((one, now, LIVES));
                    }
                }
                2 => {
                    table.end(&one, now);
                    if let Some(index) = index {
                        list.0[index].2 = now;
                    }
                }
                _ => {
                    table.purge(now);
                    list.0.retain(|entry| entry.2.saturating_add(50 * SECOND) >= now);
                }
            }
            assert_eq!(table.len() as usize, list.0.len());
            for ends in [one.original, one.translated] {
                let time = now - random.pick(&[0, SECOND, 20 * SECOND]);
                let expected = list.tell(ends, time);
                assert_eq!(told(&mut table, ends, TCP, time, 0), expected);
                told_some += usize::from(expected.is_some());
            }
        }
        assert!(told_some > 20, "{told_some}");
    }
}

/// Prints what docs/performance.md says: `cargo test --release cost_of_translations -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn cost_of_translations() {
    const COUNT: u32 = 100_000;
    let resident_bytes = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    };
    let many = |number: u32| {
        let port = number as u16;
        Connection {
            id: number,
            original: [address((number >> 16) as u8, port), address(SERVICE, 80)],
            ..connection(port, 1)
        }
    };
    let mut table = Translations::new(COUNT);
    let before = resident_bytes();
    let each = |what: &str, work: &mut dyn FnMut(u32)| {
        let start = std::time::Instant::now();
        (0..COUNT).for_each(work);
        println!("{what}: {:?}", start.elapsed() / COUNT);
    };
    each("begin", &mut |number| table.begin(many(number), NOW, NOW));
    println!("bytes: {}", (resident_bytes() - before) / u64::from(COUNT));
    let mut told = 0;
    each("tell a translated one", &mut |number| {
        let mut record = record(many(number).original, TCP);
        table.tell(&mut record, NOW, NOW);
        told += u32::from(record.nat == NAT_ORIGINAL);
    });
    assert_eq!(told, COUNT);
    each("tell another", &mut |number| {
        table.tell(&mut record([address(77, number as u16), address(78, 1)], TCP), NOW, NOW)
    });
    each("end", &mut |number| table.end(&many(number), NOW));
}
