//! Boot time and wall-clock time.

use libc::{CLOCK_BOOTTIME, CLOCK_REALTIME, clockid_t};

fn read(clock: clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid clock and a valid place for the result.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Nanoseconds since boot, suspend included: the clock of `bpf_ktime_get_boot_ns`.
pub fn boot_ns() -> u64 {
    read(CLOCK_BOOTTIME) as u64
}

/// What to add to boot time to get time since the Unix epoch, now: it moves when somebody sets the clock.
pub fn unix_offset_ns() -> i64 {
    const SAMPLES: usize = 3;
    let sample = || {
        let before = read(CLOCK_BOOTTIME);
        let unix = read(CLOCK_REALTIME);
        let after = read(CLOCK_BOOTTIME);
        (after - before, unix - (before + after) / 2)
    };
    // The sample with the shortest gap was disturbed least.
    (0..SAMPLES).map(|_| sample()).min().map_or(0, |(_, offset)| offset)
}
