/** The `span` settings that decide when a record is due, in milliseconds. */
export interface SpanTimeouts {
  maxRecordIntervalMs: number;
  genericTimeoutMs: number;
  icmpTimeoutMs: number;
  tcpTimeoutMs: number;
  tcpFinTimeoutMs: number;
  tcpRstTimeoutMs: number;
  udpTimeoutMs: number;
}

/** When the loader hands a record out: after so long without a packet, or so long after the window began. */
export interface PollLimits {
  /** Idle time of protocols that have no limit of their own. */
  genericIdleMs: number;
  /** Idle time of ICMP and ICMPv6. */
  icmpIdleMs: number;
  /** Idle time of TCP with no FIN and no RST. */
  tcpIdleMs: number;
  /** Time after the last packet of a TCP connection that has seen the FIN of every side that sent. */
  tcpFinMs: number;
  /** Time after the last packet of a TCP connection that has seen a RST. */
  tcpRstMs: number;
  udpIdleMs: number;
  /** Length of a window: a flow that goes on is cut here. */
  activeMs: number;
}

/** Greatest limit that the loader takes: 32 bits of milliseconds, 49 days. */
export const MAX_LIMIT_MS = 0xffff_ffff;

/** The poll limits that `span` asks for; whole milliseconds, at least 1 and at most {@link MAX_LIMIT_MS}. */
export function pollLimits(span: SpanTimeouts): PollLimits {
  return {
    genericIdleMs: limit(span.genericTimeoutMs),
    icmpIdleMs: limit(span.icmpTimeoutMs),
    tcpIdleMs: limit(span.tcpTimeoutMs),
    tcpFinMs: limit(span.tcpFinTimeoutMs),
    tcpRstMs: limit(span.tcpRstTimeoutMs),
    udpIdleMs: limit(span.udpTimeoutMs),
    activeMs: limit(span.maxRecordIntervalMs),
  };
}

/** Time from the first packet of a window to its record, at most: it may fill up, and then be silent. */
export function longestWindowMs(span: SpanTimeouts): number {
  const { maxRecordIntervalMs, genericTimeoutMs, icmpTimeoutMs, tcpTimeoutMs, udpTimeoutMs } = span;
  const ends = [span.tcpFinTimeoutMs, span.tcpRstTimeoutMs];
  return maxRecordIntervalMs + Math.max(genericTimeoutMs, icmpTimeoutMs, tcpTimeoutMs, udpTimeoutMs, ...ends);
}

function limit(ms: number): number {
  return Math.min(Math.max(Math.round(ms), 1), MAX_LIMIT_MS);
}
