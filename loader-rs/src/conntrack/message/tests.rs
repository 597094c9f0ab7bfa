//! Messages of the kernel, and such as it never sends.

use super::*;
use crate::{
    netlink,
    random::{self, Random},
};

/// As a kernel 6.18 sent it: 127.0.0.1 port 40000 began to 10.96.0.10 port 80, which is 127.0.0.1 port 8080.
const NEW_EVENT: &str = "\
c4000000000100060000000000000000020000003400018014000180080001007f000001080002000a60000a1c0002800500010006000000060002009c\
40000006000300005000003400028014000180080001007f000001080002007f0000011c0002800500010006000000060002001f900000060003009c40\
000008000c0020d5cf2108000300000001a80800070000000078300004802c0001800500010001000000050002000a0000000500030000000000060004\
00030000000600050000000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = ((4 + value.len()) as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn nested(kind: u16, values: &[Vec<u8>]) -> Vec<u8> {
    attribute(kind | 0x8000, &values.concat())
}

/// One direction: addresses, and what stands for ports (attribute kinds and values).
fn direction(kind: u16, protocol: u8, addresses: [&[u8]; 2], details: &[(u16, &[u8])]) -> Vec<u8> {
    let first = if addresses[0].len() == 4 { 1 } else { 3 };
    let ip = [attribute(first, addresses[0]), attribute(first + 1, addresses[1])];
    let mut proto = vec![attribute(PROTO_NUM, &[protocol])];
    proto.extend(details.iter().map(|(kind, value)| attribute(*kind, value)));
    nested(kind, &[nested(TUPLE_IP, &ip), nested(TUPLE_PROTO, &proto)])
}

fn body(status: u32, directions: [Vec<u8>; 2]) -> Vec<u8> {
    let [original, reply] = directions;
    let rest = [attribute(ID, &[0, 0, 0, 9]), attribute(STATUS, &status.to_be_bytes()), attribute(ZONE, &[0, 3])];
    [vec![2, 0, 0, 0], original, reply, rest.concat()].concat()
}

