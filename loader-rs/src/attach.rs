//! Programs on interfaces: TCX links where the kernel has them, else filters on a clsact qdisc.

use crate::{
    error::{Code, Error, Result},
    hooks::{direction, filter, has_filter, remove_here, system_error, tc_system_error},
    kernel,
    load::program,
    netns,
    pins::{self, AttachmentName, Pins},
};
use aya::{
    Ebpf,
    programs::{
        SchedClassifier,
        tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle},
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    io, mem,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
    path::Path,
};
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

#[expect(dead_code, reason = "a link is held for what dropping it does")]
enum Hold {
    /// A link that its pin keeps alive: no descriptor is held, and so 500 interfaces cost none.
    Pinned,
    /// A link that ends with its descriptor.
    Link(OwnedFd),
    /// A filter that ends with this value, by aya's hand.
    OwnFilter(SchedClassifierLink),
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

    /// Whether both hooks of an interface still hang where they were attached; must run inside the namespace. They do not
    /// when the interface has gone, also if another one has its index now, or when somebody else removed them.
    pub fn is_intact(&self, pins: Option<&Pins>, ifindex: u32) -> Result<bool> {
        let Some(hooks) = self.by_ifindex.get(&ifindex) else {
            return Ok(false);
        };
        for hook in hooks {
            if !self.hangs(pins, hook)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn hangs(&self, pins: Option<&Pins>, Hook { at, hold }: &Hook) -> Result<bool> {
        let is_there = |link: BorrowedFd| kernel::tcx_link_ifindex(link).map(|ifindex| ifindex == at.ifindex);
        let asked = match (hold, pins) {
            (Hold::Pinned, Some(pins)) => kernel::open_pin(&pins.path(at)).and_then(|link| is_there(link.as_fd())),
            (Hold::Pinned, None) => Ok(false),
            (Hold::Link(link), _) => is_there(link.as_fd()),
            (Hold::Filter | Hold::OwnFilter(_), _) => return has_filter(at, self.handle),
        };
        match asked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            asked => asked.map_err(|error| Error::io("cannot ask for a link", &error)),
        }
    }

    /// Whether an earlier agent was attached to an interface that had this index and is gone; must run inside the namespace.
    pub fn had_another(&self, pins: Option<&Pins>, netns: u64, ifindex: u32) -> Result<bool> {
        let Some(pins) = pins.filter(|_| !self.contains(ifindex)) else {
            return Ok(false);
        };
        for (link, priority, hold) in [(true, 0, Hold::Pinned), (false, self.options.tc_priority, Hold::Filter)] {
            let at = AttachmentName { link, netns, ifindex, egress: false, priority };
            if pins.path(&at).exists() && !self.hangs(Some(pins), &Hook { at, hold })? {
                return Ok(true);
            }
        }
        Ok(false)
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
                    this.attach_tcx(program, pins, &at)
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

    fn attach_tcx(&self, program: &mut SchedClassifier, pins: Option<&Pins>, at: &AttachmentName) -> Result<Hold> {
        let program = program.fd()?.as_fd();
        if let Some(pins) = pins {
            let own = pins.path(at);
            if adopt(program, &own)?.is_some() {
                return Ok(Hold::Pinned);
            }
            // The place of an agent of another version: its program makes way for ours, so every packet meets one of them.
            for path in pins.foreign_paths(at) {
                if let Some(link) = adopt(program, &path)? {
                    kernel::pin(link.as_fd(), &own).map_err(|error| Error::io("cannot pin a TCX link", &error))?;
                    pins::unpin(&path)?;
                    return Ok(Hold::Pinned);
                }
            }
        }
        let link =
            kernel::create_tcx_link(program, at.ifindex, at.egress, self.options.tcx_first).map_err(|error| {
                match error.raw_os_error() {
                    // Kernels before 6.6 do not know the attach type.
                    Some(libc::EINVAL | libc::EOPNOTSUPP) => {
                        Error::new(Code::Unsupported, "this kernel has no TCX (it needs 6.6)")
                    }
                    _ => Error::io("cannot create a TCX link", &error),
                }
            })?;
        let Some(pins) = pins else {
            return Ok(Hold::Link(link));
        };
        kernel::pin(link.as_fd(), &pins.path(at)).map_err(|error| Error::io("cannot pin a TCX link", &error))?;
        Ok(Hold::Pinned)
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
            return Ok(Hold::OwnFilter(link));
        };
        let record = pins.path(at);
        pins::unpin(&record)?;
        program.pin(&record)?;
        // Of the filter of an agent of another version, which ours has replaced.
        pins.foreign_paths(at).iter().try_for_each(|path| pins::unpin(path))?;
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
        let mut others = pins.all_attachments().into_iter().filter(|(name, _)| same_hook(name));
        others.try_for_each(|(name, path)| remove_here(&path, &name, self.handle))
    }

    /// Lets no hook count any more; must run inside the namespace. Links stay for [`Attachments::detach`], which takes
    /// its time; filters go.
    pub fn silence(&mut self, off: &SchedClassifier, pins: Option<&Pins>) -> Result<()> {
        let off = off.fd()?.as_fd();
        let hooks: Vec<_> = self.by_ifindex.values().flatten().map(|hook| hook.at).collect();
        let mut result = Ok(());
        for at in hooks {
            if at.link {
                result = result.and(self.silence_link(off, pins, &at));
            } else {
                result = result.and(self.detach(pins, at.ifindex));
            }
        }
        result
    }

    fn silence_link(&self, off: BorrowedFd<'_>, pins: Option<&Pins>, at: &AttachmentName) -> Result<()> {
        let hook = self.by_ifindex.get(&at.ifindex).and_then(|hooks| hooks.iter().find(|hook| hook.at == *at));
        let updated = match (hook.map(|hook| &hook.hold), pins) {
            (Some(Hold::Link(link)), _) => kernel::update_link(link.as_fd(), off),
            (Some(Hold::Pinned), Some(pins)) => {
                kernel::open_pin(&pins.path(at)).and_then(|link| kernel::update_link(link.as_fd(), off))
            }
            _ => Ok(()),
        };
        match updated {
            // The interface has gone, or somebody has removed the pin.
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ENOLINK | libc::ENOENT)) => {
                Err(Error::io("cannot silence a TCX link", &error))
            }
            _ => Ok(()),
        }
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

/// Puts `program` into the link pinned at `path`. `None`: there is no such link, or its interface has gone.
fn adopt(program: BorrowedFd<'_>, path: &Path) -> Result<Option<OwnedFd>> {
    let link = match kernel::open_pin(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        link => link.map_err(|error| Error::io("cannot open a pinned link", &error))?,
    };
    match kernel::update_link(link.as_fd(), program) {
        Ok(()) => Ok(Some(link)),
        Err(error) if error.raw_os_error() == Some(libc::ENOLINK) => {
            pins::unpin(path)?;
            Ok(None)
        }
        Err(error) => Err(Error::io("cannot take over a pinned link", &error)),
    }
}

fn program_name(ethernet: bool, egress: bool) -> &'static str {
    match (ethernet, egress) {
        (true, false) => programs::ETHER_INGRESS,
        (true, true) => programs::ETHER_EGRESS,
        (false, false) => programs::IP_INGRESS,
        (false, true) => programs::IP_EGRESS,
    }
}
