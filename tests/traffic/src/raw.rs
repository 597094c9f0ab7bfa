//! Packets of a protocol given by number, and ICMP echo.

use crate::args::Args;
use crate::net::{self, Batch};
use crate::Outcome;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

const ECHO_WAIT: Duration = Duration::from_secs(5);
const ICMP_HEAD: usize = 8;
const ECHO_REQUEST_V4: u8 = 8;
const ECHO_REPLY_V4: u8 = 0;
const ECHO_REQUEST_V6: u8 = 128;
const ECHO_REPLY_V6: u8 = 129;

/// Sends `--packets` IP packets with `--size` bytes behind the IP header.
pub fn raw(args: &Args) -> Outcome {
    let to: IpAddr = args.required("to")?;
    let packets: usize = args.required("packets")?;
    let socket = net::bound_socket(to, libc::SOCK_RAW, args.required("protocol")?, 0)?;
    net::connect(&socket, SocketAddr::new(to, 0))?;
    let mut batch = Batch::new(1, args.or("size", 64)?);
    let mut sent = 0;
    while sent < packets {
        match batch.send(&socket, 1) {
            Ok(taken) => sent += taken,
            // The peer's ICMP error for the packet before, told once; this one was not sent.
            Err(error)
                if [libc::ECONNREFUSED, libc::ENOPROTOOPT, libc::EPROTO]
                    .contains(&error.raw_os_error().unwrap_or(0)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!("{{\"sent\":{sent}}}"))
}

/// RFC 1071: one's complement sum of 16-bit words.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Sends `--count` echo requests, each after the reply to the one before.
pub fn ping(args: &Args) -> Outcome {
    let to: IpAddr = args.required("to")?;
    let count: u16 = args.required("count")?;
    let size: usize = args.or("size", 56)?;
    let (protocol, request, reply) = match to {
        IpAddr::V4(_) => (libc::IPPROTO_ICMP, ECHO_REQUEST_V4, ECHO_REPLY_V4),
        IpAddr::V6(_) => (libc::IPPROTO_ICMPV6, ECHO_REQUEST_V6, ECHO_REPLY_V6),
    };
    let socket = net::bound_socket(to, libc::SOCK_RAW, protocol, 0)?;
    net::connect(&socket, SocketAddr::new(to, 0))?;
    // Only send and receive are used, which raw sockets have as well.
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(ECHO_WAIT))?;
    let id = std::process::id() as u16;
    let mut buffer = vec![0u8; 65_536];
    for sequence in 1..=count {
        let mut packet = vec![0u8; ICMP_HEAD + size];
        packet[0] = request;
        packet[4..6].copy_from_slice(&id.to_be_bytes());
        packet[6..8].copy_from_slice(&sequence.to_be_bytes());
        if to.is_ipv4() {
            // For ICMPv6 the kernel fills in the checksum.
            let sum = checksum(&packet);
            packet[2..4].copy_from_slice(&sum.to_be_bytes());
        }
        socket.send(&packet)?;
        loop {
            let length = socket.recv(&mut buffer).map_err(|error| format!("no echo reply {sequence}: {error}"))?;
            // A raw IPv4 socket also delivers the IP header.
            let head = if to.is_ipv4() { usize::from(buffer[0] & 15) * 4 } else { 0 };
            let answer = &buffer[head..length];
            if answer.len() >= ICMP_HEAD && answer[0] == reply && answer[4..8] == packet[4..8] {
                break;
            }
        }
    }
    Ok(format!("{{\"sent\":{count},\"received\":{count}}}"))
}
