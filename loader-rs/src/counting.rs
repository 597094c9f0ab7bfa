//! What was counted: the flow table and the counters of the hooks.

use crate::{
    booked::Booked,
    conntrack::{Conntrack, Counts as ConntrackCounts},
    error::{Error, Result},
    foreign::{Counts, Foreign},
    kernel::cpus,
    table::Table,
};
use aya::maps::{MapData, MapError, PerCpuHashMap, PerCpuValues};
use std::{mem, sync::Arc};
use types::{FlowRecord, HookBooked, HookCounters, HookReport, TableReport, hook_id};

type CounterWords = [u64; size_of::<HookCounters>() / 8];

/// HOOKS: by hook id, per CPU.
pub type HookMap = PerCpuHashMap<MapData, u32, CounterWords>;

pub struct Counting {
    pub table: Table,
    pub hooks: HookMap,
    pub booked: Booked,
    /// Without it, translated connections are not recognised.
    pub conntrack: Option<Arc<Conntrack>>,
}

impl Counting {
    /// Makes room for the counters of an interface; without, its hooks do not count.
    pub fn add_hooks(&mut self, ifindex: u32) -> Result<()> {
        for id in [false, true].map(|egress| hook_id(ifindex, egress)) {
            if self.hooks.get(&id, 0).is_err() {
                self.hooks.insert(id, per_cpu(vec![CounterWords::default(); cpus()?])?, 0)?;
            }
        }
        Ok(())
    }

    /// Moves the counters of an interface to those of all that are gone.
    pub fn retire_hooks(&mut self, ifindex: u32) -> Result<()> {
        // One that fails does not keep the other.
        [false, true].map(|egress| self.retire_hook(hook_id(ifindex, egress))).into_iter().collect()
    }

    /// Ends the flows and retires the counters of interfaces that nobody counts at.
    pub fn keep_only(&mut self, is_attached: impl Fn(u32) -> bool) -> Result<()> {
        self.table.end_flows_without(&is_attached)?;
        for hook in self.hooks.keys().collect::<std::result::Result<Vec<_>, _>>()? {
            if !is_attached(hook >> 1) && hook >> 1 != GONE_IFINDEX {
                self.retire_hook(hook)?;
            }
        }
        Ok(())
    }

    /// Takes over what an agent of another version left: its flows, and what its hooks counted.
    pub fn inherit(&mut self, mut table: Foreign) -> Result<()> {
        if let Some(Counts { hooks, booked, state }) = table.take_counts()? {
            for (hook, counters) in hooks {
                // SAFETY: HookCounters is a struct of as many words.
                let words = counters
                    .into_iter()
                    .map(|counters| unsafe { mem::transmute::<HookCounters, CounterWords>(counters) });
                self.add_gone(hook, &words.collect::<Vec<_>>())?;
            }
            for HookBooked { hook, filtered, moved, .. } in booked {
                self.booked.add_filtered(gone_hook(hook), filtered)?;
                self.booked.add_moved(gone_hook(hook), moved)?;
            }
            self.table.add_totals(&state);
        }
        self.table.inherit(table)
    }

    /// Adds to the counters, per CPU, of all hooks that are gone.
    fn add_gone(&mut self, hook: u32, counters: &[CounterWords]) -> Result<()> {
        let gone = gone_hook(hook);
        let mut sums = match self.hooks.get(&gone, 0) {
            Err(MapError::KeyNotFound) => vec![CounterWords::default(); counters.len()],
            sums => sums?.to_vec(),
        };
        for (sums, words) in sums.iter_mut().zip(counters) {
            add_words(sums, words);
        }
        Ok(self.hooks.insert(gone, per_cpu(sums)?, 0)?)
    }

    /// Adds the counters of a hook that has no program any more to those of all such hooks, and drops them.
    fn retire_hook(&mut self, hook: u32) -> Result<()> {
        match self.hooks.get(&hook, 0) {
            Err(MapError::KeyNotFound) => {}
            counters => {
                // First, because it may take the last place.
                let counters = counters?;
                self.hooks.remove(&hook)?;
                self.add_gone(hook, &counters)?;
            }
        }
        self.booked.retire(hook, gone_hook(hook))
    }

    /// The table's figures and the counters of every hook.
    pub fn counters(&self) -> Result<(TableReport, Vec<HookReport>)> {
        let mut reports = Vec::new();
        for id in self.hooks.keys() {
            let id = id?;
            let values = self.hooks.get(&id, 0)?;
            let mut sum = CounterWords::default();
            for cpu in values.iter() {
                add_words(&mut sum, cpu);
            }
            // SAFETY: HookCounters is a struct of as many words.
            let counters = unsafe { std::mem::transmute::<CounterWords, HookCounters>(sum) };
            reports.push(hook_report(id, counters, self.booked.of(id)));
        }
        let state = self.table.state();
        let conntrack = self.conntrack.as_ref().map_or_else(ConntrackCounts::default, |conntrack| conntrack.counts());
        let table = TableReport {
            capacity: self.table.capacity(),
            used: self.table.used(),
            created: state.created,
            freed: state.freed,
            pressed: self.table.pressed,
            leaked: self.table.leaked,
            open_packets: self.table.open_packets()?,
            taken: state.taken,
            filtered: state.filtered,
            killed: state.killed,
            hooks: reports.len() as u32,
            conntrack_entries: conntrack.entries,
            conntrack_events: conntrack.events,
            conntrack_lost: conntrack.lost,
            conntrack_overflows: conntrack.overflows,
        };
        Ok((table, reports))
    }

