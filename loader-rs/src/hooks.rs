//! What hangs on hooks already: looking at it and taking it away.

use crate::{
    error::{Error, Result},
    kernel,
    netlink::Socket,
    netns::{self, NetNs},
    pins::{self, AttachmentName},
};
use aya::programs::{
    Link as _, ProgramError, TcAttachType,
    tc::{SchedClassifierLink, TcError, TcHandle},
};
use aya_obj::generated::{TC_H_CLSACT, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TC_H_MIN_MASK, tcmsg};
use std::{io, mem, os::fd::AsFd as _, path::Path};

/// The handle of an instance's clsact filters: FNV-1a of its name, so that instances and other tools do not meet.
pub fn handle_of(instance: &str) -> TcHandle {
    let names = "mermin ".bytes().chain(instance.bytes());
    let hash = names.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    // The highest bit would mean an automatic handle.
    TcHandle::from(hash & 0x7fff_ffff | 1)
}

/// Removes a pinned attachment and its pin, in whatever namespace it is.
pub fn remove_pinned(path: &Path, at: &AttachmentName, handle: TcHandle) -> Result<()> {
    if at.link {
        return detach_pinned(path);
    }
    // With its namespace the filter is gone too.
    match NetNs::find(at.netns)? {
        Some(netns) => netns.run(|| remove_here(path, at, handle)),
        None => pins::unpin(path),
    }
}

/// Removes a pinned attachment and its pin; must run inside the namespace of its name.
pub fn remove_here(path: &Path, at: &AttachmentName, handle: TcHandle) -> Result<()> {
    if at.link {
        return detach_pinned(path);
    }
    // With its interface the filter is gone too.
    if let Some(name) = netns::name_of(at.ifindex)? {
        detach_filter(&name, at, handle)?;
    }
    pins::unpin(path)
}

fn detach_filter(name: &str, at: &AttachmentName, handle: TcHandle) -> Result<()> {
    match filter(name, at, handle)?.detach() {
        Err(error) if !matches!(system_error(&error), Some(libc::ENOENT | libc::EINVAL)) => {
            Err(Error::chain(format!("cannot remove the filter of {name:?}"), &error))
        }
        // ENOENT, and EINVAL when the whole qdisc is gone: somebody removed it.
        _ => Ok(()),
    }
}

/// The filter that hangs there, or would: only asking the kernel tells (see [`has_filter`]).
pub fn filter(name: &str, at: &AttachmentName, handle: TcHandle) -> Result<SchedClassifierLink> {
    SchedClassifierLink::attached(name, direction(at.egress), at.priority, handle, None)
        .map_err(|error| Error::io(format!("cannot find {name:?}"), &error))
}

fn detach_pinned(path: &Path) -> Result<()> {
    match kernel::open_pin(path) {
        // ENOLINK: the interface has gone, and the attachment with it.
        Ok(link) => match kernel::detach_link(link.as_fd()) {
            Err(error) if error.raw_os_error() != Some(libc::ENOLINK) => {
                return Err(Error::io(format!("cannot detach {}", path.display()), &error));
            }
            _ => {}
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(format!("cannot open {}", path.display()), &error)),
    }
    pins::unpin(path)
}

/// Whether our filter is on the hook; must run inside the namespace.
pub fn has_filter(at: &AttachmentName, handle: TcHandle) -> Result<bool> {
    // SAFETY: tcmsg is integers.
    let mut request: tcmsg = unsafe { mem::zeroed() };
    request.tcm_ifindex = at.ifindex as i32;
    request.tcm_handle = handle.into();
    request.tcm_parent = TC_H_CLSACT & !TC_H_MIN_MASK | if at.egress { TC_H_MIN_EGRESS } else { TC_H_MIN_INGRESS };
    request.tcm_info = u32::from(at.priority) << 16 | u32::from((libc::ETH_P_ALL as u16).to_be());
    match Socket::open(libc::NETLINK_ROUTE, 0)?.ask(libc::RTM_GETTFILTER, 0, &request, |_| {}) {
        Ok(()) => Ok(true),
        // No such filter, qdisc, interface.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINVAL | libc::ENODEV)) => Ok(false),
        Err(error) => Err(Error::io("cannot ask for a filter", &error)),
    }
}

/// aya's word for a direction.
pub fn direction(egress: bool) -> TcAttachType {
    if egress { TcAttachType::Egress } else { TcAttachType::Ingress }
}

/// The number of the system error inside, if there is one.
pub fn system_error(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::NetlinkError(error) => error.raw_os_error(),
        ProgramError::TcError(error) => tc_system_error(error),
        _ => None,
    }
}

/// As [`system_error`].
pub fn tc_system_error(error: &TcError) -> Option<i32> {
    match error {
        TcError::NetlinkError(error) => error.raw_os_error(),
        TcError::IoError(error) => error.raw_os_error(),
        _ => None,
    }
}
