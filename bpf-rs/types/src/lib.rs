//! Structs and numbers shared by the BPF programs, the loader and (generated) TypeScript.
//!
//! Integers are in host byte order unless a field says otherwise; times are nanoseconds of `CLOCK_BOOTTIME` unless
//! named `unix`. `docs/architecture.md` tells who writes what.
#![cfg_attr(not(test), no_std)]

pub mod layout;

/// Names of the maps, as the programs declare them and as they are pinned.
pub mod maps {
    /// Array of [`FlowSlot`](crate::FlowSlot), the flow table.
    pub const FLOW_STATS: &str = "FLOW_STATS";
    /// Hash from [`FlowKey`](crate::FlowKey) to the index of its slot.
    pub const FLOW_INDEX: &str = "FLOW_INDEX";
    /// Array of [`Exported`](crate::Exported), one per slot; only the loader writes it.
    pub const FLOW_EXPORTED: &str = "FLOW_EXPORTED";
    /// Queue of the indexes of free slots.
    pub const FREE_SLOTS: &str = "FREE_SLOTS";
    /// Per-CPU hash from hook id to [`HookCounters`](crate::HookCounters).
    pub const HOOKS: &str = "HOOKS";
    /// Array with one [`TableState`](crate::TableState).
    pub const TABLE_STATE: &str = "TABLE_STATE";
    /// Ring buffer that wakes the loader.
    pub const FLOW_EVENTS: &str = "FLOW_EVENTS";
    pub const ALL: [&str; 7] = [FLOW_STATS, FLOW_INDEX, FLOW_EXPORTED, FREE_SLOTS, HOOKS, TABLE_STATE, FLOW_EVENTS];
}

/// Entry points: one per direction and kind of link, because a link without Ethernet header starts with the IP header.
pub mod programs {
    pub const ETHER_INGRESS: &str = "mermin_ingress";
    pub const ETHER_EGRESS: &str = "mermin_egress";
    pub const IP_INGRESS: &str = "mermin_ip_in";
    pub const IP_EGRESS: &str = "mermin_ip_out";
    pub const ALL: [&str; 4] = [ETHER_INGRESS, ETHER_EGRESS, IP_INGRESS, IP_EGRESS];
}

/// A hook is one direction of one interface: `ifindex << 1 | egress`.
pub const fn hook_id(ifindex: u32, egress: bool) -> u32 {
    ifindex << 1 | egress as u32
}

/// Address families as they stand in [`FlowKey::family`].
pub const IPV4: u8 = 4;
pub const IPV6: u8 = 6;

/// States of a [`FlowSlot`].
pub const SLOT_FREE: u8 = 0;
pub const SLOT_LIVE: u8 = 1;

/// Indexes into [`HookCounters::unparsed`].
pub mod unparsed {
    /// Not IPv4 or IPv6 (ARP, LLDP, MPLS, …).
    pub const NOT_IP: usize = 0;
    /// The packet ends inside a header that its lower layer announces.
    pub const TRUNCATED: usize = 1;
    /// A header contradicts itself: wrong IP version, header length below the minimum.
    pub const MALFORMED: usize = 2;
    /// More VLAN tags or IPv6 extension headers than are followed.
    pub const TOO_DEEP: usize = 3;
    pub const COUNT: usize = 4;
    pub const NAMES: [&str; COUNT] = ["not_ip", "truncated", "malformed", "too_deep"];
}

/// Indexes into [`HookCounters::lost`].
pub mod lost {
    /// No free slot for a new flow.
    pub const TABLE_FULL: usize = 0;
    /// The kernel refused to index a new flow.
    pub const INDEX_ERROR: usize = 1;
    /// The flow was made by another CPU and retired at once, while the packet looked for it.
    pub const CONTENDED: usize = 2;
    pub const COUNT: usize = 3;
    pub const NAMES: [&str; COUNT] = ["table_full", "index_error", "contended"];
}

