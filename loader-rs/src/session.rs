//! One agent's hold on the kernel: programs, maps, attachments, pins.

use crate::{
    attach::{self, AttachOptions, Attachments, Mode},
    error::{Code, Error, Result},
    kernel::{GracePeriod, MappedArray},
    netns::{self, Interface, NetNs},
    pins::{self, AttachmentName, Pins},
    table::{Maps, Table},
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData, MapError, PerCpuHashMap, PerCpuValues, Queue, RingBuf},
    programs::{SchedClassifier, tc::TcHandle},
    util::nr_cpus,
};
use serde::{Deserialize, Serialize};
use std::{
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};
use types::{FlowRecord, HookCounters, HookReport, SweepLimits, TableReport, TableState, hook_id, maps, programs};

/// The BPF programs, built from bpf-rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mermin.bpf.o"));

/// How many hooks can be counted; HOOKS has an entry for each.
const MAX_HOOKS: u32 = 8192;
const RING_RECORD_BYTES: u32 = 16;
const PAGE_BYTES: u32 = 4096;

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

/// `pinned`: the size of a table that is there already.
fn load(options: &OpenOptions, pins: Option<&Pins>, pinned: Option<u32>) -> Result<Ebpf> {
    let capacity = pinned.unwrap_or(options.flow_capacity);
    let high_water = u64::from(capacity) * u64::from(options.high_water_percent) / 100;
    let ring_bytes = (options.event_capacity.saturating_mul(RING_RECORD_BYTES)).next_power_of_two().max(PAGE_BYTES);
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries(maps::FLOW_STATS, capacity)
        .map_max_entries(maps::FLOW_EXPORTED, capacity)
        .map_max_entries(maps::FLOW_INDEX, capacity)
        .map_max_entries(maps::FREE_SLOTS, capacity)
        .map_max_entries(maps::HOOKS, MAX_HOOKS)
        .map_max_entries(maps::FLOW_EVENTS, ring_bytes)
        .override_global("HIGH_WATER", &high_water, true)
        .override_global("RACE_WINDOW", &options.race_window, true);
    if let Some(pins) = pins {
        for name in maps::ALL {
            loader.map_pin_path(name, pins.layout.join(name));
        }
    }
    let mut ebpf = loader.load(OBJECT)?;
    for name in programs::ALL {
        let program = ebpf
            .program_mut(name)
            .ok_or_else(|| Error::new(Code::System, format!("the BPF object has no program {name}")))?;
        let program: &mut SchedClassifier = program.try_into()?;
        program.load()?;
    }
    Ok(ebpf)
}

/// The size of the pinned table, which it keeps. One that an agent did not live to finish is removed: some of its maps
/// may be missing, and no program can have used it.
fn pinned_capacity(pins: &Pins) -> Result<Option<u32>> {
    let open = |name| MapData::from_pin(pins.layout.join(name)).ok();
    let capacity = |name| open(name).and_then(|map| map.info().ok()).map(|info| info.max_entries());
    let is_ready = || -> Option<bool> {
        let state = open(maps::TABLE_STATE)?;
        let state = MappedArray::<TableState>::new(state.fd().as_fd(), 1).ok()?;
        // SAFETY: a mapped word that only loaders write.
        Some(unsafe { std::ptr::read_volatile(&raw const (*state.at(0)).ready) } != 0)
    };
    let sized = [maps::FLOW_STATS, maps::FLOW_EXPORTED, maps::FLOW_INDEX, maps::FREE_SLOTS].map(capacity);
    if is_ready() == Some(true) && sized[0].is_some() && sized.iter().all(|size| *size == sized[0]) {
        return Ok(sized[0]);
    }
    pins.unpin_maps()?;
    Ok(None)
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name).ok_or_else(|| Error::new(Code::System, format!("the BPF object has no map {name}")))
}

fn table_maps(ebpf: &mut Ebpf) -> Result<Maps> {
    let slots = take_array(ebpf, maps::FLOW_STATS)?;
    let exported = take_array(ebpf, maps::FLOW_EXPORTED)?;
    let state = take_array(ebpf, maps::TABLE_STATE)?;
    Ok(Maps {
        slots,
        exported,
        state,
        index: HashMap::try_from(take(ebpf, maps::FLOW_INDEX)?)?,
        free: Queue::try_from(take(ebpf, maps::FREE_SLOTS)?)?,
    })
}

/// Maps an array with the size that the kernel says it has: a pinned one may differ from what was asked for.
fn take_array<T>(ebpf: &mut Ebpf, name: &str) -> Result<MappedArray<T>> {
    let Map::Array(data) = take(ebpf, name)? else {
        return Err(Error::new(Code::System, format!("{name} is not an array")));
    };
    let info = data.info()?;
    if info.value_size() as usize != size_of::<T>() {
        return Err(Error::new(Code::System, format!("{name} has elements of {} bytes", info.value_size())));
    }
    MappedArray::new(data.fd().as_fd(), info.max_entries())
}

/// Removes the pins of another layout: attachments first. Returns how many attachments there were.
fn remove_layout(layout: &Path, handle: TcHandle) -> Result<u32> {
    let mut removed = 0;
    for file in pins::list(layout) {
        let path = layout.join(&file);
        match AttachmentName::parse(&file) {
            Some(name) => {
                attach::remove_pinned(&path, &name, handle)?;
                removed += 1;
            }
            None => pins::unpin(&path)?,
        }
    }
    pins::remove_dir(layout)?;
    Ok(removed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupOptions {
    pub pin_root: String,
    /// Empty: all instances.
    pub instance: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CleanupReport {
    pub instances: Vec<String>,
    /// Left alone, because their agents run.
    pub running: Vec<String>,
    pub attachments: u32,
}

/// Removes what agents left: attachments, maps, directories. A named instance whose agent runs is an error.
pub fn cleanup(options: &CleanupOptions) -> Result<CleanupReport> {
    let root = PathBuf::from(&options.pin_root);
    let mut report = CleanupReport { instances: Vec::new(), running: Vec::new(), attachments: 0 };
    for instance in pins::list(&root) {
        if !options.instance.is_empty() && options.instance != instance {
            continue;
        }
        let pins = match Pins::open(&root, &instance) {
            Err(error) if error.code == Code::Locked && options.instance.is_empty() => {
                report.running.push(instance);
                continue;
            }
            pins => pins?,
        };
        for layout in pins.foreign_layouts().into_iter().chain([pins.layout.clone()]) {
            report.attachments += remove_layout(&layout, attach::handle_of(&instance))?;
        }
        std::fs::create_dir_all(&pins.layout).map_err(|error| Error::io("cannot clean up", &error))?;
        pins.remove()?;
        report.instances.push(instance);
    }
    Ok(report)
}
