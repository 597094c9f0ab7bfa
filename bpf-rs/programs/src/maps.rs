//! The maps. Sizes and pin paths are the loader's business; the numbers here are for a program loaded without it.

use aya_ebpf::{
    bindings::{BPF_F_MMAPABLE, BPF_F_NO_PREALLOC},
    macros::map,
    maps::{Array, HashMap, PerCpuHashMap, RingBuf, Stack},
};
use types::{Exported, FlowKey, FlowSlot, HookBooked, HookCounters, TableState};

const CAPACITY: u32 = 1024;

#[map]
pub static FLOW_STATS: Array<FlowSlot> = Array::with_max_entries(CAPACITY, BPF_F_MMAPABLE);
#[map]
pub static FLOW_INDEX: HashMap<FlowKey, u32> = HashMap::with_max_entries(CAPACITY, 0);
#[map]
pub static FLOW_EXPORTED: Array<Exported> = Array::with_max_entries(CAPACITY, BPF_F_MMAPABLE);
#[map]
pub static FREE_SLOTS: Stack<u32> = Stack::with_max_entries(CAPACITY, 0);
#[map]
pub static HOOKS: PerCpuHashMap<u32, HookCounters> = PerCpuHashMap::with_max_entries(CAPACITY, BPF_F_NO_PREALLOC);
#[map]
pub static HOOKS_BOOKED: Array<HookBooked> = Array::with_max_entries(CAPACITY, BPF_F_MMAPABLE);
#[map]
pub static TABLE_STATE: Array<TableState> = Array::with_max_entries(1, BPF_F_MMAPABLE);
#[map]
pub static FLOW_EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);
