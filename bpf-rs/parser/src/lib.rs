//! From frame bytes to [`FlowKey`]: pure, `no_std`, generic over where the bytes come from, so that the very code that
//! runs in the kernel is tested and fuzzed on the host.
#![cfg_attr(not(test), no_std)]

mod headers;
mod icmp;

use types::{FlowKey, IPV4, IPV6, unparsed};

/// A type that any bytes are a value of.
///
/// # Safety
/// `repr(C)` or primitive, integers only, no padding.
pub unsafe trait Plain: Copy {}

/// Bytes of a packet, from its first header on.
pub trait Packet {
    /// The `T` at `offset`, or `None` when the packet ends before its end. Integers keep the packet's byte order.
    fn load<T: Plain>(&self, offset: usize) -> Option<T>;
}

/// What a packet is part of.
pub struct Parsed {
    pub key: FlowKey,
    /// 0 when the sender is `key.a`, 1 when it is `key.b`.
    pub side: u8,
    /// TCP flags, 0 for other protocols.
    pub tcp_flags: u8,
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
    for _ in 0..MAX_VLAN_TAGS {
        if ethertype != ETH_P_8021Q && ethertype != ETH_P_8021AD {
            break;
        }
        ethertype = u16::from_be(packet.load(offset + 2).ok_or(unparsed::TRUNCATED)?);
        offset += 4;
    }
    parse_network(packet, ethertype, offset)
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
        transport(packet, network.protocol, network.payload)?
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
    /// Only the first fragment of a datagram has a transport header; the others make a flow with ports 0.
    first_fragment: bool,
    /// Offset of the transport header.
    payload: usize,
}

/// What the transport layer says.
#[derive(Default)]
struct Transport {
    source_port: u16,
    destination_port: u16,
    tcp_flags: u8,
    /// An ICMP type that nothing answers: its ends are not put in order.
    one_way: bool,
}

impl Transport {
    /// Ports 0; for ICMP a type that does not exist, because 0 is the echo reply.
    #[inline(always)]
    fn of_later_fragment(protocol: u8) -> Self {
        let no_type = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
        let port = if no_type { NO_ICMP_TYPE } else { 0 };
        Self { source_port: port, destination_port: port, tcp_flags: 0, one_way: false }
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
        first_fragment: u16::from_be(header.fragment) & 0x1fff == 0,
        payload: offset + header_bytes,
    })
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
    let mut network = Network {
        source: header.source,
        destination: header.destination,
        protocol: header.next_header,
        family: IPV6,
        first_fragment: true,
        payload: offset + size_of::<headers::Ipv6>(),
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

/// Ports, TCP flags, and ICMP types in the place of ports as Community ID puts them.
#[inline(always)]
fn transport<P: Packet>(packet: &P, protocol: u8, at: usize) -> Result<Transport, Reason> {
    Ok(match protocol {
        IPPROTO_TCP => {
            let header: headers::Tcp = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            Transport {
                source_port: u16::from_be(header.source_port),
                destination_port: u16::from_be(header.destination_port),
                tcp_flags: header.flags,
                one_way: false,
            }
        }
        IPPROTO_UDP | IPPROTO_SCTP | IPPROTO_DCCP | IPPROTO_UDPLITE => {
            let header: headers::Ports = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            Transport {
                source_port: u16::from_be(header.source_port),
                destination_port: u16::from_be(header.destination_port),
                tcp_flags: 0,
                one_way: false,
            }
        }
        IPPROTO_ICMP | IPPROTO_ICMPV6 => {
            let header: headers::Icmp = packet.load(at).ok_or(unparsed::TRUNCATED)?;
            let answer = if protocol == IPPROTO_ICMP {
                icmp::counterpart(header.kind)
            } else {
                icmp::counterpart_v6(header.kind)
            };
            Transport {
                source_port: u16::from(header.kind),
                destination_port: u16::from(answer.unwrap_or(header.code)),
                tcp_flags: 0,
                one_way: answer.is_none(),
            }
        }
        _ => Transport::default(),
    })
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
        key: FlowKey { a, b, port_a, port_b, protocol: network.protocol, family: network.family, pad: [0; 2] },
        side: u8::from(!forward),
        tcp_flags: transport.tcp_flags,
    }
}

#[cfg(test)]
mod tests;
