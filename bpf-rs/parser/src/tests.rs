//! Hand-made frames with known answers, and a slow, obvious parser that the real one is held against.

use super::*;
use std::net::IpAddr;
use types::unparsed::{MALFORMED, NOT_IP, TOO_DEEP, TRUNCATED};

const TCP: u8 = IPPROTO_TCP;
const SYN: u8 = 0x02;

impl Packet for &[u8] {
    fn load<T: Plain>(&self, offset: usize) -> Option<T> {
        let bytes = self.get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: as many bytes as `T` has, and any bytes are a `T`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }

    fn end(&self) -> usize {
        self.len()
    }
}

/// A parsed packet in terms of bytes: (address, port) of `a` and of `b`, protocol, side, TCP flags.
type Seen = ((Vec<u8>, u16), (Vec<u8>, u16), u8, u8, u8);

/// The rest of what is parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    vlan: u16,
    traffic_class: u8,
    ttl: u8,
    flow_label: u32,
    icmp: Option<(u8, u8)>,
    spi: u32,
    tcp: Segment,
}

fn seen(frame: &[u8]) -> Result<Seen, Reason> {
    seen_whole(frame).map(|(seen, _)| seen)
}

fn details(frame: &[u8]) -> Details {
    seen_whole(frame).unwrap().1
}

fn seen_whole(frame: &[u8]) -> Result<(Seen, Details), Reason> {
    let Parsed { key, side, vlan, traffic_class, ttl, flow_label, icmp, spi, tcp } = parse_ethernet(&frame)?;
    assert_eq!(key.vlan, 0);
    let address = |words: [u64; 2]| {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let used = if key.family == IPV4 { 4 } else { 16 };
        assert!(bytes[used..].iter().all(|byte| *byte == 0), "rest of an IPv4 address");
        bytes[..used].to_vec()
    };
    let seen = ((address(key.a), key.port_a), (address(key.b), key.port_b), key.protocol, side, tcp.flags);
    Ok((seen, Details { vlan, traffic_class, ttl, flow_label, icmp, spi, tcp }))
}

fn address(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn ethernet(tags: &[u16], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x02; 12];
    for tag in tags {
        frame.extend([tag.to_be_bytes(), [0x60, 7]].concat());
    }
    [frame, ethertype.to_be_bytes().to_vec(), payload.to_vec()].concat()
}

/// The IP packet; `fragment` is the IPv4 word, `options` are whole words of four bytes.
fn ipv4(from: &str, to: &str, protocol: u8, fragment: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let words = 5 + options.len() as u8 / 4;
    let mut packet = vec![0x40 | words, 0, 0, 0, 0x12, 0x34];
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol, 0, 0]);
    [packet, address(from), address(to), options.to_vec(), payload.to_vec()].concat()
}

fn ipv6(from: &str, to: &str, next_header: u8, payload: &[u8]) -> Vec<u8> {
    [vec![0x60, 0, 0, 0, 0, 0, next_header, 64], address(from), address(to), payload.to_vec()].concat()
}

/// Hop-by-hop, routing or destination options of `words` * 8 bytes.
fn extension(next_header: u8, words: u8) -> Vec<u8> {
    let mut header = vec![0xee; usize::from(words) * 8];
    header[..2].copy_from_slice(&[next_header, words - 1]);
    header
}

fn fragment(next_header: u8, offset: u16) -> Vec<u8> {
    [vec![next_header, 0], (offset << 3 | 1).to_be_bytes().to_vec(), vec![0; 4]].concat()
}

fn tcp(from: u16, to: u16, flags: u8) -> Vec<u8> {
    [&from.to_be_bytes()[..], &to.to_be_bytes(), &[9; 8], &[0x50, flags], &[9; 6]].concat()
}

fn ports(from: u16, to: u16) -> Vec<u8> {
    [from.to_be_bytes(), to.to_be_bytes(), [0, 8], [0, 0]].concat()
}

/// An IPv4 frame from 10.0.0.1 to 10.0.0.2.
fn frame4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], ETH_P_IP, &ipv4("10.0.0.1", "10.0.0.2", protocol, 0, &[], payload))
}

/// An IPv6 frame from fd00::1 to fd00::2.
fn frame6(next_header: u8, payload: &[u8]) -> Vec<u8> {
    ethernet(&[], ETH_P_IPV6, &ipv6("fd00::1", "fd00::2", next_header, payload))
}

