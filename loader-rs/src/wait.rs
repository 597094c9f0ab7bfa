//! Waiting for a descriptor, and ending such a wait from another thread.

use crate::error::{Error, Result};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

pub const TIMED_OUT: i32 = 0;
pub const READY: i32 = 1;
pub const WOKEN: i32 = 2;

/// Something that another thread can end a wait with.
pub fn eventfd() -> Result<OwnedFd> {
    // SAFETY: makes a descriptor.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(Error::last_os("cannot make an eventfd"));
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ends the wait for an eventfd.
pub fn ring_bell(eventfd: &OwnedFd) {
    let one = 1u64;
    // SAFETY: eight bytes to an eventfd.
    unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
}

/// Blocks until `source` has something to read, the eventfd is written to, or the time is over. `wake` comes first.
pub fn wait_for(source: BorrowedFd, wake: &OwnedFd, timeout_ms: u32) -> i32 {
    let mut fds =
        [source.as_raw_fd(), wake.as_raw_fd()].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: two descriptors that are borrowed.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, i32::try_from(timeout_ms).unwrap_or(i32::MAX)) };
    if ready <= 0 {
        return TIMED_OUT;
    }
    if fds[1].revents == 0 {
        return READY;
    }
    let mut count = 0u64;
    // SAFETY: eight bytes of an eventfd, emptied so that the next wait blocks.
    unsafe { libc::read(wake.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    WOKEN
}
