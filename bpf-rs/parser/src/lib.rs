//! From frame bytes to [`FlowKey`]: pure, `no_std`, generic over where the bytes come from, so that the very code that
//! runs in the kernel is tested and fuzzed on the host.
#![cfg_attr(not(test), no_std)]

mod headers;
mod icmp;

use types::{FlowKey, IPV4, IPV6, NO_VLAN, unparsed};

/// A type that any bytes are a value of.
///
/// # Safety
/// `repr(C)` or primitive, integers only, no padding.
pub unsafe trait Plain: Copy {}

/// Bytes of a packet, from its first header on.
pub trait Packet {
    /// The `T` at `offset`, or `None` when the packet ends before its end. Integers keep the packet's byte order.
    fn load<T: Plain>(&self, offset: usize) -> Option<T>;

    /// Offset of the byte after the last.
    fn end(&self) -> usize;
}

/// What a packet is part of, and what it says about it.
pub struct Parsed {
    /// Without a VLAN id.
    pub key: FlowKey,
    /// 0 when the sender is `key.a`, 1 when it is `key.b`.
    pub side: u8,
    /// Of the innermost tag in the frame, or [`NO_VLAN`]; the id 0 is none (IEEE 802.1Q, 9.6).
    pub vlan: u16,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// TTL or hop limit.
    pub ttl: u8,
    /// IPv6 only.
    pub flow_label: u32,
    /// Type and code of an ICMP or ICMPv6 message.
    pub icmp: Option<(u8, u8)>,
    /// Security parameters index of AH or ESP; 0 (RFC 4303, 2.1: never on the wire) is none.
    pub spi: u32,
    pub tcp: Segment,
}

/// What TCP says; all 0 for other protocols.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Segment {
    pub flags: u8,
    pub sequence: u32,
    pub acknowledgment: u32,
    pub payload_bytes: u32,
}

/// Index of a reason in [`types::unparsed`].
pub type Reason = usize;

pub const ETH_HEADER: usize = 14;
const ETH_P_IP: u16 = 0x0800;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_8021AD: u16 = 0x88a8;
const MAX_VLAN_TAGS: usize = 2;

/// In the place of ICMP type and code where a fragment has none.
pub const NO_ICMP_TYPE: u16 = u16::MAX;

const IPPROTO_HOPOPTS: u8 = 0;
const IPPROTO_ICMP: u8 = 1;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const IPPROTO_DCCP: u8 = 33;
const IPPROTO_ROUTING: u8 = 43;
const IPPROTO_FRAGMENT: u8 = 44;
const IPPROTO_ESP: u8 = 50;
const IPPROTO_AH: u8 = 51;
const IPPROTO_ICMPV6: u8 = 58;
const IPPROTO_DSTOPTS: u8 = 60;
const IPPROTO_SCTP: u8 = 132;
const IPPROTO_UDPLITE: u8 = 136;
const MAX_EXTENSION_HEADERS: usize = 6;

/// Parses a frame that starts with an Ethernet header (IEEE 802.3, up to two 802.1Q/802.1ad tags).
#[inline(always)]
pub fn parse_ethernet<P: Packet>(packet: &P) -> Result<Parsed, Reason> {
    let mut offset = ETH_HEADER;
    let mut ethertype = u16::from_be(packet.load(12).ok_or(unparsed::TRUNCATED)?);
    let mut vlan = NO_VLAN;
    for _ in 0..MAX_VLAN_TAGS {
        if ethertype != ETH_P_8021Q && ethertype != ETH_P_8021AD {
            break;
        }
        let tag: headers::Vlan = packet.load(offset).ok_or(unparsed::TRUNCATED)?;
        vlan = vlan_id(u16::from_be(tag.control));
        ethertype = u16::from_be(tag.ethertype);
        offset += 4;
    }
    let parsed = parse_network(packet, ethertype, offset)?;
    Ok(Parsed { vlan, ..parsed })
}

/// The id in a tag's control information (host order).
#[inline(always)]
pub fn vlan_id(control: u16) -> u16 {
    let id = control & 0x0fff;
    if id == 0 { NO_VLAN } else { id }
}