fn check(name: &str, frame: &[u8], a: (&str, u16), b: (&str, u16), rest: (u8, u8, u8)) {
    let expected = ((address(a.0), a.1), (address(b.0), b.1), rest.0, rest.1, rest.2);
    assert_eq!(seen(frame), Ok(expected), "{name}");
}

#[test]
fn parse_ethernet_reads_the_transport_of_ipv4_and_ipv6() {
    let ack = tcp(40000, 443, 0x10);
    for (protocol, payload, flags) in [
        (TCP, ack, 0x10),
        (TCP, tcp(40000, 443, 0xff), 0xff),
        (IPPROTO_UDP, ports(40000, 443), 0),
        (IPPROTO_SCTP, ports(40000, 443), 0),
        (IPPROTO_DCCP, ports(40000, 443), 0),
        (IPPROTO_UDPLITE, ports(40000, 443), 0),
    ] {
        let rest = (protocol, 0, flags);
        check("v4", &frame4(protocol, &payload), ("10.0.0.1", 40000), ("10.0.0.2", 443), rest);
        check("v6", &frame6(protocol, &payload), ("fd00::1", 40000), ("fd00::2", 443), rest);
    }
    for protocol in [2, 47, 50, 51, 59, 103, 255] {
        check("no ports", &frame4(protocol, &[]), ("10.0.0.1", 0), ("10.0.0.2", 0), (protocol, 0, 0));
        check("no ports", &frame6(protocol, &[]), ("fd00::1", 0), ("fd00::2", 0), (protocol, 0, 0));
    }
}

#[test]
fn parse_ethernet_orders_the_ends_as_community_id_does() {
    // Addresses first, as bytes; ports only between equal addresses, as numbers.
    for (from, to, swapped) in [
        (("10.0.0.1", 2), ("10.0.0.2", 1), false),
        (("10.0.0.2", 1), ("10.0.0.1", 2), true),
        (("9.255.255.255", 1), ("10.0.0.0", 1), false),
        (("1.0.0.2", 1), ("2.0.0.1", 1), false),
        (("200.0.0.1", 1), ("100.0.0.1", 1), true),
        (("127.0.0.1", 0x0100), ("127.0.0.1", 0x00ff), true),
        (("127.0.0.1", 0x00ff), ("127.0.0.1", 0x0100), false),
        (("127.0.0.1", 7), ("127.0.0.1", 7), false),
        (("fd00::1", 1), ("fd00:0:0:1::", 1), false),
        (("fd00::ff", 1), ("fd00::100", 1), false),
        (("::2", 1), ("::1", 1), true),
        (("::1", 9), ("::1", 8), true),
    ] {
        let payload = tcp(from.1, to.1, SYN);
        let frame = if from.0.contains(':') {
            ethernet(&[], ETH_P_IPV6, &ipv6(from.0, to.0, TCP, &payload))
        } else {
            ethernet(&[], ETH_P_IP, &ipv4(from.0, to.0, TCP, 0, &[], &payload))
        };
        let (a, b) = if swapped { (to, from) } else { (from, to) };
        check(&format!("{from:?} {to:?}"), &frame, a, b, (TCP, swapped.into(), SYN));
    }
}

#[test]
fn parse_ethernet_follows_two_vlan_tags() {
    let packet = ipv4("10.0.0.1", "10.0.0.2", TCP, 0, &[], &tcp(1, 2, SYN));
    for tags in [&[][..], &[ETH_P_8021Q], &[ETH_P_8021AD], &[ETH_P_8021AD, ETH_P_8021Q], &[ETH_P_8021Q, ETH_P_8021Q]] {
        check("tags", &ethernet(tags, ETH_P_IP, &packet), ("10.0.0.1", 1), ("10.0.0.2", 2), (TCP, 0, SYN));
    }
    let three = ethernet(&[ETH_P_8021AD, ETH_P_8021Q, ETH_P_8021Q], ETH_P_IP, &packet);
    assert_eq!(seen(&three), Err(TOO_DEEP));
}

