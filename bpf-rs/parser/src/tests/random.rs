//! Truncated, mutated and random frames: the parser must agree with a slow, obvious one, and never panic.

use super::*;

/// Frames a test makes; `tools/fuzz` asks for more, from another seed.
fn frames() -> usize {
    from_environment("MERMIN_FUZZ_ROUNDS", 100_000)
}

fn seeded(test: u64) -> Lcg {
    Lcg(test + from_environment("MERMIN_FUZZ_SEED", 0) as u64)
}

fn from_environment(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Knuth's MMIX generator: the same frames at every run.
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// What the rules say, read from a slice step by step.
fn reference(frame: &[u8]) -> Result<(Seen, Details), Reason> {
    let bytes = |at: usize, count: usize| frame.get(at..at + count).ok_or(TRUNCATED);
    let number = |at: usize| bytes(at, 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let mut at = 14;
    let mut ethertype = number(12)?;
    let mut vlan = NO_VLAN;
    for _ in 0..2 {
        if [0x8100, 0x88a8].contains(&ethertype) {
            vlan = if number(at)? % 0x1000 > 0 { number(at)? % 0x1000 } else { NO_VLAN };
            ethertype = number(at + 2)?;
            at += 4;
        }
    }
    let (source, destination, protocol, transport) = match ethertype {
        0x0800 => ipv4_reference(&bytes, at)?,
        0x86dd => ipv6_reference(&bytes, at)?,
        0x8100 | 0x88a8 => return Err(TOO_DEEP),
        _ => return Err(NOT_IP),
    };
    let mut details = ip_reference(frame, at, vlan);
    let (mut ports, mut one_way) = ((0, 0), false);
    if let Some(at) = transport {
        let long = |at: usize| Ok::<u32, Reason>(u32::from(number(at)?) << 16 | u32::from(number(at + 2)?));
        match protocol {
            6 => {
                let flags = bytes(at, 16)?[13];
                let end = ip_end(frame, at_network(frame));
                let payload_bytes =
                    end.saturating_sub(at).saturating_sub(usize::from(bytes(at, 16)?[12] >> 4) * 4) as u32;
                details.tcp = Segment { flags, sequence: long(at + 4)?, acknowledgment: long(at + 8)?, payload_bytes };
                ports = (number(at)?, number(at + 2)?);
            }
            50 => details.spi = long(at).unwrap_or(0),
            51 => details.spi = long(at + 4).unwrap_or(0),
            17 | 33 | 132 | 136 => ports = (number(at)?, number(at + 2)?),
            1 | 58 => {
                let (kind, code) = (bytes(at, 2)?[0], bytes(at, 2)?[1]);
                details.icmp = Some((kind, code));
                let pairs = if protocol == 1 { PAIRS } else { PAIRS_V6 };
                let pair = pairs.iter().find(|(one, other)| *one == kind || *other == kind);
                one_way = pair.is_none();
                ports = (kind.into(), pair.map_or(code, |(one, other)| one ^ other ^ kind).into());
            }
            _ => {}
        }
    } else if [1, 58].contains(&protocol) {
        ports = (NO_ICMP_TYPE, NO_ICMP_TYPE);
    }
    let (from, to) = ((source, ports.0), (destination, ports.1));
    let swap = !one_way && from > to;
    let flags = details.tcp.flags;
    Ok((if swap { (to, from, protocol, 1, flags) } else { (from, to, protocol, 0, flags) }, details))
}

/// Where the IP header of a frame is that has one.
fn at_network(frame: &[u8]) -> usize {
    let tagged = |at: usize| [[0x81, 0x00], [0x88, 0xa8]].contains(&[frame[at], frame[at + 1]]);
    (0..2).fold(14, |at, _| if tagged(at - 2) { at + 4 } else { at })
}

/// Where the IP packet at `at` ends by its own word, or with the frame when it gives none.
fn ip_end(frame: &[u8], at: usize) -> usize {
    let number = |at: usize| usize::from(frame[at]) * 256 + usize::from(frame[at + 1]);
    let is_v4 = frame[at] >> 4 == 4;
    match number(at + if is_v4 { 2 } else { 4 }) {
        0 => frame.len(),
        length if is_v4 => at + length,
        length => at + 40 + length,
    }
}

/// What the IP header at `at` says beside addresses and protocol.
fn ip_reference(frame: &[u8], at: usize, vlan: u16) -> Details {
    let header = &frame[at..];
    let first_word = u32::from_be_bytes([header[0], header[1], header[2], header[3]]);
    let (traffic_class, ttl, flow_label) = match header[0] >> 4 {
        4 => (header[1], header[8], 0),
        _ => ((first_word >> 20) as u8, header[7], first_word % (1 << 20)),
    };
    Details { vlan, traffic_class, ttl, flow_label, icmp: None, spi: 0, tcp: Segment::default() }
}

/// Source, destination, protocol, and where the transport header is, if there is one.
type NetworkSeen = (Vec<u8>, Vec<u8>, u8, Option<usize>);

fn ipv4_reference<'a>(
    bytes: &impl Fn(usize, usize) -> Result<&'a [u8], Reason>,
    at: usize,
) -> Result<NetworkSeen, Reason> {
    let header = bytes(at, 20)?;
    if header[0] >> 4 != 4 || header[0] & 15 < 5 {
        return Err(MALFORMED);
    }
    let is_first = header[6] & 0x1f == 0 && header[7] == 0;
    let transport = is_first.then(|| at + 4 * usize::from(header[0] & 15));
    Ok((header[12..16].to_vec(), header[16..20].to_vec(), header[9], transport))
}

fn ipv6_reference<'a>(
    bytes: &impl Fn(usize, usize) -> Result<&'a [u8], Reason>,
    at: usize,
) -> Result<NetworkSeen, Reason> {
    let header = bytes(at, 40)?;
    if header[0] >> 4 != 6 {
        return Err(MALFORMED);
    }
    let (source, destination) = (header[8..24].to_vec(), header[24..40].to_vec());
    let (mut protocol, mut at) = (header[6], at + 40);
    for followed in 0.. {
        if ![0, 43, 44, 60].contains(&protocol) {
            break;
        }
        if followed == 6 {
            return Err(TOO_DEEP);
        }
        let is_fragment = protocol == 44;
        let header = bytes(at, if is_fragment { 4 } else { 2 })?;
        protocol = header[0];
        at += if is_fragment { 8 } else { 8 + 8 * usize::from(header[1]) };
        if is_fragment && (header[2] != 0 || header[3] & 0xf8 != 0) {
            return Ok((source, destination, protocol, None));
        }
    }
    Ok((source, destination, protocol, Some(at)))
}

