//! Asks the kernel which TCX programs an interface has (Debian 12's bpftool cannot).

use crate::args::Args;
use crate::Outcome;
use std::ffi::CString;
use std::io::Error;

const BPF_PROG_QUERY: libc::c_long = 16;
const BPF_TCX_INGRESS: u32 = 46;
const BPF_TCX_EGRESS: u32 = 47;
const MAX_PROGRAMS: usize = 64;

/// The `query` part of `union bpf_attr` (linux/bpf.h).
#[repr(C)]
#[derive(Default)]
struct Query {
    target_ifindex: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    prog_ids: u64,
    count: u32,
    padding: u32,
    prog_attach_flags: u64,
    link_ids: u64,
    link_attach_flags: u64,
    revision: u64,
}

fn programs(ifindex: u32, attach_type: u32) -> Result<Vec<u32>, Error> {
    let mut ids = [0u32; MAX_PROGRAMS];
    let mut query = Query {
        target_ifindex: ifindex,
        attach_type,
        prog_ids: ids.as_mut_ptr() as u64,
        count: MAX_PROGRAMS as u32,
        ..Query::default()
    };
    // SAFETY: the attribute has the kernel's layout and points at room for `count` ids.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of::<Query>()) };
    if result < 0 {
        let error = Error::last_os_error();
        // No program was ever attached there.
        return if error.raw_os_error() == Some(libc::ENOENT) { Ok(Vec::new()) } else { Err(error) };
    }
    Ok(ids[..query.count as usize].to_vec())
}

/// Prints the program ids on both hooks of `--interface`, in the order they run.
pub fn hooks(args: &Args) -> Outcome {
    let name: String = args.required("interface")?;
    let text = CString::new(name.as_str())?;
    // SAFETY: the name is a C string.
    let ifindex = unsafe { libc::if_nametoindex(text.as_ptr()) };
    if ifindex == 0 {
        return Err(format!("no interface \"{name}\" in this network namespace").into());
    }
    let (ingress, egress) = (programs(ifindex, BPF_TCX_INGRESS)?, programs(ifindex, BPF_TCX_EGRESS)?);
    Ok(format!("{{\"ingress\":{ingress:?},\"egress\":{egress:?}}}"))
}
