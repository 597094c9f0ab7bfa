//! The few system calls that `std::net` lacks: bind before connect, sendmmsg, raw sockets, CPU affinity.

use std::io::{Error, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A socket address as the kernel wants it.
pub struct RawAddress {
    storage: libc::sockaddr_storage,
    length: libc::socklen_t,
}

impl From<SocketAddr> for RawAddress {
    fn from(address: SocketAddr) -> Self {
        // SAFETY: all-zero bytes are a valid `sockaddr_storage`.
        let mut storage: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let length = match address {
            SocketAddr::V4(v4) => {
                let raw = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: v4.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                    sin_zero: [0; 8],
                };
                // SAFETY: `sockaddr_storage` is at least as large and as aligned as every socket address type.
                unsafe { std::ptr::write((&raw mut storage).cast(), raw) };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(v6) => {
                let raw = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: v6.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                    sin6_scope_id: v6.scope_id(),
                };
                // SAFETY: as above.
                unsafe { std::ptr::write((&raw mut storage).cast(), raw) };
                size_of::<libc::sockaddr_in6>()
            }
        };
        Self { storage, length: length as libc::socklen_t }
    }
}

/// The result of a system call, or why it failed.
pub fn check(result: libc::c_int) -> Result<libc::c_int> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The address that stands for "any" in the family of `peer`.
pub fn any_of(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

fn family(address: IpAddr) -> libc::c_int {
    if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    }
}

/// A socket of `kind` (`SOCK_STREAM`, …) bound to `source_port` on any address, ready to reach `peer`.
pub fn bound_socket(peer: IpAddr, kind: libc::c_int, protocol: libc::c_int, source_port: u16) -> Result<OwnedFd> {
    // SAFETY: plain system call; the new descriptor is owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(check(libc::socket(family(peer), kind | libc::SOCK_CLOEXEC, protocol))?) };
    let one: libc::c_int = 1;
    // SAFETY: pointer and length describe the integer above.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_REUSEADDR,
            (&raw const one).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    if kind != libc::SOCK_RAW {
        let local = RawAddress::from(SocketAddr::new(any_of(peer), source_port));
        // SAFETY: pointer and length describe the address above.
        check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const local.storage).cast(), local.length) })?;
    }
    Ok(fd)
}

/// Connects `fd`, so that `send` needs no address.
pub fn connect(fd: &OwnedFd, peer: SocketAddr) -> Result<()> {
    let peer = RawAddress::from(peer);
    // SAFETY: pointer and length describe the address above.
    check(unsafe { libc::connect(fd.as_raw_fd(), (&raw const peer.storage).cast(), peer.length) })?;
    Ok(())
}

/// Sets the receive buffer to the kernel's minimum, so that a socket nobody reads holds almost no memory.
pub fn shrink_receive_buffer(fd: &impl AsRawFd) -> Result<()> {
    let size: libc::c_int = 1;
    // SAFETY: pointer and length describe the integer above.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUF,
            (&raw const size).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })?;
    Ok(())
}

/// Up to `capacity` datagrams with the same payload that go to the kernel in one call.
pub struct Batch {
    addresses: Vec<RawAddress>,
    parts: Vec<libc::iovec>,
    messages: Vec<libc::mmsghdr>,
    /// Owned here because `parts` point into it.
    _payload: Vec<u8>,
}

impl Batch {
    /// Datagrams of `size` zero bytes; without addresses they go to the connected peer.
    pub fn new(capacity: usize, size: usize) -> Self {
        let mut payload = vec![0u8; size];
        let part = libc::iovec { iov_base: payload.as_mut_ptr().cast(), iov_len: size };
        let mut parts = vec![part; capacity];
        let messages = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: all-zero bytes are a valid `mmsghdr`.
                let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
                message
            })
            .collect();
        Self { addresses: Vec::with_capacity(capacity), parts, messages, _payload: payload }
    }

    /// Addresses the first datagrams, as many as there are peers.
    pub fn address(&mut self, peers: impl Iterator<Item = SocketAddr>) {
        self.addresses.clear();
        self.addresses.extend(peers.take(self.parts.len()).map(RawAddress::from));
        for (message, address) in self.messages.iter_mut().zip(&mut self.addresses) {
            message.msg_hdr.msg_name = (&raw mut address.storage).cast();
            message.msg_hdr.msg_namelen = address.length;
        }
    }

    /// Sends the first `count` datagrams and says how many the kernel took.
    pub fn send(&mut self, fd: &OwnedFd, count: usize) -> Result<usize> {
        let count = count.min(self.messages.len()) as libc::c_uint;
        // SAFETY: every message points at an iovec, a payload and an address that live as long as `self`.
        let sent = check(unsafe { libc::sendmmsg(fd.as_raw_fd(), self.messages.as_mut_ptr(), count, 0) })?;
        Ok(sent as usize)
    }
}

/// Ties this thread to a CPU, counted modulo those there are.
pub fn pin_to_cpu(index: usize) -> Result<()> {
    let cpus = std::thread::available_parallelism()?.get();
    // SAFETY: all-zero bytes are an empty `cpu_set_t`; the macro-like helpers stay inside it.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(index % cpus, &mut set);
        check(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set))?;
    }
    Ok(())
}