/// A well-formed frame of each kind, and the same conversation's answer.
fn conversation(random: &mut Lcg) -> (Vec<u8>, Vec<u8>) {
    let protocol = random.pick(&[1, 6, 6, 17, 33, 47, 50, 51, 58, 132, 136]);
    let port = |random: &mut Lcg| random.pick(&[0, 22, 443, 0x0100, 0x00ff, 40000, 65535]);
    let (one, other) = (port(random), port(random));
    let (there, back) = match protocol {
        50 | 51 => (vec![7; random.below(12)], vec![9; 12]),
        6 => {
            let flags = random.below(256) as u8;
            (tcp(one, other, flags), tcp(other, one, flags))
        }
        1 | 58 => {
            let (ask, answer) = random.pick(if protocol == 1 { PAIRS } else { PAIRS_V6 });
            (vec![ask, 0, 9, 9], vec![answer, 0, 9, 9])
        }
        _ => (ports(one, other), ports(other, one)),
    };
    let tags: Vec<u16> = (0..random.below(3)).map(|_| random.pick(&[ETH_P_8021Q, ETH_P_8021AD])).collect();
    if random.below(2) == 0 {
        let addresses = ["10.0.0.1", "10.0.0.2", "9.9.9.9", "192.168.1.1", "255.0.0.0"];
        let (from, to) = (random.pick(&addresses), random.pick(&addresses));
        let options = vec![1; 4 * random.below(11)];
        let fragment = random.pick(&[0, 0, 0x4000, 0x2000, 0x2001]);
        let make = |from, to, payload: &[u8]| {
            ethernet(&tags, ETH_P_IP, &ipv4(from, to, protocol, fragment, &options, payload))
        };
        return (make(from, to, &there), make(to, from, &back));
    }
    let addresses = ["fd00::1", "fd00::2", "::1", "fe80::ff", "2001:db8::", "::ffff:1.2.3.4"];
    let (from, to) = (random.pick(&addresses), random.pick(&addresses));
    let mut next_header = protocol;
    let mut headers = Vec::new();
    for _ in 0..random.below(8) {
        let kind = random.pick(&[IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS, IPPROTO_FRAGMENT]);
        let header = match kind {
            IPPROTO_FRAGMENT => fragment(next_header, random.pick(&[0, 0, 0, 1])),
            _ => extension(next_header, 1 + random.below(3) as u8),
        };
        headers = [header, headers].concat();
        next_header = kind;
    }
    let make = |from, to, payload: &[u8]| {
        ethernet(&tags, ETH_P_IPV6, &ipv6(from, to, next_header, &[&headers, payload].concat()))
    };
    (make(from, to, &there), make(to, from, &back))
}

