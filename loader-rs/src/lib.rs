//! The C interface of the loader: what `src/capture/ffi_loader.ts` calls, and nothing else.
//!
//! Results and errors that are text (JSON, UTF-8) are kept in one place and fetched with [`mermin_take`]. A call that
//! can fail returns a negative number then, and the text is `{"code","message","verifierLog"?}`. Sessions are numbers.
//! Calls that may block are made on other threads. Their text, or the text of their error (then the number is negative),
//! waits under the number that they return until [`mermin_claim`] moves it to where `mermin_take` finds it.

mod attach;
mod booked;
mod cleanup;
mod clock;
pub mod config;
mod conntrack;
mod counting;
mod describe;
mod due;
mod error;
mod facts;
mod flow;
mod foreign;
mod handles;
mod hooks;
mod kernel;
mod listeners;
mod load;
mod mapped_array;
mod netlink;
mod netns;
mod pins;
#[cfg(test)]
mod random;
mod raw_map;
mod reply;
mod session;
mod table;
mod wait;

use cleanup::CleanupOptions;
use config::Format;
use error::{Code, Error};
use handles::{Handle, with};
use netns::NetNs;
use reply::{bytes, claim, keep, later, later_count, parse, reply, reply_count, with_kept};
use serde::Serialize;
use session::{OpenOptions, OpenReport, Session};
use std::{path::Path, slice};
use types::{FlowRecord, HookReport, LAYOUT_HASH, SweepLimits, TableReport};

const FAILED: i32 = -1;

/// Copies at most `len` bytes of the kept text to `out`; returns its whole length.
///
/// # Safety
/// `out` is `len` writable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_take(out: *mut u8, len: u32) -> u32 {
    with_kept(|text| {
        let count = text.len().min(len as usize);
        // SAFETY: by the contract; the kept text is as long.
        unsafe { out.copy_from_nonoverlapping(text.as_ptr(), count) };
        text.len() as u32
    })
}

/// Moves the text that waits under a number to where [`mermin_take`] finds it.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_claim(ticket: i32) {
    claim(ticket);
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

/// Gives memory that was freed, and that the allocator of the whole process keeps, back to the system.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_trim() {
    // Other C libraries keep next to nothing.
    #[cfg(target_env = "gnu")]
    // SAFETY: it locks what it needs, and moves nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Parses a configuration file of `format` (0 HCL, 1 YAML, 2 JSON); 0: the text is the document, 1: the list of errors.
///
/// # Safety
/// `source` is `len` readable bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_parse_config(source: *const u8, len: u32, format: u32) -> i32 {
    // SAFETY: by the contract.
    let source = String::from_utf8_lossy(unsafe { bytes(source, len) });
    let Some(format) = Format::from_number(format) else {
        return reply::<()>(Err(Error::new(Code::Usage, "Cannot parse: no such format")));
    };
    let (text, code) = match config::parse(&source, format) {
        Ok(document) => (document, 0),
        Err(errors) => (errors, 1),
    };
    keep(text);
    code
}

/// Text: what this host and process have, see [`facts::Facts`].
///
/// # Safety
/// `pin_root` is `len` readable bytes of UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_facts(pin_root: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let pin_root = String::from_utf8_lossy(unsafe { bytes(pin_root, len) });
    reply(Ok(facts::facts(Path::new(pin_root.as_ref()))))
}

/// Text: the IP addresses of a network namespace, but those of the loopback.
///
/// # Safety
/// `namespace`, the path of its file or nothing for the process's own, is `len` readable bytes of UTF-8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_addresses(namespace: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let path = String::from_utf8_lossy(unsafe { bytes(namespace, len) });
    reply(NetNs::open(&path).and_then(|netns| netns.run(netns::host_addresses)))
}

/// May block. Opens a session; text: `{"id","report"}`.
///
/// # Safety
/// `options` is `len` readable bytes of JSON, see [`OpenOptions`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_open(options: *const u8, len: u32) -> i32 {
    #[derive(Serialize)]
    struct Reply {
        id: u32,
        report: OpenReport,
    }
    // SAFETY: by the contract.
    let options = unsafe { parse::<OpenOptions>(options, len) };
    later(options.and_then(|options| {
        let (id, report) = Handle::open(&options)?;
        Ok(Reply { id, report })
    }))
}

