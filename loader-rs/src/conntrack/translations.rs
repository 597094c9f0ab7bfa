//! The translated connections that live, or lived lately enough to have flows that are still to be exported.

use super::{
    lives::{Kind, Life, Window, choose},
    message::{Connection, ICMP, ICMPV6, Tuple},
};
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher as _, RandomState},
};
use types::{FlowRecord, NAT_ORIGINAL, NAT_TRANSLATED, SIDE_NONE};

const TCP: u8 = libc::IPPROTO_TCP as u8;
const LIVES: u64 = u64::MAX;

/// A connection in one of the chains that it is in: twice its place, plus 1 in that of its translated tuple.
type Link = u32;
const END: Link = u32::MAX;

struct Entry {
    connection: Connection,
    /// When its events came, on the boot clock; 0: it began before anybody listened.
    start_ns: u64,
    end_ns: u64,
    /// The next in the chain of the original and of the translated tuple.
    next: [Link; 2],
    /// Of the last dump that found it.
    dump: u32,
    /// So many live: of pings, all that flows do not tell apart.
    count: u32,
    is_used: bool,
    /// Somebody else may have its place.
    is_spent: bool,
}

/// What a record is to be told: which tuple it has, and where in the entry the other one is.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Translation {
    nat: u8,
    connection: Connection,
}

/// Bounded; two look-ups find a connection by the five-tuple before and behind the translation.
pub struct Translations {
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// First link of the chain of all tuples with this hash, the newest first.
    chains: HashMap<u64, Link>,
    hasher: RandomState,
    capacity: u32,
    /// Entries whose flows are most likely exported, those that were first ahead.
    spent: VecDeque<u32>,
    dump: u32,
    retain_ns: u64,
    /// Connections that found no place.
    pub lost: u64,
}