#[test]
fn parse_ethernet_gives_both_directions_one_key_and_opposite_sides() {
    let mut random = seeded(1);
    let mut parsed = 0;
    for _ in 0..frames() {
        let (there, back) = conversation(&mut random);
        match (seen(&there), seen(&back)) {
            (Ok(there), Ok(back)) => {
                parsed += 1;
                assert_eq!((&there.0, &there.1, there.2), (&back.0, &back.1, back.2));
                let ends_differ = there.0 != there.1;
                assert_eq!(there.3 != back.3, ends_differ, "{there:?}");
            }
            (there, back) => assert_eq!(there.err(), back.err()),
        }
    }
    assert!(parsed > frames() / 2, "only {parsed} frames say something");
}

#[test]
fn parse_ethernet_agrees_with_the_reference_wherever_a_frame_ends() {
    let mut random = seeded(2);
    let mut truncated = 0;
    for _ in 0..frames() / 100 {
        let (frame, _) = conversation(&mut random);
        for length in 0..=frame.len() {
            let result = seen_whole(&frame[..length]);
            assert_eq!(result, reference(&frame[..length]), "{length} bytes of {frame:02x?}");
            truncated += usize::from(result.err() == Some(TRUNCATED));
        }
        assert_ne!(seen(&frame), Err(TRUNCATED), "{frame:02x?}");
    }
    assert!(truncated > frames() / 10, "only {truncated} frames were cut");
}

#[test]
fn parse_ethernet_agrees_with_the_reference_on_mutated_and_random_frames() {
    let mut random = seeded(3);
    let mut outcomes = [0; types::unparsed::COUNT + 1];
    for _ in 0..frames() {
        let mut frame = if random.below(10) == 0 {
            let length = random.below(120);
            (0..length).map(|_| random.below(256) as u8).collect()
        } else {
            conversation(&mut random).0
        };
        for _ in 0..random.below(4) {
            if let Some(length) = frame.len().checked_sub(1) {
                let at = random.below(length + 1);
                frame[at] = random.pick(&[0, 1, 6, 17, 44, 60, 0x45, 0x60, 0x81, 0xff]);
            }
        }
        let result = seen_whole(&frame);
        assert_eq!(result, reference(&frame), "{frame:02x?}");
        outcomes[result.err().unwrap_or(types::unparsed::COUNT)] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > frames() / 1000), "an outcome is missing: {outcomes:?}");
}
