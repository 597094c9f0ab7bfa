//! Programs and maps from the embedded object into the kernel, or from their pins.

use crate::{
    error::{Code, Error, Result},
    mapped_array::{MappedArray, ShortArray},
    pins::Pins,
    session::{KeyScope, OpenOptions},
    table::Maps,
};
use aya::{
    Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapData, stack::Stack},
    programs::SchedClassifier,
};
use std::os::fd::AsFd as _;
use types::{TableState, maps, programs};

/// The BPF programs, built from bpf-rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/mermin.bpf.o"));

/// How many hooks can be counted; HOOKS has an entry for each.
const MAX_HOOKS: u32 = 8192;
const RING_RECORD_BYTES: u32 = 16;
const PAGE_BYTES: u32 = 4096;

/// `pinned`: the size of a table that is there already.
pub fn load(options: &OpenOptions, pins: Option<&Pins>, pinned: Option<u32>) -> Result<Ebpf> {
    let capacity = pinned.unwrap_or(options.flow_capacity);
    let high_water = u64::from(capacity) * u64::from(options.high_water_percent) / 100;
    let ring_bytes = (options.event_capacity.saturating_mul(RING_RECORD_BYTES)).next_power_of_two().max(PAGE_BYTES);
    let key_scope_vlan = u32::from(options.key_scope == KeyScope::Vni);
    let mut loader = EbpfLoader::new();
    loader
        .map_max_entries(maps::FLOW_STATS, capacity)
        .map_max_entries(maps::FLOW_EXPORTED, capacity)
        .map_max_entries(maps::FLOW_INDEX, capacity)
        .map_max_entries(maps::FREE_SLOTS, capacity)
        .map_max_entries(maps::HOOKS, MAX_HOOKS)
        .map_max_entries(maps::HOOKS_BOOKED, MAX_HOOKS)
        .map_max_entries(maps::FLOW_EVENTS, ring_bytes)
        .override_global("HIGH_WATER", &high_water, true)
        .override_global("KEY_SCOPE_VLAN", &key_scope_vlan, true)
        .override_global("RACE_WINDOW", &options.race_window, true);
    if let Some(pins) = pins {
        for name in maps::ALL {
            loader.map_pin_path(name, pins.layout.join(name));
        }
    }
    let mut ebpf = loader.load(OBJECT)?;
    for name in programs::ALL {
        program(&mut ebpf, name)?.load()?;
    }
    Ok(ebpf)
}

/// The program of this name.
pub fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier> {
    let program = ebpf
        .program_mut(name)
        .ok_or_else(|| Error::new(Code::System, format!("the BPF object has no program {name}")))?;
    Ok(program.try_into()?)
}

/// The size of the pinned table, which it keeps. One that an agent did not live to finish is removed: some of its maps
/// may be missing, and no program can have used it.
pub fn pinned_capacity(pins: &Pins) -> Result<Option<u32>> {
    let open = |name| MapData::from_pin(pins.layout.join(name)).ok();
    let capacity = |name| open(name).and_then(|map| map.info().ok()).map(|info| info.max_entries());
    let is_ready = || -> Option<bool> {
        let state = open(maps::TABLE_STATE)?;
        let state = ShortArray::new(MappedArray::<TableState>::new(state.fd().as_fd(), 1).ok()?).ok()?;
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

pub fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name).ok_or_else(|| Error::new(Code::System, format!("the BPF object has no map {name}")))
}

pub fn table_maps(ebpf: &mut Ebpf) -> Result<Maps> {
    let slots = take_array(ebpf, maps::FLOW_STATS)?;
    let exported = take_array(ebpf, maps::FLOW_EXPORTED)?;
    let state = ShortArray::new(take_array(ebpf, maps::TABLE_STATE)?)?;
    Ok(Maps {
        slots,
        exported,
        state,
        index: HashMap::try_from(take(ebpf, maps::FLOW_INDEX)?)?,
        free: Stack::try_from(take(ebpf, maps::FREE_SLOTS)?)?,
    })
}

/// An array with the size that the kernel says it has: a pinned one may differ from what was asked for.
pub fn take_array<T>(ebpf: &mut Ebpf, name: &str) -> Result<MappedArray<T>> {
    let Map::Array(data) = take(ebpf, name)? else {
        return Err(Error::new(Code::System, format!("{name} is not an array")));
    };
    let info = data.info()?;
    if info.value_size() as usize != size_of::<T>() {
        return Err(Error::new(Code::System, format!("{name} has elements of {} bytes", info.value_size())));
    }
    MappedArray::new(data.fd().as_fd(), info.max_entries())
}
