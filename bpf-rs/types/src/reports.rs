//! What the loader and TypeScript tell each other.

use crate::{Counters, FlowKey, HookCounters, shared};

shared! {
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

    /// One flow record for TypeScript: a window of a flow. Arrays of two are by side.
    pub struct FlowRecord {
        pub key: FlowKey,
        /// First and last packet of the window, nanoseconds since the Unix epoch.
        pub start_unix_ns: u64,
        pub end_unix_ns: u64,
        pub delta: [Counters; 2],
        pub total: [Counters; 2],
        /// From the SYN to the SYN-ACK; 0: not seen.
        pub handshake_ns: u64,
        /// From the last payload of the other side to the first payload of this side that answers it: mean over the
        /// answers of this window, and smoothed jitter as in RFC 3550, 6.4.1. Valid when `latency_count` is not 0.
        pub latency_ns: [u64; 2],
        pub jitter_ns: [u64; 2],
        /// What the ends of the key are called on the other side of a translation (NAT), when `nat` is not [`NAT_NONE`](crate::NAT_NONE).
        pub nat_a: [u64; 2],
        pub nat_b: [u64; 2],
        /// Answers of this window.
        pub latency_count: [u32; 2],
        /// Index of the flow's slot: names the flow as long as it is open.
        pub slot: u32,
        /// The hook (see [`hook_id`](crate::hook_id)) that counts each side now; another interface than the other side's when that side
        /// never passes, or no longer passes, the flow's first interface.
        pub hook: [u32; 2],
        /// All interfaces that saw the flow, the counting ones included; 0 fills up.
        pub interfaces: [u32; 6],
        /// IPv6 flow label of the side's first packet in the window.
        pub flow_label: [u32; 2],
        /// Security parameters index of AH or ESP; 0: none.
        pub spi: [u32; 2],
        /// Innermost 802.1Q VLAN id of the first packet; [`NO_VLAN`](crate::NO_VLAN): untagged.
        pub vlan: u16,
        /// As the ports of the key, like `nat_a`.
        pub nat_port: [u16; 2],
        /// TCP flags seen since the flow began, as bits.
        pub tcp_flags: [u8; 2],
        /// Traffic class (DSCP and ECN) and TTL or hop limit of the side's first packet in the window.
        pub traffic_class: [u8; 2],
        pub ttl: [u8; 2],
        /// Type and code of the side's first ICMP or ICMPv6 message in the window.
        pub icmp_type: [u8; 2],
        pub icmp_code: [u8; 2],
        /// 1: the side sent a packet in the window, so `traffic_class`, `ttl` and `flow_label` are known.
        pub ip_known: [u8; 2],
        /// 1: `icmp_type` and `icmp_code` are known (later fragments have none).
        pub icmp_known: [u8; 2],
        /// 1: the FIN of this side was acknowledged by the other.
        pub fin_acked: [u8; 2],
        /// Side that sent a SYN, a SYN with ACK, the first FIN, the first packet; or [`SIDE_NONE`](crate::SIDE_NONE).
        pub syn_side: u8,
        pub syn_ack_side: u8,
        pub fin_side: u8,
        pub first_side: u8,
        /// 1: more than a handshake was seen: the SYN-ACK was acknowledged, or there never was one.
        pub established: u8,
        /// One of [`end_reason`](crate::end_reason).
        pub end_reason: u8,
        /// 1: this is the last record of the flow, its slot is free.
        pub last: u8,
        /// 1: this is the first record of the flow.
        pub first: u8,
        /// [`NAT_NONE`](crate::NAT_NONE), [`NAT_ORIGINAL`](crate::NAT_ORIGINAL) or [`NAT_TRANSLATED`](crate::NAT_TRANSLATED).
        pub nat: u8,
        /// Side that began the connection, when `nat` is not [`NAT_NONE`](crate::NAT_NONE).
        pub nat_from: u8,
        pub pad: [u8; 4],
    }

    /// The counters of one hook, over all CPUs, for TypeScript.
    pub struct HookReport {
        /// 0: the sum over all interfaces that are gone.
        pub ifindex: u32,
        pub egress: u32,
        /// With what is booked: `packets = counted + filtered + duplicate + sum(unparsed) + sum(lost)`.
        pub counters: HookCounters,
        /// Packets in records that a filter dropped.
        pub filtered: u64,
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
        /// Packets in records handed out, and those of them in records that a filter dropped.
        pub taken: u64,
        pub filtered: u64,
        /// Records that agents had when they were killed.
        pub killed: u64,
        /// Hook reports that follow.
        pub hooks: u32,
        /// Translated connections that are known, events about such, those that found no place, and how often events were
        /// missing and what there is was asked for anew.
        pub conntrack_entries: u32,
        pub conntrack_events: u64,
        pub conntrack_lost: u64,
        pub conntrack_overflows: u64,
    }
}