impl Translations {
    /// `capacity`: how many connections there is room for.
    pub fn new(capacity: u32) -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            chains: HashMap::new(),
            hasher: RandomState::new(),
            capacity: capacity.min(END / 2),
            spent: VecDeque::new(),
            dump: 0,
            retain_ns: LIVES,
            lost: 0,
        }
    }

    pub fn len(&self) -> u32 {
        (self.entries.len() - self.free.len()) as u32
    }

    /// Keeps connections for so long after their end.
    pub fn retain_for(&mut self, retain_ns: u64) {
        self.retain_ns = retain_ns;
    }

    /// A connection lives since `start_ns`, and is seen at `now_ns`.
    pub fn begin(&mut self, connection: Connection, start_ns: u64, now_ns: u64) {
        let connection = as_told(connection);
        let tuples = connection.tuples();
        for (view, tuple) in tuples.iter().enumerate() {
            for place in self.living(tuple, view) {
                let entry = &mut self.entries[place as usize];
                if entry.connection == connection {
                    // The first of a dump begins to count anew.
                    entry.count = if is_ping(&connection) && entry.dump == self.dump { entry.count + 1 } else { 1 };
                    entry.dump = self.dump;
                    return;
                }
                // All but pings are unique in their zone, so this one has ended, and nobody told us.
                if !is_ping(&connection) && entry.connection.zone == connection.zone {
                    self.spend(place, now_ns);
                }
            }
        }
        let entry = Entry {
            connection,
            start_ns,
            end_ns: LIVES,
            next: [END; 2],
            dump: self.dump,
            count: 1,
            is_used: true,
            is_spent: false,
        };
        let Some(place) = self.place(entry) else {
            self.lost += 1;
            return;
        };
        for (view, tuple) in tuples.iter().enumerate() {
            let hash = self.hasher.hash_one(tuple);
            let head = self.chains.insert(hash, place << 1 | view as u32);
            self.entries[place as usize].next[view] = head.unwrap_or(END);
        }
    }

    /// A connection has ended.
    pub fn end(&mut self, connection: &Connection, now_ns: u64) {
        let connection = as_told(*connection);
        let [original, _] = connection.tuples();
        for place in self.living(&original, 0) {
            let entry = &mut self.entries[place as usize];
            if entry.connection == connection {
                entry.count -= 1;
                if entry.count == 0 {
                    self.spend(place, now_ns);
                }
            }
        }
    }

    /// All that [`Self::begin`] does not see from here to [`Self::end_dump`] has ended.
    pub fn begin_dump(&mut self) {
        self.dump = self.dump.wrapping_add(1);
    }

    pub fn end_dump(&mut self, now_ns: u64) {
        for place in 0..self.entries.len() {
            let entry = &self.entries[place];
            if entry.is_used && entry.end_ns == LIVES && entry.dump != self.dump {
                self.spend(place as u32, now_ns);
            }
        }
    }

    /// Forgets what ended so long ago that no record can be of it.
    pub fn purge(&mut self, now_ns: u64) {
        for place in 0..self.entries.len() {
            let entry = &self.entries[place];
            if entry.is_used && entry.end_ns.saturating_add(self.retain_ns) < now_ns {
                self.remove(place as u32);
            }
        }
        self.spent.retain(|place| self.entries[*place as usize].is_used);
    }

    /// Tells a record, whose first and last packet were at these boot times, what its ends are called on the other side.
    pub fn tell(&mut self, record: &mut FlowRecord, start_ns: u64, end_ns: u64) {
        if self.chains.is_empty() {
            return;
        }
        let kind = match record {
            _ if record.key.protocol != TCP => Kind::Mixed,
            FlowRecord { first: 1, syn_side, .. } if *syn_side != SIDE_NONE => Kind::Handshake,
            _ => Kind::Continuation,
        };
        let tuple = Tuple::from(&record.key);
        let lives = self.links(&tuple).map(|link| {
            let entry = &self.entries[(link >> 1) as usize];
            let nat = if link & 1 == 0 { NAT_ORIGINAL } else { NAT_TRANSLATED };
            let what = Translation { nat, connection: Connection { id: 0, ..entry.connection } };
            Life { start_ns: entry.start_ns, end_ns: entry.end_ns, what }
        });
        let Some(Translation { nat, connection }) = choose(lives, Window { start_ns, end_ns, kind }) else {
            return;
        };
        let (own, other) = if nat == NAT_ORIGINAL {
            (connection.original, connection.translated)
        } else {
            (connection.translated, connection.original)
        };
        let from = usize::from(own[0] != tuple.ends[0]);
        record.nat = nat;
        record.nat_from = from as u8;
        (record.nat_a, record.nat_b) = (other[from].words(), other[1 - from].words());
        record.nat_port = [other[from].port(), other[1 - from].port()];
        if record.last == 1 {
            let is_told = |place: &u32| self.entries[*place as usize].connection.translated == connection.translated;
            let told: Vec<u32> = self.links(&tuple).map(|link| link >> 1).filter(is_told).collect();
            told.into_iter().for_each(|place| self.offer(place));
        }
    }

    /// Links of the chain that are of this tuple.
    fn links(&self, tuple: &Tuple) -> impl Iterator<Item = Link> + Clone {
        let tuple = *tuple;
        let mut next = self.chains.get(&self.hasher.hash_one(tuple)).copied().unwrap_or(END);
        std::iter::from_fn(move || {
            (next != END).then(|| {
                let link = next;
                next = self.entries[(link >> 1) as usize].next[(link & 1) as usize];
                link
            })
        })
        .filter(move |link| self.entries[(link >> 1) as usize].connection.tuples()[(link & 1) as usize] == tuple)
    }

    /// Places of living connections that have this tuple before (0) or behind (1) the translation.
    fn living(&self, tuple: &Tuple, view: usize) -> Vec<u32> {
        let places = self.links(tuple).filter(|link| (link & 1) as usize == view).map(|link| link >> 1);
        places.filter(|place| self.entries[*place as usize].end_ns == LIVES).collect()
    }

    fn spend(&mut self, place: u32, now_ns: u64) {
        self.entries[place as usize].end_ns = now_ns;
        self.offer(place);
    }

    fn offer(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        if !entry.is_spent {
            entry.is_spent = true;
            self.spent.push_back(place);
        }
    }

    /// Where the entry is now; `None`: there is no room, and nobody's place may be taken.
    fn place(&mut self, entry: Entry) -> Option<u32> {
        if self.len() >= self.capacity {
            let victim = loop {
                let place = self.spent.pop_front()?;
                if self.entries[place as usize].is_used {
                    break place;
                }
            };
            self.remove(victim);
        }
        if let Some(place) = self.free.pop() {
            self.entries[place as usize] = entry;
            return Some(place);
        }
        self.entries.push(entry);
        Some((self.entries.len() - 1) as u32)
    }

    fn remove(&mut self, place: u32) {
        for (view, tuple) in self.entries[place as usize].connection.tuples().iter().enumerate() {
            self.unlink(self.hasher.hash_one(tuple), place << 1 | view as u32);
        }
        self.entries[place as usize].is_used = false;
        self.free.push(place);
    }

    fn unlink(&mut self, hash: u64, link: Link) {
        let next = self.entries[(link >> 1) as usize].next[(link & 1) as usize];
        let Some(head) = self.chains.get_mut(&hash) else {
            return;
        };
        if *head == link {
            if next == END {
                self.chains.remove(&hash);
            } else {
                *head = next;
            }
            return;
        }
        let mut at = *head;
        while at != END {
            let following = &mut self.entries[(at >> 1) as usize].next[(at & 1) as usize];
            if *following == link {
                *following = next;
                return;
            }
            at = *following;
        }
    }
}

/// ICMP connections have an id that tuples of flows do not show.
fn is_ping(connection: &Connection) -> bool {
    connection.protocol == ICMP || connection.protocol == ICMPV6
}

/// Pings from one host to another are one connection here, or whoever sends many with ever other ids would make long chains.
fn as_told(connection: Connection) -> Connection {
    if is_ping(&connection) { Connection { id: 0, ..connection } } else { connection }
}

#[cfg(test)]
mod tests;
