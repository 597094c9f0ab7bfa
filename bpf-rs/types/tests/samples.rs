//! Holds `src/capture/samples.txt` against the structs. The TypeScript tests decode the same file, so the generated
//! offsets are proved by bytes that Rust made.
use types::*;

const SAMPLES: &str = include_str!("../../../src/capture/samples.txt");

fn hex<T>(value: &T) -> String {
    // SAFETY: shared structs have no padding, so all their bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>()) };
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn words(bytes: [u8; 16]) -> [u64; 2] {
    let half = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap());
    [half(0), half(8)]
}

fn counters(packets: u64, bytes: u64) -> Counters {
    Counters { packets, bytes }
}

/// The third window of a TCP flow between fd00::1 port 443 and fd00::2 port 51234.
fn tcp6() -> FlowRecord {
    let address = |last| words([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    FlowRecord {
        key: FlowKey { a: address(1), b: address(2), port_a: 443, port_b: 51234, protocol: 6, family: IPV6, vlan: 0 },
        start_unix_ns: 1_700_000_000_123_456_789,
        end_unix_ns: 1_700_000_001_323_456_790,
        delta: [counters(1, 2), counters(3, (1 << 32) + 4)],
        total: [counters(5, 6), counters(7, (1 << 53) - 1)],
        handshake_ns: 1_234_567,
        latency_ns: [0, (1 << 33) + 5],
        jitter_ns: [0, 678_901],
        nat_a: address(3),
        nat_b: address(2),
        latency_count: [0, 9],
        slot: 99_999,
        hook: [hook_id(2, false), hook_id(70_000, true)],
        interfaces: [2, 70_000, 5, 0, 0, 0],
        flow_label: [0xf_ffff, 1],
        spi: [0, 0],
        vlan: 4094,
        nat_port: [8443, 51234],
        tcp_flags: [0x12, 0x1b],
        traffic_class: [0xb8, 0x03],
        ttl: [64, 255],
        icmp_type: [0, 0],
        icmp_code: [0, 0],
        ip_known: [1, 1],
        icmp_known: [0, 0],
        fin_acked: [0, 1],
        syn_side: 1,
        syn_ack_side: 0,
        fin_side: 1,
        first_side: 1,
        established: 1,
        end_reason: end_reason::ACTIVE_TIMEOUT,
        last: 0,
        first: 0,
        nat: NAT_ORIGINAL,
        nat_from: 1,
        pad: [0; 4],
    }
}

/// The only window of a UDP flow between 10.1.2.3 port 53 and 192.168.200.250 port 65535.
fn udp4() -> FlowRecord {
    let address = |ip: [u8; 4]| words([ip[0], ip[1], ip[2], ip[3], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    FlowRecord {
        key: FlowKey {
            a: address([10, 1, 2, 3]),
            b: address([192, 168, 200, 250]),
            port_a: 53,
            port_b: 65535,
            protocol: 17,
            family: IPV4,
            vlan: 0,
        },
        start_unix_ns: u32::MAX.into(),
        end_unix_ns: 1 << 32,
        delta: [counters(0, 0), counters(1, 60)],
        total: [counters(0, 0), counters(1, 60)],
        handshake_ns: 0,
        latency_ns: [0; 2],
        jitter_ns: [0; 2],
        nat_a: [0; 2],
        nat_b: [0; 2],
        latency_count: [0; 2],
        slot: 0,
        hook: [hook_id(3, true), hook_id(3, false)],
        interfaces: [3, 0, 0, 0, 0, 0],
        flow_label: [0; 2],
        spi: [0; 2],
        vlan: NO_VLAN,
        nat_port: [0; 2],
        tcp_flags: [0, 0],
        traffic_class: [0, 1],
        ttl: [0, 63],
        icmp_type: [0; 2],
        icmp_code: [0; 2],
        ip_known: [0, 1],
        icmp_known: [0; 2],
        fin_acked: [0; 2],
        syn_side: SIDE_NONE,
        syn_ack_side: SIDE_NONE,
        fin_side: SIDE_NONE,
        first_side: 1,
        established: 0,
        end_reason: end_reason::IDLE_TIMEOUT,
        last: 1,
        first: 1,
        nat: NAT_NONE,
        nat_from: 0,
        pad: [0; 4],
    }
}

fn hook() -> HookReport {
    HookReport {
        ifindex: 7,
        egress: 1,
        counters: HookCounters {
            packets: 158,
            bytes: (1 << 40) + 1,
            counted: 90,
            duplicate: 18,
            key_scope_conflict: 8,
            unparsed: [1, 2, 3, 4],
            lost: [5, 6, 7],
        },
        filtered: 22,
    }
}

fn table() -> TableReport {
    TableReport {
        capacity: 100_000,
        used: 12,
        created: (1 << 33) + 30,
        freed: (1 << 33) + 18,
        pressed: 4,
        leaked: 2,
        open_packets: 77,
        taken: (1 << 33) + 500,
        filtered: 44,
        killed: (1 << 33) + 9,
        hooks: 1,
        conntrack_entries: 5,
        conntrack_events: (1 << 33) + 6,
        conntrack_lost: 7,
        conntrack_overflows: 8,
    }
}

#[test]
fn samples_are_the_bytes_of_the_structs() {
    let lines = [
        format!("FlowRecord {}", hex(&tcp6())),
        format!("FlowRecord {}", hex(&udp4())),
        format!("TableReport {}", hex(&table())),
        format!("HookReport {}", hex(&hook())),
    ];
    let made = lines.join("\n") + "\n";
    assert!(made == SAMPLES, "src/capture/samples.txt is stale; it must be:\n{made}");
}
