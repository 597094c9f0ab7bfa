//! What an agent of another version left in its table: read field by field, by its own description.
//!
//! By then our programs have taken the places of its own, so nothing writes there any more. A flow that was read is marked
//! as free there, so that it is not read again, should we not live to remove the pins.

use crate::{
    describe::{Description, Plan},
    error::{Code, Error, Result},
    kernel::cpus,
    pins::{self, AttachmentName},
    raw_map::RawMap,
};
use std::path::{Path, PathBuf};
use types::{
    Exported, FlowSlot, HookBooked, HookCounters, IPV4, IPV6, SLOT_FREE, SLOT_LIVE, Step, TableState, maps, stage,
};

/// A description is longer than this only when it is none.
const MAX_DESCRIPTION_BYTES: usize = 1 << 20;

/// One table of another layout.
pub struct Foreign {
    layout: PathBuf,
    slots: Part,
    exported: Part,
    /// Where a slot says whether it is live.
    state_at: usize,
    next: u32,
    /// No slot from this one on was ever used.
    top: u32,
    /// What its agent was doing when it was killed.
    step: Step,
    /// Packets that no record holds yet.
    pub open_packets: u64,
}

/// What the hooks of a table counted.
pub struct Counts {
    /// Hook id, and counters per CPU.
    pub hooks: Vec<(u32, Vec<HookCounters>)>,
    pub booked: Vec<HookBooked>,
    pub state: TableState,
}

fn hooks(map: &RawMap, there: &Description) -> Result<Vec<(u32, Vec<HookCounters>)>> {
    let plan = Plan::new(there, &Description::own(), "HookCounters")?;
    if map.key_size != 4 || map.value_size != plan.size {
        return Err(Error::new(Code::System, "HOOKS is not what its description says"));
    }
    let stride = map.value_size.next_multiple_of(8);
    let failed = |error| Error::io("cannot read the counters of a table", &error);
    let mut bytes = vec![0; stride * cpus()?];
    let mut found = Vec::new();
    for id in map.keys().map_err(failed)? {
        map.lookup(&id.to_ne_bytes(), &mut bytes).map_err(failed)?;
        found.push((id, bytes.chunks(stride).map(|chunk| plan.apply(chunk)).collect()));
    }
    Ok(found)
}

/// An array map and how its elements become ours.
struct Part {
    map: RawMap,
    plan: Plan,
    bytes: Vec<u8>,
}

impl Part {
    fn open(layout: &Path, name: &str, there: &Description, of: &str) -> Result<Self> {
        let map = RawMap::open(&layout.join(name))?;
        let plan = Plan::new(there, &Description::own(), of)?;
        if map.key_size != 4 || map.value_size != plan.size {
            return Err(Error::new(Code::System, format!("{name} is not what its description says")));
        }
        let bytes = vec![0; map.value_size.next_multiple_of(8)];
        Ok(Self { map, plan, bytes })
    }

    fn read<T: Copy>(&mut self, index: u32) -> Result<T> {
        self.map
            .lookup(&index.to_ne_bytes(), &mut self.bytes)
            .map_err(|error| Error::io("cannot read a table", &error))?;
        Ok(self.plan.apply(&self.bytes))
    }
}

/// The description that is pinned beside the maps of a layout.
fn description(layout: &Path) -> Result<Description> {
    let path = layout.join(maps::DESCRIPTION);
    if !path.exists() {
        return Err(Error::new(Code::NotFound, "it has no description"));
    }
    let map = RawMap::open(&path)?;
    if map.key_size != 4 || map.value_size > MAX_DESCRIPTION_BYTES {
        return Err(Error::new(Code::System, "its description is damaged"));
    }
    let mut bytes = vec![0; map.value_size.next_multiple_of(8)];
    map.lookup(&[0; 4], &mut bytes).map_err(|error| Error::io("cannot read its description", &error))?;
    Description::parse(&bytes)
}

/// Why the table of a layout cannot be read, or nothing.
pub fn problem(layout: &Path) -> Option<String> {
    Foreign::open(layout).err().map(|error| error.message)
}

/// What was exported of a live slot, by the step at which its agent was killed; `None`: the slot is half cleared. One that was
/// to be given back was clear by then, so when it is live it has been taken since.
fn exported_at(step: &Step, slot: u32, exported: Exported) -> Option<Exported> {
    match step.stage {
        stage::HANDING if step.slot == slot => Some(step.exported),
        stage::CLEARING if step.slot == slot => None,
        _ => Some(exported),
    }
}

impl Foreign {
    /// # Errors
    /// When the table has no description, or one that does not fit: then its flows are lost.
    pub fn open(layout: &Path) -> Result<Self> {
        let there = description(layout)?;
        let slots = Part::open(layout, maps::FLOW_STATS, &there, "FlowSlot")?;
        let exported = Part::open(layout, maps::FLOW_EXPORTED, &there, "Exported")?;
        let state: TableState = Part::open(layout, maps::TABLE_STATE, &there, "TableState")?.read(0)?;
        let len = slots.map.len.min(exported.map.len);
        // Not ready: no program can have used it. No top: it did not know one.
        let top = match (state.ready, u32::try_from(state.top)) {
            (0, _) => 0,
            (_, Ok(top)) if top > 0 => top.min(len),
            _ => len,
        };
        let state_at = there.offset_of("FlowSlot", "state")?;
        Ok(Self { layout: layout.into(), slots, exported, state_at, next: 0, top, step: state.step, open_packets: 0 })
    }

