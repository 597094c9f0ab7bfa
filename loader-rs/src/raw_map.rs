//! Maps whose layout is known only when they are read.

use crate::{
    error::{Error, Result},
    kernel::{self, bpf, zeroed_attr},
};
use aya_obj::generated::{bpf_cmd, bpf_map_info, bpf_map_type};
use std::{
    io, mem,
    os::fd::{AsFd as _, AsRawFd as _, OwnedFd},
    path::Path,
};

pub struct RawMap {
    fd: OwnedFd,
    pub key_size: usize,
    /// Of one value; a per-CPU map hands out one per CPU, each padded to 8 bytes.
    pub value_size: usize,
    pub len: u32,
}

impl RawMap {
    pub fn open(path: &Path) -> Result<Self> {
        let about = |error| Error::io(format!("cannot open {}", path.display()), &error);
        let fd = kernel::open_pin(path).map_err(about)?;
        // SAFETY: bpf_map_info is integers.
        let mut info: bpf_map_info = unsafe { mem::zeroed() };
        let mut attr = zeroed_attr();
        attr.info.bpf_fd = fd.as_raw_fd() as u32;
        attr.info.info_len = size_of::<bpf_map_info>() as u32;
        attr.info.info = &raw mut info as u64;
        bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).map_err(about)?;
        let bpf_map_info { key_size, value_size, max_entries: len, .. } = info;
        Ok(Self { fd, key_size: key_size as usize, value_size: value_size as usize, len })
    }

    /// A pinned array with one element.
    pub fn create_pinned(path: &Path, value: &[u8]) -> Result<()> {
        let make = || {
            let fd = kernel::create_map(bpf_map_type::BPF_MAP_TYPE_ARRAY, value.len() as u32, None)?;
            let map = Self { fd, key_size: 4, value_size: value.len(), len: 1 };
            map.update(&0u32.to_ne_bytes(), value)?;
            kernel::pin(map.fd.as_fd(), path)
        };
        make().map_err(|error| Error::io(format!("cannot pin {}", path.display()), &error))
    }

    /// Fills `value`, which has room for what the kernel hands out.
    pub fn lookup(&self, key: &[u8], value: &mut [u8]) -> io::Result<()> {
        let mut attr = zeroed_attr();
        // SAFETY: the fields of BPF_MAP_LOOKUP_ELEM.
        let lookup = unsafe { &mut attr.__bindgen_anon_2 };
        lookup.map_fd = self.fd.as_raw_fd() as u32;
        lookup.key = key.as_ptr() as u64;
        lookup.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
        bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr).map(drop)
    }

    pub fn update(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let mut attr = zeroed_attr();
        // SAFETY: the fields of BPF_MAP_UPDATE_ELEM.
        let update = unsafe { &mut attr.__bindgen_anon_2 };
        update.map_fd = self.fd.as_raw_fd() as u32;
        update.key = key.as_ptr() as u64;
        update.__bindgen_anon_1.value = value.as_ptr() as u64;
        bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
    }

    /// All keys that are four bytes long.
    pub fn keys(&self) -> io::Result<Vec<u32>> {
        let mut keys = Vec::new();
        let mut last: Option<u32> = None;
        loop {
            let mut next = 0u32;
            let mut attr = zeroed_attr();
            // SAFETY: the fields of BPF_MAP_GET_NEXT_KEY.
            let ask = unsafe { &mut attr.__bindgen_anon_2 };
            ask.map_fd = self.fd.as_raw_fd() as u32;
            ask.key = last.as_ref().map_or(0, |key| std::ptr::from_ref(key) as u64);
            ask.__bindgen_anon_1.next_key = &raw mut next as u64;
            match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(keys),
                result => result?,
            };
            keys.push(next);
            last = Some(next);
        }
    }
}
