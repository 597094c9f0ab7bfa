//! What ctnetlink says about a connection (linux/netfilter/nfnetlink_conntrack.h).

use crate::netlink::{HEADER_BYTES, Message, attribute};
use libc::sock_filter;
use std::cmp::Ordering;
use types::{FlowKey, IPV4, IPV6};

/// `NFNL_SUBSYS_CTNETLINK << 8`.
const CTNETLINK: u16 = 1 << 8;
/// An entry of a dump, or that something has become of a connection: with `NLM_F_CREATE` it is new.
const NEW: u16 = CTNETLINK;
pub const GET: u16 = CTNETLINK | 1;
const DELETE: u16 = CTNETLINK | 2;

/// Bits of `nl_groups` for `NFNLGRP_CONNTRACK_NEW` and `_DESTROY`. What `_UPDATE` tells (states, timeouts) does not change a
/// translation, which is made before the connection's first packet leaves.
pub const GROUPS: u32 = 1 << 0 | 1 << 2;

const TUPLE_ORIG: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const STATUS: u16 = 3;
const ID: u16 = 12;
const ZONE: u16 = 18;
const STATUS_MASK: u16 = 26;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_PORTS: [u16; 2] = [2, 3];

/// `IPS_SRC_NAT` and `IPS_DST_NAT` of `enum ip_conntrack_status`.
pub const SRC_NAT: u32 = 1 << 4;
pub const DST_NAT: u32 = 1 << 5;

/// Bytes of `struct nfgenmsg`.
const HEAD_BYTES: usize = 4;

pub const ICMP: u8 = libc::IPPROTO_ICMP as u8;
pub const ICMPV6: u8 = libc::IPPROTO_ICMPV6 as u8;
/// Protocols whose flows have ports, as the parser of the BPF programs knows them.
const WITH_PORTS: [i32; 5] =
    [libc::IPPROTO_TCP, libc::IPPROTO_UDP, libc::IPPROTO_SCTP, libc::IPPROTO_DCCP, libc::IPPROTO_UDPLITE];

/// Asks for all connections with a bit of the status, in all families. Kernels before 5.15 ignore the bit and name all.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Dump {
    head: [u8; HEAD_BYTES],
    attributes: [Word; 2],
}

/// An attribute whose value is a number in network order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Word {
    length: u16,
    kind: u16,
    value: [u8; 4],
}

impl Dump {
    pub fn new(status: u32) -> Self {
        let word = |kind| Word { length: size_of::<Word>() as u16, kind, value: status.to_be_bytes() };
        Self { head: [0; HEAD_BYTES], attributes: [word(STATUS), word(STATUS_MASK)] }
    }
}

/// A classic BPF program that lets events of translated connections pass: others never wake us.
pub fn only_translated() -> [sock_filter; 8] {
    const NLATTR: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_NLATTR) as u32;
    let op = |code: u32, k, jt, jf| sock_filter { code: code as u16, jt, jf, k };
    [
        // A: where the search for the attribute begins; X: its kind.
        op(libc::BPF_LD | libc::BPF_IMM, (HEADER_BYTES + HEAD_BYTES) as u32, 0, 0),
        op(libc::BPF_LDX | libc::BPF_IMM, STATUS.into(), 0, 0),
        // A: where it stands; 0: there is none, and kind and flags of the message are looked at, which have none of the bits.
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, NLATTR, 0, 0),
        op(libc::BPF_MISC | libc::BPF_TAX, 0, 0, 0),
        op(libc::BPF_LD | libc::BPF_W | libc::BPF_IND, 4, 0, 0),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, SRC_NAT | DST_NAT, 0, 1),
        op(libc::BPF_RET | libc::BPF_K, u32::MAX, 0, 0),
        op(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
    ]
}

/// One end of a connection. The order is that of Community ID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct End {
    /// As in the header; IPv4 in the first four bytes, the rest zero.
    pub address: [u8; 16],
    /// In network order; for ICMP the type that this end sends; otherwise 0.
    pub port: [u8; 2],
}

impl End {
    pub fn new(address: [u64; 2], port: u16) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&address[0].to_ne_bytes());
        bytes[8..].copy_from_slice(&address[1].to_ne_bytes());
        Self { address: bytes, port: port.to_be_bytes() }
    }

    /// The address as it stands in a [`FlowKey`].
    pub fn words(self) -> [u64; 2] {
        let (words, _) = self.address.as_chunks::<8>();
        [u64::from_ne_bytes(words[0]), u64::from_ne_bytes(words[1])]
    }

    pub fn port(self) -> u16 {
        u16::from_be_bytes(self.port)
    }
}

