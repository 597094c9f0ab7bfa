//! Attempts to connect that nobody wants.

use crate::args::Args;
use crate::net;
use crate::Outcome;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

/// Tries `--ports` TCP ports from `--port` on, each from a source port of its own, and counts what became of it.
pub fn scan(args: &Args) -> Outcome {
    let to: IpAddr = args.required("to")?;
    let first: u16 = args.required("port")?;
    let ports: u16 = args.or("ports", 1)?;
    let source: u16 = args.required("source-port")?;
    let (mut open, mut refused) = (0, 0);
    for offset in 0..ports {
        let socket = net::bound_socket(to, libc::SOCK_STREAM, 0, source + offset)?;
        match net::connect(&socket, SocketAddr::new(to, first + offset)) {
            Ok(()) => open += 1,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => refused += 1,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(format!("{{\"open\":{open},\"refused\":{refused}}}"))
}