#[test]
fn parse_network_starts_at_any_header() {
    let packet = ipv4("10.0.0.2", "10.0.0.1", TCP, 0, &[], &tcp(1, 2, SYN));
    let bare = parse_network(&packet.as_slice(), ETH_P_IP, 0).map(|parsed| (parsed.key.port_a, parsed.side));
    assert_eq!(bare, Ok((2, 1)));
    for ethertype in [0x0806, 0x88cc, 0x8847, 0x0600, 0x05dc, 0] {
        assert_eq!(seen(&ethernet(&[], ethertype, &packet)), Err(NOT_IP), "{ethertype:#x}");
    }
}

#[test]
fn parse_ethernet_skips_ipv4_options_and_keeps_fragments_apart() {
    let make = |fragment, options: &[u8]| {
        ethernet(&[], ETH_P_IP, &ipv4("10.0.0.1", "10.0.0.2", TCP, fragment, options, &tcp(1, 2, SYN)))
    };
    for options in [&[][..], &[1; 4], &[1; 40]] {
        // Whole, "don't fragment", first fragment; then fragments without a TCP header.
        for fragment in [0, 0x4000, 0x2000] {
            check("whole", &make(fragment, options), ("10.0.0.1", 1), ("10.0.0.2", 2), (TCP, 0, SYN));
        }
        for fragment in [1, 0x2001, 0x1fff] {
            check("rest", &make(fragment, options), ("10.0.0.1", 0), ("10.0.0.2", 0), (TCP, 0, 0));
        }
    }
}

#[test]
fn parse_ethernet_follows_six_ipv6_extension_headers() {
    let whole = tcp(1, 2, SYN);
    let ok = (("fd00::1", 1), ("fd00::2", 2), (TCP, 0, SYN));
    for kind in [IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS] {
        for words in [1, 2, 255] {
            check("one", &frame6(kind, &[extension(TCP, words), whole.clone()].concat()), ok.0, ok.1, ok.2);
        }
    }
    check("first fragment", &frame6(IPPROTO_FRAGMENT, &[fragment(TCP, 0), whole.clone()].concat()), ok.0, ok.1, ok.2);
    let rest = frame6(IPPROTO_FRAGMENT, &[fragment(TCP, 1), whole.clone()].concat());
    check("other fragment", &rest, ("fd00::1", 0), ("fd00::2", 0), (TCP, 0, 0));
    // The number that a later fragment carries says what the first one began with; it is not followed.
    let rest = frame6(IPPROTO_FRAGMENT, &fragment(IPPROTO_DSTOPTS, 1));
    check("fragmented options", &rest, ("fd00::1", 0), ("fd00::2", 0), (IPPROTO_DSTOPTS, 0, 0));

    let chain = |headers: usize| {
        let mut packet = extension(IPPROTO_DSTOPTS, 1).repeat(headers - 1);
        packet.extend(extension(TCP, 1));
        frame6(IPPROTO_HOPOPTS, &[packet, tcp(1, 2, SYN)].concat())
    };
    check("six", &chain(MAX_EXTENSION_HEADERS), ok.0, ok.1, ok.2);
    assert_eq!(seen(&chain(MAX_EXTENSION_HEADERS + 1)), Err(TOO_DEEP));
}

#[test]
fn parse_ethernet_puts_icmp_types_in_the_place_of_ports() {
    // The request 10.0.0.1 -> 10.0.0.2 and its reply are one flow; so are both when the greater address asks.
    let echo = |from: &str, to: &str, kind| ethernet(&[], ETH_P_IP, &ipv4(from, to, 1, 0, &[], &[kind, 0]));
    let (low, high) = ("10.0.0.1", "10.0.0.2");
    check("request", &echo(low, high, 8), (low, 8), (high, 0), (1, 0, 0));
    check("reply", &echo(high, low, 0), (low, 8), (high, 0), (1, 1, 0));
    check("request", &echo(high, low, 8), (low, 0), (high, 8), (1, 1, 0));
    check("to itself", &echo(low, low, 8), (low, 0), (low, 8), (1, 1, 0));
    check("reply to itself", &echo(low, low, 0), (low, 0), (low, 8), (1, 0, 0));
    // An error is not answered: its sender stays first and the code stands for the other port.
    let unreachable = |from: &str, to: &str| ethernet(&[], ETH_P_IP, &ipv4(from, to, 1, 0, &[], &[3, 1]));
    check("one-way", &unreachable(low, high), (low, 3), (high, 1), (1, 0, 0));
    check("one-way", &unreachable(high, low), (high, 3), (low, 1), (1, 0, 0));
    check("v6 request", &frame6(58, &[128, 0]), ("fd00::1", 128), ("fd00::2", 129), (58, 0, 0));
    check("v6 one-way", &frame6(58, &[1, 4]), ("fd00::1", 1), ("fd00::2", 4), (58, 0, 0));
    // A later fragment has no type; 0 would be an echo reply.
    let rest = |from: &str, to: &str| ethernet(&[], ETH_P_IP, &ipv4(from, to, 1, 1, &[], &[8, 0]));
    check("fragment", &rest(low, high), (low, NO_ICMP_TYPE), (high, NO_ICMP_TYPE), (1, 0, 0));
    check("fragment back", &rest(high, low), (low, NO_ICMP_TYPE), (high, NO_ICMP_TYPE), (1, 1, 0));
    // The numbers of the other family mean nothing.
    check("v6 type 8", &frame6(58, &[8, 5]), ("fd00::1", 8), ("fd00::2", 5), (58, 0, 0));
}

