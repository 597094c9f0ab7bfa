//! As much of netlink (RFC 3549) as is needed here.

use crate::error::{Error, Result};
use libc::{nlmsghdr, sockaddr_nl};
use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    ptr,
};

const ALIGN: usize = 4;
/// The kernel makes dumps in parts of at most this.
const BUFFER_BYTES: usize = 32 * 1024;
pub const HEADER_BYTES: usize = size_of::<nlmsghdr>();
/// Of an attribute's kind, without the bits that say what its value is made of.
const ATTRIBUTE_KIND: u16 = 0x3fff;

/// One message without its header.
pub struct Message<'a> {
    pub kind: u16,
    pub body: &'a [u8],
}

impl Message<'_> {
    /// The struct at the beginning of the body; `None` when the message is too short for it.
    pub fn head<T: Copy>(&self) -> Option<T> {
        // SAFETY: the callers ask for structs of integers, and enough bytes are there.
        (self.body.len() >= size_of::<T>()).then(|| unsafe { self.body.as_ptr().cast::<T>().read_unaligned() })
    }

    /// The value of an attribute that follows a head of `head_bytes`.
    pub fn attribute(&self, head_bytes: usize, wanted: u16) -> Option<&[u8]> {
        attribute(self.body.get(head_bytes.next_multiple_of(ALIGN)..)?, wanted)
    }
}

/// The value of one of the attributes that stand one after the other.
pub fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    while rest.len() >= ALIGN {
        let field = |at: usize| u16::from_ne_bytes([rest[at], rest[at + 1]]);
        let (length, kind) = (usize::from(field(0)), field(2) & ATTRIBUTE_KIND);
        let value = rest.get(ALIGN..length)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(ALIGN)..)?;
    }
    None
}

/// The messages in a datagram; one that is cut ends them.
pub fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        // SAFETY: nlmsghdr is integers, and enough bytes are there.
        let header =
            (rest.len() >= HEADER_BYTES).then(|| unsafe { rest.as_ptr().cast::<nlmsghdr>().read_unaligned() })?;
        let body = rest.get(HEADER_BYTES..header.nlmsg_len as usize)?;
        rest = rest.get((header.nlmsg_len as usize).next_multiple_of(ALIGN)..).unwrap_or_default();
        Some(Message { kind: header.nlmsg_type, body })
    })
}

