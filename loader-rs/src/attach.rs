//! Programs on interfaces: TCX links where the kernel has them, else filters on a clsact qdisc.

use crate::{
    error::{Code, Error, Result},
    kernel,
    load::program,
    netns::{self, NetNs},
    pins::{self, AttachmentName, Pins},
};
use aya::{
    Ebpf,
    programs::{
        Link as _, LinkOrder, ProgramError, SchedClassifier, TcAttachType,
        links::{FdLink, PinnedLink},
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
    },
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, mem, os::fd::AsFd as _, path::Path};
use types::programs;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// TCX, else clsact.
    #[default]
    Auto,
    Tcx,
    Clsact,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachOptions {
    pub mode: Mode,
    pub tcx_first: bool,
    pub tc_priority: u16,
}

#[expect(dead_code, reason = "the links are held for what dropping them does")]
enum Hold {
    /// A link whose pin keeps it alive; the value keeps its descriptor.
    Pinned(PinnedLink),
    /// A link or filter that ends with this value, by aya's hand.
    Own(SchedClassifierLink),
    /// A clsact filter, which nothing but a netlink request removes.
    Filter,
}

struct Hook {
    at: AttachmentName,
    hold: Hold,
}

/// What is attached, by interface index.
pub struct Attachments {
    options: AttachOptions,
    handle: TcHandle,
    by_ifindex: BTreeMap<u32, Vec<Hook>>,
}

impl Attachments {
    pub fn new(options: AttachOptions, handle: TcHandle) -> Self {
        Self { options, handle, by_ifindex: BTreeMap::new() }
    }

    /// Whether this very attachment is ours.
    pub fn holds(&self, name: &AttachmentName) -> bool {
        self.by_ifindex.get(&name.ifindex).is_some_and(|hooks| hooks.iter().any(|hook| hook.at == *name))
    }

    pub fn contains(&self, ifindex: u32) -> bool {
        self.by_ifindex.contains_key(&ifindex)
    }

    pub fn indexes(&self) -> Vec<u32> {
        self.by_ifindex.keys().copied().collect()
    }

    /// Attaches to both directions of `name`; must run inside the namespace. What an earlier agent left there is taken
    /// over without a gap. On an error nothing of it stays.
    pub fn attach(
        &mut self,
        ebpf: &mut Ebpf,
        pins: Option<&Pins>,
        netns: u64,
        name: &str,
        ifindex: u32,
    ) -> Result<Mode> {
        let ethernet = netns::is_ethernet(name)?;
        let try_mode = |this: &mut Self, ebpf: &mut Ebpf, mode: Mode| -> Result<Mode> {
            for egress in [false, true] {
                let link = mode == Mode::Tcx;
                let priority = if link { 0 } else { this.options.tc_priority };
                let at = AttachmentName { link, netns, ifindex, egress, priority };
                let program = program(ebpf, program_name(ethernet, egress))?;
                let hold = if link {
                    this.attach_tcx(program, pins, &at, name)
                } else {
                    this.attach_clsact(program, pins, &at, name)
                }?;
                this.by_ifindex.entry(ifindex).or_default().push(Hook { at, hold });
                this.replace_others(pins, &at)?;
            }
            Ok(mode)
        };
        let wanted = self.options.mode;
        let first = if wanted == Mode::Clsact { Mode::Clsact } else { Mode::Tcx };
        let result = match try_mode(self, ebpf, first) {
            Err(error) if wanted == Mode::Auto && error.code == Code::Unsupported => {
                self.detach(pins, ifindex)?;
                try_mode(self, ebpf, Mode::Clsact)
            }
            result => result,
        };
        if let Err(error) = result {
            // The first error tells more than what follows from it.
            let _ = self.detach(pins, ifindex);
            return Err(error);
        }
        result
    }

    fn attach_tcx(
        &self,
        program: &mut SchedClassifier,
        pins: Option<&Pins>,
        at: &AttachmentName,
        name: &str,
    ) -> Result<Hold> {
        if let Some(pins) = pins
            && let Some(link) = adopt(program, &pins.path(at))?
        {
            return Ok(Hold::Pinned(link));
        }
        let order = if self.options.tcx_first { LinkOrder::first() } else { LinkOrder::last() };
        let link = match program.attach_with_options(name, direction(at.egress), TcAttachOptions::TcxOrder(order)) {
            // Kernels before 6.6 do not know the attach type.
            Err(error) if matches!(system_error(&error), Some(libc::EINVAL | libc::EOPNOTSUPP)) => {
                return Err(Error::new(Code::Unsupported, "this kernel has no TCX (it needs 6.6)"));
            }
            link => program.take_link(link?)?,
        };
        let Some(pins) = pins else {
            return Ok(Hold::Own(link));
        };
        let link = FdLink::try_from(link).map_err(|error| Error::chain("not a TCX link", &error))?;
        Ok(Hold::Pinned(link.pin(pins.path(at))?))
    }

