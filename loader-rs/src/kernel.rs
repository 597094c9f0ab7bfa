//! The few bpf(2) commands and mappings that aya does not offer.

use crate::error::{Error, Result};
use aya::util::nr_cpus;
use aya_obj::generated::{
    BPF_F_AFTER, BPF_F_BEFORE, bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type, bpf_map_type,
};
use std::{
    ffi::CString,
    io, mem,
    os::{
        fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

pub fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i64> {
    // SAFETY: `attr` is a whole bpf_attr, and the callers below put only live pointers into it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command as i64, attr as *mut bpf_attr, size_of::<bpf_attr>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub fn zeroed_attr() -> bpf_attr {
    // SAFETY: bpf_attr is a union of integers.
    unsafe { mem::zeroed() }
}

/// A map with one element and keys of four bytes.
pub fn create_map(kind: bpf_map_type, value_size: u32, inner: Option<RawFd>) -> io::Result<OwnedFd> {
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

/// The CPUs that there may be: per-CPU maps have a value for each.
pub fn cpus() -> Result<usize> {
    nr_cpus().map_err(|(what, error)| Error::io(format!("cannot count the CPUs from {what}"), &error))
}

/// Allows the process as many open files as the administrator does: without pins every hook needs one.
pub fn raise_open_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a valid limit and a valid place. When it fails the limit stays, and reaching it is reported then.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
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

/// Pins an object; nothing may be there.
pub fn pin(object: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let mut attr = zeroed_attr();
    attr.__bindgen_anon_4.pathname = path.as_ptr() as u64;
    attr.__bindgen_anon_4.bpf_fd = object.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_OBJ_PIN, &mut attr).map(drop)
}

/// Attaches a program to a TCX hook, before or after all that are there.
pub fn create_tcx_link(program: BorrowedFd<'_>, ifindex: u32, egress: bool, first: bool) -> io::Result<OwnedFd> {
    let hook = if egress { bpf_attach_type::BPF_TCX_EGRESS } else { bpf_attach_type::BPF_TCX_INGRESS };
    let mut attr = zeroed_attr();
    // SAFETY: the fields of BPF_LINK_CREATE.
    let create = unsafe { &mut attr.link_create };
    create.__bindgen_anon_1.prog_fd = program.as_raw_fd() as u32;
    create.__bindgen_anon_2.target_ifindex = ifindex;
    create.attach_type = hook as u32;
    create.flags = if first { BPF_F_BEFORE } else { BPF_F_AFTER };
    let fd = bpf(bpf_cmd::BPF_LINK_CREATE, &mut attr)?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Puts another program into a link: every packet meets the one or the other.
pub fn update_link(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = zeroed_attr();
    attr.link_update.link_fd = link.as_raw_fd() as u32;
    attr.link_update.__bindgen_anon_1.new_prog_fd = program.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_LINK_UPDATE, &mut attr).map(drop)
}

/// The interface that a TCX link hangs on; 0 when that has gone or the link was detached.
pub fn tcx_link_ifindex(link: BorrowedFd<'_>) -> io::Result<u32> {
    // SAFETY: bpf_link_info is integers.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    let mut attr = zeroed_attr();
    attr.info.bpf_fd = link.as_raw_fd() as u32;
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    attr.info.info = &raw mut info as u64;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr)?;
    if info.type_ != bpf_link_type::BPF_LINK_TYPE_TCX as u32 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a TCX link"));
    }
    // SAFETY: the member of this type of link.
    Ok(unsafe { info.__bindgen_anon_1.tcx.ifindex })
}

/// Detaches a link although others may hold it.
pub fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    let mut attr = zeroed_attr();
    attr.link_detach.link_fd = link.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr).map(drop)
}
