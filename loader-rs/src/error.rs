//! The one error of the library: a code to branch on, a text for people, and the verifier's log when there is one.

use aya::{EbpfError, maps::MapError, pin::PinError, programs::ProgramError};
use serde::Serialize;
use std::{error::Error as StdError, fmt, io};

/// What went wrong, for TypeScript to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The kernel refuses this user or these capabilities.
    Permission,
    /// No such interface, namespace or handle.
    NotFound,
    /// The interface went away meanwhile.
    Gone,
    /// The verifier refused a program.
    Verifier,
    /// Another agent holds this instance.
    Locked,
    /// The kernel lacks something that is needed.
    Unsupported,
    /// A limit of the process or the system is reached: open files, memory.
    Limit,
    /// A wrong argument from the caller.
    Usage,
    /// Anything else the system said.
    System,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Error {
    pub code: Code,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verifier_log: Option<String>,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), verifier_log: None }
    }

    /// The last error of the C library, with what was being done.
    pub fn last_os(doing: impl fmt::Display) -> Self {
        Self::io(doing, &io::Error::last_os_error())
    }

    pub fn io(doing: impl fmt::Display, error: &io::Error) -> Self {
        Self::new(code_of(error), format!("{doing}: {error}"))
    }

    /// Any library error: the chain of causes as text, the code from the system error inside.
    pub fn chain(doing: impl fmt::Display, error: &(dyn StdError + 'static)) -> Self {
        let mut message = doing.to_string();
        let mut code = Code::System;
        let mut verifier_log = None;
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ProgramError::LoadError { io_error, verifier_log: log }) = error.downcast_ref() {
                // Its own text carries the whole log.
                message.push_str(&format!(": {io_error}"));
                let refused = io_error.raw_os_error() != Some(libc::EPERM);
                code = if refused { Code::Verifier } else { Code::Permission };
                verifier_log = Some(log.to_string());
                break;
            }
            let text = error.to_string();
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                code = code_of(error);
            }
            next = error.source();
        }
        Self { code, message, verifier_log }
    }
}

fn code_of(error: &io::Error) -> Code {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES | libc::EROFS) => Code::Permission,
        Some(libc::ENODEV | libc::ENOENT | libc::ENXIO) => Code::NotFound,
        Some(libc::EOPNOTSUPP | libc::ENOSYS) => Code::Unsupported,
        Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::ENOSPC | libc::ENOBUFS) => Code::Limit,
        _ => Code::System,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

macro_rules! from_chain {
    ($($ty:ty => $doing:literal,)*) => {$(
        impl From<$ty> for Error {
            fn from(error: $ty) -> Self {
                Self::chain($doing, &error)
            }
        }
    )*};
}

from_chain! {
    EbpfError => "cannot load the BPF object",
    MapError => "map operation failed",
    PinError => "pinning failed",
    ProgramError => "program operation failed",
}
