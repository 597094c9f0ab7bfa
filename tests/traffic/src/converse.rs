//! Many short conversations through real sockets, each from a source port of its own.

use crate::args::Args;
use crate::net;
use crate::serve::{HEAD, MAX_DATAGRAM};
use crate::Outcome;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Nothing is lost between namespaces: a reply that is late waits for the processor, and a request repeated is one more packet.
const UDP_WAIT: Duration = Duration::from_secs(10);
const UDP_TRIES: u32 = 6;

struct Plan {
    peer: SocketAddr,
    rounds: u32,
    request: usize,
    reply: usize,
    gap: Duration,
}

fn talk_tcp(plan: &Plan, source_port: u16) -> Result<u64> {
    let socket = net::bound_socket(plan.peer.ip(), libc::SOCK_STREAM, 0, source_port)?;
    net::connect(&socket, plan.peer)?;
    let mut stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    let request_bytes = plan.request.max(HEAD);
    let mut request = vec![0u8; request_bytes];
    request[..4].copy_from_slice(&(request_bytes as u32).to_be_bytes());
    request[4..HEAD].copy_from_slice(&(plan.reply as u32).to_be_bytes());
    let mut reply = vec![0u8; plan.reply];
    for round in 0..plan.rounds {
        if round > 0 {
            thread::sleep(plan.gap);
        }
        stream.write_all(&request)?;
        stream.read_exact(&mut reply)?;
    }
    Ok(0)
}

/// Returns how many requests had to be repeated.
fn talk_udp(plan: &Plan, source_port: u16) -> Result<u64> {
    let socket = net::bound_socket(plan.peer.ip(), libc::SOCK_DGRAM, 0, source_port)?;
    net::connect(&socket, plan.peer)?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(UDP_WAIT))?;
    let mut request = vec![0u8; plan.request.max(4)];
    request[..4].copy_from_slice(&(plan.reply as u32).to_be_bytes());
    let mut reply = vec![0u8; MAX_DATAGRAM];
    let mut repeated = 0;
    for round in 0..plan.rounds {
        if round > 0 {
            thread::sleep(plan.gap);
        }
        socket.send(&request)?;
        let mut tries = 1;
        while plan.reply > 0 && socket.recv(&mut reply).is_err() {
            if tries == UDP_TRIES {
                return Err(Error::new(ErrorKind::TimedOut, format!("no reply to port {source_port}")));
            }
            tries += 1;
            repeated += 1;
            socket.send(&request)?;
        }
    }
    Ok(repeated)
}

/// Runs `--flows` conversations, `--concurrency` at a time, on all CPUs.
pub fn converse(args: &Args) -> Outcome {
    let to: IpAddr = args.required("to")?;
    let plan = Plan {
        peer: SocketAddr::new(to, args.required("port")?),
        rounds: args.or("rounds", 1)?,
        request: args.or("request", 100)?,
        reply: args.or("reply", 200)?,
        gap: Duration::from_millis(args.or("gap-ms", 0)?),
    };
    let flows: u64 = args.required("flows")?;
    let first: u16 = args.required("source-port")?;
    let concurrency: usize = args.or("concurrency", 2)?;
    let talk = match args.required::<String>("protocol")?.as_str() {
        "tcp" => talk_tcp,
        "udp" => talk_udp,
        other => return Err(format!("--protocol {other}: use tcp or udp").into()),
    };
    if u64::from(first) + flows > 65_536 {
        return Err(format!("--flows {flows} from port {first} needs ports above 65535").into());
    }
    let next = AtomicU64::new(0);
    let repeated = AtomicU64::new(0);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..concurrency)
            .map(|index| {
                scope.spawn({
                    let (next, repeated, plan) = (&next, &repeated, &plan);
                    move || -> Result<()> {
                        net::pin_to_cpu(index)?;
                        loop {
                            let flow = next.fetch_add(1, Ordering::Relaxed);
                            if flow >= flows {
                                return Ok(());
                            }
                            let port = first + flow as u16;
                            let more = talk(plan, port)
                                .map_err(|error| Error::new(error.kind(), format!("source port {port}: {error}")))?;
                            repeated.fetch_add(more, Ordering::Relaxed);
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("a worker does not panic"))
    })?;
    Ok(format!("{{\"flows\":{flows},\"repeated\":{}}}", repeated.into_inner()))
}
