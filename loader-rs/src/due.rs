//! Which flows are due: pure decisions.

use crate::flow::{counted, is_superseded, last_ns};
use std::ptr;
use types::{FlowSlot, SweepLimits, end_reason, tcp};

pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMPV6: u8 = 58;

/// What the decision needs of a slot.
pub struct View {
    pub protocol: u8,
    pub last_ns: u64,
    /// First packet of the window that is open, or 0.
    pub window_first_ns: u64,
    /// The kernel has put another slot in its place.
    pub superseded: bool,
    pub reset: bool,
    pub finished: bool,
}

impl View {
    /// # Safety
    /// `flow` is in the mapped table.
    pub unsafe fn read(flow: *const FlowSlot) -> Self {
        // SAFETY: by the contract. The cache lines of a slot beyond the second are read for TCP only.
        unsafe {
            let protocol = (*flow).key.protocol;
            let (reset, finished) = if protocol == TCP { tcp_end(flow) } else { (false, false) };
            let first = ptr::read_volatile(&raw const (*flow).window_first_ns);
            let open = first.into_iter().filter(|first| *first > (*flow).cut_ns);
            Self {
                protocol,
                last_ns: last_ns(flow),
                window_first_ns: open.min().unwrap_or(0),
                superseded: (reset || finished) && is_superseded(flow),
                reset,
                finished,
            }
        }
    }
}

/// Whether a RST was seen, and whether every side that sent anything sent its FIN.
///
/// # Safety
/// `flow` is in the mapped table.
unsafe fn tcp_end(flow: *const FlowSlot) -> (bool, bool) {
    // SAFETY: by the contract.
    let flags = unsafe { ptr::read_volatile(&raw const (*flow).tcp_flags) };
    let any = |lane: usize| flags[0][lane] != 0 || flags[1][lane] != 0;
    if !any(tcp::FIN_LANE) {
        return (any(tcp::RST_LANE), false);
    }
    // SAFETY: by the contract.
    let (total, gap) = unsafe { (counted(flow), ptr::read_volatile(&raw const (*flow).gap_open)) };
    let closed = |side: usize| flags[side][tcp::FIN_LANE] != 0 || (total[side].packets == 0 && gap[side] == 0);
    (any(tcp::RST_LANE), closed(0) && closed(1))
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has ended, for this reason.
    End(u8),
    /// It goes on, but its window is over.
    Cut,
    /// It goes on; `age` says how near to its end it is, in 256ths of its timeout.
    Open { age: u8 },
}

/// Decides about one flow at `now` (boot time).
pub fn judge(flow: &View, limits: &SweepLimits, now: u64) -> Verdict {
    if limits.force != 0 {
        return Verdict::End(end_reason::FORCED_END);
    }
    if flow.superseded {
        return Verdict::End(end_reason::END_OF_FLOW_DETECTED);
    }
    let (timeout, reason) = match flow.protocol {
        TCP if flow.reset => (limits.tcp_rst_ns, end_reason::END_OF_FLOW_DETECTED),
        TCP if flow.finished => (limits.tcp_fin_ns, end_reason::END_OF_FLOW_DETECTED),
        TCP => (limits.tcp_idle_ns, end_reason::IDLE_TIMEOUT),
        UDP => (limits.udp_idle_ns, end_reason::IDLE_TIMEOUT),
        ICMP | ICMPV6 => (limits.icmp_idle_ns, end_reason::IDLE_TIMEOUT),
        _ => (limits.generic_idle_ns, end_reason::IDLE_TIMEOUT),
    };
    let idle = now.saturating_sub(flow.last_ns);
    if idle >= timeout {
        return Verdict::End(reason);
    }
    if flow.window_first_ns != 0 && now.saturating_sub(flow.window_first_ns) >= limits.active_ns {
        return Verdict::Cut;
    }
    Verdict::Open { age: (u128::from(idle) * 256 / u128::from(timeout)) as u8 }
}

/// The `count` slots that are nearest to their end.
pub fn oldest(open: &[(u32, u8)], count: usize) -> Vec<u32> {
    let mut histogram = [0usize; 256];
    for (_, age) in open {
        histogram[usize::from(*age)] += 1;
    }
    let mut left = count;
    let mut victims = Vec::with_capacity(count.min(open.len()));
    // The youngest age of which any are taken, and how many of that age.
    let mut edge = 0;
    let mut of_edge = 0;
    for age in (0..256).rev() {
        edge = age;
        of_edge = left.min(histogram[age]);
        left -= of_edge;
        if left == 0 {
            break;
        }
    }
    for (slot, age) in open {
        match usize::from(*age) {
            age if age > edge => victims.push(*slot),
            age if age == edge && of_edge > 0 => {
                of_edge -= 1;
                victims.push(*slot);
            }
            _ => {}
        }
    }
    victims
}

#[cfg(test)]
mod tests;
