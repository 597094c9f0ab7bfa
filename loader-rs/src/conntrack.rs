//! Follows the connection tracking of the watched namespace, so that both tuples of a translated connection are known.

mod lives;
mod message;
mod translations;

use crate::{
    clock,
    error::{Code, Error, Result},
    netlink::{self, Message, Socket},
    netns::NetNs,
    reply::lock,
    wait::{WOKEN, eventfd, ring_bell, wait_for},
};
use message::{DST_NAT, Dump, Event, GET, GROUPS, SRC_NAT};
use std::{
    fs, io,
    os::fd::{AsFd as _, OwnedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};
use translations::Translations;
use types::{FlowRecord, SweepLimits};

/// 0: the kernel sends no events in this namespace.
const EVENTS_SETTING: &str = "/proc/sys/net/netfilter/nf_conntrack_events";
/// An event takes about 1 KiB there: enough for a second of 10,000 connections that come and go.
const RECEIVE_BUFFER_BYTES: i32 = 16 << 20;
const EVENT_BYTES: usize = 8 << 10;
/// Events are taken in bunches: waking up costs more than they do.
const PAUSE: Duration = Duration::from_millis(5);
const PURGE_MS: u32 = 10_000;
/// Connections that were there before us send no event when they end, where the kernel decides by itself who gets any
/// (`nf_conntrack_events` = 2), so we ask again from time to time…
const DUMP_NS: u64 = 60_000_000_000;
/// …and more seldom the longer the answer takes: 0.2 % of a processor at most.
const DUMP_SHARE: u64 = 500;
/// On top of the longest time from a record's first packet to the sweep that finds it due.
const RETAIN_MORE_NS: u64 = 30_000_000_000;

/// What was found and done so far.
#[derive(Clone, Copy, Default)]
pub struct Counts {
    /// Connections that are known now.
    pub entries: u32,
    pub events: u64,
    /// Connections that found no place.
    pub lost: u64,
    /// How often events were missing, so that a dump had to replace them.
    pub overflows: u64,
}

/// Runs until it is dropped.
pub struct Conntrack {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    events: Socket,
    /// The filter of events is not for dumps, which come as many messages at once.
    dumps: Socket,
    stop: OwnedFd,
    /// Held by who takes in events.
    progress: Mutex<Progress>,
    translations: Mutex<Translations>,
    event_count: AtomicU64,
    overflow_count: AtomicU64,
}

#[derive(Default)]
struct Progress {
    /// Until when nothing was missed.
    sure_ns: u64,
    next_dump_ns: u64,
    is_behind: bool,
}

impl Conntrack {
    /// Looks at what is there, and begins to follow it. `capacity`: how many connections are kept.
    pub fn start(netns: &NetNs, capacity: u32) -> Result<Self> {
        let (events, dumps) = netns.run(|| {
            if fs::read_to_string(EVENTS_SETTING).is_ok_and(|text| text.trim() == "0") {
                return Err(Error::new(Code::Unsupported, "net.netfilter.nf_conntrack_events is 0"));
            }
            let events = Socket::open(libc::NETLINK_NETFILTER, GROUPS)?;
            Ok((events, Socket::open(libc::NETLINK_NETFILTER, 0)?))
        })?;
        events.filter(&message::only_translated())?;
        events.set_receive_buffer(RECEIVE_BUFFER_BYTES);
        let shared = Arc::new(Shared {
            events,
            dumps,
            stop: eventfd()?,
            progress: Mutex::default(),
            translations: Mutex::new(Translations::new(capacity)),
            event_count: AtomicU64::new(0),
            overflow_count: AtomicU64::new(0),
        });
        let refused = |error| Error::io("the kernel does not tell its tracked connections", &error);
        shared.dump(&mut lock(&shared.progress)).map_err(refused)?;
        let thread = thread::Builder::new().name("conntrack".into()).spawn({
            let shared = shared.clone();
            move || shared.follow()
        });
        let thread = thread.map_err(|error| Error::io("cannot start a thread for connection tracking", &error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Takes in all that has happened so far; connections are kept for as long as records by these limits may need them. It may
    /// have to wait until the kernel has named all connections.
    pub fn catch_up(&self, limits: &SweepLimits) {
        let idles = [limits.generic_idle_ns, limits.icmp_idle_ns, limits.tcp_idle_ns, limits.tcp_fin_ns];
        let idle_ns = idles.into_iter().chain([limits.tcp_rst_ns, limits.udp_idle_ns]).max().unwrap_or(0);
        let retain_ns = limits.active_ns.saturating_add(idle_ns).saturating_add(RETAIN_MORE_NS);
        lock(&self.shared.translations).retain_for(retain_ns);
        self.shared.take_in();
    }

    /// Tells records what their ends are called on the other side of a translation. `boot_ns` makes boot time of their times.
    pub fn tell(&self, records: &mut [FlowRecord], boot_ns: impl Fn(u64) -> u64) {
        let mut translations = lock(&self.shared.translations);
        for record in records {
            let (start_ns, end_ns) = (boot_ns(record.start_unix_ns), boot_ns(record.end_unix_ns));
            translations.tell(record, start_ns, end_ns);
        }
    }

    pub fn counts(&self) -> Counts {
        let [events, overflows] =
            [&self.shared.event_count, &self.shared.overflow_count].map(|count| count.load(Ordering::Relaxed));
        let translations = lock(&self.shared.translations);
        Counts { entries: translations.len(), events, lost: translations.lost, overflows }
    }
}

impl Drop for Conntrack {
    fn drop(&mut self) {
        ring_bell(&self.shared.stop);
        if let Some(thread) = self.thread.take() {
            // It cannot fail but by a panic, which aborts.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn follow(&self) {
        let mut purged_ns = clock::boot_ns();
        while wait_for(self.events.as_fd(), &self.stop, PURGE_MS) != WOKEN {
            thread::sleep(PAUSE);
            self.take_in();
            let now = clock::boot_ns();
            if now - purged_ns >= u64::from(PURGE_MS) * 1_000_000 {
                purged_ns = now;
                lock(&self.translations).purge(now);
            }
        }
    }

    /// Takes in all events that wait. Where some are missing, or others will never come, a dump tells what is there.
    fn take_in(&self) {
        let mut progress = lock(&self.progress);
        let mut buffer = [0; EVENT_BYTES];
        let missed = drain(|| {
            let length = self.events.next(&mut buffer)?;
            if let Some(length) = length {
                self.note(&buffer[..length]);
            }
            Ok(length.is_some())
        });
        progress.is_behind |= missed > 0;
        self.overflow_count.fetch_add(missed, Ordering::Relaxed);
        let now = clock::boot_ns();
        if !progress.is_behind {
            progress.sure_ns = now;
        }
        if progress.is_behind || now >= progress.next_dump_ns {
            // One that fails is tried again with the next events.
            progress.is_behind = self.dump(&mut progress).is_err();
        }
    }

    /// Takes over what a datagram tells.
    fn note(&self, datagram: &[u8]) {
        let mut translations = lock(&self.translations);
        let now = clock::boot_ns();
        let mut count = 0;
        for event in netlink::messages(datagram).filter_map(|message| message::read(&message)) {
            match event {
                Event::Begin(connection) => translations.begin(connection, now, now),
                Event::End(connection) => translations.end(&connection, now),
            }
            count += 1;
        }
        self.event_count.fetch_add(count, Ordering::Relaxed);
    }

    /// Takes over what the kernel has now; what it no longer has, has ended.
    fn dump(&self, progress: &mut Progress) -> io::Result<()> {
        let begun_ns = clock::boot_ns();
        lock(&self.translations).begin_dump();
        for status in [SRC_NAT, DST_NAT] {
            let mut names_all = false;
            self.dumps.ask(GET, libc::NLM_F_DUMP, &Dump::new(status), |message: &Message| {
                names_all |= !message::has_status(message, status);
                // Locked for each alone: there may be very many, and records are told meanwhile.
                if let Some(Event::Begin(connection)) = message::read(message) {
                    lock(&self.translations).begin(connection, progress.sure_ns, clock::boot_ns());
                }
            })?;
            if names_all {
                break;
            }
        }
        let now = clock::boot_ns();
        lock(&self.translations).end_dump(now);
        progress.next_dump_ns = now + DUMP_NS.max((now - begun_ns) * DUMP_SHARE);
        progress.sure_ns = begun_ns;
        Ok(())
    }
}

/// Takes one after the other until none is left (`false`); returns how often some were missing before one. Those that wait are
/// older than any dump that replaces what is missing, so none may be left for after it.
fn drain(mut next: impl FnMut() -> io::Result<bool>) -> u64 {
    let mut missed = 0;
    loop {
        match next() {
            Ok(true) => {}
            Ok(false) => return missed,
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => missed += 1,
            Err(_) => return missed + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_behind_missing_events_is_taken_before_a_dump() {
        let taken = |results: &[std::result::Result<bool, i32>]| {
            let mut left = results.iter();
            let missed = drain(|| left.next().unwrap().map_err(io::Error::from_raw_os_error));
            (missed, left.len())
        };
        assert_eq!(taken(&[Ok(true), Ok(false)]), (0, 0));
        assert_eq!(taken(&[Err(libc::ENOBUFS), Ok(true), Err(libc::ENOBUFS), Ok(true), Ok(false)]), (2, 0));
        assert_eq!(taken(&[Err(libc::EBADF), Ok(true)]), (1, 1));
    }
}