#[test]
fn parse_ethernet_reads_what_the_ip_header_says() {
    let mut frame = frame4(IPPROTO_UDP, &ports(1, 2));
    (frame[ETH_HEADER + 1], frame[ETH_HEADER + 8]) = (0xb9, 63);
    let seen = details(&frame);
    assert_eq!((seen.traffic_class, seen.ttl, seen.flow_label), (0xb9, 63, 0));
    let mut frame = frame6(IPPROTO_UDP, &ports(1, 2));
    frame[ETH_HEADER..ETH_HEADER + 4].copy_from_slice(&[0x6b, 0x9f, 0x12, 0x34]);
    frame[ETH_HEADER + 7] = 254;
    let seen = details(&frame);
    assert_eq!((seen.traffic_class, seen.ttl, seen.flow_label), (0xb9, 254, 0xf_1234));
}

#[test]
fn parse_ethernet_takes_the_id_of_the_innermost_vlan_tag() {
    let packet = ipv4("10.0.0.1", "10.0.0.2", IPPROTO_UDP, 0, &[], &ports(1, 2));
    for (controls, vlan) in [
        (&[][..], NO_VLAN),
        (&[0x0007], 7),
        // Priority and drop eligibility stand above the id.
        (&[0xffff], 4095),
        (&[0x6064, 0xa0c8], 200),
        // A tag that only carries a priority.
        (&[0xe000], NO_VLAN),
        (&[0x0007, 0xe000], NO_VLAN),
    ] {
        let mut frame = ethernet(&vec![ETH_P_8021Q; controls.len()], ETH_P_IP, &packet);
        for (place, control) in controls.iter().enumerate() {
            let at = ETH_HEADER + 4 * place;
            frame[at..at + 2].copy_from_slice(&u16::to_be_bytes(*control));
        }
        assert_eq!(details(&frame).vlan, vlan, "{controls:x?}");
    }
}

#[test]
fn parse_ethernet_tells_payload_from_padding_and_options() {
    let segment = |doff: u8, rest: usize| {
        let mut segment = vec![0; 20];
        segment[4..8].copy_from_slice(&0xfffe_fdfcu32.to_be_bytes());
        segment[8..12].copy_from_slice(&0x0102_0304u32.to_be_bytes());
        (segment[12], segment[13]) = (doff << 4, 0x18);
        segment.extend(vec![0xaa; rest]);
        segment
    };
    for (name, doff, length, rest, payload_bytes) in [
        ("none", 5, 20, 0, 0),
        ("payload", 5, 23, 3, 3),
        ("padding", 5, 20, 6, 0),
        ("options", 8, 32, 12, 0),
        ("options and payload", 8, 40, 20, 8),
        ("offset beyond the packet", 15, 20, 0, 0),
        ("longer than the field holds", 5, 0, 70_000, 70_000),
    ] {
        let tcp = Segment { flags: 0x18, sequence: 0xfffe_fdfc, acknowledgment: 0x0102_0304, payload_bytes };
        let mut frame = frame4(TCP, &segment(doff, rest));
        let total = if length == 0 { 0 } else { length + 20 };
        frame[ETH_HEADER + 2..ETH_HEADER + 4].copy_from_slice(&u16::to_be_bytes(total));
        assert_eq!(details(&frame).tcp, tcp, "v4 {name}");
        let mut frame = frame6(TCP, &segment(doff, rest));
        frame[ETH_HEADER + 4..ETH_HEADER + 6].copy_from_slice(&length.to_be_bytes());
        assert_eq!(details(&frame).tcp, tcp, "v6 {name}");
        let mut frame = frame6(IPPROTO_HOPOPTS, &[extension(TCP, 1), segment(doff, rest)].concat());
        let total = if length == 0 { 0 } else { length + 8 };
        frame[ETH_HEADER + 4..ETH_HEADER + 6].copy_from_slice(&u16::to_be_bytes(total));
        assert_eq!(details(&frame).tcp, tcp, "v6 with options, {name}");
    }
    assert_eq!(details(&frame4(IPPROTO_UDP, &ports(1, 2))).tcp, Segment::default());
}