/// Parses a packet whose network header, of type `ethertype` (host order), starts at `offset`.
#[inline(always)]
pub fn parse_network<P: Packet>(packet: &P, ethertype: u16, offset: usize) -> Result<Parsed, Reason> {
    let network = match ethertype {
        ETH_P_IP => ipv4(packet, offset)?,
        ETH_P_IPV6 => ipv6(packet, offset)?,
        ETH_P_8021Q | ETH_P_8021AD => return Err(unparsed::TOO_DEEP),
        _ => return Err(unparsed::NOT_IP),
    };
    let transport = if network.first_fragment {
        transport(packet, &network)?
    } else {
        Transport::of_later_fragment(network.protocol)
    };
    Ok(join(network, transport))
}

/// What the IP layer says.
struct Network {
    source: [u64; 2],
    destination: [u64; 2],
    protocol: u8,
    family: u8,
    traffic_class: u8,
    ttl: u8,
    flow_label: u32,
    /// Only the first fragment of a datagram has a transport header; the others make a flow with ports 0.
    first_fragment: bool,
    /// Offset of the transport header.
    payload: usize,
    /// Offset of what follows the IP packet, padding for one.
    end: usize,
}

/// What the transport layer says.
#[derive(Default)]
struct Transport {
    source_port: u16,
    destination_port: u16,
    icmp: Option<(u8, u8)>,
    spi: u32,
    tcp: Segment,
    /// An ICMP type that nothing answers: its ends are not put in order.
    one_way: bool,
}

impl Transport {
    /// Ports 0; for ICMP a type that does not exist, because 0 is the echo reply.
    #[inline(always)]
    fn of_later_fragment(protocol: u8) -> Self {
        let no_type = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
        let port = if no_type { NO_ICMP_TYPE } else { 0 };
        Self { source_port: port, destination_port: port, ..Self::default() }
    }
}

/// RFC 791.
#[inline(always)]
fn ipv4<P: Packet>(packet: &P, offset: usize) -> Result<Network, Reason> {
    let header: headers::Ipv4 = packet.load(offset).ok_or(unparsed::TRUNCATED)?;
    let header_bytes = usize::from(header.version_ihl & 0x0f) * 4;
    if header.version_ihl >> 4 != 4 || header_bytes < size_of::<headers::Ipv4>() {
        return Err(unparsed::MALFORMED);
    }
    Ok(Network {
        source: [first_word(header.source), 0],
        destination: [first_word(header.destination), 0],
        protocol: header.protocol,
        family: IPV4,
        traffic_class: header.tos,
        ttl: header.ttl,
        flow_label: 0,
        first_fragment: u16::from_be(header.fragment) & 0x1fff == 0,
        payload: offset + header_bytes,
        end: end_of(packet, offset, u16::from_be(header.total_length)),
    })
}

/// Where a packet ends whose header tells `length` bytes from `start` on. With segmentation offload a packet can be longer
/// than the field holds, which is 0 then.
#[inline(always)]
fn end_of<P: Packet>(packet: &P, start: usize, length: u16) -> usize {
    if length == 0 { packet.end() } else { start + usize::from(length) }
}

/// Puts four address bytes first in a word, whatever the byte order of the machine.
#[inline(always)]
fn first_word(address: u32) -> u64 {
    if cfg!(target_endian = "little") { u64::from(address) } else { u64::from(address) << 32 }
}

/// RFC 8200, with the extension headers that only wrap the transport header.
#[inline(always)]
fn ipv6<P: Packet>(packet: &P, offset: usize) -> Result<Network, Reason> {
    let header: headers::Ipv6 = packet.load(offset).ok_or(unparsed::TRUNCATED)?;
    if header.version_class >> 4 != 6 {
        return Err(unparsed::MALFORMED);
    }
    let payload = offset + size_of::<headers::Ipv6>();
    let mut network = Network {
        source: header.source,
        destination: header.destination,
        protocol: header.next_header,
        family: IPV6,
        traffic_class: header.version_class << 4 | header.class_label >> 4,
        ttl: header.hop_limit,
        flow_label: u32::from(header.class_label & 0x0f) << 16 | u32::from(u16::from_be(header.label)),
        first_fragment: true,
        payload,
        end: end_of(packet, payload, u16::from_be(header.payload_length)),
    };
    for _ in 0..MAX_EXTENSION_HEADERS {
        match network.protocol {
            IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_DSTOPTS => {
                let extension: headers::Extension = packet.load(network.payload).ok_or(unparsed::TRUNCATED)?;
                network.protocol = extension.next_header;
                network.payload += (usize::from(extension.length) + 1) * 8;
            }
            IPPROTO_FRAGMENT => {
                let extension: headers::Fragment = packet.load(network.payload).ok_or(unparsed::TRUNCATED)?;
                network.protocol = extension.next_header;
                network.payload += 8;
                if u16::from_be(extension.offset) & 0xfff8 != 0 {
                    // What follows is payload, whatever number the header carries.
                    network.first_fragment = false;
                    return Ok(network);
                }
            }
            _ => return Ok(network),
        }
    }
    if is_extension(network.protocol) { Err(unparsed::TOO_DEEP) } else { Ok(network) }
}

