//! Who listens in the watched namespace, as `NETLINK_SOCK_DIAG` tells it (sock_diag(7)).

use crate::{
    error::{Error, Result},
    netlink::{Message, Socket},
    netns::NetNs,
};
use serde::Serialize;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::RangeInclusive,
};

const TCP: u8 = libc::IPPROTO_TCP as u8;
const UDP: u8 = libc::IPPROTO_UDP as u8;
/// States of a socket (net/tcp_states.h): listening, and that of a UDP socket without a peer.
const LISTEN: u8 = 10;
const CLOSE: u8 = 7;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// Attribute of an IPv6 socket: not 0 when it takes no IPv4.
const INET_DIAG_SKV6ONLY: u16 = 11;

/// `struct inet_diag_sockid` (linux/inet_diag.h); ports and addresses in network order.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct SocketId {
    source_port: [u8; 2],
    destination_port: [u8; 2],
    source: [u8; 16],
    destination: [u8; 16],
    interface: u32,
    cookie: [u32; 2],
}

/// `struct inet_diag_req_v2`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Request {
    family: u8,
    protocol: u8,
    extensions: u8,
    pad: u8,
    states: u32,
    id: SocketId,
}

/// `struct inet_diag_msg`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Answer {
    family: u8,
    state: u8,
    timer: u8,
    retransmits: u8,
    id: SocketId,
    figures: [u32; 5],
}

const _: () = assert!(size_of::<Request>() == 56 && size_of::<Answer>() == 72);

/// A socket that takes what comes to its port.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// IP protocol number.
    pub protocol: u8,
    pub port: u16,
    /// `0.0.0.0` and `::` are all of their family.
    pub address: String,
    /// An IPv6 socket on all addresses that takes IPv4 too.
    pub dual: bool,
}

pub struct Listeners {
    socket: Socket,
    /// Ports that the kernel gives to clients. A UDP socket without a peer on one of them is most likely a client that
    /// does not connect its socket, such as a resolver.
    client_ports: RangeInclusive<u16>,
}

impl Listeners {
    pub fn open(netns: &NetNs) -> Result<Self> {
        netns.run(|| Ok(Self { socket: Socket::open(libc::NETLINK_SOCK_DIAG, 0)?, client_ports: client_ports() }))
    }

    /// All that listen now.
    pub fn list(&self) -> Result<Vec<Listener>> {
        let mut found = Vec::new();
        for (protocol, state) in [(TCP, LISTEN), (UDP, CLOSE)] {
            for family in [libc::AF_INET, libc::AF_INET6] {
                let states = 1 << state;
                let request =
                    Request { family: family as u8, protocol, extensions: 0, pad: 0, states, id: SocketId::default() };
                let take = |message: &Message| found.extend(self.listener(protocol, message));
                self.socket
                    .ask(SOCK_DIAG_BY_FAMILY, libc::NLM_F_DUMP, &request, take)
                    .map_err(|error| Error::io("cannot ask who listens", &error))?;
            }
        }
        Ok(found)
    }

    fn listener(&self, protocol: u8, message: &Message) -> Option<Listener> {
        let answer = message.head::<Answer>()?;
        let port = u16::from_be_bytes(answer.id.source_port);
        let is_client = protocol == UDP
            && (u16::from_be_bytes(answer.id.destination_port) != 0 || self.client_ports.contains(&port));
        if port == 0 || is_client {
            return None;
        }
        let v6_only = message.attribute(size_of::<Answer>(), INET_DIAG_SKV6ONLY).is_some_and(|value| value != [0]);
        let address = address(i32::from(answer.family), answer.id.source);
        let dual = address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && !v6_only;
        Some(Listener { protocol, port, address: address.to_string(), dual })
    }
}

/// An IPv4 address in the IPv6 socket that is bound to it is an IPv4 address.
fn address(family: i32, bytes: [u8; 16]) -> IpAddr {
    if family == libc::AF_INET6 {
        return Ipv6Addr::from(bytes).to_canonical();
    }
    let [a, b, c, d, ..] = bytes;
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

/// `net.ipv4.ip_local_port_range` of the current thread's namespace, or its default when it cannot be read.
fn client_ports() -> RangeInclusive<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) => first..=last,
        _ => 32768..=60999,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn at(port: u16) -> Vec<(u8, String, bool)> {
        let listeners = Listeners::open(&NetNs::open("self").unwrap()).unwrap();
        let found = listeners.list().unwrap().into_iter().filter(|listener| listener.port == port);
        found.map(|listener| (listener.protocol, listener.address, listener.dual)).collect()
    }

    #[test]
    fn who_listens_is_found_until_it_is_closed() {
        for (bound, address, dual) in
            [("127.0.0.1:0", "127.0.0.1", false), ("0.0.0.0:0", "0.0.0.0", false), ("[::]:0", "::", true)]
        {
            let socket = TcpListener::bind(bound).unwrap();
            let port = socket.local_addr().unwrap().port();
            assert_eq!(at(port), [(TCP, address.into(), dual)]);
            drop(socket);
            assert_eq!(at(port), []);
        }
    }

    #[test]
    fn of_udp_sockets_servers_listen_and_clients_do_not() {
        // Below the ports that the kernel gives away.
        let server = (20_000..20_100).find_map(|port| UdpSocket::bind(("127.0.0.1", port)).ok()).unwrap();
        let port = server.local_addr().unwrap().port();
        assert_eq!(at(port), [(UDP, "127.0.0.1".into(), false)]);
        server.connect("127.0.0.1:9").unwrap();
        assert_eq!(at(port), []);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(at(client.local_addr().unwrap().port()), []);
    }
}
