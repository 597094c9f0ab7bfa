//! Reading: the records of the flows that a sweep found, and of those that agents of other versions left.

use super::{Due, Table};
use crate::{
    clock,
    counting::gone_hook,
    error::{Code, Error, Result},
    flow::{self, Gap},
};
use types::{Exported, FlowRecord, FlowSlot, end_reason};

impl Table {
    /// All that is not exported of the next flow of another table.
    fn inherited_record(&mut self) -> Result<Option<FlowRecord>> {
        while let Some((flow, exported)) = self.inherited.take()? {
            let (window, gaps) = inherited_window(&flow, &exported);
            let Some(window) = window else {
                continue;
            };
            // The counters of that table's hooks were added to those of hooks that are gone.
            let moved = gaps.iter().flatten().map(|gap| (gone_hook(gap.hook), gap.counters.packets));
            self.moved.extend(moved);
            self.maps.hand_out_foreign(packets(&window));
            self.inherited.note_taken(packets(&window));
            return Ok(Some(FlowRecord {
                start_unix_ns: self.unix(window.start_unix_ns),
                end_unix_ns: self.unix(window.end_unix_ns),
                // Its slot is none of ours; before our own flows, that of the first names nobody else.
                slot: 0,
                end_reason: end_reason::FORCED_END,
                last: 1,
                ..window
            }));
        }
        Ok(None)
    }

    /// Writes the next records into `out` and gives the slots of ended flows back; returns how many were written.
    /// Fewer than fit means that the sweep is read to its end, or that the next call tells an error: what was written
    /// before counts as handed out, so it is handed out.
    pub fn read(&mut self, out: &mut [FlowRecord]) -> Result<usize> {
        if self.must_wait {
            return Err(Error::new(Code::Usage, "read before a sweep has succeeded"));
        }
        let mut written = 0;
        while written < out.len() && self.failed.is_none() {
            let Some(record) = self.next_record() else {
                self.maps.arm();
                break;
            };
            out[written] = record;
            written += 1;
        }
        self.failed.take_if(|_| written == 0).map_or(Ok(written), Err)
    }

    /// The next record, of what other agents left first. `None`: that was all, or something failed.
    fn next_record(&mut self) -> Option<FlowRecord> {
        match self.inherited_record() {
            Ok(None) => {}
            Ok(record) => return record,
            Err(error) => {
                self.failed = Some(error);
                return None;
            }
        }
        while self.failed.is_none()
            && let Some(due) = self.ready.pop()
        {
            let record = match self.record(due) {
                Ok(record) => record,
                Err(error) => {
                    self.ready.push(due);
                    self.failed = Some(error);
                    return None;
                }
            };
            if due.retires() {
                self.failed = self.give_back(due.slot).err();
            }
            if record.is_some() {
                return record;
            }
        }
        None
    }

    /// The window of a flow that is due, which counts as exported from now on; `None` when it had no packet.
    fn record(&mut self, due: Due) -> Result<Option<FlowRecord>> {
        let (flow, exported) = (self.maps.slots.at(due.slot)?, self.maps.exported.at(due.slot)?);
        let cut_ns = (!due.retires()).then(clock::boot_ns);
        // SAFETY: mapped memory; what is exported only we write.
        let (slot, before) = unsafe { (flow::snapshot(flow, cut_ns), *exported) };
        // Of a flow that goes on, the owner may speak again.
        let gaps = [0, 1].map(|side| if due.retires() { flow::gap(&slot, side) } else { None });
        let Some((window, after)) = flow::window(&slot, &before, gaps) else {
            return Ok(None);
        };
        self.maps.hand_out(due.slot, after, packets(&window))?;
        self.moved.extend(gaps.iter().flatten().map(|gap| (gap.hook, gap.counters.packets)));
        let is_nameless = self.nameless.contains(&due.slot);
        Ok(Some(FlowRecord {
            start_unix_ns: self.unix(window.start_unix_ns),
            end_unix_ns: self.unix(window.end_unix_ns),
            hook: if is_nameless { [0; 2] } else { window.hook },
            interfaces: if is_nameless { [0; 6] } else { window.interfaces },
            slot: due.slot,
            end_reason: due.reason,
            last: due.retires().into(),
            ..window
        }))
    }

    fn give_back(&mut self, slot: u32) -> Result<()> {
        self.note_top();
        self.nameless.remove(&slot);
        self.maps.give_back(slot).inspect_err(|_| self.leaked += 1)
    }
}

fn inherited_window(flow: &FlowSlot, exported: &Exported) -> (Option<FlowRecord>, [Option<Gap>; 2]) {
    let gaps = [0, 1].map(|side| flow::gap(flow, side));
    (flow::window(flow, exported, gaps).map(|(window, _)| window), gaps)
}

/// Packets of another table's flow that no record holds yet.
pub fn inherited_packets(flow: &FlowSlot, exported: &Exported) -> u64 {
    inherited_window(flow, exported).0.as_ref().map_or(0, packets)
}

fn packets(window: &FlowRecord) -> u64 {
    window.delta[0].packets + window.delta[1].packets
}
