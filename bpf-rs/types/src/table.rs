//! What is in the maps.

use crate::shared;

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
        /// [`IPV4`](crate::IPV4) or [`IPV6`](crate::IPV6).
        pub family: u8,
        /// Innermost VLAN id when flows are told apart by it; otherwise, and without a tag, 0.
        pub vlan: u16,
    }

    /// Packets and frame bytes.
    pub struct Counters {
        pub packets: u64,
        pub bytes: u64,
    }

    /// One entry of the flow table. "Side" 0 is what `a` sends, side 1 what `b` sends; arrays of two are by side.
    ///
    /// The kernel is the only writer, but for `cut_ns`, `claim`, and the zeroing of a slot that nobody can see. One cache
    /// line after the other: what a packet writes; what every packet reads; TCP; answers; what seldom changes; other hooks.
    pub struct FlowSlot {
        /// Last packet at the side's owner; 0: none yet.
        pub last_ns: [u64; 2],
        /// First packet after `cut_ns`.
        pub window_first_ns: [u64; 2],
        /// Packets at the owner, and those that another hook saw in its place.
        pub counted: [Counters; 2],

        pub key: FlowKey,
        /// End of the last exported window; written by the loader.
        pub cut_ns: u64,
        /// The hook that counts the side: that of the first packet, for the other side the opposite direction of the
        /// same interface, until a hook that sees the side alone takes over.
        pub owner_hook: [u32; 2],
        /// [`SLOT_FREE`](crate::SLOT_FREE) or [`SLOT_LIVE`](crate::SLOT_LIVE).
        pub state: u8,
        /// Side of the first packet.
        pub first_side: u8,
        /// 1: `gap` is not empty.
        pub gap_open: [u8; 2],
        /// Innermost VLAN id of the first packet, or [`NO_VLAN`](crate::NO_VLAN).
        pub vlan: u16,
        /// 1: `icmp_type` and `icmp_code` are known.
        pub icmp_known: [u8; 2],

        /// One byte per TCP flag and side, set to the flag: plain stores need no atomic OR, which kernels before 5.12 lack.
        pub tcp_flags: [[u8; 8]; 2],
        /// Last segment with payload that the other side has not answered with payload yet; 0: none.
        pub data_ns: [u64; 2],
        /// First SYN without and first SYN with ACK; 0: none.
        pub syn_ns: u64,
        pub syn_ack_ns: u64,
        /// Sequence number after the side's FIN, valid when its FIN flag is set.
        pub fin_end: [u32; 2],
        /// A SYN without ACK was seen.
        pub syn: [u8; 2],
        /// A SYN with ACK was seen.
        pub syn_ack: [u8; 2],
        /// The FIN of this side was acknowledged.
        pub fin_acked: [u8; 2],
        /// Side of the first FIN, plus 1; 0: none.
        pub first_fin: u8,
        /// 1: somebody went on after a handshake.
        pub established: u8,

        /// Times from the other side's last payload to the payload that answers it: sum, number, the last one, and the
        /// jitter of RFC 3550, 6.4.1.
        pub answer_sum_ns: [u64; 2],
        pub answer_count: [u32; 2],
        pub answer_last_ns: [u64; 2],
        pub answer_jitter_ns: [u64; 2],
        /// Who takes the slot out of the index: [`CLAIM_NONE`](crate::CLAIM_NONE), [`CLAIM_KERNEL`](crate::CLAIM_KERNEL) or [`CLAIM_LOADER`](crate::CLAIM_LOADER).
        pub claim: u32,
        pub pad: u32,

        /// Of the first packet in the window.
        pub flow_label: [u32; 2],
        pub spi: [u32; 2],
        pub traffic_class: [u8; 2],
        pub ttl: [u8; 2],
        pub icmp_type: [u8; 2],
        pub icmp_code: [u8; 2],
        /// Interfaces that saw the flow, as they came.
        pub interfaces: [u32; 6],
        /// The one other hook of each side whose packets are watched; 0: none.
        pub other_hook: [u32; 2],
        pub created_ns: u64,

        /// Last packet at `other_hook`.
        pub other_last_ns: [u64; 2],
        /// First packet in `gap` that came too late after the owner's last to be a copy of it; 0: none.
        pub gap_since_ns: [u64; 2],
        /// Packets at `other_hook` since the owner's last packet.
        pub gap: [Counters; 2],
    }

    /// What was already exported of a slot. Written by the loader only, pinned, so that a restart goes on exactly.
    pub struct Exported {
        pub counters: [Counters; 2],
        pub answer_sum_ns: [u64; 2],
        pub answer_count: [u32; 2],

    }

    /// What the loader is about to change in several places. Whoever takes over from one that was killed finishes it.
    pub struct Step {
        /// One of [`stage`](crate::stage); written last, and [`stage::NONE`](crate::stage::NONE) when all is done.
        pub stage: u32,
        pub slot: u32,
        /// What will be in the slot's [`Exported`] and in the table's words.
        pub exported: Exported,
        pub taken: u64,
        pub records: u64,
        pub freed: u64,
    }

    /// What one hook saw, per CPU: `packets = counted + duplicate + sum(unparsed) + sum(lost)`.
    pub struct HookCounters {
        pub packets: u64,
        pub bytes: u64,
        /// Packets added to the flow's own counters here.
        pub counted: u64,
        /// Packets of flows that another hook counts.
        pub duplicate: u64,
        /// Packets of a flow whose first packet had another VLAN or tunnel id; they are in one of the above too.
        pub key_scope_conflict: u64,
        pub unparsed: [u64; 4],
        pub lost: [u64; 3],
    }

    /// What became known of a hook's packets after the kernel had counted them. Written by the loader only.
    pub struct HookBooked {
        /// Hook id; 0: the entry is free.
        pub hook: u32,
        pub pad: u32,
        /// Packets in records that a filter dropped: they are no longer `counted`.
        pub filtered: u64,
        /// Packets in records that the kernel had taken for `duplicate`: they are `counted`.
        pub moved: u64,
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
        /// Packets in records handed out, and those of them in records that a filter dropped; the loader adds.
        pub taken: u64,
        pub filtered: u64,
        /// No slot from this one on was ever used; written by the loader.
        pub top: u64,
        /// Records handed out; those of them whose fate is known (dropped by a filter, delivered, counted as lost on the way
        /// out); and those of agents that were killed, which nobody will know. What is left is with the agent that runs.
        pub records: u64,
        pub settled: u64,
        pub killed: u64,
        pub step: Step,
    }
}

const CACHE_LINE: usize = 64;
const _: () = assert!(core::mem::size_of::<FlowSlot>() == 6 * CACHE_LINE);
const _: () = assert!(core::mem::offset_of!(FlowSlot, key) == CACHE_LINE);
const _: () = assert!(core::mem::offset_of!(FlowSlot, tcp_flags) == 2 * CACHE_LINE);
const _: () = assert!(core::mem::offset_of!(FlowSlot, answer_sum_ns) == 3 * CACHE_LINE);
const _: () = assert!(core::mem::offset_of!(FlowSlot, flow_label) == 4 * CACHE_LINE);
const _: () = assert!(core::mem::offset_of!(FlowSlot, other_last_ns) == 5 * CACHE_LINE);
