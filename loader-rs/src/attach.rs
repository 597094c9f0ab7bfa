//! Programs on interfaces: TCX links where the kernel has them, else filters on a clsact qdisc.

use crate::{
    error::{Code, Error, Result},
    kernel,
    netns,
    pins::{self, AttachmentName, Pins},
};
use aya::{
    Ebpf,
    programs::{
        LinkOrder, ProgramError, SchedClassifier, TcAttachType,
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

/// Low half of the handle of our clsact filters; the other half tells instances apart.
const HANDLE_MAGIC: u16 = 0x6d65;

enum Hold {
    /// A link whose pin keeps it alive; the value keeps its descriptor.
    Pinned(PinnedLink),
    /// A link or filter that ends with this value, by aya's hand.
    Own(SchedClassifierLink),
    /// A clsact filter, which nothing but a netlink request removes.
    Filter { name: String, priority: u16 },
}

struct Hook {
    egress: bool,
    hold: Hold,
}

/// What is attached, by interface index.
pub struct Attachments {
    options: AttachOptions,
    handle: TcHandle,
    by_ifindex: BTreeMap<u32, Vec<Hook>>,
}

impl Attachments {
    pub fn new(options: AttachOptions, instance: &str) -> Self {
        let tag = instance.bytes().fold(0u16, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        Self { options, handle: TcHandle::new(tag, HANDLE_MAGIC), by_ifindex: BTreeMap::new() }
    }

    pub fn contains(&self, ifindex: u32) -> bool {
        self.by_ifindex.contains_key(&ifindex)
    }

    pub fn indexes(&self) -> Vec<u32> {
        self.by_ifindex.keys().copied().collect()
    }

    /// Attaches to both directions of `name`; must run inside the namespace. What an earlier agent left there is taken
    /// over without a gap. On an error nothing of it stays.
    pub fn attach(&mut self, ebpf: &mut Ebpf, pins: Option<&Pins>, netns: u64, name: &str, ifindex: u32) -> Result<Mode> {
        let ethernet = netns::is_ethernet(name)?;
        let try_mode = |this: &mut Self, ebpf: &mut Ebpf, mode: Mode| -> Result<Mode> {
            for egress in [false, true] {
                let attachment = AttachmentName { link: mode == Mode::Tcx, netns, ifindex, egress };
                let program = program(ebpf, ethernet, egress)?;
                let hold = match mode {
                    Mode::Tcx => this.attach_tcx(program, pins, &attachment, name),
                    _ => this.attach_clsact(program, pins, &attachment, name),
                }?;
                this.by_ifindex.entry(ifindex).or_default().push(Hook { egress, hold });
            }
            Ok(mode)
        };
        let wanted = self.options.mode;
        let first = if wanted == Mode::Clsact { Mode::Clsact } else { Mode::Tcx };
        let result = match try_mode(self, ebpf, first) {
            Err(error) if wanted == Mode::Auto && error.code == Code::Unsupported => try_mode(self, ebpf, Mode::Clsact),
            result => result,
        };
        if result.is_err() {
            self.detach(pins, netns, ifindex)?;
        }
        result
    }

    fn attach_tcx(&self, program: &mut SchedClassifier, pins: Option<&Pins>, at: &AttachmentName, name: &str) -> Result<Hold> {
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

    fn attach_clsact(&self, program: &mut SchedClassifier, pins: Option<&Pins>, at: &AttachmentName, name: &str) -> Result<Hold> {
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
                let old = self.filter(name, at.egress, self.options.tc_priority)?;
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
        Ok(Hold::Filter { name: name.into(), priority: self.options.tc_priority })
    }

    fn filter(&self, name: &str, egress: bool, priority: u16) -> Result<SchedClassifierLink> {
        SchedClassifierLink::attached(name, direction(egress), priority, self.handle, None)
            .map_err(|error| Error::io(format!("cannot find {name:?}"), &error))
    }

    /// Detaches from one interface; must run inside the namespace. One that is gone already is fine.
    pub fn detach(&mut self, pins: Option<&Pins>, netns: u64, ifindex: u32) -> Result<()> {
        for hook in self.by_ifindex.remove(&ifindex).unwrap_or_default() {
            let path = |link| pins.map(|pins| pins.path(&AttachmentName { link, netns, ifindex, egress: hook.egress }));
            match hook.hold {
                Hold::Own(link) => drop(link),
                Hold::Pinned(link) => {
                    if let Some(path) = path(true) {
                        drop(link);
                        detach_pinned(&path)?;
                    }
                }
                Hold::Filter { name, priority } => {
                    // The kernel removed the filter with its interface.
                    if let Ok(link) = self.filter(&name, hook.egress, priority) {
                        drop(link);
                    }
                    if let Some(path) = path(false) {
                        pins::unpin(&path)?;
                    }
                }
            }
        }
        Ok(())
    }

}

/// Removes a pinned attachment of an earlier agent; must run inside the namespace that its name tells.
pub fn remove_left(path: &Path, name: &AttachmentName) -> Result<()> {
    if name.link {
        return detach_pinned(path);
    }
    let interface = netns::interfaces()?.into_iter().find(|interface| interface.index == name.ifindex);
    if let Some(interface) = interface {
        for program in programs::ALL {
            match tc::qdisc_detach_program(&interface.name, direction(name.egress), program) {
                Ok(()) => {}
                Err(TcError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let doing = format!("cannot remove the filter of {:?}", interface.name);
                    return Err(Error::chain(doing, &error));
                }
            }
        }
    }
    pins::unpin(path)
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
    let Ok(pinned) = PinnedLink::from_pin(path) else {
        return Ok(None);
    };
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

fn program<'a>(ebpf: &'a mut Ebpf, ethernet: bool, egress: bool) -> Result<&'a mut SchedClassifier> {
    let name = match (ethernet, egress) {
        (true, false) => programs::ETHER_INGRESS,
        (true, true) => programs::ETHER_EGRESS,
        (false, false) => programs::IP_INGRESS,
        (false, true) => programs::IP_EGRESS,
    };
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| Error::new(Code::System, format!("the BPF object has no program {name}")))?;
    Ok(program.try_into()?)
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