fn begun(body: &[u8]) -> Option<Connection> {
    match read(&Message { kind: NEW, body }) {
        Some(Event::Begin(connection)) => Some(connection),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn end(address: &[u8], port: u16) -> End {
    let mut bytes = [0; 16];
    bytes[..address.len()].copy_from_slice(address);
    End { address: bytes, port: port.to_be_bytes() }
}

#[test]
fn read_takes_both_tuples_from_what_the_kernel_sends() {
    let datagram = bytes(NEW_EVENT);
    let events: Vec<_> = netlink::messages(&datagram).map(|message| read(&message)).collect();
    let (local, service) = ([127, 0, 0, 1], [10, 96, 0, 10]);
    let connection = Connection {
        id: 0x20d5_cf21,
        zone: 0,
        protocol: 6,
        family: IPV4,
        original: [end(&local, 40000), end(&service, 80)],
        translated: [end(&local, 40000), end(&local, 8080)],
    };
    assert_eq!(events, [Some(Event::Begin(connection))]);
    let [before, behind] = connection.tuples();
    assert_eq!(before.ends, [end(&service, 80), end(&local, 40000)], "in the order of flow keys");
    assert_eq!(behind.ends, [end(&local, 8080), end(&local, 40000)]);
}

#[test]
fn read_knows_every_kind_of_translation() {
    const A: &[u8] = &[10, 0, 0, 1];
    const B: &[u8] = &[10, 0, 0, 2];
    const C: &[u8] = &[10, 0, 0, 3];
    const D: &[u8] = &[10, 0, 0, 4];
    const A6: &[u8] = &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const B6: &[u8] = &[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
    let ports = |source: u16, destination: u16| [(2, source.to_be_bytes()), (3, destination.to_be_bytes())];
    let tuple = |kind, protocol, addresses, ports: [(u16, [u8; 2]); 2]| {
        direction(kind, protocol, addresses, &[(ports[0].0, &ports[0].1), (ports[1].0, &ports[1].1)])
    };
    let icmp =
        |kind, addresses, message: u8| direction(kind, ICMP, addresses, &[(4, &[0, 7]), (5, &[message]), (6, &[0])]);
    let icmp6 =
        |kind, addresses, message: u8| direction(kind, ICMPV6, addresses, &[(7, &[0, 7]), (8, &[message]), (9, &[0])]);
    for (name, status, original, reply, expected) in [
        (
            "destination",
            DST_NAT,
            tuple(1, 17, [A, B], ports(1000, 53)),
            tuple(2, 17, [C, A], ports(5353, 1000)),
            Some([end(A, 1000), end(C, 5353)]),
        ),
        (
            "source",
            SRC_NAT,
            tuple(1, 6, [A, B], ports(1000, 443)),
            tuple(2, 6, [B, D], ports(443, 60000)),
            Some([end(D, 60000), end(B, 443)]),
        ),
        (
            "both",
            SRC_NAT | DST_NAT,
            tuple(1, 132, [A, B], ports(1, 2)),
            tuple(2, 132, [C, D], ports(3, 4)),
            Some([end(D, 4), end(C, 3)]),
        ),
        (
            "IPv6",
            DST_NAT,
            tuple(1, 6, [A6, B6], ports(1000, 80)),
            tuple(2, 6, [A6, A6], ports(8080, 1000)),
            Some([end(A6, 1000), end(A6, 8080)]),
        ),
        ("ICMP", DST_NAT, icmp(1, [A, B], 8), icmp(2, [C, A], 0), Some([end(A, 8), end(C, 0)])),
        ("ICMPv6", SRC_NAT, icmp6(1, [A6, B6], 128), icmp6(2, [B6, B6], 129), Some([end(B6, 128), end(B6, 129)])),
        (
            "no ports in flows",
            SRC_NAT,
            tuple(1, 47, [A, B], ports(1, 2)),
            tuple(2, 47, [B, D], ports(2, 1)),
            Some([end(D, 0), end(B, 0)]),
        ),
        ("no translation", 0, tuple(1, 6, [A, B], ports(1, 2)), tuple(2, 6, [B, A], ports(2, 1)), None),
        ("an id that flows do not show", SRC_NAT, icmp(1, [A, B], 8), icmp(2, [B, A], 0), None),
        ("two protocols", DST_NAT, tuple(1, 6, [A, B], ports(1, 2)), tuple(2, 17, [C, A], ports(2, 1)), None),
        ("two families", DST_NAT, tuple(1, 6, [A, B], ports(1, 2)), tuple(2, 6, [A6, B6], ports(2, 1)), None),
        ("a short address", DST_NAT, tuple(1, 6, [&A[..3], B], ports(1, 2)), tuple(2, 6, [C, A], ports(2, 1)), None),
    ] {
        let connection = begun(&body(status, [original, reply]));
        assert_eq!(connection.map(|connection| connection.translated), expected, "{name}");
        assert!(connection.is_none_or(|connection| (connection.id, connection.zone) == (9, 3)), "{name}");
    }
}

#[test]
fn read_tells_beginning_from_end_and_leaves_other_messages_alone() {
    let datagram = bytes(NEW_EVENT);
    let body = netlink::messages(&datagram).next().unwrap().body;
    assert!(matches!(read(&Message { kind: DELETE, body }), Some(Event::End(_))));
    assert_eq!(read(&Message { kind: GET, body }), None);
    assert_eq!(read(&Message { kind: libc::NLMSG_DONE as u16, body }), None);
}

#[test]
fn read_never_panics() {
    let datagram = bytes(NEW_EVENT);
    for length in 0..datagram.len() {
        assert_eq!(netlink::messages(&datagram[..length]).filter_map(|message| read(&message)).count(), 0);
    }
    let mut random = Random::seeded();
    let mut understood = 0;
    for _ in 0..random::rounds(50_000) {
        let mut body = datagram[HEADER_BYTES..].to_vec();
        for _ in 0..=random.below(4) {
            let at = random.below(body.len());
            match random.below(4) {
                0 => body.truncate(at.max(1)),
                1 => body[at] = random.below(256) as u8,
                2 => body[at] = random.pick(&[0, 1, 2, 3, 4, 5, 8, 16, 20, 255]),
                _ => body.insert(at, random.below(256) as u8),
            }
        }
        understood += u64::from(begun(&body).is_some());
    }
    assert!(understood > 0, "no mutation was harmless");
}

#[test]
fn the_filter_agrees_with_read_about_what_is_translated() {
    // What the kernel does with the program, on a socket of our own: unicast messages to oneself are filtered too.
    let socket = netlink::Socket::open(libc::NETLINK_USERSOCK, 0).unwrap();
    socket.filter(&only_translated()).unwrap();
    let translated = bytes(NEW_EVENT);
    let mut plain = translated.clone();
    let status = [0, 0, 0x01, 0xa8];
    let at = plain.windows(4).position(|four| four == status).unwrap();
    plain[at + 3] = 0x88;
    let mut without = translated.clone();
    without[at - 2] = 63;
    let mut buffer = [0; 1024];
    for (name, datagram, passes) in
        [("no status", without, false), ("plain", plain, false), ("translated", translated, true)]
    {
        socket.send_to_itself(&datagram).unwrap();
        let received = socket.next(&mut buffer).unwrap();
        assert_eq!(received.map(|length| &buffer[..length] == datagram.as_slice()), passes.then_some(true), "{name}");
    }
}
