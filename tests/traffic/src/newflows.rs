//! New UDP flows at a steady rate: every datagram has a five-tuple that was not there before.

use crate::args::Args;
use crate::net::{self, Batch};
use crate::Outcome;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

const TICK: Duration = Duration::from_millis(1);
const BATCH: usize = 64;
/// Addresses in the /16 that the datagrams go to; past them the next destination port follows.
const ADDRESSES: u64 = 65_536;

fn destination(first: Ipv4Addr, port: u16, flow: u64) -> SocketAddr {
    let address = Ipv4Addr::from_bits(first.to_bits() + (flow % ADDRESSES) as u32);
    SocketAddr::new(IpAddr::V4(address), port + (flow / ADDRESSES) as u16)
}

/// Sends one datagram per flow, as many as the clock allows, and prints how many flows there really were.
pub fn newflows(args: &Args) -> Outcome {
    let first: Ipv4Addr = args.required("to")?;
    let port: u16 = args.required("port")?;
    let rate: f64 = args.required("rate")?;
    let seconds: f64 = args.required("seconds")?;
    let socket = net::bound_socket(first.into(), libc::SOCK_DGRAM, 0, args.required("source-port")?)?;
    let mut batch = Batch::new(BATCH, args.or("size", 18)?);
    let total = (rate * seconds).round() as u64;
    let started = Instant::now();
    let mut sent = 0;
    let mut refused = 0u64;
    while sent < total {
        let elapsed = started.elapsed().as_secs_f64();
        let due = total.min((rate * elapsed) as u64);
        if sent == due {
            thread::sleep(TICK);
            continue;
        }
        let count = BATCH.min((due - sent) as usize);
        batch.address((sent..sent + count as u64).map(|flow| destination(first, port, flow)));
        match batch.send(&socket, count) {
            Ok(taken) => sent += taken as u64,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let achieved = sent as f64 / seconds;
    Ok(format!("{{\"flows\":{sent},\"refused\":{refused},\"seconds\":{seconds:.3},\"rate\":{achieved:.0}}}"))
}
