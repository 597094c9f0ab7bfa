//! The C interface of the loader: what `src/capture/ffi_loader.ts` calls, and nothing else.
//!
//! Results and errors that are text (JSON, UTF-8) are kept in one place and fetched with [`mermin_take`]. A call that
//! can fail returns a negative number then, and the text is `{"code","message","verifierLog"?}`. Sessions are numbers.
//! `mermin_wait` and `mermin_sweep` may block and are called on another thread than the rest; their errors stay with
//! the session until [`mermin_error`] moves them to where `mermin_take` finds them.

mod attach;
mod cleanup;
mod clock;
mod due;
mod error;
mod flow;
pub mod hcl;
mod kernel;
mod load;
mod netns;
mod pins;
mod session;
mod table;

use aya::maps::{MapData, RingBuf};
use cleanup::CleanupOptions;
use error::{Code, Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use session::{OpenOptions, Session};
use std::{
    collections::BTreeMap,
    os::fd::AsRawFd as _,
    slice,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};
use types::{FlowRecord, HookReport, LAYOUT_HASH, SweepLimits, TableReport};

const FAILED: i32 = -1;

struct Handle {
    session: Mutex<Option<Session>>,
    ring: Mutex<RingBuf<MapData>>,
    ring_fd: i32,
    wake_fd: i32,
    error: Mutex<String>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: our own eventfd.
        unsafe { libc::close(self.wake_fd) };
    }
}

static TEXT: Mutex<String> = Mutex::new(String::new());
static HANDLES: Mutex<BTreeMap<u32, Arc<Handle>>> = Mutex::new(BTreeMap::new());
/// Numbers are not used again: a caller may still hold that of a closed session.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // With `panic = "abort"` nobody sees a poisoned mutex.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"code\":\"system\",\"message\":\"{error}\"}}"))
}

/// Keeps the result as text and returns 0, or keeps the error and returns a negative number.
fn reply<T: Serialize>(result: Result<T>) -> i32 {
    let (text, code) = match result {
        Ok(value) => (json(&value), 0),
        Err(error) => (json(&error), FAILED),
    };
    *lock(&TEXT) = text;
    code
}

fn reply_count(result: Result<u32>) -> i32 {
    match result {
        Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
        Err(error) => reply::<()>(Err(error)),
    }
}

fn handle(id: u32) -> Result<Arc<Handle>> {
    let found = lock(&HANDLES).get(&id).cloned();
    found.ok_or_else(|| Error::new(Code::NotFound, format!("there is no session {id}")))
}

fn with<T>(id: u32, work: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
    let handle = handle(id)?;
    let mut session = lock(&handle.session);
    work(session.as_mut().ok_or_else(|| Error::new(Code::NotFound, "the session is closed"))?)
}

/// # Safety
/// `text` is `len` readable bytes, or `len` is 0.
unsafe fn bytes<'a>(text: *const u8, len: u32) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { slice::from_raw_parts(text, len as usize) }
}

/// # Safety
/// As [`bytes`].
unsafe fn parse<T: DeserializeOwned>(text: *const u8, len: u32) -> Result<T> {
    // SAFETY: by the contract.
    let text = unsafe { bytes(text, len) };
    serde_json::from_slice(text).map_err(|error| Error::new(Code::Usage, format!("malformed options: {error}")))
}

/// Copies at most `len` bytes of the kept text to `out`; returns its whole length.
///
/// # Safety
/// `out` is `len` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_take(out: *mut u8, len: u32) -> u32 {
    let text = lock(&TEXT);
    let count = text.len().min(len as usize);
    // SAFETY: by the contract; the kept text is as long.
    unsafe { out.copy_from_nonoverlapping(text.as_ptr(), count) };
    text.len() as u32
}

/// Text: `{"version","layoutHash"}`.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_describe() -> i32 {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Description {
        version: &'static str,
        layout_hash: String,
    }
    reply(Ok(Description { version: env!("CARGO_PKG_VERSION"), layout_hash: format!("{LAYOUT_HASH:016x}") }))
}

/// Parses HCL; 0: the text is the document, 1: the text is the list of errors.
///
/// # Safety
/// `source` is `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_parse_config(source: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let source = String::from_utf8_lossy(unsafe { bytes(source, len) });
    let (text, code) = match hcl::parse(&source) {
        Ok(document) => (document, 0),
        Err(errors) => (errors, 1),
    };
    *lock(&TEXT) = text;
    code
}

/// Opens a session; returns its number, and the text is the report.
///
/// # Safety
/// `options` is `len` readable bytes of JSON, see [`OpenOptions`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_open(options: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let options = unsafe { parse::<OpenOptions>(options, len) };
    let opened = options.and_then(|options| Session::open(&options)).and_then(|(session, ring, report)| {
        // SAFETY: makes a descriptor.
        let wake_fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if wake_fd < 0 {
            return Err(Error::last_os("cannot make an eventfd"));
        }
        let handle = Handle {
            ring_fd: ring.as_raw_fd(),
            session: Mutex::new(Some(session)),
            ring: Mutex::new(ring),
            wake_fd,
            error: Mutex::new(String::new()),
        };
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        lock(&HANDLES).insert(id, Arc::new(handle));
        Ok((id, report))
    });
    match opened {
        Ok((id, report)) => {
            reply(Ok(report));
            i32::try_from(id).unwrap_or(FAILED)
        }
        Err(error) => reply::<()>(Err(error)),
    }
}