/// Values of [`FlowRecord::end_reason`], as IPFIX `flowEndReason` (RFC 5102, 5.11.3) numbers them.
pub mod end_reason {
    pub const IDLE_TIMEOUT: u8 = 1;
    pub const ACTIVE_TIMEOUT: u8 = 2;
    pub const END_OF_FLOW_DETECTED: u8 = 3;
    pub const FORCED_END: u8 = 4;
    pub const LACK_OF_RESOURCES: u8 = 5;
}

/// TCP flags as bits, in the order of the header's byte 13 (RFC 9293, 3.1).
pub mod tcp {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
    /// Positions of the bits above in [`FlowSlot::tcp_flags`](crate::FlowSlot::tcp_flags).
    pub const FIN_LANE: usize = 0;
    pub const RST_LANE: usize = 2;
}

/// No side: nobody was seen doing it.
pub const SIDE_NONE: u8 = 255;

shared! {
    /// One conversation, the same from both ends: (a, port_a) sorts before (b, port_b) in network byte order, which is
    /// the order of Community ID. One-way ICMP keeps the sender as `a`.
    pub struct FlowKey {
        /// Address bytes as they stand in the header: IPv4 in the first four, the rest zero; IPv6 in all sixteen.
        /// They are words because BPF code for a struct of alignment 1 loads every byte alone.
        pub a: [u64; 2],
        pub b: [u64; 2],
        /// Ports; ICMP: the type (and its answer's type, or the code) as Community ID maps it; otherwise 0.
        pub port_a: u16,
        pub port_b: u16,
        /// IP protocol number of the first header that is not an IPv6 extension header.
        pub protocol: u8,
        /// [`IPV4`] or [`IPV6`].
        pub family: u8,
        pub pad: [u8; 2],
    }

    /// Packets and frame bytes.
    pub struct Counters {
        pub packets: u64,
        pub bytes: u64,
    }

    /// One entry of the flow table. "Side" 0 is what `a` sends, side 1 what `b` sends.
    ///
    /// The kernel is the only writer, but for `cut_ns`, and for the zeroing of a slot that nobody can see.
    /// In cache lines: what every packet writes; what every packet reads; the rest.
    pub struct FlowSlot {
        /// The interface that counts this flow.
        pub owner_ifindex: u32,
        /// [`SLOT_FREE`] or [`SLOT_LIVE`].
        pub state: u8,
        /// Side of the first packet, and whether its hook was egress: they say which hook of the owner counts which side.
        pub first_side: u8,
        pub first_egress: u8,
        /// As in `key`, for the sweep.
        pub protocol: u8,
        pub last_ns: u64,
        /// First packet after `cut_ns`.
        pub window_first_ns: u64,
        /// End of the last exported window; written by the loader.
        pub cut_ns: u64,
        pub counted: [Counters; 2],

        pub key: FlowKey,
        /// One byte per TCP flag and side, set to 1: plain stores need no atomic OR, which kernels before 5.12 lack.
        pub tcp_flags: [[u8; 8]; 2],
        /// Per side: a SYN without ACK was seen.
        pub syn: [u8; 2],
        /// Per side: a SYN with ACK was seen.
        pub syn_ack: [u8; 2],
        pub pad0: [u8; 4],

        /// Per side: the one other hook that is counted too, in case the owner never sees this side; 0 is none.
        pub other_hook: [u64; 2],
        pub other: [Counters; 2],
        pub pad1: [u8; 16],
    }

    /// What was already exported of a slot. Written by the loader only, pinned, so that a restart goes on exactly.
    pub struct Exported {
        pub counters: [Counters; 2],
    }

    /// What one hook saw, per CPU: `packets = counted + noted + sum(unparsed) + sum(lost)`.
    pub struct HookCounters {
        pub packets: u64,
        pub bytes: u64,
        /// Packets added to the flow's own counters here.
        pub counted: u64,
        /// Packets of flows that another hook counts.
        pub noted: u64,
        pub unparsed: [u64; 4],
        pub lost: [u64; 3],
    }

    /// The table as a whole.
    pub struct TableState {
        /// Set by the loader once all free slots are queued.
        pub ready: u64,
        /// Flows ever created; the kernel adds.
        pub created: u64,
        /// Slots ever given back; the loader adds.
        pub freed: u64,
        /// The loader sets 1 to be woken once when the table fills up; the kernel clears it.
        pub armed: u64,
    }

    /// How the loader's sweep decides; all times in nanoseconds. Written by TypeScript.
    pub struct SweepLimits {
        pub active_ns: u64,
        pub generic_idle_ns: u64,
        pub icmp_idle_ns: u64,
        pub tcp_idle_ns: u64,
        pub tcp_fin_ns: u64,
        pub tcp_rst_ns: u64,
        pub udp_idle_ns: u64,
        /// When more slots than this are used, flows are retired early…
        pub high_water: u32,
        /// …until no more than this are.
        pub low_water: u32,
        /// 1: retire everything now (`forced_end`).
        pub force: u32,
        pub pad: u32,
    }

    /// One flow record for TypeScript: a window of a flow.
    pub struct FlowRecord {
        pub key: FlowKey,
        /// First and last packet of the window, nanoseconds since the Unix epoch.
        pub start_unix_ns: u64,
        pub end_unix_ns: u64,
        pub delta: [Counters; 2],
        pub total: [Counters; 2],
        /// Index of the flow's slot: names the flow as long as it is open.
        pub slot: u32,
        /// The interface that counted each side; they differ when a side never passes the owner.
        pub ifindex: [u32; 2],
        /// Bits, per side.
        pub tcp_flags: [u8; 2],
        /// Side that sent a SYN, a SYN with ACK, the first packet; or [`SIDE_NONE`].
        pub syn_side: u8,
        pub syn_ack_side: u8,
        pub first_side: u8,
        /// One of [`end_reason`].
        pub end_reason: u8,
        /// 1: this is the last record of the flow, its slot is free.
        pub last: u8,
        /// 1: this is the first record of the flow.
        pub first: u8,
        pub pad: [u8; 4],
    }

    /// The counters of one hook, over all CPUs, for TypeScript.
    pub struct HookReport {
        pub ifindex: u32,
        pub egress: u32,
        pub counters: HookCounters,
    }

    /// The table's figures for TypeScript; hook reports follow it in the same buffer.
    pub struct TableReport {
        pub capacity: u32,
        pub used: u32,
        pub created: u64,
        pub freed: u64,
        /// Flows retired early because the table filled up.
        pub pressed: u64,
        /// Slots that could not be given back to the kernel.
        pub leaked: u64,
        /// Packets of open flows that no record holds yet.
        pub open_packets: u64,
        /// Hook reports that follow.
        pub hooks: u32,
        pub pad: u32,
    }
}

