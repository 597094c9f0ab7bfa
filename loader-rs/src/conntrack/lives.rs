//! Which of the connections that had a five-tuple one after the other a record is of.

/// An event may come so long after what it tells of, and still be taken for it when nothing else can be meant.
const LATE_NS: u64 = 1_000_000_000;
/// Of datagrams, a connection that begins within this of a window's first packet began with it, for events mostly come sooner.
/// So what little passed before such a change is taken for part of what came after it.
const SWITCH_NS: u64 = 100_000_000;
/// What is read from the kernel at once may have happened at any time before.
const AT_ONCE_NS: u64 = 20_000_000;

/// A connection as far as its events tell: it lived from a moment before `start_ns` to a moment before `end_ns`.
#[derive(Clone, Copy)]
pub struct Life<T> {
    pub start_ns: u64,
    /// `u64::MAX`: it lives.
    pub end_ns: u64,
    pub what: T,
}

/// What a record covers, from its first packet to its last.
#[derive(Clone, Copy)]
pub struct Window {
    pub start_ns: u64,
    pub end_ns: u64,
    pub kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It begins with the handshake of a TCP connection. A flow is of one connection then.
    Handshake,
    /// Of a TCP connection that is known to have begun before.
    Continuation,
    /// Packets of several connections may be in one flow, as of UDP.
    Mixed,
}

/// What is meant; `None` when that is nothing, or cannot be told: several connections, or their change is too near.
pub fn choose<T: Copy + PartialEq>(lives: impl Iterator<Item = Life<T>> + Clone, window: Window) -> Option<T> {
    let possible = lives
        .filter(move |life| life.end_ns >= window.start_ns && life.start_ns <= window.end_ns.saturating_add(LATE_NS));
    let first = possible.clone().next()?;
    if possible.clone().all(|life| life.what == first.what) {
        return Some(first.what);
    }
    let before =
        |time_ns: u64| possible.clone().filter(move |life| life.start_ns <= time_ns).max_by_key(|life| life.start_ns);
    let after =
        |time_ns: u64| possible.clone().filter(move |life| life.start_ns >= time_ns).min_by_key(|life| life.start_ns);
    let start_ns = window.start_ns;
    let chosen = match window.kind {
        // Its first packet made the connection.
        Kind::Handshake => after(start_ns).or_else(|| before(start_ns)),
        Kind::Continuation => before(start_ns).or_else(|| after(start_ns)),
        Kind::Mixed => before(start_ns.saturating_add(SWITCH_NS)).or_else(|| after(start_ns)),
    }?;
    let others = possible.filter(|life| life.what != chosen.what);
    let is_sure = chosen.start_ns <= window.end_ns.saturating_add(SWITCH_NS);
    (is_sure && !others.into_iter().any(|other| is_in_doubt(&chosen, &other, window))).then_some(chosen.what)
}

/// Whether the other connection may be meant, or be meant as well.
fn is_in_doubt<T>(chosen: &Life<T>, other: &Life<T>, window: Window) -> bool {
    let is_mixed = window.kind == Kind::Mixed;
    let last_ns = if is_mixed { window.end_ns.saturating_add(SWITCH_NS) } else { window.end_ns };
    let begins_within = other.start_ns > chosen.start_ns && other.start_ns <= last_ns;
    let begins_with_it = is_mixed && other.start_ns >= window.start_ns && other.start_ns <= chosen.start_ns;
    // In two zones the same tuple can live twice.
    let is_beside = other.start_ns <= chosen.start_ns && other.end_ns > chosen.start_ns.saturating_add(SWITCH_NS);
    let is_at_once = other.start_ns.abs_diff(chosen.start_ns) <= AT_ONCE_NS;
    begins_within || begins_with_it || is_beside || is_at_once
}

#[cfg(test)]
mod tests;