    /// Moves packets of a hook from counted to filtered, wherever its counters are by now.
    pub fn book_filtered(&mut self, hook: u32, packets: u64) -> Result<()> {
        self.table.note_filtered(packets);
        match self.counting_place(hook) {
            Some(hook) => self.booked.add_filtered(hook, packets),
            None => Ok(()),
        }
    }

    /// Hands records out, see [`Table::read`].
    pub fn read(&mut self, out: &mut [FlowRecord]) -> Result<usize> {
        let read = self.table.read(out);
        for (hook, packets) in mem::take(&mut self.table.moved) {
            if let Some(hook) = self.counting_place(hook) {
                self.booked.add_moved(hook, packets)?;
            }
        }
        if let (Some(conntrack), Ok(count)) = (&self.conntrack, &read) {
            conntrack.tell(&mut out[..*count], |unix_ns| self.table.boot(unix_ns));
        }
        read
    }

    /// Where the counters of a hook are: its own, or those of all that are gone.
    fn counting_place(&self, hook: u32) -> Option<u32> {
        [hook, gone_hook(hook)].into_iter().find(|hook| self.booked.has(*hook) || self.hooks.get(hook, 0).is_ok())
    }
}

/// The kernel's counters with what became known since.
fn hook_report(id: u32, counters: HookCounters, booked: HookBooked) -> HookReport {
    // Read after the counters, what is booked may be ahead of them for a moment. And a record is booked at one hook of a side,
    // although another counted the side before.
    // CPUs are read one after the other: what one takes back may be seen before what another counted.
    let duplicate = if counters.duplicate.cast_signed() < 0 { 0 } else { counters.duplicate };
    let moved = booked.moved.min(duplicate);
    let filtered = booked.filtered.min(counters.counted + moved);
    let counted = counters.counted + moved - filtered;
    let counters = HookCounters { counted, duplicate: duplicate - moved, ..counters };
    let ifindex = if id >> 1 == GONE_IFINDEX { 0 } else { id >> 1 };
    HookReport { ifindex, egress: id & 1, counters, filtered }
}

/// No interface has this index: under it the counters of those that are gone are added up, so that sums never fall.
const GONE_IFINDEX: u32 = u32::MAX >> 1;

/// The hook of the same direction under which those that are gone are added up.
pub fn gone_hook(hook: u32) -> u32 {
    hook_id(GONE_IFINDEX, hook & 1 != 0)
}

fn add_words(sums: &mut CounterWords, words: &CounterWords) {
    for (sum, word) in sums.iter_mut().zip(words) {
        // What one CPU has of a counter may be negative: it takes back what another counted.
        *sum = sum.wrapping_add(*word);
    }
}

fn per_cpu(words: Vec<CounterWords>) -> Result<PerCpuValues<CounterWords>> {
    PerCpuValues::try_from(words).map_err(|error| Error::io("cannot count per CPU", &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTED: HookCounters = HookCounters { packets: 10, counted: 6, duplicate: 4, ..HookCounters::ZERO };

    fn figures(counters: HookCounters, filtered: u64, moved: u64) -> [u64; 3] {
        let report = hook_report(7, counters, HookBooked { filtered, moved, ..HookBooked::ZERO });
        [report.counters.counted, report.counters.duplicate, report.filtered]
    }

    #[test]
    fn hook_report_adds_up_with_what_is_booked() {
        for (filtered, moved, expected) in [
            (0, 0, [6, 4, 0]),
            (2, 0, [4, 4, 2]),
            (0, 3, [9, 1, 0]),
            (8, 3, [1, 1, 8]),
            // Ahead of what was counted.
            (11, 5, [0, 0, 10]),
        ] {
            assert_eq!(figures(COUNTED, filtered, moved), expected, "{filtered} {moved}");
            assert_eq!(expected.iter().sum::<u64>(), COUNTED.packets);
        }
    }

    #[test]
    fn hook_report_never_shows_less_than_nothing() {
        let taken_back = HookCounters { duplicate: 0u64.wrapping_sub(2), ..COUNTED };
        assert_eq!(figures(taken_back, 0, 0), [6, 0, 0]);
        assert_eq!(figures(taken_back, 1, 3), [5, 0, 1]);
    }
}
