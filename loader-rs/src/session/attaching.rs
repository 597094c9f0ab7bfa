//! What hangs on interfaces: looking at it, attaching, detaching, and what earlier agents left.

use super::{Attached, Programs, Session};
use crate::{
    attach::Mode,
    cleanup::{remove_attachments, remove_layout},
    error::{Code, Error, Result},
    foreign::Foreign,
    hooks,
    load::program,
    netns::{self, Interface},
    pins::Pins,
};
use types::programs;

impl Session {
    /// The interfaces of the watched namespace, and whether our programs hang on them.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        self.programs(|Programs { attachments, pins, .. }| {
            self.netns.run(|| {
                let mut found = netns::interfaces()?;
                for interface in &mut found {
                    let intact = || attachments.is_intact(pins.as_ref(), interface.index);
                    // One that cannot be asked (no more files may be opened) is not gone.
                    interface.attached = attachments.contains(interface.index) && intact().unwrap_or(true);
                }
                Ok(found)
            })
        })
    }

    /// Attaches to both directions of each interface; one that refuses does not keep the others.
    pub fn attach(&self, indexes: &[u32]) -> Result<Vec<Attached>> {
        self.programs(|programs| {
            self.netns.run(|| {
                let attach = |index: &u32| self.attach_here(programs, *index);
                Ok(indexes
                    .iter()
                    .map(attach)
                    .map(|result| result.map_or_else(Attached::Error, Attached::Mode))
                    .collect())
            })
        })
    }

    /// Must run inside the namespace.
    fn attach_here(&self, programs: &mut Programs, index: u32) -> Result<Mode> {
        let Programs { ebpf, attachments, pins, .. } = programs;
        let name = netns::name_of(index)?;
        let name = name.ok_or_else(|| Error::new(Code::Gone, format!("there is no interface {index}")))?;
        let about =
            |error: Error| Error { message: format!("cannot attach to \"{name}\": {}", error.message), ..error };
        if attachments.contains(index) {
            return Err(about(Error::new(Code::Usage, "it is attached already")));
        }
        if attachments.had_another(pins.as_ref(), self.netns.inode, index).map_err(about)? {
            self.counting(|counting| counting.table.disown(index).and_then(|()| counting.retire_hooks(index)))
                .map_err(about)?;
        }
        self.counting(|counting| counting.add_hooks(index)).map_err(about)?;
        let attached = attachments.attach(ebpf, pins.as_ref(), self.netns.inode, &name, index).map_err(about);
        // A filter is attached by name, and names move.
        match attached {
            Ok(mode) if attachments.is_intact(pins.as_ref(), index).unwrap_or(true) => return Ok(mode),
            Ok(_) => attachments.detach(pins.as_ref(), index)?,
            Err(_) => {}
        }
        self.counting(|counting| counting.retire_hooks(index))?;
        // Whatever the error was: of an interface that is no longer there, or no longer has this name, it is no news.
        match attached {
            Err(error) if netns::name_of(index)?.as_ref() == Some(&name) => Err(error),
            _ => Err(about(Error::new(Code::Gone, "it has just gone or got another name"))),
        }
    }

    /// From now on no packet is counted; what is attached stays attached.
    pub fn silence(&self) -> Result<()> {
        let silenced = self.programs(|Programs { ebpf, attachments, pins, .. }| {
            let off = program(ebpf, programs::OFF)?;
            self.netns.run(|| attachments.silence(off, pins.as_ref()))
        });
        self.grace.wait().and(silenced)
    }

    /// Detaches from all interfaces, and waits for the packets under way.
    pub fn detach_all(&self) -> Result<()> {
        let indexes = self.programs(|programs| Ok(programs.attachments.indexes()))?;
        self.detach(&indexes)
    }

    fn detach(&self, indexes: &[u32]) -> Result<()> {
        let detached = self.programs(|Programs { attachments, pins, .. }| {
            let detach = |index: &u32| attachments.detach(pins.as_ref(), *index);
            // An interface that fails does not keep the others.
            self.netns.run(|| indexes.iter().map(detach).fold(Ok(()), Result::and))
        });
        // With no lock held: flows are read meanwhile.
        self.grace.wait().and(detached)
    }

    /// Detaches from interfaces that are gone or no longer meant, ends their flows and drops their counters.
    pub fn forget(&self, indexes: &[u32]) -> Result<()> {
        let detached = self.detach(indexes);
        self.programs(|Programs { attachments, .. }| {
            self.counting(|counting| {
                counting.table.end_flows_without(|owner| attachments.contains(owner))?;
                indexes.iter().try_for_each(|index| counting.retire_hooks(*index))
            })
        })?;
        detached
    }

    /// Removes attachments that earlier agents left and we did not take over, with their flows and counters, and takes over
    /// the tables of other versions. Returns how many attachments it removed.
    pub fn prune(&self) -> Result<u32> {
        self.programs(|programs| {
            let removed = self.remove_left(programs)?;
            let Programs { attachments, handle, pins, .. } = programs;
            self.counting(|counting| {
                counting.keep_only(|index| attachments.contains(index))?;
                for layout in pins.iter().flat_map(Pins::foreign_layouts) {
                    if counting.table.inherits(&layout) {
                        continue;
                    }
                    match Foreign::open(&layout) {
                        Ok(table) => counting.inherit(table)?,
                        Err(_) => drop(remove_layout(&layout, *handle)?),
                    }
                }
                Ok(removed)
            })
        })
    }

    /// Removes attachments that are not ours, and waits until their programs have ended: before their counters and slots
    /// are somebody else's, and before their tables are read.
    fn remove_left(&self, Programs { attachments, handle, pins, .. }: &Programs) -> Result<u32> {
        let mut removed = 0;
        if let Some(pins) = pins {
            for name in pins.attachments().iter().filter(|name| !attachments.holds(name)) {
                hooks::remove_pinned(&pins.path(name), name, *handle)?;
                removed += 1;
            }
            for layout in pins.foreign_layouts() {
                removed += remove_attachments(&layout, *handle)?;
            }
        }
        self.grace.wait()?;
        Ok(removed)
    }

    /// Removes all that is pinned but the maps of our own layout.
    pub(super) fn remove_all(&self) -> Result<()> {
        self.detach_all()?;
        self.programs(|programs| {
            self.remove_left(programs)?;
            let mut layouts = programs.pins.iter().flat_map(Pins::foreign_layouts);
            layouts.try_for_each(|layout| remove_layout(&layout, programs.handle).map(drop))
        })
    }
}