#[test]
fn parse_ethernet_reads_icmp_and_ipsec() {
    for (name, frame, icmp, spi) in [
        ("echo", frame4(1, &[8, 0]), Some((8, 0)), 0),
        ("unreachable", frame4(1, &[3, 13]), Some((3, 13)), 0),
        ("echo reply", frame6(58, &[129, 0]), Some((129, 0)), 0),
        ("udp", frame4(IPPROTO_UDP, &ports(1, 2)), None, 0),
        ("esp", frame4(IPPROTO_ESP, &[1, 2, 3, 4, 9, 9, 9, 9]), None, 0x0102_0304),
        ("esp", frame6(IPPROTO_ESP, &[1, 2, 3, 4]), None, 0x0102_0304),
        ("cut esp", frame4(IPPROTO_ESP, &[1, 2, 3]), None, 0),
        ("ah", frame4(IPPROTO_AH, &[6, 4, 0, 0, 5, 6, 7, 8, 9]), None, 0x0506_0708),
        ("ah", frame6(IPPROTO_AH, &[6, 4, 0, 0, 5, 6, 7, 8]), None, 0x0506_0708),
        ("cut ah", frame4(IPPROTO_AH, &[6, 4, 0, 0, 5, 6, 7]), None, 0),
    ] {
        assert_eq!((details(&frame).icmp, details(&frame).spi), (icmp, spi), "{name}");
    }
    let fragment = ethernet(&[], ETH_P_IP, &ipv4("10.0.0.1", "10.0.0.2", 1, 1, &[], &[8, 0]));
    assert_eq!(details(&fragment).icmp, None);
}

#[test]
fn counterpart_is_that_of_community_id() {
    for kind in 0..=255 {
        let partner = |pairs: &[(u8, u8)]| {
            let both = pairs.iter().flat_map(|(one, other)| [(*one, *other), (*other, *one)]);
            both.into_iter().find_map(|(one, other)| (one == kind).then_some(other))
        };
        assert_eq!(icmp::counterpart(kind), partner(PAIRS), "{kind}");
        assert_eq!(icmp::counterpart_v6(kind), partner(PAIRS_V6), "{kind}");
    }
}

#[test]
fn parse_ethernet_refuses_headers_that_contradict_themselves() {
    let with_first_byte = |ethertype, byte| {
        let mut frame = if ethertype == ETH_P_IP { frame4(TCP, &tcp(1, 2, 0)) } else { frame6(TCP, &tcp(1, 2, 0)) };
        frame[ETH_HEADER] = byte;
        seen(&frame).err()
    };
    for byte in [0x44, 0x40, 0x05, 0x55, 0x65, 0xf5] {
        assert_eq!(with_first_byte(ETH_P_IP, byte), Some(MALFORMED), "{byte:#x}");
    }
    for byte in [0x45, 0x50, 0x00, 0x70] {
        assert_eq!(with_first_byte(ETH_P_IPV6, byte), Some(MALFORMED), "{byte:#x}");
    }
}

const PAIRS: &[(u8, u8)] = &[(0, 8), (9, 10), (13, 14), (15, 16), (17, 18)];
const PAIRS_V6: &[(u8, u8)] = &[(128, 129), (130, 131), (133, 134), (135, 136), (139, 140), (144, 145)];

mod random;
