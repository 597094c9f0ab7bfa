//! How results get to the caller: as a number, or as text (JSON) that is fetched afterwards.
//!
//! A call that may block runs beside others, so its text waits under a number of its own.

use crate::error::{Code, Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeMap,
    slice,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};

const FAILED: i32 = -1;

static TEXT: Mutex<String> = Mutex::new(String::new());
static WAITING: Mutex<BTreeMap<i32, String>> = Mutex::new(BTreeMap::new());
static NEXT_TICKET: AtomicI32 = AtomicI32::new(1);

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // With `panic = "abort"` nobody sees a poisoned mutex.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"code\":\"system\",\"message\":\"{error}\"}}"))
}

/// Keeps the text that `mermin_take` copies.
pub fn keep(text: String) {
    *lock(&TEXT) = text;
}

/// Hands the kept text to `work`.
pub fn with_kept<T>(work: impl FnOnce(&str) -> T) -> T {
    work(&lock(&TEXT))
}

/// Keeps the result as text and returns 0, or keeps the error and returns a negative number.
pub fn reply<T: Serialize>(result: Result<T>) -> i32 {
    let (text, code) = match result {
        Ok(value) => (json(&value), 0),
        Err(error) => (json(&error), FAILED),
    };
    keep(text);
    code
}

/// The number itself, or a negative number and the error as text.
pub fn reply_count(result: Result<u32>) -> i32 {
    match result {
        Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
        Err(error) => reply::<()>(Err(error)),
    }
}

fn next_ticket() -> i32 {
    // Wraps after 2^31 calls, when the first ones have long been claimed.
    NEXT_TICKET.fetch_add(1, Ordering::Relaxed) & i32::MAX
}

/// For a call that may block: the ticket of the text, negative when the text is an error.
pub fn later<T: Serialize>(result: Result<T>) -> i32 {
    let (text, sign) = match result {
        Ok(value) => (json(&value), 1),
        Err(error) => (json(&error), -1),
    };
    let ticket = next_ticket();
    lock(&WAITING).insert(ticket, text);
    sign * ticket
}

/// For a call that may block: the number itself, or the negative ticket of the error.
pub fn later_count(result: Result<u32>) -> i32 {
    match result {
        Ok(count) => i32::try_from(count).unwrap_or(i32::MAX),
        Err(error) => later::<()>(Err(error)),
    }
}

/// Moves the text of a ticket to where `mermin_take` finds it.
pub fn claim(ticket: i32) {
    let text = lock(&WAITING).remove(&ticket);
    keep(text.unwrap_or_else(|| json(&Error::new(Code::Usage, format!("there is no text {ticket}")))));
}

/// # Safety
/// `text` is `len` readable bytes, or `len` is 0.
pub unsafe fn bytes<'a>(text: *const u8, len: u32) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: by the contract.
    unsafe { slice::from_raw_parts(text, len as usize) }
}

/// # Safety
/// As [`bytes`].
pub unsafe fn parse<T: DeserializeOwned>(text: *const u8, len: u32) -> Result<T> {
    // SAFETY: by the contract.
    let text = unsafe { bytes(text, len) };
    serde_json::from_slice(text).map_err(|error| Error::new(Code::Usage, format!("malformed options: {error}")))
}
