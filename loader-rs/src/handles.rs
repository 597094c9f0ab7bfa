//! Sessions by their numbers, as the C interface names them.

use crate::{
    error::{Code, Error, Result},
    netlink::Socket,
    reply::lock,
    session::{OpenOptions, OpenReport, Opened, Session},
    wait::{READY, eventfd, ring_bell, wait_for},
};
use aya::maps::{MapData, RingBuf};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

static HANDLES: Mutex<BTreeMap<u32, Arc<Handle>>> = Mutex::new(BTreeMap::new());
/// Numbers are not used again: a caller may still hold that of a closed session.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

/// A session with what is waited for beside it.
pub struct Handle {
    pub session: Session,
    ring: Mutex<RingBuf<MapData>>,
    /// Interfaces and addresses that come, go or change.
    changes: Socket,
    /// Eventfds that end `wait` and `watch`.
    wake: OwnedFd,
    wake_watch: OwnedFd,
}

impl Handle {
    /// Opens a session; its number and what there is to say.
    pub fn open(options: &OpenOptions) -> Result<(u32, OpenReport)> {
        let Opened { session, ring, changes, report } = Session::open(options)?;
        let handle = Self { session, ring: Mutex::new(ring), changes, wake: eventfd()?, wake_watch: eventfd()? };
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        lock(&HANDLES).insert(id, Arc::new(handle));
        Ok((id, report))
    }

    pub fn of(id: u32) -> Result<Arc<Self>> {
        found(id, lock(&HANDLES).get(&id).cloned())
    }

    /// Nobody finds it any more.
    pub fn remove(id: u32) -> Result<Arc<Self>> {
        found(id, lock(&HANDLES).remove(&id))
    }

    /// Waits until the table fills up or `wake` is called; see [`wait_for`].
    pub fn wait(&self, timeout_ms: u32) -> i32 {
        let ring_fd = lock(&self.ring).as_raw_fd();
        // SAFETY: `self` keeps the ring open.
        let result = wait_for(unsafe { BorrowedFd::borrow_raw(ring_fd) }, &self.wake, timeout_ms);
        if result == READY {
            let mut ring = lock(&self.ring);
            while ring.next().is_some() {}
        }
        result
    }

    /// Waits until interfaces or addresses change or `wake` is called; see [`wait_for`]. Fails when changes cannot be read.
    pub fn watch(&self, timeout_ms: u32) -> Result<i32> {
        let result = wait_for(self.changes.as_fd(), &self.wake_watch, timeout_ms);
        match self.changes.drain() {
            Err(error) if result == READY => Err(Error::io("cannot read changes", &error)),
            _ => Ok(result),
        }
    }

    /// Ends `wait` and `watch`, those that are under way or the next ones.
    pub fn wake(&self) {
        ring_bell(&self.wake);
        ring_bell(&self.wake_watch);
    }
}

/// Works with the session of a number.
pub fn with<T>(id: u32, work: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
    Handle::of(id).and_then(|handle| work(&handle.session))
}

fn found(id: u32, handle: Option<Arc<Handle>>) -> Result<Arc<Handle>> {
    handle.ok_or_else(|| Error::new(Code::NotFound, format!("there is no session {id}")))
}