#[inline(always)]
fn is_extension(protocol: u8) -> bool {
    matches!(protocol, IPPROTO_HOPOPTS | IPPROTO_ROUTING | IPPROTO_DSTOPTS | IPPROTO_FRAGMENT)
}

/// Ports, and ICMP types in the place of ports as Community ID puts them; and what else the transport header tells.
#[inline(always)]
fn transport<P: Packet>(packet: &P, network: &Network) -> Result<Transport, Reason> {
    let at = network.payload;
    Ok(match network.protocol {
        IPPROTO_TCP => {
            let header: headers::Tcp = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            Transport {
                source_port: u16::from_be(header.source_port),
                destination_port: u16::from_be(header.destination_port),
                tcp: segment(&header, network.end.saturating_sub(at)),
                ..Transport::default()
            }
        }
        IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_UDPLITE => {
            let header: headers::Ports = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            Transport {
                source_port: u16::from_be(header.source_port),
                destination_port: u16::from_be(header.destination_port),
                ..Transport::default()
            }
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            let header: headers::Icmp = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            let answer = if network.protocol == IPPROTO_ICMP {
                icmp::counterpart(header.kind)
            } else {
                icmp::counterpart_v6(header.kind)
            };
            Transport {
                source_port: u16::from(header.kind),
                destination_port: u16::from(answer.unwrap_or(header.code)),
                icmp: Some((header.kind, header.code)),
                one_way: answer.is_none(),
                ..Transport::default()
            }
        }
        // A packet too short for its index still is one of the flow.
        IPPROTO_AH => {
            let header: Option<headers::Authentication> = packet.load(at);
            Transport { spi: header.map_or(0, |header| u32::from_be(header.spi)), ..Transport::default() }
        }
        IPPROTO_ESP => {
            let header: Option<headers::Encapsulation> = packet.load(at);
            Transport { spi: header.map_or(0, |header| u32::from_be(header.spi)), ..Transport::default() }
        }
        _ => Transport::default(),
    })
}

/// `bytes`: those of the segment with its header.
#[inline(always)]
fn segment(header: &headers::Tcp, bytes: usize) -> Segment {
    let header_bytes = usize::from(header.data_offset >> 4) * 4;
    Segment {
        flags: header.flags,
        sequence: u32::from_be(header.sequence),
        acknowledgment: u32::from_be(header.acknowledgment),
        payload_bytes: bytes.saturating_sub(header_bytes) as u32,
    }
}

/// Orders the ends as Community ID does: by address, then by port, both in network byte order.
#[inline(always)]
fn join(network: Network, transport: Transport) -> Parsed {
    let source = network.source.map(u64::from_be);
    let destination = network.destination.map(u64::from_be);
    let ordered = if source[0] != destination[0] {
        source[0] < destination[0]
    } else if source[1] != destination[1] {
        source[1] < destination[1]
    } else {
        transport.source_port <= transport.destination_port
    };
    let forward = ordered || transport.one_way;
    let ((a, port_a), (b, port_b)) = {
        let source = (network.source, transport.source_port);
        let destination = (network.destination, transport.destination_port);
        if forward { (source, destination) } else { (destination, source) }
    };
    Parsed {
        key: FlowKey { a, b, port_a, port_b, protocol: network.protocol, family: network.family, vlan: 0 },
        side: u8::from(!forward),
        vlan: NO_VLAN,
        traffic_class: network.traffic_class,
        ttl: network.ttl,
        flow_label: network.flow_label,
        icmp: transport.icmp,
        spi: transport.spi,
        tcp: transport.tcp,
    }
}

#[cfg(test)]
mod tests;