/// A socket of the namespace in which it was opened, wherever it is used.
pub struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// `groups`: bits of the multicast groups to listen to.
    pub fn open(protocol: i32, groups: u32) -> Result<Self> {
        // SAFETY: makes a descriptor.
        let fd = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol) };
        if fd < 0 {
            return Err(Error::last_os("cannot open a netlink socket"));
        }
        // SAFETY: a new descriptor that nobody else owns.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_nl is integers.
        let mut address: sockaddr_nl = unsafe { mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as u16;
        address.nl_groups = groups;
        // SAFETY: a valid address of that length.
        if unsafe { libc::bind(fd, (&raw const address).cast(), size_of::<sockaddr_nl>() as u32) } != 0 {
            return Err(Error::last_os("cannot listen to netlink events"));
        }
        Ok(Self(socket))
    }

    /// Lets the kernel drop messages to this socket that a classic BPF program returns 0 for.
    pub fn filter(&self, program: &[libc::sock_filter]) -> Result<()> {
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
        self.set(libc::SO_ATTACH_FILTER, &program).map_err(|error| Error::io("cannot filter netlink events", &error))
    }

    /// Lets so much wait in the socket, or as much as this user may.
    pub fn set_receive_buffer(&self, bytes: i32) {
        if self.set(libc::SO_RCVBUFFORCE, &bytes).is_err() {
            // The default stays where even this is refused.
            let _ = self.set(libc::SO_RCVBUF, &bytes);
        }
    }

    fn set<T>(&self, option: i32, value: &T) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        // SAFETY: a valid descriptor and a value of that size.
        let code = unsafe {
            libc::setsockopt(fd, libc::SOL_SOCKET, option, ptr::from_ref(value).cast(), size_of::<T>() as u32)
        };
        if code == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The next datagram, if one waits. `ENOBUFS`: the kernel had no room for some before it.
    pub fn next(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.receive(buffer, libc::MSG_DONTWAIT) {
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn receive(&self, buffer: &mut [u8], flags: i32) -> io::Result<usize> {
        loop {
            // SAFETY: a valid descriptor and buffer.
            let count = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), flags) };
            match usize::try_from(count) {
                Ok(count) => return Ok(count),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }

    #[cfg(test)]
    pub fn send_to_itself(&self, datagram: &[u8]) -> io::Result<()> {
        let fd = self.0.as_raw_fd();
        // SAFETY: sockaddr_nl is integers.
        let mut address: sockaddr_nl = unsafe { mem::zeroed() };
        let mut length = size_of::<sockaddr_nl>() as u32;
        // SAFETY: a valid descriptor, and a place of that length for its address.
        unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut length) };
        // SAFETY: as above, and a buffer of that length.
        let sent = unsafe {
            libc::sendto(fd, datagram.as_ptr().cast(), datagram.len(), 0, (&raw const address).cast(), length)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Throws away all that waits, which for a listener to groups means: something has happened.
    pub fn drain(&self) -> io::Result<()> {
        let mut buffer = [0; 8];
        loop {
            match self.receive(&mut buffer, libc::MSG_DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // ENOBUFS: the kernel had no room for some events. That they were there is all we need to know.
                Err(error) if error.raw_os_error() != Some(libc::ENOBUFS) => return Err(error),
                _ => {}
            }
        }
    }

    /// Asks, and gives every message of the answer to `take`. A refusal is the error that the kernel names.
    pub fn ask<T: Copy>(&self, kind: u16, flags: i32, request: &T, mut take: impl FnMut(&Message)) -> io::Result<()> {
        let length = HEADER_BYTES + size_of::<T>();
        let header = nlmsghdr {
            nlmsg_len: length as u32,
            nlmsg_type: kind,
            nlmsg_flags: (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16,
            nlmsg_seq: 1,
            nlmsg_pid: 0,
        };
        let mut question = vec![0u8; length];
        // SAFETY: both are plain and fit.
        unsafe {
            question.as_mut_ptr().cast::<nlmsghdr>().write_unaligned(header);
            question.as_mut_ptr().add(HEADER_BYTES).cast::<T>().write_unaligned(*request);
        }
        // SAFETY: a valid descriptor and buffer.
        if unsafe { libc::send(self.0.as_raw_fd(), question.as_ptr().cast(), length, 0) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let count = self.receive(&mut buffer, 0)?;
            for message in messages(&buffer[..count]) {
                match i32::from(message.kind) {
                    libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                        // Both begin with a negative error number, or 0.
                        return match message.head::<i32>() {
                            Some(0) | None => Ok(()),
                            Some(code) => Err(io::Error::from_raw_os_error(-code)),
                        };
                    }
                    _ => take(&message),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_BYTES + body.len()) as u32;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(ALIGN), 0);
        bytes
    }

    #[test]
    fn messages_follow_each_other_aligned() {
        let bytes = [message(16, &[1, 0, 0, 0, 9]), message(17, &[2, 0, 0, 0])].concat();
        let found: Vec<_> = messages(&bytes).map(|message| (message.kind, message.head::<u32>())).collect();
        assert_eq!(found, [(16, Some(1)), (17, Some(2))]);
    }

    #[test]
    fn what_is_cut_ends_the_messages() {
        let bytes = message(16, &[1, 2, 3, 4]);
        for length in 0..bytes.len() {
            assert_eq!(messages(&bytes[..length]).count(), 0, "{length}");
        }
        // A length below that of the header.
        assert_eq!(messages(&[3; HEADER_BYTES]).count(), 0);
        assert_eq!(messages(&[0; HEADER_BYTES]).count(), 0);
        assert_eq!(Message { kind: 1, body: &[1, 2] }.head::<u32>(), None);
    }

    #[test]
    fn attributes_are_found_behind_the_head() {
        let body = [7, 7, 7, 7, 5, 0, 1, 0, 42, 0, 0, 0, 8, 0, 11, 0, 1, 2, 3, 4];
        let message = Message { kind: 1, body: &body };
        assert_eq!(message.attribute(4, 1), Some(&[42][..]));
        assert_eq!(message.attribute(4, 11), Some(&[1, 2, 3, 4][..]));
        assert_eq!(message.attribute(4, 12), None);
        assert_eq!(Message { kind: 1, body: &body[..18] }.attribute(4, 11), None);
        // A length that leads nowhere.
        assert_eq!(Message { kind: 1, body: &[0, 0, 9, 0] }.attribute(0, 1), None);
    }

    #[test]
    fn the_kernel_answers_and_refuses() {
        let socket = Socket::open(libc::NETLINK_ROUTE, 0).unwrap();
        // SAFETY: ifinfomsg is integers.
        let mut request: libc::ifinfomsg = unsafe { mem::zeroed() };
        let mut links = 0;
        socket.ask(libc::RTM_GETLINK, libc::NLM_F_DUMP, &request, |_| links += 1).unwrap();
        assert!(links > 0);
        request.ifi_index = i32::MAX;
        let error = socket.ask(libc::RTM_GETLINK, 0, &request, |_| {}).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
