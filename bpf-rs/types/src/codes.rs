//! Names and numbers: of maps and programs, and what stands in fields of the structs.

/// Names of the maps, as the programs declare them and as they are pinned.
pub mod maps {
    /// Array of [`FlowSlot`](crate::FlowSlot), the flow table.
    pub const FLOW_STATS: &str = "FLOW_STATS";
    /// Hash from [`FlowKey`](crate::FlowKey) to the index of its slot.
    pub const FLOW_INDEX: &str = "FLOW_INDEX";
    /// Array of [`Exported`](crate::Exported), one per slot; only the loader writes it.
    pub const FLOW_EXPORTED: &str = "FLOW_EXPORTED";
    /// Stack of the indexes of free slots: what was freed last is used first, so that few slots are ever touched.
    pub const FREE_SLOTS: &str = "FREE_SLOTS";
    /// Per-CPU hash from hook id to [`HookCounters`](crate::HookCounters).
    pub const HOOKS: &str = "HOOKS";
    /// Array with one [`TableState`](crate::TableState).
    pub const TABLE_STATE: &str = "TABLE_STATE";
    /// Ring buffer that wakes the loader.
    pub const FLOW_EVENTS: &str = "FLOW_EVENTS";
    /// Array of [`HookBooked`](crate::HookBooked), in no order; only the loader writes it.
    pub const HOOKS_BOOKED: &str = "HOOKS_BOOKED";
    /// Array with one text that describes the layouts of all the others; only loaders know it.
    pub const DESCRIPTION: &str = "DESCRIPTION";
    pub const ALL: [&str; 8] =
        [FLOW_STATS, FLOW_INDEX, FLOW_EXPORTED, FREE_SLOTS, HOOKS, HOOKS_BOOKED, TABLE_STATE, FLOW_EVENTS];
}

/// Entry points: one per direction and kind of link, because a link without Ethernet header starts with the IP header.
pub mod programs {
    pub const ETHER_INGRESS: &str = "mermin_ingress";
    pub const ETHER_EGRESS: &str = "mermin_egress";
    pub const IP_INGRESS: &str = "mermin_ip_in";
    pub const IP_EGRESS: &str = "mermin_ip_out";
    /// Counts nothing.
    pub const OFF: &str = "mermin_off";
    pub const ALL: [&str; 5] = [ETHER_INGRESS, ETHER_EGRESS, IP_INGRESS, IP_EGRESS, OFF];
}

/// A hook is one direction of one interface: `ifindex << 1 | egress`.
pub const fn hook_id(ifindex: u32, egress: bool) -> u32 {
    ifindex << 1 | egress as u32
}

/// Address families as they stand in [`FlowKey::family`](crate::FlowKey::family).
pub const IPV4: u8 = 4;
pub const IPV6: u8 = 6;

/// States of a [`FlowSlot`](crate::FlowSlot).
pub const SLOT_FREE: u8 = 0;
pub const SLOT_LIVE: u8 = 1;

/// Values of [`FlowSlot::claim`](crate::FlowSlot::claim). The kernel replaces the slot of a TCP connection that has ended when its ports are used
/// again, the loader removes it; one of them may.
pub const CLAIM_NONE: u32 = 0;
pub const CLAIM_KERNEL: u32 = 1;
pub const CLAIM_LOADER: u32 = 2;

/// Values of [`Step::stage`](crate::Step::stage).
pub mod stage {
    pub const NONE: u32 = 0;
    /// A record is handed out.
    pub const HANDING: u32 = 1;
    /// A slot that nobody can see becomes all zeros…
    pub const CLEARING: u32 = 2;
    /// …and goes onto the stack of free ones.
    pub const FREEING: u32 = 3;
}

/// Within this time all hooks of a machine see a packet, nearly always…
pub const TRANSIT_NS: u64 = 1_000_000;
/// …and within this, for sure: a packet that a hook's owner has not seen by then, it will not see.
pub const SETTLED_NS: u64 = 200_000_000;

/// Indexes into [`HookCounters::unparsed`](crate::HookCounters::unparsed).
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

/// Indexes into [`HookCounters::lost`](crate::HookCounters::lost).
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

/// Values of [`FlowRecord::end_reason`](crate::FlowRecord::end_reason), as IPFIX `flowEndReason` (RFC 5102, 5.11.3) numbers them.
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

/// No VLAN tag.
pub const NO_VLAN: u16 = u16::MAX;

/// Values of [`FlowRecord::nat`](crate::FlowRecord::nat): the connection is not translated, or nobody knows…
pub const NAT_NONE: u8 = 0;
/// …the record's key is how who began it sees it, and the other tuple how it is behind the translation…
pub const NAT_ORIGINAL: u8 = 1;
/// …or the other way round.
pub const NAT_TRANSLATED: u8 = 2;

/// No side: nobody was seen doing it.
pub const SIDE_NONE: u8 = 255;