    /// Counts the packets that no record holds yet.
    pub fn count_open(&mut self, packets: impl Fn(&FlowSlot, &Exported) -> u64) -> Result<()> {
        for index in 0..self.top {
            if let Some((slot, exported)) = self.live(index)? {
                self.open_packets += packets(&slot, &exported);
            }
        }
        Ok(())
    }

    /// The next flow; `None`: that was all.
    pub fn take(&mut self) -> Result<Option<(FlowSlot, Exported)>> {
        while self.next < self.top {
            let index = self.next;
            self.next += 1;
            if let Some(flow) = self.live(index)? {
                self.slots.bytes[self.state_at] = SLOT_FREE;
                let marked = self.slots.map.update(&index.to_ne_bytes(), &self.slots.bytes);
                marked.map_err(|error| Error::io("cannot mark a flow as read", &error))?;
                return Ok(Some(flow));
            }
        }
        Ok(None)
    }

    fn live(&mut self, index: u32) -> Result<Option<(FlowSlot, Exported)>> {
        let slot: FlowSlot = self.slots.read(index)?;
        if slot.state != SLOT_LIVE || !matches!(slot.key.family, IPV4 | IPV6) {
            return Ok(None);
        }
        let exported = self.exported.read(index)?;
        Ok(exported_at(&self.step, index, exported).map(|exported| (slot, exported)))
    }

    /// What its hooks counted, once: afterwards they are forgotten there. `None`: somebody had them before.
    pub fn take_counts(&mut self) -> Result<Option<Counts>> {
        let pin = self.layout.join(maps::HOOKS);
        if !pin.exists() {
            return Ok(None);
        }
        let there = description(&self.layout)?;
        let state = Part::open(&self.layout, maps::TABLE_STATE, &there, "TableState")?.read(0)?;
        let mut booked = Part::open(&self.layout, maps::HOOKS_BOOKED, &there, "HookBooked")?;
        let entries = (0..booked.map.len).map(|index| booked.read::<HookBooked>(index));
        let booked = entries.collect::<Result<Vec<_>>>()?.into_iter().filter(|booked| booked.hook != 0).collect();
        let counts = Counts { hooks: hooks(&RawMap::open(&pin)?, &there)?, booked, state };
        pins::unpin(&pin)?;
        Ok(Some(counts))
    }

    /// Removes its pins.
    pub fn remove(self) -> Result<()> {
        let is_map = |name: &String| AttachmentName::parse(name).is_none();
        pins::list(&self.layout)
            .iter()
            .filter(|name| is_map(name))
            .try_for_each(|name| pins::unpin(&self.layout.join(name)))?;
        pins::remove_dir(&self.layout)
    }
}

/// Tables of other layouts that are being read.
#[derive(Default)]
pub struct Inheritance(Vec<Foreign>);

impl Inheritance {
    pub fn add(&mut self, table: Foreign) {
        self.0.push(table);
    }

    pub fn has(&self, layout: &Path) -> bool {
        self.0.iter().any(|table| table.layout == layout)
    }

    /// Packets that no record holds yet.
    pub fn open_packets(&self) -> u64 {
        self.0.iter().map(|table| table.open_packets).sum()
    }

    /// Takes the next flow of any table; one that has no more goes, and so do its pins.
    pub fn take(&mut self) -> Result<Option<(FlowSlot, Exported)>> {
        while let Some(table) = self.0.last_mut() {
            match table.take() {
                Ok(Some(flow)) => return Ok(Some(flow)),
                end => {
                    // One that cannot be read is no more readable next time.
                    let removed = self.0.pop().map_or(Ok(()), Foreign::remove);
                    end?;
                    removed?;
                }
            }
        }
        Ok(None)
    }

    /// Notes that packets of the table that is being read are in a record.
    pub fn note_taken(&mut self, packets: u64) {
        if let Some(table) = self.0.last_mut() {
            table.open_packets = table.open_packets.saturating_sub(packets);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_at_finishes_the_step_of_its_slot() {
        let there = Exported { answer_count: [1, 0], ..Exported::ZERO };
        let handed_out = Exported { answer_count: [2, 0], ..Exported::ZERO };
        for (stage, expected) in [
            (stage::NONE, Some(there)),
            (stage::HANDING, Some(handed_out)),
            (stage::CLEARING, None),
            (stage::FREEING, Some(there)),
        ] {
            let step = Step { stage, slot: 7, exported: handed_out, ..Step::ZERO };
            assert_eq!(exported_at(&step, 7, there), expected, "{stage}");
            assert_eq!(exported_at(&step, 8, there), Some(there), "{stage}");
        }
    }
}