    fn attach_clsact(
        &self,
        program: &mut SchedClassifier,
        pins: Option<&Pins>,
        at: &AttachmentName,
        name: &str,
    ) -> Result<Hold> {
        match tc::qdisc_add_clsact(name) {
            Ok(()) | Err(TcError::AlreadyAttached) => {}
            // aya reports an existing qdisc as the kernel does.
            Err(error) if tc_system_error(&error) == Some(libc::EEXIST) => {}
            Err(error) => return Err(Error::chain(format!("cannot add a clsact qdisc to {name:?}"), &error)),
        }
        let options = || {
            let priority = self.options.tc_priority;
            TcAttachOptions::Netlink(NlOptions { priority, handle: self.handle, classid: None })
        };
        let link = match program.attach_with_options(name, direction(at.egress), options()) {
            // Left by an agent that was killed: the same place is ours to replace, without a gap.
            Err(error) if system_error(&error) == Some(libc::EEXIST) => {
                let old = filter(name, at, self.handle)?;
                program.attach_to_link(old)?
            }
            result => result?,
        };
        let link = program.take_link(link)?;
        let Some(pins) = pins else {
            return Ok(Hold::Own(link));
        };
        let record = pins.path(at);
        pins::unpin(&record)?;
        program.pin(&record)?;
        // Dropping the link would remove the filter, which is to stay as long as its record does.
        mem::forget(link);
        Ok(Hold::Filter)
    }

    /// Removes what an earlier agent left on the same hook by another name (TCX or clsact, another priority): it would
    /// count every packet a second time.
    fn replace_others(&self, pins: Option<&Pins>, at: &AttachmentName) -> Result<()> {
        let Some(pins) = pins else {
            return Ok(());
        };
        let same_hook = |name: &AttachmentName| {
            (name.netns, name.ifindex, name.egress) == (at.netns, at.ifindex, at.egress) && name != at
        };
        let mut others = pins.attachments().into_iter().filter(same_hook);
        others.try_for_each(|name| remove_here(&pins.path(&name), &name, self.handle))
    }

    /// Detaches from one interface; must run inside the namespace. One that is gone already is fine.
    pub fn detach(&mut self, pins: Option<&Pins>, ifindex: u32) -> Result<()> {
        let mut result = Ok(());
        for Hook { at, hold } in self.by_ifindex.remove(&ifindex).unwrap_or_default() {
            drop(hold);
            if let Some(pins) = pins {
                // A hook that fails does not keep the others.
                result = result.and(remove_here(&pins.path(&at), &at, self.handle));
            }
        }
        result
    }
}

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
fn remove_here(path: &Path, at: &AttachmentName, handle: TcHandle) -> Result<()> {
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

fn filter(name: &str, at: &AttachmentName, handle: TcHandle) -> Result<SchedClassifierLink> {
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

/// Puts `program` into the link pinned at `path`. `None`: there is no such link, or its interface has gone.
fn adopt(program: &mut SchedClassifier, path: &Path) -> Result<Option<PinnedLink>> {
    if !path.exists() {
        return Ok(None);
    }
    let pinned = PinnedLink::from_pin(path).map_err(|error| Error::chain("cannot open a pinned link", &error))?;
    let link = SchedClassifierLink::try_from(FdLink::from(pinned)).map_err(|e| Error::chain("not a TCX link", &e))?;
    match program.attach_to_link(link) {
        Ok(id) => drop(program.take_link(id)?),
        Err(error) if system_error(&error) == Some(libc::ENOLINK) => {
            pins::unpin(path)?;
            return Ok(None);
        }
        Err(error) => return Err(Error::chain("cannot take over a pinned link", &error)),
    }
    PinnedLink::from_pin(path).map(Some).map_err(|error| Error::chain("cannot reopen a pinned link", &error))
}

fn program_name(ethernet: bool, egress: bool) -> &'static str {
    match (ethernet, egress) {
        (true, false) => programs::ETHER_INGRESS,
        (true, true) => programs::ETHER_EGRESS,
        (false, false) => programs::IP_INGRESS,
        (false, true) => programs::IP_EGRESS,
    }
}

fn direction(egress: bool) -> TcAttachType {
    if egress { TcAttachType::Egress } else { TcAttachType::Ingress }
}

/// The number of the system error inside, if there is one.
fn system_error(error: &ProgramError) -> Option<i32> {
    match error {
        ProgramError::SyscallError(error) => error.io_error.raw_os_error(),
        ProgramError::NetlinkError(error) => error.raw_os_error(),
        ProgramError::TcError(error) => tc_system_error(error),
        _ => None,
    }
}

fn tc_system_error(error: &TcError) -> Option<i32> {
    match error {
        TcError::NetlinkError(error) => error.raw_os_error(),
        TcError::IoError(error) => error.raw_os_error(),
        _ => None,
    }
}
