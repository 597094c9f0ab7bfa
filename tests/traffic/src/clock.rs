//! Sets the wall clock wrong for a moment, and right again by a clock that nobody can set.

use crate::args::Args;
use crate::net;
use crate::Outcome;
use std::io::{Result, Write};
use std::thread;
use std::time::Duration;

const NANOS: i64 = 1_000_000_000;

fn read(clock: libc::clockid_t) -> Result<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec.
    net::check(unsafe { libc::clock_gettime(clock, &raw mut time) })?;
    Ok(time.tv_sec * NANOS + time.tv_nsec)
}

/// Puts the wall clock so far ahead of the boot clock.
fn set_ahead(of_boot: i64) -> Result<()> {
    let ns = read(libc::CLOCK_BOOTTIME)? + of_boot;
    let time = libc::timespec { tv_sec: ns / NANOS, tv_nsec: ns % NANOS };
    // SAFETY: the pointer is to a timespec.
    net::check(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) })?;
    Ok(())
}

/// Steps by `--seconds` for `--hold-ms`; prints `stepped` when it is done, and a summary when it is undone.
pub fn clock(args: &Args) -> Outcome {
    let seconds: i64 = args.required("seconds")?;
    let hold = Duration::from_millis(args.required("hold-ms")?);
    // From here on nothing but SIGKILL may end this program before the clock is right again.
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGPIPE] {
        // SAFETY: no handler is installed.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    let ahead = read(libc::CLOCK_REALTIME)? - read(libc::CLOCK_BOOTTIME)?;
    set_ahead(ahead + seconds * NANOS)?;
    let told = writeln!(std::io::stdout(), "stepped").and_then(|()| std::io::stdout().flush());
    thread::sleep(hold);
    set_ahead(ahead)?;
    told?;
    Ok("{}".to_owned())
}
