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
        key: FlowKey {
            a: address(1),
            b: address(2),
            port_a: 443,
            port_b: 51234,
            protocol: 6,
            family: IPV6,
            pad: [0; 2],
        },
        start_unix_ns: 1_700_000_000_123_456_789,
        end_unix_ns: 1_700_000_001_323_456_790,
        delta: [counters(1, 2), counters(3, (1 << 32) + 4)],
        total: [counters(5, 6), counters(7, (1 << 53) - 1)],
        slot: 99_999,
        ifindex: [2, 70_000],
        tcp_flags: [0x12, 0x1b],
        syn_side: 1,
        syn_ack_side: 0,
        first_side: 1,
        end_reason: end_reason::ACTIVE_TIMEOUT,
        last: 0,
        first: 0,
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
            pad: [0; 2],
        },
        start_unix_ns: u32::MAX.into(),
        end_unix_ns: 1 << 32,
        delta: [counters(0, 0), counters(1, 60)],
        total: [counters(0, 0), counters(1, 60)],
        slot: 0,
        ifindex: [3, 3],
        tcp_flags: [0, 0],
        syn_side: SIDE_NONE,
        syn_ack_side: SIDE_NONE,
        first_side: 1,
        end_reason: end_reason::IDLE_TIMEOUT,
        last: 1,
        first: 1,
        pad: [0; 4],
    }
}

fn hook() -> HookReport {
    HookReport {
        ifindex: 7,
        egress: 1,
        counters: HookCounters {
            packets: 136,
            bytes: (1 << 40) + 1,
            counted: 90,
            noted: 18,
            unparsed: [1, 2, 3, 4],
            lost: [5, 6, 7],
        },
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
        hooks: 1,
        pad: 0,
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
