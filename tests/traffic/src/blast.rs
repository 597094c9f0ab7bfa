//! UDP at full rate: several threads on several CPUs send into the same flows.

use crate::args::Args;
use crate::net::{self, Batch};
use crate::Outcome;
use std::io::Result;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

struct Plan {
    burst: usize,
    size: usize,
    pause: Duration,
    packets: u64,
    end: Option<Instant>,
}

struct Flow {
    socket: OwnedFd,
    source_port: u16,
    sent: AtomicU64,
}

/// One thread: a burst into one flow after the other, starting at `index`; returns how often the kernel refused.
fn send(plan: &Plan, flows: &[Flow], index: usize, stop: &AtomicBool) -> Result<u64> {
    net::pin_to_cpu(index)?;
    let mut batch = Batch::new(plan.burst, plan.size);
    let mut left = plan.packets;
    let mut refused = 0;
    for flow in flows.iter().cycle().skip(index % flows.len()) {
        let over = plan.end.is_some_and(|end| Instant::now() >= end) || stop.load(Ordering::Relaxed);
        if left == 0 || over {
            break;
        }
        match batch.send(&flow.socket, left.min(plan.burst as u64) as usize) {
            Ok(sent) => {
                flow.sent.fetch_add(sent as u64, Ordering::Relaxed);
                left -= sent as u64;
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => refused += 1,
            Err(error) => return Err(error),
        }
        if !plan.pause.is_zero() {
            thread::sleep(plan.pause);
        }
    }
    Ok(refused)
}

/// Sends from `--threads` threads into `--flows` flows and prints what the kernel took, per source port.
///
/// A device without a queue (veth) shows each datagram that `sendmmsg` took to the egress hook at once, so these
/// numbers are the truth there.
pub fn blast(args: &Args) -> Outcome {
    let to: IpAddr = args.required("to")?;
    let peer = SocketAddr::new(to, args.required("port")?);
    let first: u16 = args.required("source-port")?;
    let flow_count: u16 = args.or("flows", 1)?;
    let threads: usize = args.or("threads", 2)?;
    let seconds: f64 = args.or("seconds", 0.0)?;
    let until_eof = args.or("until-eof", 0)? == 1;
    let packets: u64 = args.or("packets", if seconds > 0.0 || until_eof { u64::MAX } else { 0 })?;
    let started = Instant::now();
    let plan = Plan {
        burst: args.or("burst", 64)?,
        size: args.or("size", 18)?,
        pause: Duration::from_micros(args.or("pause-us", 0)?),
        packets,
        end: (seconds > 0.0).then(|| started + Duration::from_secs_f64(seconds)),
    };
    let flows = (first..first + flow_count)
        .map(|source_port| {
            let socket = net::bound_socket(to, libc::SOCK_DGRAM, 0, source_port)?;
            net::connect(&socket, peer)?;
            Ok(Flow { socket, source_port, sent: AtomicU64::new(0) })
        })
        .collect::<Result<Vec<_>>>()?;
    let stop: &'static AtomicBool = Box::leak(Box::new(AtomicBool::new(false)));
    if until_eof {
        thread::spawn(|| {
            let read = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            stop.store(true, Ordering::Relaxed);
            read
        });
    }
    let refused = thread::scope(|scope| {
        let (plan, flows) = (&plan, &flows);
        let workers: Vec<_> = (0..threads).map(|index| scope.spawn(move || send(plan, flows, index, stop))).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum::<Result<u64>>()
    })?;
    let seconds = started.elapsed().as_secs_f64();
    let sent: u64 = flows.iter().map(|flow| flow.sent.load(Ordering::Relaxed)).sum();
    let per_port: Vec<String> =
        flows.iter().map(|flow| format!("[{},{}]", flow.source_port, flow.sent.load(Ordering::Relaxed))).collect();
    Ok(format!("{{\"sent\":{sent},\"refused\":{refused},\"seconds\":{seconds:.3},\"ports\":[{}]}}", per_port.join(",")))
}
