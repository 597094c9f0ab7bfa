//! Frames made by the test, byte for byte, put on interfaces of several network namespaces at chosen times.

use crate::args::Args;
use crate::net;
use crate::Outcome;
use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, Error};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

/// An `AF_PACKET` socket on `NAMESPACE_PATH:INTERFACE`; it takes no packet in.
fn open(place: &str) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let (namespace, interface) = place.rsplit_once(':').ok_or_else(|| format!("\"{place}\" has no interface"))?;
    let file = File::open(namespace).map_err(|error| format!("{namespace}: {error}"))?;
    // SAFETY: the descriptor is that of an open namespace file; this program has one thread.
    net::check(unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) })?;
    let text = CString::new(interface)?;
    // SAFETY: the name is a C string.
    let ifindex = unsafe { libc::if_nametoindex(text.as_ptr()) };
    if ifindex == 0 {
        return Err(format!("no interface \"{interface}\" in {namespace}").into());
    }
    // SAFETY: plain system call; the new descriptor is owned by nobody else.
    let fd = unsafe {
        OwnedFd::from_raw_fd(net::check(libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0))?)
    };
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as libc::c_ushort;
    address.sll_ifindex = ifindex as libc::c_int;
    // SAFETY: pointer and length describe the address above.
    net::check(unsafe {
        libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size_of::<libc::sockaddr_ll>() as libc::socklen_t)
    })?;
    Ok(fd)
}

fn from_hex(text: &str) -> Result<Vec<u8>, String> {
    let pair = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    (0..text.len()).step_by(2).map(|at| pair(at).ok_or_else(|| format!("no hex digits at {at}"))).collect()
}

/// Sends the frames of standard input, one per line: `<place> <milliseconds after the start> <hex>`, in that order. A frame that
/// is late makes all that follow as late, so that no time between two is shorter than it should be.
///
/// `--places` lists `NAMESPACE_PATH:INTERFACE,…`, which the lines name by number from 0.
pub fn play(args: &Args) -> Outcome {
    let places: String = args.required("places")?;
    let sockets = places.split(',').map(open).collect::<Result<Vec<_>, _>>()?;
    let mut started = Instant::now();
    let mut sent = 0;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let [place, at_ms, hex] = words[..] else { return Err(format!("not a line of frames: {line}").into()) };
        let socket = sockets.get(place.parse::<usize>()?).ok_or_else(|| format!("no place {place}"))?;
        let frame = from_hex(hex)?;
        let due = Duration::from_millis(at_ms.parse()?);
        thread::sleep((started + due).saturating_duration_since(Instant::now()));
        // SAFETY: pointer and length describe the frame.
        let taken = unsafe { libc::send(socket.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if taken != frame.len() as isize {
            return Err(format!("frame {sent}: {}", Error::last_os_error()).into());
        }
        started = Instant::now() - due;
        sent += 1;
    }
    Ok(format!("{{\"sent\":{sent}}}"))
}