/// All layouts, for the generator and the hash.
pub const LAYOUTS: &[layout::Layout] = &[
    FlowKey::LAYOUT,
    Counters::LAYOUT,
    FlowSlot::LAYOUT,
    Exported::LAYOUT,
    HookCounters::LAYOUT,
    TableState::LAYOUT,
    SweepLimits::LAYOUT,
    FlowRecord::LAYOUT,
    HookReport::LAYOUT,
    TableReport::LAYOUT,
];

/// To be raised when the same bytes begin to mean something else.
const MEANING: u64 = 1;

/// Changes whenever a layout or its meaning changes; part of the pin path, checked by TypeScript at load.
pub const LAYOUT_HASH: u64 = layout::hash(LAYOUTS, MEANING);

const _: () = assert!(core::mem::size_of::<FlowSlot>() == 192);
const _: () = assert!(core::mem::offset_of!(FlowSlot, key) == 64);
const _: () = assert!(unparsed::COUNT == 4 && lost::COUNT == 3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_changes_with_a_name_an_offset_and_a_size() {
        let one = |name, offset, size| {
            let fields = Box::leak(Box::new([layout::Field { name, offset, size }]));
            layout::hash(&[layout::Layout { name: "S", size: 8, fields }], 1)
        };
        let base = one("a", 0, 8);
        assert_ne!(base, one("b", 0, 8));
        assert_ne!(base, one("a", 4, 8));
        assert_ne!(base, one("a", 0, 4));
        assert_eq!(base, one("a", 0, 8));
    }

    #[test]
    fn hooks_of_one_interface_differ_only_in_direction() {
        assert_eq!(hook_id(7, false) ^ hook_id(7, true), 1);
    }
}
