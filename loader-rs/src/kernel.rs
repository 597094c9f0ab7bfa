//! The few bpf(2) commands and mappings that aya does not offer.

use crate::error::{Error, Result};
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_type};
use std::{
    ffi::CString,
    io, mem,
    num::NonZeroUsize,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    ptr::NonNull,
};

fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: `attr` is a whole bpf_attr, and the callers below put only live pointers into it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i64, attr as *mut bpf_attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn zeroed_attr() -> bpf_attr {
    // SAFETY: bpf_attr is a union of integers.
    unsafe { mem::zeroed() }
}

fn create_map(kind: bpf_map_type, value_size: u32, inner: Option<RawFd>) -> io::Result<OwnedFd> {
    let mut attr = zeroed_attr();
    // SAFETY: the fields of BPF_MAP_CREATE.
    let create = unsafe { &mut attr.__bindgen_anon_1 };
    create.map_type = kind as u32;
    create.key_size = 4;
    create.value_size = value_size;
    create.max_entries = 1;
    create.inner_map_fd = inner.unwrap_or(0) as u32;
    let fd = bpf(bpf_cmd::BPF_MAP_CREATE, &mut attr)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Waits until every BPF program that is running now has ended.
///
/// It is the contract of an update of a map of maps: when the call returns, no program uses the old inner map any more,
/// for which the kernel waits for an RCU grace period (`maybe_wait_bpf_programs` in kernel/bpf/syscall.c).
pub struct GracePeriod {
    outer: OwnedFd,
    inner: OwnedFd,
}

impl GracePeriod {
    pub fn new() -> Result<Self> {
        let make = || {
            let inner = create_map(bpf_map_type::BPF_MAP_TYPE_ARRAY, 4, None)?;
            let outer = create_map(bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, Some(inner.as_raw_fd()))?;
            Ok(Self { outer, inner })
        };
        make().map_err(|error| Error::io("cannot create a map of maps", &error))
    }

    pub fn wait(&self) -> Result<()> {
        let key = 0u32;
        let value = self.inner.as_raw_fd();
        let mut attr = zeroed_attr();
        // SAFETY: the fields of BPF_MAP_UPDATE_ELEM.
        let update = unsafe { &mut attr.__bindgen_anon_2 };
        update.map_fd = self.outer.as_raw_fd() as u32;
        update.key = &raw const key as u64;
        update.__bindgen_anon_1.value = &raw const value as u64;
        bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr)
            .map(drop)
            .map_err(|error| Error::io("cannot wait for running BPF programs", &error))
    }
}

/// Opens what is pinned at `path`.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &mut attr)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Detaches a link although others may hold it.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = zeroed_attr();
    attr.link_detach.link_fd = link.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr).map(drop)
}

/// A BPF array made with `BPF_F_MMAPABLE`, as memory that the kernel writes too.
pub struct MappedArray<T> {
    base: NonNull<T>,
    bytes: NonZeroUsize,
    len: u32,
}

// SAFETY: the mapping belongs to the process, not to a thread; access goes through raw pointers.
unsafe impl<T> Send for MappedArray<T> {}

impl<T> MappedArray<T> {
    /// Maps an array of `len` elements whose value size is that of `T`, a multiple of 8.
    pub fn new(map: BorrowedFd<'_>, len: u32) -> Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8)) };
        let bytes = NonZeroUsize::new(len as usize * size_of::<T>())
            .ok_or_else(|| Error::new(crate::error::Code::Usage, "an empty array cannot be mapped"))?;
        // SAFETY: a new shared mapping at an address of the kernel's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes.get(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(base.cast::<T>()) {
            Some(base) if base.as_ptr().cast() != libc::MAP_FAILED => Ok(Self { base, bytes, len }),
            _ => Err(Error::last_os("cannot map a BPF array")),
        }
    }

    pub fn len(&self) -> u32 {
        self.len
    }

    /// The element at `index`, which the kernel may be writing.
    ///
    /// # Panics
    /// When `index` is out of range.
    pub fn at(&self, index: u32) -> *mut T {
        assert!(index < self.len, "index {index} of {}", self.len);
        // SAFETY: in range.
        unsafe { self.base.as_ptr().add(index as usize) }
    }
}

impl<T> Drop for MappedArray<T> {
    fn drop(&mut self) {
        // SAFETY: what `new` mapped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), self.bytes.get()) };
    }
}