/// A translated connection. Of each pair of ends the first is that of who began it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The kernel's number for it.
    pub id: u32,
    pub zone: u16,
    pub protocol: u8,
    /// As in [`FlowKey`].
    pub family: u8,
    /// As who began it sees it.
    pub original: [End; 2],
    /// As it is on the wire behind the translation.
    pub translated: [End; 2],
}

/// Five-tuple of a flow: both ends in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub ends: [End; 2],
    pub protocol: u8,
    pub family: u8,
}

impl From<&FlowKey> for Tuple {
    fn from(key: &FlowKey) -> Self {
        let ends = [End::new(key.a, key.port_a), End::new(key.b, key.port_b)];
        Self { ends, protocol: key.protocol, family: key.family }
    }
}

impl Connection {
    /// The tuples under which flows of it are seen: before and behind the translation.
    pub fn tuples(&self) -> [Tuple; 2] {
        [self.original, self.translated].map(|[from, to]| {
            let ends = if from.cmp(&to) == Ordering::Greater { [to, from] } else { [from, to] };
            Tuple { ends, protocol: self.protocol, family: self.family }
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// It begins, or a dump found it.
    Begin(Connection),
    End(Connection),
}

/// `None` for what is of no interest: other messages, connections that are not translated, malformed ones.
pub fn read(message: &Message) -> Option<Event> {
    match message.kind {
        NEW => connection(message).map(Event::Begin),
        DELETE => connection(message).map(Event::End),
        _ => None,
    }
}

/// Whether what it tells of has one of these bits of the status.
pub fn has_status(message: &Message, bits: u32) -> bool {
    word(message, STATUS).is_some_and(|status| status & bits != 0)
}

fn word(message: &Message, kind: u16) -> Option<u32> {
    message.attribute(HEAD_BYTES, kind).and_then(|value| value.try_into().ok()).map(u32::from_be_bytes)
}

fn connection(message: &Message) -> Option<Connection> {
    let value = |kind| message.attribute(HEAD_BYTES, kind);
    if !has_status(message, SRC_NAT | DST_NAT) {
        return None;
    }
    let (protocol, family, mut original) = tuple(value(TUPLE_ORIG)?)?;
    let (reply_protocol, reply_family, [answerer, answered]) = tuple(value(TUPLE_REPLY)?)?;
    if (protocol, family) != (reply_protocol, reply_family) {
        return None;
    }
    let mut translated = [answered, answerer];
    if protocol == ICMP || protocol == ICMPV6 {
        // The type stands at its sender.
        original[1].port = answerer.port;
        translated = [End { port: original[0].port, ..answered }, answerer];
    }
    // Such as an ICMP id that was changed: flows do not show it.
    if original == translated {
        return None;
    }
    let zone = value(ZONE).and_then(|value| value.try_into().ok()).map_or(0, u16::from_be_bytes);
    Some(Connection { id: word(message, ID).unwrap_or(0), zone, protocol, family, original, translated })
}

/// Protocol, family, and both ends of one direction.
fn tuple(nested: &[u8]) -> Option<(u8, u8, [End; 2])> {
    let (ip, proto) = (attribute(nested, TUPLE_IP)?, attribute(nested, TUPLE_PROTO)?);
    let &[protocol] = attribute(proto, PROTO_NUM)? else {
        return None;
    };
    let address = |kind: u16| {
        let mut address = [0; 16];
        let value = attribute(ip, kind)?;
        address.get_mut(..value.len())?.copy_from_slice(value);
        Some((address, value.len()))
    };
    let ((source, length), (destination, _), family) = match (address(1), address(2)) {
        (Some(source), Some(destination)) => (source, destination, IPV4),
        _ => (address(3)?, address(4)?, IPV6),
    };
    if length != if family == IPV4 { 4 } else { 16 } {
        return None;
    }
    let byte = |kind| attribute(proto, kind).and_then(|value| <[u8; 1]>::try_from(value).ok());
    let ports = match protocol {
        ICMP => [[0, byte(5)?[0]], [0; 2]],
        ICMPV6 => [[0, byte(8)?[0]], [0; 2]],
        _ if WITH_PORTS.contains(&protocol.into()) => {
            let port = |kind| attribute(proto, kind)?.try_into().ok();
            [port(PROTO_PORTS[0])?, port(PROTO_PORTS[1])?]
        }
        _ => [[0; 2]; 2],
    };
    Some((protocol, family, [End { address: source, port: ports[0] }, End { address: destination, port: ports[1] }]))
}

#[cfg(test)]
mod tests;
