//! One agent's hold on the kernel: programs, maps, attachments, pins.

mod attaching;
mod options;

use crate::{
    attach::Attachments,
    booked::Booked,
    conntrack::Conntrack,
    counting::{Counting, HookMap},
    describe,
    error::{Code, Error, Result},
    foreign,
    hooks::handle_of,
    kernel::{self, GracePeriod},
    listeners::{Listener, Listeners},
    load::{load, pinned_capacity, table_maps, take, take_array},
    mapped_array::ShortArray,
    netlink::Socket,
    netns::NetNs,
    pins::Pins,
    reply::lock,
    table::{Settled, Table},
};
use aya::{
    Ebpf,
    maps::{MapData, RingBuf},
    programs::tc::TcHandle,
};
pub use options::{Attached, ForeignReport, KeyScope, OpenOptions, OpenReport};
use std::{
    path::Path,
    sync::{Arc, Mutex},
};
use types::{FlowRecord, HookReport, SweepLimits, TableReport, maps};

/// Multicast groups of rtnetlink (linux/rtnetlink.h).
const LINKS_AND_ADDRESSES: u32 = (libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR) as u32;

/// What is attached, and with what.
struct Programs {
    ebpf: Ebpf,
    attachments: Attachments,
    /// Of our clsact filters.
    handle: TcHandle,
    pins: Option<Pins>,
}

/// The two halves have locks of their own: attaching to many interfaces takes seconds, and meanwhile flows are read.
/// Who needs both takes `programs` first.
pub struct Session {
    programs: Mutex<Option<Programs>>,
    counting: Mutex<Option<Counting>>,
    settled: Mutex<Settled>,
    grace: GracePeriod,
    netns: NetNs,
    listeners: Listeners,
}

/// What [`Session::open`] makes.
pub struct Opened {
    pub session: Session,
    pub ring: RingBuf<MapData>,
    /// Listens to changes of interfaces and addresses in the watched namespace.
    pub changes: Socket,
    pub report: OpenReport,
}

impl Session {
    pub fn open(options: &OpenOptions) -> Result<Opened> {
        kernel::raise_open_files();
        let netns = NetNs::open(&options.network_namespace)?;
        // Before the first look at the interfaces, so that no change is missed.
        let changes = netns.run(|| Socket::open(libc::NETLINK_ROUTE, LINKS_AND_ADDRESSES))?;
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
        let grace = GracePeriod::new()?;
        let table = Table::open(table_maps(&mut ebpf)?, &grace)?;
        let hooks = HookMap::try_from(take(&mut ebpf, maps::HOOKS)?)?;
        let booked = Booked::open(ShortArray::new(take_array(&mut ebpf, maps::HOOKS_BOOKED)?)?);
        let ring = RingBuf::try_from(take(&mut ebpf, maps::FLOW_EVENTS)?)?;
        if let Some(pins) = &pins {
            describe::pin(pins)?;
        }
        let foreign = pins.iter().flat_map(Pins::foreign_layouts);
        let foreign = foreign.map(|path| ForeignReport {
            path: path.display().to_string(),
            problem: foreign::problem(&path).unwrap_or_default(),
        });
        let (conntrack, conntrack_problem) = match Conntrack::start(&netns, table.capacity()) {
            Ok(conntrack) => (Some(Arc::new(conntrack)), String::new()),
            Err(error) => (None, error.message),
        };
        let report = OpenReport {
            conntrack_problem,
            capacity: table.capacity(),
            pinned: pins.is_some(),
            pin_problem,
            reused: table.reused,
            taken_over: table.used(),
            killed: table.killed,
            foreign: foreign.collect(),
        };
        let handle = handle_of(&options.instance);
        let attachments = Attachments::new(options.attach, handle);
        let session = Self {
            settled: Mutex::new(table.settled()?),
            programs: Mutex::new(Some(Programs { ebpf, attachments, handle, pins })),
            counting: Mutex::new(Some(Counting { table, hooks, booked, conntrack })),
            grace,
            listeners: Listeners::open(&netns)?,
            netns,
        };
        Ok(Opened { session, ring, changes, report })
    }

    fn programs<T>(&self, work: impl FnOnce(&mut Programs) -> Result<T>) -> Result<T> {
        lock(&self.programs).as_mut().map_or_else(|| Err(closed()), work)
    }

    fn counting<T>(&self, work: impl FnOnce(&mut Counting) -> Result<T>) -> Result<T> {
        lock(&self.counting).as_mut().map_or_else(|| Err(closed()), work)
    }

    /// Who listens in the watched namespace.
    pub fn listeners(&self) -> Result<Vec<Listener>> {
        self.listeners.list()
    }

    /// Finds the flows that are due; returns how many records may be read now.
    pub fn sweep(&self, limits: &SweepLimits) -> Result<u32> {
        let mut must_wait = self.counting(|counting| counting.table.begin_sweep(limits))?;
        while must_wait {
            // With no lock held: nobody who asks for the counters waits with us.
            self.grace.wait()?;
            must_wait = self.counting(|counting| counting.table.settle())?;
        }
        // Here too: the kernel may be naming all its connections.
        if let Some(conntrack) = self.counting(|counting| Ok(counting.conntrack.clone()))? {
            conntrack.catch_up(limits);
        }
        self.counting(|counting| Ok(counting.table.end_sweep()))
    }

    pub fn read(&self, out: &mut [FlowRecord]) -> Result<usize> {
        self.counting(|counting| counting.read(out))
    }

    pub fn counters(&self) -> Result<(TableReport, Vec<HookReport>)> {
        self.counting(|counting| counting.counters())
    }

    pub fn book_filtered(&self, hook: u32, packets: u64) -> Result<()> {
        self.counting(|counting| counting.book_filtered(hook, packets))
    }

    /// So many of the records that were read are delivered, dropped or counted as lost.
    pub fn note_settled(&self, records: u64) {
        lock(&self.settled).note(records);
    }

    /// Ends the session. `keep`: what is pinned goes on for a successor; otherwise nothing stays.
    pub fn close(&self, keep: bool) -> Result<()> {
        let is_kept = self.programs(|programs| Ok(keep && programs.pins.is_some()))?;
        let removed = if is_kept { Ok(()) } else { self.remove_all() };
        // What was not delivered the agent has counted.
        self.counting(|counting| {
            counting.table.settle_all();
            Ok(())
        })?;
        // Not when the last wait has ended: a successor may come at once.
        let programs = lock(&self.programs).take();
        drop(lock(&self.counting).take());
        let pins = programs.and_then(|programs| programs.pins);
        removed?;
        pins.filter(|_| !is_kept).map_or(Ok(()), Pins::remove)
    }
}

fn closed() -> Error {
    Error::new(Code::NotFound, "the session is closed")
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