/// Text: the interfaces of the watched namespace.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_interfaces(id: u32) -> i32 {
    reply(with(id, |session| session.interfaces()))
}

/// Attaches to both directions of an interface; text: `{"index","mode"}`.
///
/// # Safety
/// `name` is `len` readable bytes of UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_attach(id: u32, name: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let name = String::from_utf8_lossy(unsafe { bytes(name, len) });
    reply(with(id, |session| session.attach(&name)))
}

/// Detaches from the interface with this index, or from all with 0.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_detach(id: u32, ifindex: u32) -> i32 {
    reply(with(id, |session| session.detach(ifindex)))
}

/// Detaches from an interface that is gone, and drops its counters.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_forget(id: u32, ifindex: u32) -> i32 {
    reply(with(id, |session| session.forget(ifindex)))
}

/// Removes attachments and tables that earlier agents left; returns how many attachments.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_prune(id: u32) -> i32 {
    reply_count(with(id, Session::prune))
}

/// Blocks until the table fills up (1), [`mermin_wake`] is called (2), or `timeout_ms` are over (0).
#[unsafe(no_mangle)]
pub extern "C" fn mermin_wait(id: u32, timeout_ms: u32) -> i32 {
    let Ok(handle) = handle(id) else {
        return FAILED;
    };
    let mut fds = [handle.ring_fd, handle.wake_fd].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    // SAFETY: two descriptors that `handle` keeps open.
    let ready = unsafe { libc::poll(fds.as_mut_ptr(), 2, i32::try_from(timeout_ms).unwrap_or(i32::MAX)) };
    if ready <= 0 {
        return 0;
    }
    if fds[1].revents != 0 {
        let mut count = 0u64;
        // SAFETY: eight bytes of an eventfd, emptied so that the next wait blocks.
        unsafe { libc::read(handle.wake_fd, (&raw mut count).cast(), size_of::<u64>()) };
        return 2;
    }
    let mut ring = lock(&handle.ring);
    while ring.next().is_some() {}
    1
}

/// Ends a [`mermin_wait`] that is under way, or the next one.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_wake(id: u32) {
    if let Ok(handle) = handle(id) {
        let one = 1u64;
        // SAFETY: eight bytes to an eventfd.
        unsafe { libc::write(handle.wake_fd, (&raw const one).cast(), size_of::<u64>()) };
    }
}

/// Finds the flows that are due; returns how many can be read. May wait for an RCU grace period.
///
/// # Safety
/// `limits` is a readable [`SweepLimits`], aligned to 8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_sweep(id: u32, limits: *const SweepLimits) -> i32 {
    // SAFETY: by the contract.
    let limits = unsafe { *limits };
    match with(id, |session| session.sweep(&limits)) {
        Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
        Err(error) => {
            if let Ok(handle) = handle(id) {
                *lock(&handle.error) = json(&error);
            }
            FAILED
        }
    }
}

/// Moves the error of the session's last failed sweep to where [`mermin_take`] finds it.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_error(id: u32) {
    *lock(&TEXT) = match handle(id) {
        Ok(handle) => lock(&handle.error).clone(),
        Err(error) => json(&error),
    };
}

/// Writes the next records of the last sweep; returns how many. Fewer than `capacity`: that was all.
///
/// # Safety
/// `out` is `capacity` writable [`FlowRecord`]s, aligned to 8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_read(id: u32, out: *mut FlowRecord, capacity: u32) -> i32 {
    // SAFETY: by the contract; any bytes are a record.
    let out = unsafe { slice::from_raw_parts_mut(out, capacity as usize) };
    reply_count(with(id, |session| session.read(out)).map(|count| count as u32))
}

/// Writes a [`TableReport`] and as many [`HookReport`]s after it as fit; returns how many hooks there are.
///
/// # Safety
/// `out` is `len` writable bytes, aligned to 8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_counters(id: u32, out: *mut u8, len: u32) -> i32 {
    reply_count(with(id, |session| {
        let (table, hooks) = session.counters()?;
        let room = (len as usize).checked_sub(size_of::<TableReport>());
        let room = room.ok_or_else(|| Error::new(Code::Usage, "the buffer is too small for the table's report"))?;
        let count = hooks.len().min(room / size_of::<HookReport>());
        // SAFETY: by the contract, and `count` hooks fit.
        unsafe {
            out.cast::<TableReport>().write(table);
            let place = out.add(size_of::<TableReport>()).cast::<HookReport>();
            place.copy_from_nonoverlapping(hooks.as_ptr(), count);
        }
        Ok(hooks.len() as u32)
    }))
}

/// Closes the session and ends its wait. `keep` not 0: what is pinned stays for a successor.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_close(id: u32, keep: u32) -> i32 {
    mermin_wake(id);
    let Some(handle) = lock(&HANDLES).remove(&id) else {
        return reply::<()>(Err(Error::new(Code::NotFound, format!("there is no session {id}"))));
    };
    let session = lock(&handle.session).take();
    reply(session.map_or(Ok(()), |session| session.close(keep != 0)))
}

/// Removes what agents left; text: `{"instances","attachments"}`.
///
/// # Safety
/// `options` is `len` readable bytes of JSON, see [`CleanupOptions`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_cleanup(options: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    reply(unsafe { parse::<CleanupOptions>(options, len) }.and_then(|options| cleanup::cleanup(&options)))
}
