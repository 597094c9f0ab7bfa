//! The receiving side.

use crate::args::Args;
use crate::net;
use crate::Outcome;
use std::io::{Read, Result, Write};
use std::net::{Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;

/// Bytes of a TCP request's head: its own length and the reply's, both as big-endian `u32`.
pub const HEAD: usize = 8;
/// Largest UDP payload that a reply may have.
pub const MAX_DATAGRAM: usize = 65_507;

const UDP_THREADS: usize = 2;

fn ready_until_eof(summary: &str) -> Outcome {
    println!("ready");
    std::io::stdout().flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(summary.to_owned())
}

fn answer_datagrams(socket: &UdpSocket) -> Result<()> {
    let mut buffer = vec![0u8; MAX_DATAGRAM];
    let zeros = vec![0u8; MAX_DATAGRAM];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        let wanted = buffer[..length].first_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize);
        if wanted > 0 {
            socket.send_to(&zeros[..wanted.min(MAX_DATAGRAM)], peer)?;
        }
    }
}

fn answer_stream(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    let mut head = [0u8; HEAD];
    let mut buffer = Vec::new();
    while stream.read_exact(&mut head).is_ok() {
        let request = u32::from_be_bytes(*head.first_chunk().expect("head holds 8 bytes")) as usize;
        let reply = u32::from_be_bytes(*head.last_chunk().expect("head holds 8 bytes")) as usize;
        buffer.resize(request.max(reply), 0);
        stream.read_exact(&mut buffer[..request - HEAD])?;
        stream.write_all(&buffer[..reply])?;
    }
    Ok(())
}

/// Answers each UDP request with one datagram and each TCP request with as many bytes as it asks for.
pub fn serve(args: &Args) -> Outcome {
    let port: u16 = args.required("port")?;
    // The IPv6 wildcard takes IPv4 too.
    let udp = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port))?;
    let tcp = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?;
    for _ in 0..UDP_THREADS {
        let socket = udp.try_clone()?;
        thread::spawn(move || {
            // A peer that is gone (ECONNREFUSED) must not end the server.
            while answer_datagrams(&socket).is_err() {}
        });
    }
    thread::spawn(move || {
        for stream in tcp.incoming().flatten() {
            thread::spawn(move || answer_stream(stream));
        }
    });
    ready_until_eof("{}")
}

/// Holds UDP ports open and never reads: packets are accepted, dropped at the full socket, and cause no ICMP error.
pub fn sink(args: &Args) -> Outcome {
    let port: u16 = args.required("port")?;
    let ports: u16 = args.required("ports")?;
    let mut sockets = Vec::new();
    for number in port..port + ports {
        let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, number))?;
        net::shrink_receive_buffer(&socket)?;
        sockets.push(socket);
    }
    ready_until_eof("{}")
}