/// May block. Text: the interfaces of the watched namespace.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_interfaces(id: u32) -> i32 {
    later(with(id, Session::interfaces))
}

/// May block. Attaches to both directions of the interfaces with these indexes; text: for each `{"mode"}` or `{"error"}`.
///
/// # Safety
/// `indexes` is `len` readable bytes: a JSON list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_attach(id: u32, indexes: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let indexes = unsafe { parse::<Vec<u32>>(indexes, len) };
    later(indexes.and_then(|indexes| with(id, |session| session.attach(&indexes))))
}

/// Text: the sockets that listen in the watched namespace, see [`listeners::Listener`].
#[unsafe(no_mangle)]
pub extern "C" fn mermin_listeners(id: u32) -> i32 {
    reply(with(id, Session::listeners))
}

/// May block. Lets no packet be counted any more, also where there are many interfaces to detach from.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_silence(id: u32) -> i32 {
    later(with(id, Session::silence))
}

/// May block. Detaches from all interfaces.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_detach(id: u32) -> i32 {
    later(with(id, Session::detach_all))
}

/// May block. Detaches from interfaces, ends their flows and drops their counters.
///
/// # Safety
/// As [`mermin_attach`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_forget(id: u32, indexes: *const u8, len: u32) -> i32 {
    // SAFETY: by the contract.
    let indexes = unsafe { parse::<Vec<u32>>(indexes, len) };
    later(indexes.and_then(|indexes| with(id, |session| session.forget(&indexes))))
}

/// May block. Removes attachments and tables that earlier agents left; returns how many attachments.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_prune(id: u32) -> i32 {
    later_count(with(id, Session::prune))
}

/// Blocks until the table fills up (1), [`mermin_wake`] is called (2), or `timeout_ms` are over (0).
#[unsafe(no_mangle)]
pub extern "C" fn mermin_wait(id: u32, timeout_ms: u32) -> i32 {
    Handle::of(id).map_or(FAILED, |handle| handle.wait(timeout_ms))
}

/// Blocks until interfaces or addresses of the watched namespace change (1), [`mermin_wake`] is called (2), or
/// `timeout_ms` are over (0).
#[unsafe(no_mangle)]
pub extern "C" fn mermin_watch(id: u32, timeout_ms: u32) -> i32 {
    Handle::of(id).and_then(|handle| handle.watch(timeout_ms)).unwrap_or(FAILED)
}

/// Ends a [`mermin_wait`] and a [`mermin_watch`] that are under way, or the next ones.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_wake(id: u32) {
    if let Ok(handle) = Handle::of(id) {
        handle.wake();
    }
}

/// May block. Finds the flows that are due; returns how many can be read.
///
/// # Safety
/// `limits` is a readable [`SweepLimits`], aligned to 8.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mermin_sweep(id: u32, limits: *const SweepLimits) -> i32 {
    // SAFETY: by the contract.
    let limits = unsafe { *limits };
    later_count(with(id, |session| session.sweep(&limits)))
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

/// Tells that packets of records handed out, counted at this hook, were dropped by a filter.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_book_filtered(id: u32, hook: u32, packets_lo: u32, packets_hi: u32) -> i32 {
    let packets = u64::from(packets_hi) << 32 | u64::from(packets_lo);
    match with(id, |session| session.book_filtered(hook, packets)) {
        Ok(()) => 0,
        Err(error) => reply::<()>(Err(error)),
    }
}

/// Tells how many of the records that [`mermin_read`] wrote are delivered, dropped or counted as lost by now. Should the agent be
/// killed, the next one counts the others; a session that is closed leaves none.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_note_settled(id: u32, records_lo: u32, records_hi: u32) {
    if let Ok(handle) = Handle::of(id) {
        handle.session.note_settled(u64::from(records_hi) << 32 | u64::from(records_lo));
    }
}

/// Closes the session and ends its wait. `keep` not 0: what is pinned stays for a successor.
#[unsafe(no_mangle)]
pub extern "C" fn mermin_close(id: u32, keep: u32) -> i32 {
    mermin_wake(id);
    reply(Handle::remove(id).and_then(|handle| handle.session.close(keep != 0)))
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
