//! Structs and numbers shared by the BPF programs, the loader and (generated) TypeScript.
//!
//! Integers are in host byte order unless a field says otherwise; times are nanoseconds of `CLOCK_BOOTTIME` unless
//! named `unix`. `docs/architecture.md` tells who writes what.
#![cfg_attr(not(test), no_std)]

mod codes;
pub mod layout;
mod reports;
mod table;

pub use codes::*;
pub use reports::*;
pub use table::*;

/// All layouts, for the generator and the hash.
pub const LAYOUTS: &[layout::Layout] = &[
    FlowKey::LAYOUT,
    Counters::LAYOUT,
    FlowSlot::LAYOUT,
    Exported::LAYOUT,
    Step::LAYOUT,
    HookCounters::LAYOUT,
    HookBooked::LAYOUT,
    TableState::LAYOUT,
    SweepLimits::LAYOUT,
    FlowRecord::LAYOUT,
    HookReport::LAYOUT,
    TableReport::LAYOUT,
];

/// To be raised when the same bytes begin to mean something else.
const MEANING: u64 = 3;

/// Changes whenever a layout or its meaning changes; part of the pin path, checked by TypeScript at load.
pub const LAYOUT_HASH: u64 = layout::hash(LAYOUTS, MEANING);

const _: () = assert!(unparsed::COUNT == 4 && lost::COUNT == 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_changes_with_a_name_a_type_an_offset_and_a_size() {
        let one = |name, ty, offset, size| {
            let fields = Box::leak(Box::new([layout::Field { name, ty, offset, size }]));
            layout::hash(&[layout::Layout { name: "S", size: 8, fields }], 1)
        };
        let base = one("a", "u64", 0, 8);
        assert_ne!(base, one("b", "u64", 0, 8));
        assert_ne!(base, one("a", "[u32; 2]", 0, 8));
        assert_ne!(base, one("a", "u64", 4, 8));
        assert_ne!(base, one("a", "u64", 0, 4));
        assert_eq!(base, one("a", "u64", 0, 8));
    }

    #[test]
    fn hooks_of_one_interface_differ_only_in_direction() {
        assert_eq!(hook_id(7, false) ^ hook_id(7, true), 1);
    }
}
