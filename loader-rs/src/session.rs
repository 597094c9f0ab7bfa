//! One agent's hold on the kernel: programs, maps, attachments, pins.

use crate::{
    attach::{self, AttachOptions, Attachments, Mode},
    cleanup::remove_layout,
    error::{Code, Error, Result},
    kernel::GracePeriod,
    load::{load, pinned_capacity, table_maps, take},
    netns::{self, Interface, NetNs},
    pins::Pins,
    table::Table,
};
use aya::{
    Ebpf,
    maps::{MapData, MapError, PerCpuHashMap, PerCpuValues, RingBuf},
    programs::tc::TcHandle,
    util::nr_cpus,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use types::{FlowRecord, HookCounters, HookReport, SweepLimits, TableReport, hook_id, maps};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenOptions {
    /// Usually `/sys/fs/bpf/mermin`; empty: nothing is pinned.
    pub pin_root: String,
    pub instance: String,
    pub flow_capacity: u32,
    pub event_capacity: u32,
    /// Percentage of used slots beyond which the kernel wakes us.
    pub high_water_percent: u32,
    /// File of the network namespace to watch, or empty for our own.
    pub network_namespace: String,
    pub attach: AttachOptions,
    /// For tests: how long a packet idles where its flow may be retired under it.
    #[serde(default)]
    pub race_window: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenReport {
    /// What the table really holds: a pinned one keeps its size.
    pub capacity: u32,
    pub pinned: bool,
    /// Why it is not, or empty.
    pub pin_problem: String,
    /// The table was there already.
    pub reused: bool,
    /// Flows found in it.
    pub taken_over: u32,
    /// Tables of other versions, whose flows `prune` drops.
    pub foreign_layouts: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachReport {
    pub index: u32,
    pub mode: Mode,
}

type CounterWords = [u64; size_of::<HookCounters>() / 8];

pub struct Session {
    ebpf: Ebpf,
    hooks: PerCpuHashMap<MapData, u32, CounterWords>,
    attachments: Attachments,
    /// Of our clsact filters.
    handle: TcHandle,
    netns: NetNs,
    pins: Option<Pins>,
    pub table: Table,
}

impl Session {
    pub fn open(options: &OpenOptions) -> Result<(Self, RingBuf<MapData>, OpenReport)> {
        let netns = NetNs::open(&options.network_namespace)?;
        let (pins, pin_problem) = open_pins(options)?;
        let pinned = pins.as_ref().map(pinned_capacity).transpose()?.flatten();
        let mut ebpf = match load(options, pins.as_ref(), pinned) {
            Err(error) => {
                // What was pinned for nothing goes; what was found stays.
                if let Some(pins) = pins.filter(|_| pinned.is_none()) {
                    let _ = pins.remove();
                }
                return Err(error);
            }
            ebpf => ebpf?,
        };
        let table = Table::open(table_maps(&mut ebpf)?, GracePeriod::new()?)?;
        let hooks = PerCpuHashMap::try_from(take(&mut ebpf, maps::HOOKS)?)?;
        let ring = RingBuf::try_from(take(&mut ebpf, maps::FLOW_EVENTS)?)?;
        let foreign = pins.iter().flat_map(Pins::foreign_layouts);
        let report = OpenReport {
            capacity: table.capacity(),
            pinned: pins.is_some(),
            pin_problem,
            reused: table.reused,
            taken_over: table.used(),
            foreign_layouts: foreign.map(|path| path.display().to_string()).collect(),
        };
        let handle = attach::handle_of(&options.instance);
        let attachments = Attachments::new(options.attach, handle);
        Ok((Self { ebpf, hooks, attachments, handle, netns, pins, table }, ring, report))
    }

    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        self.netns.run(netns::interfaces)
    }

    pub fn attach(&mut self, name: &str) -> Result<AttachReport> {
        let Self { ebpf, hooks, attachments, netns, pins, .. } = self;
        netns.run(|| {
            let index = netns::index_of(name)?;
            if attachments.contains(index) {
                return Err(Error::new(Code::Usage, format!("{name:?} is attached already")));
            }
            for egress in [false, true] {
                let id = hook_id(index, egress);
                if hooks.get(&id, 0).is_err() {
                    let zero = PerCpuValues::try_from(vec![CounterWords::default(); cpus()?])
                        .map_err(|error| Error::io("cannot count per CPU", &error))?;
                    hooks.insert(id, zero, 0)?;
                }
            }
            let mode = attachments.attach(ebpf, pins.as_ref(), netns.inode, name, index).map_err(|error| Error {
                message: format!("cannot attach to \"{name}\": {}", error.message),
                ..error
            })?;
            Ok(AttachReport { index, mode })
        })
    }

    /// Detaches from one interface, or from all when `ifindex` is 0, and waits for the packets under way.
    pub fn detach(&mut self, ifindex: u32) -> Result<()> {
        let indexes = if ifindex == 0 { self.attachments.indexes() } else { vec![ifindex] };
        let Self { attachments, netns, pins, .. } = self;
        // An interface that fails does not keep the others.
        let detached = netns
            .run(|| indexes.iter().map(|index| attachments.detach(pins.as_ref(), *index)).fold(Ok(()), Result::and));
        self.table.wait_for_programs().and(detached)
    }

    /// Detaches from an interface that is gone, ends its flows and drops its counters.
    pub fn forget(&mut self, ifindex: u32) -> Result<()> {
        self.detach(ifindex)?;
        let attachments = &self.attachments;
        self.table.end_flows_without(|owner| attachments.contains(owner))?;
        for egress in [false, true] {
            match self.hooks.remove(&hook_id(ifindex, egress)) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Removes attachments that an earlier agent left and we did not take over, with their flows and counters, and tables
    /// of other versions. Returns how many attachments it removed.
    pub fn prune(&mut self) -> Result<u32> {
        let mut removed = 0;
        if let Some(pins) = &self.pins {
            for name in pins.attachments().iter().filter(|name| !self.attachments.holds(name)) {
                attach::remove_pinned(&pins.path(name), name, self.handle)?;
                removed += 1;
            }
            for layout in pins.foreign_layouts() {
                removed += remove_layout(&layout, self.handle)?;
            }
        }
        // Before their counters and slots are somebody else's, the programs that were removed must have ended.
        self.table.wait_for_programs()?;
        let attachments = &self.attachments;
        self.table.end_flows_without(|owner| attachments.contains(owner))?;
        for hook in self.hooks.keys().collect::<std::result::Result<Vec<_>, _>>()? {
            if !self.attachments.contains(hook >> 1) {
                self.hooks.remove(&hook)?;
            }
        }
        Ok(removed)
    }

    pub fn sweep(&mut self, limits: &SweepLimits) -> Result<u32> {
        self.table.sweep(limits)
    }

    pub fn read(&mut self, out: &mut [FlowRecord]) -> Result<usize> {
        self.table.read(out)
    }

    /// The table's figures and the counters of every hook.
    pub fn counters(&self) -> Result<(TableReport, Vec<HookReport>)> {
        let mut reports = Vec::new();
        for id in self.hooks.keys() {
            let id = id?;
            let values = self.hooks.get(&id, 0)?;
            let mut sum = CounterWords::default();
            for cpu in values.iter() {
                for (sum, value) in sum.iter_mut().zip(cpu) {
                    *sum += value;
                }
            }
            // SAFETY: HookCounters is a struct of as many words.
            let counters = unsafe { std::mem::transmute::<CounterWords, HookCounters>(sum) };
            reports.push(HookReport { ifindex: id >> 1, egress: id & 1, counters });
        }
        let state = self.table.state();
        let table = TableReport {
            capacity: self.table.capacity(),
            used: self.table.used(),
            created: state.created,
            freed: state.freed,
            pressed: self.table.pressed,
            leaked: self.table.leaked,
            open_packets: self.table.open_packets(),
            hooks: reports.len() as u32,
            pad: 0,
        };
        Ok((table, reports))
    }

    /// Ends the session. `keep`: what is pinned goes on for a successor; otherwise nothing stays.
    pub fn close(mut self, keep: bool) -> Result<()> {
        if keep && self.pins.is_some() {
            return Ok(());
        }
        self.detach(0)?;
        self.prune()?;
        self.pins.take().map_or(Ok(()), Pins::remove)
    }
}

fn cpus() -> Result<usize> {
    nr_cpus().map_err(|(what, error)| Error::io(format!("cannot count the CPUs from {what}"), &error))
}

/// Pins when it can; without a writable bpffs the agent runs without, and says so. A locked instance is an error.
fn open_pins(options: &OpenOptions) -> Result<(Option<Pins>, String)> {
    if options.pin_root.is_empty() {
        return Ok((None, String::new()));
    }
    match Pins::open(Path::new(&options.pin_root), &options.instance) {
        Ok(pins) => Ok((Some(pins), String::new())),
        Err(error) if error.code == Code::Locked => Err(error),
        Err(error) => Ok((None, error.message)),
    }
}
